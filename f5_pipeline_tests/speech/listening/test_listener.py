"""Real listeners, tiny.en and resemblyzer, on a person of f5-tts's examples and a draft voice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.listening.listener import Piece, WhisperListener
from f5_pipeline.speech.listening.speaker import SpeakerEncoder, find_weights
from f5_pipeline.speech.listening.whisper import load
from f5_pipeline_tests.support.installation import EXAMPLES
from f5_pipeline_tests.support.whisper import SAID


def read(path: Path, seconds: float) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples[: round(seconds * rate)], rate, SAMPLE_RATE)


def test_what_a_person_says_is_heard_and_what_is_not_said_is_told(tiny, memo):
    samples = read(memo, 6)
    listener = WhisperListener(load(tiny), "tiny")
    wrong = SAID.replace("others", "sisters gladly")
    whole, other, half = listener.listen(
        [
            Piece(samples, SAID, "en", "ada"),
            Piece(samples, wrong, "en", "ada"),
            Piece(samples[: len(samples) // 2], SAID, "en", "ada"),
        ]
    )
    assert (whole.differences.errors, whole.gains, whole.similarity) == (0, {}, None)
    assert other.text == whole.text, "the order of the pieces is kept"
    assert other.differences.errors == 2 and other.gain > 4
    assert whole.unheard and other.unheard and whole.unheard > 2 > -1 > other.unheard
    assert other.unheard_word in ("sisters", "gladly", "me") and whole.sentences() == []
    assert half.differences.missing == ["others call me mother nature"] and half.gain > 4
    assert listener.hears("en-GB") and not listener.hears("de")


def test_a_speaker_is_told_from_another(tiny, memo):
    if (weights := find_weights()) is None:
        pytest.skip("resemblyzer is not installed: pip install --no-deps resemblyzer==0.1.4")
    person, draft = read(memo, 6), read(EXAMPLES / "voices" / "ada.flac", 8)
    listener = WhisperListener(load(tiny), "tiny", SpeakerEncoder(weights), {"ada": lambda: draft})
    half = len(draft) // 2
    same, other, short = listener.listen([Piece(x, SAID, "en", "ada") for x in (draft[half:], person, person[:12000])])
    assert same.similarity and same.similarity > 0.85
    assert other.similarity and other.similarity < 0.72
    assert short.similarity is None, "half a second is too little"
    alike = listener.likeness(person[: len(person) // 2], person[len(person) // 2 :])
    assert alike and alike > 0.74

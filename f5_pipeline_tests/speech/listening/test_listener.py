"""Real listeners, tiny.en, Moonshine and resemblyzer, on a person of f5-tts's examples and a draft voice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from f5_pipeline.errors import DamagedError
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.listening.listener import Piece, SpeechListener
from f5_pipeline.speech.listening.moonshine import VERSION, Moonshine, find_model, spelled
from f5_pipeline.speech.listening.recogniser import Recogniser
from f5_pipeline.speech.listening.speaker import SpeakerEncoder, find_weights
from f5_pipeline.speech.listening.whisper import Whisper, load
from f5_pipeline_tests.support.installation import EXAMPLES
from f5_pipeline_tests.support.whisper import SAID, only


def read(path: Path, seconds: float) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples[: round(seconds * rate)], rate, SAMPLE_RATE)


@pytest.fixture(params=["whisper", "moonshine"])
def recogniser(request, tiny) -> Recogniser:
    if request.param == "whisper":
        return Whisper(load(tiny), "tiny")
    if (folder := find_model()) is None:
        pytest.skip(f"Moonshine is not installed: pip install --no-deps moonshine-voice=={VERSION}")
    return Moonshine(folder)


def test_what_a_person_says_is_heard_and_what_is_not_said_is_told(recogniser, memo):
    samples = read(memo, 6)
    listener = SpeechListener(only(recogniser))
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
    assert whole.unheard and other.unheard and whole.unheard > 0 > -1 > other.unheard
    assert other.unheard_word in ("sisters", "gladly", "me") and whole.sentences() == []
    assert half.differences.missing == ["others call me mother nature"] and half.gain > 4
    assert listener.hears("en-GB") and not listener.hears("de")


def test_a_speaker_is_told_from_another(tiny, memo):
    if (weights := find_weights()) is None:
        pytest.skip("resemblyzer is not installed: pip install --no-deps resemblyzer==0.1.4")
    person, draft = read(memo, 6), read(EXAMPLES / "voices" / "ada.flac", 8)
    listener = SpeechListener(only(Whisper(load(tiny), "tiny")), SpeakerEncoder(weights), {"ada": lambda: draft})
    half = len(draft) // 2
    same, other, short = listener.listen([Piece(x, SAID, "en", "ada") for x in (draft[half:], person, person[:12000])])
    assert same.similarity and same.similarity > 0.85
    assert other.similarity and other.similarity < 0.72
    assert short.similarity is None, "half a second is too little"
    alike = listener.likeness(person[: len(person) // 2], person[len(person) // 2 :])
    assert alike and alike > 0.74


@pytest.mark.parametrize(
    ("words", "heard", "expected"),
    [
        ("ever tried no matter", "Ever tried, no matter.", "Ever tried, no matter."),
        ("ever tried no doubt", "Ever tried, no matter.", "Ever tried, no doubt."),
        ("ever tried it no matter", "Ever tried, no matter!", "Ever tried, it no matter!"),
        ("in eighteen fifty", "In 1850.", "In eighteen fifty."),
        ("nobody", "", "nobody"),
        ("", "Thank you.", ""),
    ],
)
def test_texts_that_are_compared_are_spelled_as_what_is_heard(words, heard, expected):
    assert spelled(words, heard) == expected


def test_a_file_that_is_not_moonshines_is_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    for name in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"):
        (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(DamagedError, match=f"not the model of moonshine-voice {VERSION}") as caught:
        Moonshine(tmp_path)
    assert caught.value.file == str(tmp_path / "encoder_model.ort") and "pip install" in (caught.value.hint or "")

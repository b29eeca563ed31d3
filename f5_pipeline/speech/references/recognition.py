"""A transcript for a recording that has none: what Whisper hears, by faster-whisper (the extra `asr`).

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022); models in CTranslate2's form.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.listening.recogniser import RATE
from f5_pipeline.speech.listening.whisper import code_of, load
from f5_pipeline.speech.references.words import Progress

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

log = logging.getLogger("f5_pipeline.speech")

MAX_HEARD_SECONDS = 180.0
"""Most of a recording that is transcribed, s: a reference takes 12 s of it."""

_MIN_LANGUAGE_PROBABILITY = 0.5


@dataclass(frozen=True)
class Heard:
    """What was heard.

    Attributes:
        data: a transcript in Whisper's JSON, words with times, UTF-8.
        language: BCP 47 tag, as given or as detected.
        probability: of the detected language; None where it was given.
    """

    data: bytes
    language: str
    probability: float | None = None


def recognise(
    recording: Path,
    model: Path,
    language: str | None,
    *,
    device: str = "cpu",
    on_progress: Progress = lambda unit, done, total: None,
) -> Heard:
    """Write down what is said in the first three minutes of a recording.

    Args:
        recording: any that `audio.recordings` reads.
        model: folder of a Whisper model in CTranslate2's form.
        language: BCP 47 tag; None: detected.
        device: "cpu", "cuda" or "cuda:<n>"; where CUDA's libraries are missing, the processor computes.
        on_progress: see `words.Progress`.

    Raises:
        InputError: the recording cannot be read, nothing is said in it, or its language is unclear or not known to the
            model.
    """
    info = audio.probe(recording)
    levels = audio.levels_of(recording)
    bounds = audio.loud_bounds(levels.dbfs)
    start = max(0.0, bounds[0] * levels.hop - 0.5) if bounds else 0.0
    end = min(info.seconds, start + MAX_HEARD_SECONDS)
    samples = audio.read_mono(recording, RATE, start, end, levels.channel)
    arguments = (samples, start, language, end < info.seconds, recording.name, on_progress)
    if device.startswith("cuda"):
        try:
            return _heard(load(model, device), *arguments)
        except RuntimeError as error:  # CTranslate2's, for a missing library as for a lack of memory
            log.warning("Whisper computes on the processor, as CUDA does not work for it: %s", error)
    return _heard(load(model), *arguments)


def _heard(
    model: WhisperModel,
    samples: Any,
    start: float,
    language: str | None,
    is_cut: bool,
    file: str,
    on_progress: Progress,
) -> Heard:
    code = None
    if language:
        code = code_of(model, language)
        if code is None:
            raise InputError(
                f"the Whisper model does not know the language {language}",
                file=file,
                hint="Choose a multilingual model (--asr-model whisper-small), or write the transcript yourself.",
            )
    total = round(len(samples) / RATE)
    on_progress("s of audio transcribed", 0, total)
    # Without the text before: one misheard sentence would make the next ones worse.
    found, info = model.transcribe(
        samples, language=code, word_timestamps=True, condition_on_previous_text=False, beam_size=5
    )
    if code is None and info.language_probability < _MIN_LANGUAGE_PROBABILITY:
        raise InputError(
            f"the language of the recording is not clear ({info.language}: {info.language_probability:.2f})",
            file=file,
            hint="Give it with --language.",
        )
    segments = []
    for segment in found:
        on_progress("s of audio transcribed", min(round(segment.end), total), total)
        words = list(_words(segment.words or (), start))
        if words:
            text = "".join(word["word"] for word in words)
            segments.append({"start": words[0]["start"], "end": words[-1]["end"], "text": text, "words": words})
    if is_cut and len(segments) > 1:
        segments.pop()  # its end is missing
    on_progress("s of audio transcribed", total, total)
    if not any(character.isalnum() for segment in segments for character in segment["text"]):
        raise InputError("Whisper hears no speech in the recording", file=file, hint="Write the transcript yourself.")
    data = json.dumps({"language": info.language, "segments": segments}, ensure_ascii=False, indent=1)
    return Heard(data.encode(), language or info.language, None if language else info.language_probability)


def _words(words: Iterable[Any], offset: float) -> Iterable[dict[str, Any]]:
    """Words with times that never run backwards, as Whisper's sometimes do by hundredths."""
    clock = 0.0
    for word in words:
        start = max(clock, round(offset + word.start, 3))
        clock = max(start, round(offset + word.end, 3))
        yield {"word": word.word, "start": start, "end": clock}

"""Duration of a text in a voice: that of a draft rendering, scaled to the voice's own pace.

F5-TTS itself uses the reference's seconds a byte: digits and abbreviations are rushed, short texts are lost, and
scripts with two or three bytes a letter are slow. A draft has every phoneme that will be spoken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from f5_pipeline.speech.alignment.forced import MIN_RELATED_MARGIN, AlignmentError, align
from f5_pipeline.speech.alignment.renderings import Drafts, Template, articulation_seconds, rendering

if TYPE_CHECKING:
    import numpy as np

_MAX_RATE, _MIN_RATE = 2.5, 0.45
"""Bounds of a voice's seconds for each second of the draft (about 165 words a minute): 66 and 370 words a minute."""

_MIN_SPEECH_SECONDS = 0.3
"""Minimum of articulated speech to measure a pace."""

VERSION = 1
"""Version of the estimate; part of take keys, as it decides the length of takes."""


def identity() -> str:
    """Identity of everything that decides an estimate besides text, language, reference and speed."""
    return f"{rendering()}/{VERSION}"


@dataclass(frozen=True)
class Rate:
    """The pace of a voice.

    Attributes:
        value: seconds of the voice for each second of the draft, within the bounds.
        measured: the same as measured, without bounds; None where it could not be measured.
        reason: why they differ, for the user; None where they are equal.
    """

    value: float
    measured: float | None
    reason: str | None = None


def measure_rate(reference: np.ndarray, text: str, language: str, drafts: Drafts) -> Rate:
    """The pace of a reference relative to the draft of its text, without pauses.

    Compares the words by forced alignment; where that fails, all sound between long pauses.

    Args:
        reference: float32, shape (n,), mono, SAMPLE_RATE Hz.
        text: spoken in it.
        language: BCP 47 tag.

    Raises:
        NoDraft: espeak does not speak the language or the text.
    """
    spoken, drafted = _sound(reference, drafts.template(text, language))
    if spoken < _MIN_SPEECH_SECONDS or drafted < _MIN_SPEECH_SECONDS:
        return Rate(
            1.0, None, f"{min(spoken, drafted):.2f} s of speech are too little to measure a pace; the draft's is taken"
        )
    measured = spoken / drafted
    value = min(max(measured, _MIN_RATE), _MAX_RATE)
    if value == measured:
        return Rate(value, measured)
    way = "slowly" if measured > value else "fast"
    return Rate(
        value,
        measured,
        f"the recording says its text {measured:.2f} times as {way} as the draft does, which no narrator would; "
        f"{value:.2f} is taken",
    )


def _sound(reference: np.ndarray, template: Template) -> tuple[float, float]:
    """Seconds of speech without pauses in a reference and in its draft."""
    try:
        alignment = align(reference, template)
    except AlignmentError:
        alignment = None
    if alignment is None or alignment.margin < MIN_RELATED_MARGIN:
        return articulation_seconds(reference), template.articulation
    spoken, drafted = (sum(token.end - token.start for token in words) for words in (alignment.tokens, template.tokens))
    return spoken, drafted


def voice_rate(reference: np.ndarray, text: str, language: str, drafts: Drafts) -> float:
    """Seconds of a voice for each second of the draft; see `measure_rate`."""
    return measure_rate(reference, text, language, drafts).value


def speech_seconds(text: str, language: str, rate: float, drafts: Drafts, speed: float = 1.0) -> float:
    """Duration of a text in a voice, from its first to its last sound, pauses included, s.

    Args:
        text: normalised text.
        language: BCP 47 tag.
        rate: the voice's, from `voice_rate`.
        speed: 1.0 is the voice's own pace; twice the speed takes half the time.

    Raises:
        NoDraft: espeak does not speak the language or the text.
    """
    return drafts.template(text, language).seconds * rate / speed

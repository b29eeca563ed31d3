"""From the chosen part of a recording to the reference: samples, edges, measures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.references.choice import Choice
from f5_pipeline.speech.references.pauses import PAUSE, Activity
from f5_pipeline.speech.references.record import (
    LEAD,
    TAIL,
    Reference,
    ReferenceMeasures,
    ReferenceRecord,
    reference_hash,
)
from f5_pipeline.speech.text.endings import count_syllables, count_words, end_text

if TYPE_CHECKING:
    import numpy as np

FADE = 0.01
"""Fade at the edges, s, inside the silence, which prevents clicks."""


def build_reference(
    recording: Path,
    info: audio.AudioInfo,
    activity: Activity,
    choice: Choice,
    language: str,
    name: str,
) -> Reference:
    """Cut out the chosen part, fade and measure it."""
    import numpy as np

    levels = activity.levels
    start, end = choice.run.start, choice.run.end
    room_before, room_after = _room(activity, start, end)
    first, last = start - min(LEAD, room_before), min(end + min(TAIL, room_after), info.seconds)
    samples = audio.read_mono(recording, SAMPLE_RATE, first, last, levels.channel).astype(np.float64)
    native = np.concatenate(list(audio.read_blocks(recording, first, last)))
    samples -= samples.mean()
    _fade(samples, start - first, last - end)
    lead, tail = LEAD - (start - first), TAIL - (last - end)
    samples = np.pad(samples, (round(max(0.0, lead) * SAMPLE_RATE), round(max(0.0, tail) * SAMPLE_RATE)))
    peak = float(np.abs(samples).max())
    if peak > 32767 / 32768:
        samples *= 32767 / 32768 / peak
    samples = (np.rint(samples * 32768) / 32768).astype(np.float32)
    text = end_text(choice.run.text)
    spoken = samples[round(LEAD * SAMPLE_RATE) : round((LEAD + end - start) * SAMPLE_RATE)]
    silence = 1.0 - activity.loud_seconds(start, end) / (end - start)
    around = levels.dbfs[max(0, round((start - 1) / levels.hop)) : round((end + 1) / levels.hop)]
    measures = ReferenceMeasures(
        seconds=len(samples) / SAMPLE_RATE,
        speech_seconds=end - start,
        peak=float(np.abs(native).max()),
        clipping_share=audio.clipping_share(native),
        rms_dbfs=audio.rms_dbfs(spoken),
        noise_floor_dbfs=audio.floor_of(around),
        silence_share=min(max(silence, 0.0), 1.0),
        words=count_words(text),
        characters=sum(character.isalnum() for character in text),
        words_per_second=count_words(text) / (end - start),
        syllables=count_syllables(text, language),
        syllables_heard=audio.count_syllable_nuclei(spoken),
        method=choice.method,
        confidence=choice.fit and choice.fit.confidence,
        weakest=choice.fit and choice.fit.weakest,
        syllables_per_second=count_syllables(text, language) / max(_articulation(activity, start, end), 0.1),
    )
    record = ReferenceRecord(
        name=name,
        language=language,
        text=text,
        recording=recording.name,
        recording_seconds=info.seconds,
        cut=choice.method != "whole",
        start=first,
        end=last,
        seconds=measures.seconds,
        measures=measures,
        sha256=reference_hash(samples, text),
    )
    return Reference(samples, record)


def _room(activity: Activity, start: float, end: float) -> tuple[float, float]:
    """Silence directly before `start` and after `end`, s, which can be added without the neighbouring words."""
    before = after = 0.0
    for pause in activity.pauses_between(start - 1e-6, end + 1e-6):
        if pause.start <= start <= pause.end + 1e-6:
            before = start - pause.start
        if pause.start - 1e-6 <= end <= pause.end:
            after = pause.end - end
    return before, after


def _fade(samples: np.ndarray, lead: float, tail: float) -> None:
    """Raised-cosine fades in place, s: 10 ms within the silence, 3 ms where there is none."""
    import numpy as np

    for seconds, backwards in ((lead, False), (tail, True)):
        length = min(round(max(min(FADE, seconds), 0.003) * SAMPLE_RATE), len(samples))
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)
        view = samples[::-1] if backwards else samples
        view[:length] *= ramp


def _articulation(activity: Activity, start: float, end: float) -> float:
    """Seconds of speech without its pauses of 0.15 s and more."""
    inside = [(max(pause.start, start), min(pause.end, end)) for pause in activity.pauses_between(start, end)]
    return (end - start) - sum(last - first for first, last in inside if last - first >= PAUSE)

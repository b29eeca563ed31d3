"""Check of a narration's timings: every word of the script once, in order, within the audio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from f5_pipeline.speech.timeline import TimedWord
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio.records import Audio, Plan, PlannedChunk

MIN_CONFIDENCE = 0.3
"""Confidence below which the time of a word is unreliable."""

LAST_RESORT = "proportional"
"""Method of words that could not be aligned: spread over the speech of their chunk."""


@dataclass(frozen=True)
class TimingCheck:
    """Result of comparing the timings of a narration with its plan.

    Attributes:
        words: words with a time.
        methods: number of words by timing method.
        confidence: mean over the words, 0..1.
        unsure: words whose confidence is below MIN_CONFIDENCE, or that were timed as a last resort.
        fault: the first fault, None where there is none.
    """

    words: int
    methods: dict[str, int]
    confidence: float
    unsure: int
    fault: str | None


def check_timings(store: Store, plan: Plan, audio: Audio) -> TimingCheck:
    """Compare the timeline of a narration with its plan, word by word."""
    methods: Counter[str] = Counter()
    count, last, confidence, unsure = 0, 0.0, 0.0, 0
    fault = None
    for written, timed in zip_longest(_written(store, plan), read_lines(store, audio.timeline_key, TimedWord)):
        if timed is None or written != timed.text:
            fault = f"word {count + 1} is {written!r} in the script and {timed and timed.text!r} in the timings"
            break
        if not last - 1e-6 <= timed.start < timed.end <= audio.seconds + 1e-6:
            fault = f"word {count + 1}, {written!r}, is heard from {timed.start:.3f} s to {timed.end:.3f} s"
            break
        methods[timed.method] += 1
        confidence += timed.confidence
        unsure += timed.method == LAST_RESORT or timed.confidence < MIN_CONFIDENCE
        count, last = count + 1, timed.end
    return TimingCheck(count, dict(methods), confidence / max(count, 1), unsure, fault)


def _written(store: Store, plan: Plan) -> Iterator[str]:
    for planned in read_lines(store, plan.chunks_key, PlannedChunk):
        for word in planned.chunk.words:
            yield word.text

"""Sound and pauses of a recording, from its levels."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from f5_pipeline.speech.audio import recordings as audio

PAUSE, CLOSE_PAUSE = 0.15, 0.08
"""Shortest pause, and the shortest that counts where a word boundary is known to lie, s: a plosive closes for up to
0.1 s."""


@dataclass(frozen=True)
class Pause:
    """A pause from `start` to `end`, s."""

    start: float
    end: float


class Activity:
    """Sound and pauses of a recording.

    Attributes:
        levels: of the recording.
        pauses: all pauses in order, the silent edges included.
    """

    def __init__(self, levels: audio.Levels) -> None:
        import numpy as np

        self.levels = levels
        threshold = levels.threshold
        runs = audio.loud_runs(-levels.dbfs, -threshold)
        self.pauses = [
            Pause(first * levels.hop, min(last * levels.hop, levels.seconds))
            for first, last in runs
            if (last - first) * levels.hop >= CLOSE_PAUSE - 1e-9 or first == 0 or last == len(levels.dbfs)
        ]
        self._loud = np.concatenate([[0], np.cumsum(levels.dbfs >= threshold)])

    def loud_seconds(self, start: float, end: float) -> float:
        """Seconds of sound between two times (s)."""
        first, last = (min(max(0, round(time / self.levels.hop)), len(self._loud) - 1) for time in (start, end))
        return float(self._loud[max(first, last)] - self._loud[first]) * self.levels.hop

    def pauses_between(self, start: float, end: float) -> list[Pause]:
        """The pauses that overlap the span between two times (s)."""
        first = bisect_right(self.pauses, start, key=lambda pause: pause.end)
        return self.pauses[first : bisect_left(self.pauses, end, key=lambda pause: pause.start)]

    def long_pauses(self, start: float, end: float) -> float:
        """Seconds by which pauses that begin between two times (s) exceed half a second each."""
        inside = [pause for pause in self.pauses_between(start, end) if start <= pause.start and pause.end <= end]
        return sum(max(0.0, pause.end - pause.start - 0.5) for pause in inside)

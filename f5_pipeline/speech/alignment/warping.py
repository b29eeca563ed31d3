"""Warping a take's log-mel frames onto a draft's.

Pauses are removed from the draft, and an optional silence is allowed between any two words of the take. So neither a
pause that only one of them makes nor its length blurs the end of a word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from f5_pipeline.speech.audio import features
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.engine import Token

if TYPE_CHECKING:
    import numpy as np

    from f5_pipeline.speech.alignment.dtw import Path

_GAP = 0.03  # s between two words of a draft that are a pause
_COARSER = 4  # frames in one frame of the first pass
_WIDE, _NARROW = 1000, 120  # half widths of the bands, rows: 40 s at a quarter of the resolution, 1.2 s at the full one
_QUIET, _QUIET_SLOPE = 0.3, 0.05  # cost of a frame as silence: below the gate, and for each dB above it
_FLOOR = 80.0  # dB below a band's loudest frame: lower bound


def _normalised(log_mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features with each band normalised by mean and variance, and the level of each frame above the gate, dB.

    Mean and variance are of the frames above the gate only, as pauses differ between draft and take. Scaled so that the
    root mean square distance of unrelated frames is 1.
    """
    import numpy as np

    level = 10 / math.log(10) * np.log(np.exp(log_mel).sum(axis=1))
    level = level - audio.speech_threshold(level)
    if not (level >= 0).any():
        level = level - level.max()
    floored = np.maximum(log_mel, log_mel.max(axis=0) - _FLOOR * math.log(10) / 10)
    loud = floored[level >= 0]
    scale = math.sqrt(2 * features.BANDS) * (loud.std(axis=0) + 0.1)
    return ((floored - loud.mean(axis=0)) / scale).astype(np.float32), level


@dataclass(frozen=True)
class Draft:
    """A template as rows to warp onto: the frames of its words, with a row of silence before, between and after them.

    Attributes:
        rows: float32, shape (m, BANDS).
        silent: bool, shape (m,).
        closed: bool, shape (m,): rows of a word that are below the gate.
        times: time of each row in the template, s.
        spans: first and last row of each token.
    """

    rows: np.ndarray
    silent: np.ndarray
    closed: np.ndarray
    times: np.ndarray
    spans: list[tuple[int, int]]


@dataclass(frozen=True)
class Warped:
    """A draft, the path of a take through it, and start and end of its tokens, s from the take's first frame."""

    draft: Draft
    path: Path
    edges: list[tuple[float, float]]

    @property
    def cost(self) -> float:
        """Mean distance along the path, without silence."""
        return float(self.path.distance.sum() / self.path.cells[~self.draft.silent].sum())

    @property
    def costs(self) -> list[float]:
        """The same for each token."""
        spans = [slice(first, last + 1) for first, last in self.draft.spans]
        return [float(self.path.distance[span].sum() / self.path.cells[span].sum()) for span in spans]


def warped(take: np.ndarray, drafted: np.ndarray, tokens: Sequence[Token], hop: float) -> Warped:
    """Warp log-mel frames of a take onto those of a draft, both `hop` s apart.

    First at a quarter of the resolution in a wide band, then in a narrow band around that path: Salvador and Chan,
    "FastDTW: toward accurate dynamic time warping in linear time and space", Intelligent Data Analysis 11 (2007).
    """
    rough = roughly_warped(
        features.coarser(take, _COARSER), features.coarser(drafted, _COARSER), tokens, hop * _COARSER
    )
    frames, level = _normalised(take)
    draft = _draft(*_normalised(drafted), tokens, hop)
    return _warped(frames, level, draft, tokens, hop, _centre(rough, draft, len(frames), hop), _NARROW)


def roughly_warped(take: np.ndarray, drafted: np.ndarray, tokens: Sequence[Token], hop: float) -> Warped:
    """As `warped`, in one pass with a wide band, for coarse frames."""
    import numpy as np

    frames, level = _normalised(take)
    draft = _draft(*_normalised(drafted), tokens, hop)
    # The band follows the amount of sound rather than the time, so that pauses do not lead out of it.
    loud = np.cumsum(level >= 0)
    centre = loud * (len(draft.rows) / max(int(loud[-1]), 1))
    return _warped(frames, level, draft, tokens, hop, centre, _WIDE)


def _warped(
    frames: np.ndarray,
    level: np.ndarray,
    draft: Draft,
    tokens: Sequence[Token],
    hop: float,
    centre: np.ndarray,
    half_width: int,
) -> Warped:
    import numpy as np

    from f5_pipeline.speech.alignment.dtw import warp

    quiet = (_QUIET + _QUIET_SLOPE * np.maximum(level, 0)).astype(np.float32)
    path = warp(frames, draft.rows, draft.silent, draft.closed, quiet, centre, half_width)
    return Warped(draft, path, _edges(path, draft, tokens, hop))


def _centre(rough: Warped, draft: Draft, frames: int, hop: float) -> np.ndarray:
    """The row at each frame, from the word edges of a rough pass."""
    import numpy as np

    times = np.maximum.accumulate([edge for edges in rough.edges for edge in edges])
    rows = [row for span in draft.spans for row in span]
    return np.interp((np.arange(frames) + 0.5) * hop, times, rows)


def _draft(frames: np.ndarray, level: np.ndarray, tokens: Sequence[Token], hop: float) -> Draft:
    import numpy as np

    count = len(frames)
    gap = max(1, round(_GAP / hop))
    source: list[int] = []  # frame of each row, -1 for silence
    spans: list[tuple[int, int]] = []
    done = 0
    for number, token in enumerate(tokens):
        start = min(max(round(token.start / hop), done), count - 1)
        if number == 0 or start - done < gap:
            start = min(done, count - 1)
        end = count if number == len(tokens) - 1 else min(max(round(token.end / hop), start + 1), count)
        source.append(-1)
        spans.append((len(source), len(source) + end - start - 1))
        source += range(start, end)
        done = end
    source.append(-1)
    of = np.array(source)
    return Draft(frames[of], of < 0, (of >= 0) & (level[of] < 0), (of + 0.5) * hop, spans)


def _edges(path: Path, draft: Draft, tokens: Sequence[Token], hop: float) -> list[tuple[float, float]]:
    """Start and end of each token, s from the take's first frame."""
    middle = (path.first + path.last + 1) * (hop / 2)
    starts = [float(path.first[first] * hop) for first, _ in draft.spans]
    ends = [float((path.last[last] + 1) * hop) for _, last in draft.spans]
    for number, ((_, before), (after, _)) in enumerate(pairwise(draft.spans)):
        if path.first[before + 1] >= 0:
            continue  # there is a pause in the take
        # Words that touch: the edge lies between the two frames as it does in the draft.
        span = max(draft.times[after] - draft.times[before], hop)
        for edges, place, time in (
            (ends, number, tokens[number].end),
            (starts, number + 1, tokens[number + 1].start),
        ):
            share = min(max((time - draft.times[before]) / span, 0.0), 1.0)
            edges[place] = float(middle[before] + share * (middle[after] - middle[before]))
    return list(zip(starts, ends, strict=True))

"""Dynamic time warping of a take against its draft, compiled: banded, with optional silence between words.

Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition", IEEE TASSP 26 (1978). The
optional silence is that of hidden Markov models: a row in which any number of frames may stay, or none.

Importing this imports numba, see `audio.kernels`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from f5_pipeline.speech.audio.kernels import compiled

_FAR = np.float32(1e30)
_CLOSED = np.float32(0.02)


@dataclass(frozen=True)
class Path:
    """The cheapest path of n frames through m rows.

    Attributes:
        first, last: int32, shape (m,): first and last frame in each row; -1 for a skipped silence.
        distance: float32, shape (m,): sum of the distances of the row's cells; 0 for silence.
        cells: int32, shape (m,): cells of the path in each row.
        half_width: of the band in which the path lies, rows.
    """

    first: np.ndarray
    last: np.ndarray
    distance: np.ndarray
    cells: np.ndarray
    half_width: int


def warp(
    frames: np.ndarray,
    rows: np.ndarray,
    silent: np.ndarray,
    closed: np.ndarray,
    quiet: np.ndarray,
    centre: np.ndarray,
    half_width: int,
) -> Path:
    """Find the cheapest path through `rows`, widening the band while the path meets its edge.

    Steps: a frame on in the same row, in the next row, or past an empty silence; or a row on within the frame. Each
    costs the distance of the cell it leads to, or `quiet` of the frame in a silence.

    Args:
        frames: float32, shape (n, bands), n >= 1: features of the take.
        rows: float32, shape (m, bands), m >= 3: features of the draft, the first and the last row silent, never two
            silent ones in a row.
        silent: bool, shape (m,): rows of silence; their features are ignored.
        closed: bool, shape (m,): rows of a word that are as quiet as silence (the closure of a plosive). They cost
            a little more than silence at least: otherwise a pause would end up in the closure beside it.
        quiet: float32, shape (n,): cost of each frame in a silence.
        centre: float, shape (n,), not falling: the row on which the band is centred at each frame.
        half_width: of the band, rows.

    Memory: a quarter of a byte for each cell of the band.
    """
    n, m = len(frames), len(rows)
    while True:
        width = min(2 * half_width + 1, m) if n > 1 else m
        low = np.clip(np.rint(centre).astype(np.int64) - half_width, 0, m - width).astype(np.int32)
        low[-1] = m - width
        low[0] = 0
        ways = np.zeros((n * width + 3) // 4, np.uint8)
        reached, in_silence = _forward(frames, rows, silent, closed, quiet, low, width, ways)
        if reached or width == m:
            first, last = np.full(m, -1, np.int32), np.full(m, -1, np.int32)
            distance, cells = np.zeros(m, np.float32), np.zeros(m, np.int32)
            met_edge = _backward(frames, rows, silent, low, width, ways, in_silence, first, last, distance, cells)
            if not met_edge or width == m:
                return Path(first, last, distance, cells, half_width)
        half_width *= 2


@compiled
def _forward(frames, rows, silent, closed, quiet, low, width, ways):  # pragma: no cover - compiled
    """Fill `ways`, two bits a cell: 0 from the same row, 1 from the row before, 2 past a silence, each one frame ago; 3
    within the frame. Returns whether the end was reached, and whether in the last silence."""
    n, bands = frames.shape
    before = np.full(width, _FAR, np.float32)
    now = np.full(width, _FAR, np.float32)
    for i in range(n):
        shift = low[i] - low[i - 1] if i else 0
        for c in range(width):
            j = low[i] + c
            if silent[j]:
                cost = quiet[i]
            else:
                cost = np.float32(0)
                for b in range(bands):
                    apart = frames[i, b] - rows[j, b]
                    cost += apart * apart
                cost = np.sqrt(cost)
                if closed[j]:
                    cost = max(cost, quiet[i]) + _CLOSED
            best = _FAR
            way = 0
            p = c + shift
            if i == 0:
                if j <= 1:
                    best = cost
                    way = 1
            else:
                if p < width and before[p] < best:
                    best = before[p]
                if 0 < p <= width and before[p - 1] < best:
                    best = before[p - 1]
                    way = 1
                if j > 1 and silent[j - 1] and 1 < p <= width + 1 and before[p - 2] < best:
                    best = before[p - 2]
                    way = 2
                best += cost
            if not silent[j] and j > 1:
                back = 2 if silent[j - 1] else 1
                if c >= back and now[c - back] + cost < best:
                    best = now[c - back] + cost
                    way = 3
            now[c] = min(best, _FAR)
            place = i * width + c
            ways[place >> 2] |= np.uint8(way << ((place & 3) * 2))
        before, now = now, before
    in_silence = before[width - 1] < before[width - 2]
    return min(before[width - 1], before[width - 2]) < _FAR, in_silence


@compiled
def _backward(
    frames, rows, silent, low, width, ways, in_silence, first, last, distance, cells
):  # pragma: no cover - compiled
    """Walk back, filling the last four. Returns whether the path came within two rows of the band's edge."""
    n, bands = frames.shape
    m = rows.shape[0]
    i = n - 1
    j = m - 1 if in_silence else m - 2
    met_edge = False
    while True:
        c = j - low[i]
        if (c <= 2 and low[i] > 0) or (c >= width - 3 and low[i] + width < m):
            met_edge = True
        if last[j] < 0:
            last[j] = i
        first[j] = i
        cells[j] += 1
        if not silent[j]:
            apart = np.float32(0)
            for b in range(bands):
                apart += (frames[i, b] - rows[j, b]) ** 2
            distance[j] += np.sqrt(apart)
        if i == 0 and j <= 1:
            return met_edge
        place = i * width + c
        way = (ways[place >> 2] >> ((place & 3) * 2)) & 3
        if way == 3:
            j -= 2 if silent[j - 1] else 1
        else:
            i -= 1
            j -= way

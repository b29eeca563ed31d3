"""The compiled warping against a plain one, the band, and the case of no folder for compiled code."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from f5_pipeline.speech.alignment import dtw
from f5_pipeline.speech.audio.kernels import compiled


def made(seed: int, frames: int, words: list[int]):
    """Random features of a take, and rows of words of so many frames with silence around each."""
    rng = np.random.default_rng(seed)
    silent = np.array([True] + [kind for length in words for kind in [False] * length + [True]])
    rows = rng.standard_normal((len(silent), 5)).astype(np.float32)
    take = rng.standard_normal((frames, 5)).astype(np.float32)
    quiet = rng.uniform(0.2, 4, frames).astype(np.float32)
    closed = ~silent & (rng.random(len(silent)) < 0.2)
    return take, rows, silent, closed, quiet


def plain(take, rows, silent, closed, quiet) -> np.ndarray:
    """Least cost of every cell, as the docstring of `warp` says it."""
    n, m = len(take), len(rows)
    best = np.full((n, m), np.inf)
    for i in range(n):
        for j in range(m):
            cost = quiet[i] if silent[j] else np.linalg.norm(take[i] - rows[j])
            if closed[j]:
                cost = max(cost, quiet[i]) + 0.02
            before = [0.0] if i == 0 and j <= 1 else []
            if i:
                before += [best[i - 1, j], best[i - 1, j - 1] if j else np.inf]
                before += [best[i - 1, j - 2]] if j > 1 and silent[j - 1] else []
            if j > 1 and not silent[j]:
                before.append(best[i, j - 2] if silent[j - 1] else best[i, j - 1])
            best[i, j] = min(before, default=np.inf) + cost
    return best


def spent(path: dtw.Path, take, rows, silent, closed, quiet) -> float:
    whole = 0.0
    for row in np.flatnonzero(path.first >= 0):
        for frame in range(path.first[row], path.last[row] + 1):
            cost = quiet[frame] if silent[row] else np.linalg.norm(take[frame] - rows[row])
            whole += max(cost, quiet[frame]) + 0.02 if closed[row] else cost
    return whole


def warp(take, rows, silent, closed, quiet, half_width: int) -> dtw.Path:
    return dtw.warp(take, rows, silent, closed, quiet, np.linspace(0, len(rows) - 1, len(take)), half_width)


@pytest.mark.parametrize("seed", range(12))
def test_path_is_the_cheapest(seed):
    rng = np.random.default_rng(100 + seed)
    words = rng.integers(1, 8, rng.integers(1, 7)).tolist()
    take, rows, silent, closed, quiet = made(seed, int(rng.integers(1, 50)), words)
    path = warp(take, rows, silent, closed, quiet, 200)
    best = plain(take, rows, silent, closed, quiet)
    assert spent(path, take, rows, silent, closed, quiet) == pytest.approx(min(best[-1, -1], best[-1, -2]), rel=1e-4)


@pytest.mark.parametrize(
    ("frames", "words"), [(1, [1]), (1, [30, 30]), (2, [40]), (500, [1]), (3, [1, 1, 1, 1, 1, 1]), (40, [12] * 9)]
)
def test_path_passes_every_row_in_order(frames, words):
    take, rows, silent, closed, quiet = made(3, frames, words)
    path = warp(take, rows, silent, closed, quiet, 4)
    spoken = ~silent
    exact = [
        np.linalg.norm(take[path.first[row] : path.last[row] + 1] - rows[row], axis=1).sum() for row in range(len(rows))
    ]
    np.testing.assert_allclose(path.distance[spoken], np.array(exact)[spoken], rtol=1e-4)
    assert (path.first[spoken] >= 0).all() and (path.first <= path.last).all()
    assert (path.cells[spoken] == path.last[spoken] - path.first[spoken] + 1).all()
    visited = path.first >= 0
    first, last = path.first[visited], path.last[visited]
    assert first[0] == 0 and last[-1] == frames - 1
    steps = first[1:] - last[:-1]
    assert ((steps == 0) | (steps == 1)).all()


def test_band_widens_until_the_path_is_inside():
    # The take says its second half at once: far off the diagonal.
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((302, 5)).astype(np.float32)
    silent = np.zeros(302, bool)
    silent[[0, -1]] = True
    order = np.concatenate([np.repeat(np.arange(1, 151), 4), np.arange(151, 301)])
    take = rows[order] + 0.01 * rng.standard_normal((len(order), 5)).astype(np.float32)
    quiet = np.full(len(order), 9, np.float32)
    closed = np.zeros(302, bool)
    path = warp(take, rows, silent, closed, quiet, 5)
    assert path.half_width > 5
    assert path.first[1:-1].tolist() == [int(np.flatnonzero(order == row)[0]) for row in range(1, 301)]
    wide = warp(take, rows, silent, closed, quiet, 400)
    assert wide.first.tolist() == path.first.tolist() and wide.half_width == 400


def test_without_a_folder_for_compiled_code_it_is_compiled_each_time(monkeypatch):
    real, asked = numba.njit, []

    def njit(cache=False, **options):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available for file")
        return real(**options)

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled(lambda number: number + 1)(2) == 3
    assert asked == [True, False]

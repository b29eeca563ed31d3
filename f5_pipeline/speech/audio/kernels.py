"""Inner loops of features, alignment and measures, compiled. They free the interpreter's lock and start no threads.

numpy's matrix products wake a thread of the BLAS library on every core, even for the small matrices of a take, and the
threads spin while they wait for each other: beside other work that was most of a take's CPU time.

Importing this imports numba. The compiled code is kept beside this file, in the user's cache folder where that is
read-only (NUMBA_CACHE_DIR names another), and nowhere where neither can be written: then it takes seconds a process.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": True, "boundscheck": False}


def compiled(function: Any) -> Any:
    """`function`, compiled when it is first called."""
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder for the cache can be written
        return numba.njit(**_OPTIONS)(function)


@compiled
def cut_frames(samples, begin, hop, window, out):  # pragma: no cover - compiled
    """Fill the first columns of `out`, shape (n, more), with windowed frames; 0 outside of the samples.

    Args:
        begin: sample at which the first frame begins; may be negative.
    """
    for i in range(len(out)):
        first = begin + i * hop
        for k in range(len(window)):
            at = first + k
            out[i, k] = samples[at] * window[k] if 0 <= at < len(samples) else np.float32(0)


@compiled
def band_powers(spectrum, filters, first, last, out):  # pragma: no cover - compiled
    """Power in each band, (n, bands), added to `out`.

    Args:
        spectrum: complex64, shape (n, bins).
        filters: float32, shape (bands, bins): weights, zero outside of `first` to `last` of each band.
    """
    bands = len(filters)
    power = np.zeros(spectrum.shape[1], np.float32)
    for i in range(len(spectrum)):
        for k in range(first[0], last[bands - 1]):
            value = spectrum[i, k]
            power[k] = value.real * value.real + value.imag * value.imag
        for b in range(bands):
            total = np.float32(0)
            for k in range(first[b], last[b]):
                total += power[k] * filters[b, k]
            out[i, b] += total


@compiled
def distances(rows, columns):  # pragma: no cover - compiled
    """Euclidean distance of every row of one matrix, (n, bands), from every row of another, (m, bands): (n, m)."""
    out = np.empty((len(rows), len(columns)), np.float32)
    for i in range(len(rows)):
        for j in range(len(columns)):
            total = np.float32(0)
            for b in range(rows.shape[1]):
                apart = rows[i, b] - columns[j, b]
                total += apart * apart
            out[i, j] = np.sqrt(total)
    return out

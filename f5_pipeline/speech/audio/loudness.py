"""Loudness and true peak, measured in a stream, and the linear gain to a target loudness."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from f5_pipeline.speech.engine import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

_TRANSFORM = 1 << 15
"""Samples of a transform: a block, and what the K-weighting remembers of those before. Longer ones leave the cache."""

_RESPONSE_SECONDS = 0.15
"""How long the K-weighting remembers: its response is 1e-10 of the signal by then."""


class LoudnessMeter:
    """Integrated loudness and peaks of mono audio that arrives in blocks of any length.

    Loudness follows ITU-R BS.1770-4 and EBU R 128: K-weighting, blocks of 400 ms with 75 % overlap, an absolute gate at
    -70 LUFS and a relative gate 10 LU below the loudness of what passed the first. Memory: one number per 100 ms
    (0.9 MB for 3 h). True peak is estimated on a 4 x oversampled signal as in BS.1770-4, Annex 2.

    Args:
        rate: samples a second.
        detailed: whether `levels` are kept too.
    """

    _SUBBLOCK = 64  # true peak is searched only in those sub-blocks that can hold a new one
    _TAPS = 16  # per phase of the interpolator

    def __init__(self, rate: int = SAMPLE_RATE, *, detailed: bool = False) -> None:
        import numpy as np

        if rate % 10:
            raise ValueError(f"blocks of 100 ms need a sampling rate divisible by 10, not {rate}")
        self.rate = rate
        self._hop = rate // 10
        self._before = np.zeros(round(rate * _RESPONSE_SECONDS) - 1)
        self._hops = array("d")  # energy of each full 100 ms after K-weighting
        self._open = 0.0  # energy of the 100 ms under way
        self._open_samples = 0
        self._details = (array("d"), array("f")) if detailed else None
        self._rest = np.zeros(0, dtype=np.float32)  # samples of the 100 ms under way, where details are kept
        self._phases = interpolator(self._TAPS)
        # |y| <= L1 norm of the filter x largest |x|: what cannot raise the peak need not be interpolated
        self._bound = max(float(np.abs(phase).sum()) for phase in self._phases)
        self._history = np.zeros(self._TAPS - 1, dtype=np.float32)
        self._true_peak = 0.0
        self.samples = 0
        self.sample_peak = 0.0

    def add(self, samples: Samples) -> None:
        """Measure further samples: float, shape (n,), full scale is 1.0."""
        import numpy as np

        block = np.ascontiguousarray(samples, dtype=np.float32)
        if block.ndim != 1:
            raise ValueError(f"mono samples of shape (n,) are needed, not {block.shape}")
        size = _TRANSFORM - len(self._before)
        for start in range(0, len(block), size):
            self._add(block[start : start + size])

    def _add(self, block: Samples) -> None:
        import numpy as np

        energy = np.square(self._weigh(block))
        first = min(self._hop - self._open_samples, len(energy))
        self._open += float(energy[:first].sum())
        self._open_samples += first
        if self._open_samples == self._hop:
            self._hops.append(self._open)
            rest = energy[first:]
            full = len(rest) // self._hop
            self._hops.extend(rest[: full * self._hop].reshape(full, self._hop).sum(axis=1))
            self._open = float(rest[full * self._hop :].sum())
            self._open_samples = len(rest) - full * self._hop

        if self._details is not None:
            samples = np.concatenate([self._rest, block])
            full = len(samples) // self._hop
            rows = samples[: full * self._hop].reshape(full, self._hop)
            self._details[0].extend(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
            self._details[1].extend(np.abs(rows).max(axis=1, initial=0))
            self._rest = samples[full * self._hop :]
        with_history = np.concatenate([self._history, block])
        self._true_peak = self._search(with_history, self._true_peak)
        self._history = with_history[-(self._TAPS - 1) :]
        self.sample_peak = max(self.sample_peak, float(np.abs(block).max(initial=0.0)))
        self.samples += len(block)

    def _weigh(self, block: Samples) -> NDArray[np.float64]:
        """The block after K-weighting, by overlap-save: to import `scipy.signal` takes a second."""
        import numpy as np

        samples = np.concatenate([self._before, block])
        size = 1 << (len(samples) - 1).bit_length()
        spectrum = np.fft.rfft(samples, size) * _weighting_spectrum(self.rate, size)
        count, self._before = len(self._before), samples[len(samples) - len(self._before) :]
        return np.fft.irfft(spectrum, size)[count : len(samples)]

    def _search(self, samples: Samples, peak: float) -> float:
        """The larger of `peak` and the interpolated peak of `samples`, which begin with the history."""
        import numpy as np

        level = np.abs(samples)
        peak = max(peak, float(level.max(initial=0.0)))
        valid = len(samples) - self._TAPS + 1
        count = -(-max(0, valid) // self._SUBBLOCK)
        samples = np.pad(samples, (0, (count + 1) * self._SUBBLOCK - len(samples)))
        highest = np.abs(samples).reshape(count + 1, self._SUBBLOCK).max(axis=1)
        # an interpolated value reaches into the sub-block after its own
        bounds = np.maximum(highest[:-1], highest[1:]) * self._bound
        windows = np.lib.stride_tricks.sliding_window_view(samples, self._SUBBLOCK + self._TAPS - 1)
        for chosen in (bounds >= bounds.max(initial=0.0), bounds > 0):  # the likeliest first: it rules out others
            rows = np.flatnonzero(chosen & (bounds > peak))
            some = windows[rows * self._SUBBLOCK]
            for phase in self._phases if len(rows) else ():
                between = np.zeros((len(rows), self._SUBBLOCK), dtype=np.float32)
                for tap, weight in enumerate(phase[::-1]):
                    between += weight * some[:, tap : tap + self._SUBBLOCK]
                if rows[-1] == count - 1:
                    between[-1, valid - (count - 1) * self._SUBBLOCK :] = 0  # what follows is not known yet
                peak = max(peak, float(np.abs(between).max()))
        return peak

    @property
    def integrated(self) -> float:
        """Integrated loudness so far, LUFS; -inf where nothing is above -70 LUFS, or before 400 ms."""
        return integrated_loudness(self._hops, self._hop)

    @property
    def levels(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
        """Of each full 100 ms: energy after K-weighting, energy, and the largest sample."""
        import numpy as np

        energies, peaks = self._details or (array("d"), array("f"))
        return np.array(self._hops), np.array(energies), np.array(peaks, dtype=np.float32)

    @property
    def true_peak(self) -> float:
        """True peak so far, dBTP; -inf for silence."""
        import numpy as np

        tail = np.concatenate([self._history, np.zeros(self._TAPS - 1, dtype=np.float32)])
        return decibels(self._search(tail, self._true_peak))


def integrated_loudness(hops: Sequence[float] | NDArray[np.float64], samples: int) -> float:
    """Integrated loudness of K-weighted energies of 100 ms with so many samples each, LUFS; see `LoudnessMeter`."""
    count, total = _gated(hops, samples, _power(-70.0))
    if not count:
        return float("-inf")
    count, total = _gated(hops, samples, max(_power(-70.0), math.nextafter(total / count / 10, math.inf)))
    return -0.691 + 10 * math.log10(total / count)


def _gated(energies: Sequence[float] | NDArray[np.float64], samples: int, min_power: float) -> tuple[int, float]:
    """Number of 400 ms blocks with at least this power, and the sum of their power."""
    import numpy as np

    count, total = 0, 0.0
    for start in range(0, len(energies) - 3, 1 << 16):
        hops = np.array(energies[start : start + (1 << 16) + 3])
        power = (hops[:-3] + hops[1:-2] + hops[2:-1] + hops[3:]) / (4 * samples)
        power = power[power >= min_power]
        count, total = count + len(power), total + float(power.sum())
    return count, total


def k_weighting(rate: int) -> NDArray[np.float64]:
    """Second-order sections of the K-weighting of ITU-R BS.1770-4 at any sampling rate, shape (2, 6).

    The standard gives coefficients for 48 kHz only; these are the analogue prototypes behind them (B. De Man,
    "Evaluation of implementations of the EBU R128 loudness measurement", AES 145, 2018), bilinear transformed.
    """
    import numpy as np

    k = np.tan(np.pi * 1681.974450955533 / rate)
    q = 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    norm = 1 + k / q + k * k
    shelf = [
        (high + band * k / q + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - band * k / q + k * k) / norm,
        1.0,
        2 * (k * k - 1) / norm,
        (1 - k / q + k * k) / norm,
    ]
    k = np.tan(np.pi * 38.13547087602444 / rate)
    q = 0.5003270373238773
    norm = 1 + k / q + k * k
    highpass = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm]
    return np.array([shelf, highpass])


@lru_cache(maxsize=8)
def _weighting_spectrum(rate: int, size: int) -> NDArray[np.complex128]:
    """The K-weighting's response to an impulse, transformed, shape (size // 2 + 1,)."""
    import numpy as np

    response = [1.0] + [0.0] * (round(rate * _RESPONSE_SECONDS) - 1)
    for b0, b1, b2, _, a1, a2 in k_weighting(rate).tolist():
        first = second = 0.0  # the section's state, transposed direct form II
        for n, sample in enumerate(response):
            out = b0 * sample + first
            first, second = b1 * sample - a1 * out + second, b2 * sample - a2 * out
            response[n] = out
    return np.fft.rfft(response, size)


@lru_cache(maxsize=1)
def interpolator(taps: int) -> list[NDArray[np.float32]]:
    """Phases 1 to 3 of a 4 x interpolator (windowed sinc); phase 0 is the signal itself."""
    import numpy as np

    # The standard's example has 12 taps a phase.
    prototype = np.sinc(np.arange(-2 * taps, 2 * taps + 1) / 4) * np.hamming(4 * taps + 1)
    prototype *= 4 / prototype.sum()
    return [prototype[phase::4].astype(np.float32) for phase in (1, 2, 3)]


def _power(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)


def decibels(amplitude: float) -> float:
    """Amplitude in dB relative to 1.0; -inf for zero."""
    return 20 * math.log10(amplitude) if amplitude > 0 else float("-inf")


def choose_gain(loudness: float, true_peak: float, target: float, ceiling: float) -> tuple[float, bool]:
    """One linear gain for the whole narration.

    Args:
        loudness: measured integrated loudness, LUFS; -inf where it could not be measured: the level is kept.
        true_peak: measured true peak, dBTP.
        target: target loudness, LUFS.
        ceiling: highest true peak allowed, dBTP.

    Returns:
        The factor, and whether the peak ceiling kept it below the target.
    """
    needed = target - loudness if loudness > float("-inf") else 0.0
    allowed = ceiling - true_peak
    return 10 ** (min(needed, allowed) / 20), needed > allowed

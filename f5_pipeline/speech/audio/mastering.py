"""Mastering of the assembled narration: gain, true-peak limiter and room tone, for any span of samples at once.

A span of the master depends on the samples around it alone, so that files, chapters and parts of files are written side
by side, in flat memory, with the same samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from f5_pipeline.speech.audio.loudness import LoudnessMeter, decibels, integrated_loudness, interpolator
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.script.model import MasterName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

REACH = round(0.008 * SAMPLE_RATE)
"""Samples around a peak over which the limiter is fully down; as long again is its way there and back."""

HEADROOM_DB = 1.5
"""How far the limiter stays below the peak asked for: what an encoder makes of it has higher peaks."""

_SUBBLOCK, _TAPS = 512, 16
_OVERSHOOT = 1.6  # how much higher than the samples beside it speech is in between, at most: 4 dB
_PRECISION_DB = 0.1
_MAX_HOPS = 3000  # of 100 ms, in which the limiter's effect is measured for a step
_TONE_SECONDS = 11


@dataclass(frozen=True)
class MasterPreset:
    """What a place of publication asks of the finished files.

    Attributes:
        measure: what `target` is of: integrated loudness, LUFS, or RMS of the whole, dB.
        low, high: bounds of it in each file.
        peak: highest peak, dBTP.
        floor: highest RMS of the quietest 0.5 s, dB; None: not asked.
        tone: RMS of the room tone under everything, dB; None: pauses are digital silence.
        head, tail: bounds of the silence before the first and after the last word of a file, s; None: not asked.
        max_seconds: of a file.
        mp3: sampling rate, Hz, and constant bit rate, kbit/s, of MP3 files; None: as elsewhere.
        by_chapter: whether MP3, WAV and Opus are one file for each chapter.
        rms: whether files are bound by RMS.
    """

    measure: Literal["loudness", "rms"]
    target: float
    low: float
    high: float
    peak: float
    floor: float | None = None
    tone: float | None = None
    head: tuple[float, float] | None = None
    tail: tuple[float, float] | None = None
    max_seconds: float | None = None
    mp3: tuple[int, int] | None = None
    by_chapter: bool = False


# Digital silence would pass a floor of -60 dB, but those who ask for it listen for room tone at both ends, and tools
# that take the floor's logarithm fail on it. The tone lies far enough below to pass after any encoder.
_BOOKSHOP = MasterPreset(
    "rms", -20.0, -23.0, -18.0, -3.0, floor=-60.0, tone=-72.0, head=(0.5, 1.0), tail=(1.0, 5.0),
    max_seconds=7200.0, mp3=(44_100, 192), by_chapter=True,
)  # fmt: skip

PRESETS: dict[MasterName, MasterPreset] = {
    # a narration is mono, which sounds as loud as stereo at -16; an MP3 is up to 0.5 LU quieter than its master
    "podcast": MasterPreset("loudness", -18.8, -19.5, -18.5, -1.0),
    "ebu": MasterPreset("loudness", -22.8, -23.5, -22.5, -1.0),
    "acx": _BOOKSHOP,
    "retail": _BOOKSHOP,
}
assert tuple(PRESETS) == get_args(MasterName)


@dataclass(frozen=True)
class Master:
    """The finished samples: those of a raw file after gain, limiter and room tone.

    Attributes:
        path: raw little-endian float32, mono, SAMPLE_RATE Hz. Raw, because a WAV above 4 GiB reads back short.
        gain: linear factor.
        ceiling: highest true peak, linear; None: no limiter.
        tone: RMS of the room tone, dB; None: none.
    """

    path: Path
    gain: float
    ceiling: float | None = None
    tone: float | None = None

    @cached_property
    def samples(self) -> int:
        return self.path.stat().st_size // 4

    def read(self, start: int, stop: int) -> Samples:
        """The samples [start, stop), float32; silence (with its tone) before the first and after the last."""
        import numpy as np

        around = 0 if self.ceiling is None else 2 * REACH + _TAPS
        block = self._raw(start - around, stop + around) * np.float32(self.gain)
        if self.ceiling is not None:
            block = _limited(block, self.ceiling)[around : around + stop - start]
        if self.tone is not None:
            tone = _room_tone(self.tone)
            block = block + np.take(tone, np.arange(start, stop), mode="wrap")
        return block

    def _raw(self, start: int, stop: int) -> Samples:
        import numpy as np

        first, last = min(max(start, 0), self.samples), min(max(stop, 0), self.samples)
        block = np.fromfile(self.path, "<f4", max(0, last - first), offset=4 * first)
        if last - first == stop - start:
            return block
        return np.pad(block, (min(max(0, first - start), stop - start), max(0, stop - max(last, start))))


def _limited(block: Samples, ceiling: float) -> Samples:
    """The block with a gain that keeps its true peak below the ceiling: its lowest within `REACH`, smoothed over as
    much, so that each peak is met in full and nothing clicks. The ends of the block lack what is beyond them."""
    import numpy as np

    needed = _needed(block, ceiling)
    if needed is None:
        return block
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    gain = minimum_filter1d(needed, 2 * REACH + 1, mode="nearest")
    for _ in range(2):  # two boxes are a triangle, as long as the minimum's window
        gain = uniform_filter1d(gain, REACH + 1, mode="nearest", origin=0)
    return block * np.minimum(gain, 1).astype(np.float32)


def _needed(block: Samples, ceiling: float) -> NDArray[np.float64] | None:
    """The gain that brings each sample, and the signal up to the next (4 x, BS.1770-4 Annex 2), to the ceiling; None
    where nothing is above it."""
    import numpy as np

    phases = interpolator(_TAPS)
    count = -(-len(block) // _SUBBLOCK)
    padded = np.pad(block, (_TAPS, _TAPS + count * _SUBBLOCK - len(block)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _SUBBLOCK + 2 * _TAPS)[::_SUBBLOCK]
    high = np.flatnonzero(np.abs(windows).max(axis=1, initial=0) * _OVERSHOOT > ceiling)
    peaks = np.abs(padded[_TAPS:-_TAPS]).reshape(count, _SUBBLOCK)
    half, width = _TAPS // 2 - 1, _SUBBLOCK + 2
    chosen = windows[high, half:]
    for phase in phases:
        between = np.zeros((len(high), width), dtype=np.float32)
        for tap, weight in enumerate(phase):
            between += weight * chosen[:, tap : tap + width]
        between = np.abs(between)
        # a peak between two samples counts for both
        highest = np.maximum(between[:, :-2], np.maximum(between[:, 1:-1], between[:, 2:]))
        peaks[high] = np.maximum(peaks[high], highest)
    peaks = peaks.reshape(-1)[: len(block)].astype(np.float64)
    if float(peaks.max(initial=0.0)) <= ceiling:
        return None
    return np.minimum(1.0, ceiling / np.maximum(peaks, ceiling))


@lru_cache(maxsize=2)
def _room_tone(level: float) -> Samples:
    """Noise of this RMS, dB, that falls off towards high frequencies; it is repeated, too quietly to be noticed."""
    import numpy as np

    count = _TONE_SECONDS * SAMPLE_RATE
    raw = np.asarray(np.random.PCG64(0x70E).random_raw(count), dtype=np.uint64)
    spectrum = np.fft.rfft((raw >> np.uint64(40)).astype(np.float64) / (1 << 24) - 0.5)
    spectrum /= np.sqrt(1 + (np.fft.rfftfreq(count, 1 / SAMPLE_RATE) / 500) ** 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, count)
    return (noise * (10 ** (level / 20) / np.sqrt(np.mean(noise**2)))).astype(np.float32)


def master_to(path: Path, meter: LoudnessMeter, preset: MasterPreset) -> Master:
    """The master of an assembled narration that meets a preset.

    The limiter takes a little off the loudness, so that the gain is found in steps. Only what it changes is measured
    again.

    Args:
        meter: has measured the raw samples, in detail.
    """
    ceiling = 10 ** ((preset.peak - HEADROOM_DB) / 20)
    weighted, plain, peaks = meter.levels
    level = _level(preset, weighted, plain, meter)
    if level == float("-inf"):
        return Master(path, 1.0, ceiling, preset.tone)
    gain_db, slope, before = preset.target - level, 1.0, None
    for _ in range(6):
        master = Master(path, 10 ** (gain_db / 20), ceiling)
        error = preset.target - _level(preset, *_mastered(master, weighted, plain, peaks, meter.rate // 10), meter)
        if abs(error) <= _PRECISION_DB:
            break
        if before is not None:  # the more is limited, the less a decibel of gain gives
            slope = min(1.0, max(0.2, (before[1] - error) / (gain_db - before[0])))
        before = gain_db, error
        gain_db += error / slope
    return Master(path, 10 ** (gain_db / 20), ceiling, preset.tone)


def _level(
    preset: MasterPreset, weighted: NDArray[np.float64], plain: NDArray[np.float64], meter: LoudnessMeter
) -> float:
    hop = meter.rate // 10
    if preset.measure == "loudness":
        return integrated_loudness(weighted, hop)
    return decibels(math.sqrt(float(plain.sum()) / max(1, hop * len(plain))))


def _mastered(
    master: Master,
    weighted: NDArray[np.float64],
    plain: NDArray[np.float64],
    peaks: NDArray[np.float32],
    hop: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The energies of each 100 ms in the master, K-weighted and plain, from those before gain and limiter."""
    import numpy as np

    assert master.ceiling is not None
    weighted, plain = weighted * master.gain**2, plain * master.gain**2
    # 1 dB: what a peak between samples is higher, as a rule; what is missed is limited a little, and not counted
    high = peaks * master.gain * 10 ** (1 / 20) > master.ceiling
    high = high | np.append(high[1:], False) | np.insert(high[:-1], 0, False)
    runs = np.flatnonzero(np.diff(np.concatenate([[0], high.astype(np.int8), [0]]))).reshape(-1, 2)
    # of very many, a part stands for all
    some = runs[:: max(1, int(high.sum()) // _MAX_HOPS)]
    measured = np.zeros(len(high), dtype=bool)
    before = weighted.copy(), plain.copy()
    for first, last in some.tolist():
        meter = LoudnessMeter(detailed=True)
        lead = min(first, 2)  # the K-weighting remembers 0.15 s
        meter.add(master.read((first - lead) * hop, last * hop))
        again, energies, _ = meter.levels
        weighted[first:last], plain[first:last] = again[lead:], energies[lead:]
        measured[first:last] = True
    rest = high & ~measured
    for energies, old in zip((weighted, plain), before, strict=True):
        energies[rest] *= energies[measured].sum() / max(float(old[measured].sum()), 1e-30)
    return weighted, plain

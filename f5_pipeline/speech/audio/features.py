"""Log-mel features of speech, which alignment compares."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from f5_pipeline.speech.engine import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np

BANDS = 40
HOP = 0.01
"""Distance of frames, s; frame k is centred on (k + 0.5) * HOP, as in `recordings.Levels`."""

_HOP = round(HOP * SAMPLE_RATE)
_WINDOW = 600  # 25 ms
_FFT = 1024
_LOWEST, _HIGHEST = 80.0, 8_000.0  # Hz
_QUIET = 1e-10  # power added before the logarithm: -100 dB, below any microphone
_BLOCK = 64  # frames: their spectra fit into a core's own cache


def frame_count(samples: int) -> int:
    """Number of frames of so many samples; the last one may be half empty."""
    return (samples + _HOP // 2) // _HOP


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Natural logarithm of the power in mel bands.

    Args:
        samples: float32, shape (n,), mono, SAMPLE_RATE Hz.

    Returns:
        float32, shape (frame_count(n), BANDS); other memory is flat for any length.
    """
    import numpy as np
    from scipy.fft import rfft

    from f5_pipeline.speech.audio.kernels import band_powers, cut_frames

    samples = np.ascontiguousarray(samples, np.float32)
    frames = frame_count(len(samples))
    out = np.full((frames, BANDS), _QUIET, np.float32)
    lead = (_WINDOW - _HOP) // 2
    window, filters, lowest, highest = _tables()
    framed = np.zeros((min(_BLOCK, frames), _FFT), np.float32)
    for first in range(0, frames, _BLOCK):
        part = framed[: min(_BLOCK, frames - first)]
        cut_frames(samples, first * _HOP - lead, _HOP, window, part)
        band_powers(rfft(part, axis=1), filters, lowest, highest, out[first : first + _BLOCK])
    return np.log(out, out=out)


def coarser(frames: np.ndarray, count: int) -> np.ndarray:
    """Means of `count` frames each; the last one may be of fewer."""
    import numpy as np

    whole = len(frames) // count * count
    means = frames[:whole].reshape(-1, count, frames.shape[1]).mean(axis=1)
    return means if whole == len(frames) else np.concatenate([means, frames[whole:].mean(axis=0, keepdims=True)])


@lru_cache(maxsize=1)
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Hann window (scaled so that a full-scale sine has about 0 dB), triangular mel filters, (BANDS, _FFT / 2 + 1), and
    the first and one past the last bin of each.

    Mel scale of O'Shaughnessy: 2595 log10(1 + f / 700).
    """
    import numpy as np

    window = np.hanning(_WINDOW + 1)[:-1]
    window = (2 * window / window.sum()).astype(np.float32)
    low, high = (2595 * np.log10(1 + frequency / 700) for frequency in (_LOWEST, _HIGHEST))
    corners = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    frequencies = np.arange(_FFT // 2 + 1) * SAMPLE_RATE / _FFT
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (frequencies[:, None] - left) / (middle - left)
    falling = (right - frequencies[:, None]) / (right - middle)
    filters = np.ascontiguousarray(np.maximum(0, np.minimum(rising, falling)).T, np.float32)
    inside = filters > 0
    return window, filters, inside.argmax(axis=1), inside.shape[1] - inside[:, ::-1].argmax(axis=1)

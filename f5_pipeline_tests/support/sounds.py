"""Sounds without a voice, and a disk that fills up while they are written."""

from __future__ import annotations

import resource
from contextlib import contextmanager

import numpy as np
from scipy.signal import butter, sosfilt

from f5_pipeline.speech.engine import SAMPLE_RATE


def speechlike(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """Band-limited noise that swells like syllables and stops for pauses; float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    band = butter(2, [120, 5000], "bandpass", fs=SAMPLE_RATE, output="sos")
    noise = np.asarray(sosfilt(band, rng.standard_normal(len(time))))
    swell = (0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * time)) * (np.sin(2 * np.pi * 0.13 * time) > -0.5)
    return (level * noise * swell).astype(np.float32)


@contextmanager
def file_size_limit(size: int):
    """The system refuses to let a file grow beyond `size` bytes, as a quota or a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

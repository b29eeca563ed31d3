"""Compiled features against their definition in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from f5_pipeline.speech.audio import features, kernels, recordings
from f5_pipeline.speech.engine import SAMPLE_RATE


def plain_log_mel(samples: np.ndarray) -> np.ndarray:
    """Frames of 25 ms every 10 ms, Hann window, triangular filters on O'Shaughnessy's mel scale, in float64."""
    window = np.hanning(601)[:-1]
    window = 2 * window / window.sum()
    low, high = 2595 * np.log10(1 + 80 / 700), 2595 * np.log10(1 + 8000 / 700)
    corners = 700 * (10 ** (np.linspace(low, high, features.BANDS + 2) / 2595) - 1)
    bins = np.arange(513) * SAMPLE_RATE / 1024
    filters = np.array([np.interp(bins, corners[band : band + 3], [0, 1, 0]) for band in range(features.BANDS)])
    padded = np.concatenate([np.zeros(180), samples.astype(np.float64), np.zeros(600)])
    frames = [padded[at * 240 : at * 240 + 600] * window for at in range(features.frame_count(len(samples)))]
    return np.log(np.abs(np.fft.rfft(frames, 1024, axis=1)) ** 2 @ filters.T + 1e-10)


@pytest.mark.parametrize("count", [120, 500, 240 * 64, 240 * 64 + 121, 100_000])
def test_log_mel_is_that_of_its_definition(count: int):
    rng = np.random.default_rng(count)
    samples = (rng.standard_normal(count) * np.linspace(0.001, 0.3, count)).astype(np.float32)
    found = features.log_mel(samples)
    assert found.dtype == np.float32 and found.shape == (features.frame_count(count), features.BANDS)
    np.testing.assert_allclose(found, plain_log_mel(samples), atol=2e-5)
    np.testing.assert_array_equal(features.log_mel(np.repeat(samples, 2)[::2]), found)


def test_distances_are_those_of_every_pair():
    rng = np.random.default_rng(1)
    rows, columns = (rng.standard_normal((count, features.BANDS)).astype(np.float32) for count in (7, 30))
    exact = np.linalg.norm(rows[:, None] - columns[None], axis=2)
    np.testing.assert_allclose(kernels.distances(rows, columns), exact, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 240, 500, 50_000])
def test_levels_are_those_of_the_variance_around_each_frame(count: int):
    samples = (0.2 + 0.1 * np.random.default_rng(count).standard_normal(count)).astype(np.float32)
    frames = np.array_split(samples.astype(np.float64), range(240, count, 240))
    power = np.array([frame.var() for frame in frames])
    around = np.pad(power, 1, "edge")
    exact = np.maximum(10 * np.log10(np.maximum((around[:-2] + power + around[2:]) / 3, 1e-30)), recordings.FLOOR_DBFS)
    np.testing.assert_allclose(recordings.frame_levels(samples), exact, rtol=1e-6)

"""Thumbnails: small enough for Dagster's UI to show them in their place."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from f5_pipeline.errors import InputError
from f5_pipeline.speech.audio.waveform import Peaks, peaks_of, thumbnail_png, waveform_png

NOISE = np.random.default_rng(1).normal(scale=0.2, size=240_000).astype(np.float32)


@pytest.mark.parametrize("samples", [NOISE, NOISE[:7], np.zeros(24_000, np.float32), np.sin(np.arange(99_999) / 50)])
def test_a_thumbnail_fits_into_markdown_that_is_shown_in_its_place(samples):
    markdown = f"![waveform](data:image/png;base64,{base64.b64encode(thumbnail_png(samples)).decode()})"
    assert len(markdown) < 1000


def test_a_thumbnail_is_as_high_as_it_is_loud():
    samples = np.concatenate([np.full(24_000, level, np.float32) for level in (0.1, 1.0, 0.5)])
    picture = np.asarray(Image.open(io.BytesIO(thumbnail_png(samples))).convert("RGBA"))[:, :, 3] > 0
    heights = picture.sum(axis=0)
    third = picture.shape[1] // 3
    assert [int(heights[n * third + 4 : (n + 1) * third - 4].max()) for n in range(3)] == [4, 48, 24]


def test_of_a_long_narration_energy_is_drawn_and_no_block():
    """Sentences of 2 to 12 s, each a little louder or softer, and their pauses: each bar holds some of both."""
    rng = np.random.default_rng(2)
    rate = 400
    speech = []
    while sum(map(len, speech)) < 27 * 60 * rate:
        begin, length = rng.integers(0, 200_000), round(rng.uniform(2, 12) * rate)
        speech += [
            rng.normal(1, 0.1) * NOISE[begin : begin + length],
            np.zeros(int(rng.choice([0.35, 0.7, 1.5]) * rate)),
        ]
    peaks = peaks_of(np.concatenate(speech).astype(np.float32), 900, rate=rate)
    assert min(part.max() for part in np.array_split(peaks.high, 100)) > 0.4
    thumbnail, detail = (
        np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))[:, :, 3] > 100
        for png in (thumbnail_png(peaks), waveform_png(peaks))
    )
    assert thumbnail.shape[1] <= 420, "the pane of Dagster's UI is 440 pixels wide"
    bars = thumbnail.sum(axis=0)[::4]
    assert len(np.unique(bars)) > 8 and np.quantile(bars, 0.05) < bars.max() / 2
    assert detail[:140].mean() < 0.6


def test_from_the_envelope_it_is_the_same():
    assert thumbnail_png(peaks_of(NOISE, 900)) == thumbnail_png(NOISE)


def test_a_part_is_as_if_it_were_measured_alone():
    whole, alone = peaks_of(NOISE, 1000), peaks_of(NOISE[48_000:96_000], 50)
    part = whole.part(2, 4, 50)
    assert part.seconds == pytest.approx(2)
    for name in ("low", "high", "rms"):
        np.testing.assert_allclose(getattr(part, name), getattr(alone, name), rtol=1e-5)
    assert [len(whole.part(*span, 50).rms) for span in ((0, 10), (9.99, 10), (10, 10), (0, 0.001))] == [50, 1, 1, 1]


def test_an_envelope_is_kept_whole():
    peaks = peaks_of(NOISE, 1000)
    kept = Peaks.load(peaks.dump(), peaks.seconds)
    for name in ("low", "high", "rms"):
        np.testing.assert_allclose(getattr(kept, name), getattr(peaks, name), atol=2e-5)
    for damaged in (b"", peaks.dump()[:-1], peaks.dump()[:-2]):
        with pytest.raises(ValueError):
            Peaks.load(damaged, 10)


def test_no_audio_is_no_picture():
    with pytest.raises(InputError, match="no audio"):
        thumbnail_png(np.zeros(0, np.float32))

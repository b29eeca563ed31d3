"""Measures that are computed in one go against their definition."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from f5_pipeline.speech.alignment.forced import align
from f5_pipeline.speech.audio import features
from f5_pipeline.speech.quality import measures
from f5_pipeline_tests.support.spoken import SENTENCES, say, with_noise


def plain_leak(tail: np.ndarray, spoken: np.ndarray) -> float:
    """The leak by its definition: each length of the tail apart, at each position of the speech."""
    both = np.concatenate([tail, spoken]).astype(np.float64)
    both = np.maximum(both, both.max(0) - 4.8 * math.log(10))
    both = (both - both.mean(0)) / (both.std(0) + 1e-3)
    tail, spoken = both[: len(tail)], both[len(tail) :]
    best = 0.0
    for length in range(20, 101, 10):
        if length > len(tail) or 2 * length > len(spoken):
            break
        part = tail[-length:]
        distances = np.array(
            [np.linalg.norm(part - spoken[at : at + length], axis=1).mean() for at in range(len(spoken) - length + 1)]
        )
        head, others = distances[: max(4, length // 6)], distances[length:]
        fit = math.log(np.percentile(others, 10) / head.min())
        best = max(best, fit * math.sqrt(min(length / 40, 1.0)))
    return best


@pytest.mark.parametrize(("kept", "frames"), [(100, 500), (100, 130), (57, 300), (20, 45), (100, 39), (19, 300)])
def test_the_leak_is_that_of_its_definition(kept: int, frames: int):
    rng = np.random.default_rng(kept + frames)
    tail, spoken = (rng.normal(-8, 3, (count, features.BANDS)).astype(np.float32) for count in (kept, frames))
    leaked = spoken.copy()
    leaked[: min(30, kept)] = tail[-30:] + rng.normal(0, 0.5, tail[-30:].shape)
    for speech in (spoken, leaked):
        assert measures._leak(tail, speech) == pytest.approx(plain_leak(tail, speech) if kept >= 20 else 0.0, abs=1e-5)
    if kept >= 30 and frames >= 60:
        assert measures._leak(tail, leaked) > 0.3


@pytest.mark.parametrize("count", [1, 3])
def test_the_frames_of_the_alignment_serve_the_measures(engine, drafts, monkeypatch, count: int):
    """Also where the take is so long that the alignment looks for its bounds in parts."""
    text = " ".join([SENTENCES["en"]] * count)
    speech, template = say(engine, text), drafts.template(text, "en")
    rng = np.random.default_rng(count)
    samples = np.concatenate(
        [np.zeros(5000, np.float32), with_noise(speech.samples, rng, 30), np.zeros(700, np.float32)]
    )
    alignment = align(samples, template)
    tail = measures.ReferenceTail.of(speech.samples)
    alone = measures.measure(samples, template, replace(alignment, frames=None), reference=tail)
    calls: list[int] = []
    log_mel = features.log_mel
    monkeypatch.setattr(features, "log_mel", lambda samples: calls.append(len(samples)) or log_mel(samples))
    assert measures.measure(samples, template, alignment, reference=tail) == alone
    assert calls == []
    assert measures.measure(samples, template, replace(alignment, speech=(0.0, 1.0)), reference=tail) == alone
    assert len(calls) == 1

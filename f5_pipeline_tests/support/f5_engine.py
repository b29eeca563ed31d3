"""A tiny F5-TTS model in the real file formats, voices to clone, and engines that speak with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from f5_pipeline.speech.engines.f5.conditioning import ReferenceVoice
from f5_pipeline.speech.engines.f5.engine import F5Engine
from f5_pipeline.speech.engines.f5.sampling import Sampler

if TYPE_CHECKING:
    pass


@lru_cache
def recording(seconds: float = 0.8, *, level: float = 0.15, seed: int = 0) -> np.ndarray:
    """Something like a voice: a hum with overtones that comes and goes; `level` is its root mean square."""
    n = round(seconds * 24_000)
    times = np.arange(n) / 24_000
    pitch = 90 + 30 * seed + 10 * np.sin(2 * np.pi * 1.3 * times)
    phase = 2 * np.pi * np.cumsum(pitch) / 24_000
    hum = sum(np.sin(k * phase) / k for k in range(1, 12)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * times))
    hum = hum + 0.02 * np.random.default_rng(seed).standard_normal(n)
    return (hum * level / np.sqrt(np.mean(hum**2))).astype(np.float32)


def voice(name: str = "ada", *, text: str = "Call me nature.", language: str = "en", **made: Any) -> ReferenceVoice:
    """A reference; `made` goes to `recording`."""
    return ReferenceVoice(name, f"{name}-{made}", text, language, lambda: recording(**made))


VOICES = {"ada": voice("ada"), "ben": voice("ben", text="I am 12", seconds=0.7, level=0.04, seed=2)}
QUICK = Sampler(nfe=4, dtype="fp32")

MakeEngine = Callable[..., F5Engine]

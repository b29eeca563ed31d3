"""A tiny F5-TTS model in the real file formats, voices to clone, and engines that speak with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from f5_pipeline.speech.f5.conditioning import ReferenceVoice
from f5_pipeline.speech.f5.engine import F5Engine
from f5_pipeline.speech.f5.files import ModelFiles
from f5_pipeline.speech.f5.sampling import Sampler
from f5_pipeline_tests.tiny_f5 import make_tiny_model

if TYPE_CHECKING:
    from f5_pipeline.speech.f5.text import Vocabulary


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The models are too small for more, and other tests run beside these."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    """A model like F5TTS_v1_Base, but small; not to be changed."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny"), seed=1)


@pytest.fixture(scope="session")
def vocabulary(tiny: ModelFiles) -> Vocabulary:
    from f5_pipeline.speech.f5.checkpoint import load_vocabulary

    return load_vocabulary(tiny.vocabulary)


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


@pytest.fixture
def make_engine(tiny: ModelFiles) -> Iterator[MakeEngine]:
    """Make engines on the tiny model; what is given replaces the defaults."""
    made: list[F5Engine] = []

    def make(model: ModelFiles = tiny, **options: Any) -> F5Engine:
        defaults: dict[str, Any] = {
            "files": lambda: model,
            "model_sha256": model.sha256,
            "languages": ["en", "zh"],
            "references": VOICES,
            "sampler": QUICK,
            "device": "cpu",
            "compile": "off",
            "pace": "syllables",
        }
        engine = F5Engine(**{**defaults, **options})
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


@pytest.fixture(scope="session")
def shared_engine(tiny: ModelFiles) -> Iterator[F5Engine]:
    """One that stays loaded; nothing on it is to be changed."""
    engine = F5Engine(
        files=lambda: tiny,
        model_sha256=tiny.sha256,
        languages=["en", "zh"],
        references=VOICES,
        sampler=QUICK,
        device="cpu",
        compile="off",
        pace="syllables",
    )
    yield engine
    engine.close()

"""A tiny F5-TTS model in the real file formats, voices to clone, and engines that speak with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from f5_pipeline.speech.engines.f5.architecture import ModelFiles
from f5_pipeline.speech.engines.f5.engine import F5Engine
from f5_pipeline_tests.support.tiny_f5 import make_tiny_model

if TYPE_CHECKING:
    from f5_pipeline.speech.engines.f5.text import Vocabulary
from f5_pipeline_tests.support.f5_engine import QUICK, VOICES, MakeEngine


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
    from f5_pipeline.speech.engines.f5.checkpoint import load_vocabulary

    return load_vocabulary(tiny.vocabulary)


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

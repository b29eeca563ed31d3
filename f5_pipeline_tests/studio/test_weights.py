"""What is told of the engines' weights, and which model is pulled when."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
import pytest

from f5_pipeline.errors import PipelineError
from f5_pipeline.orchestration.assets.model_weights import model_weights
from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.settings import get_settings
from f5_pipeline.store.base import Store
from f5_pipeline.studio import weights as studio_weights
from f5_pipeline.studio.records import Weights
from f5_pipeline.weights.library import Library
from f5_pipeline_tests.support.hub import running_hub
from f5_pipeline_tests.support.weights_place import ARCHITECTURE, content, shaped_checkpoint


@pytest.fixture
def hub():
    with running_hub() as running:
        running.put("somebody/tiny", {"model.safetensors": shaped_checkpoint()})
        running.put("somebody/vocos", {"config.yaml": b"head: {}\n", "pytorch_model.bin": content(50_000, 1)})
        yield running


@pytest.fixture
def configured(here, hub, monkeypatch):
    """The settings of this process: a hub, a cache, and what a test says."""

    def say(**env: str):
        told = {"F5_HUB": hub.url, "F5_CACHE": str(here.root / "cache"), "F5_ENGINE": "draft", "F5_OFFLINE": "0"}
        for name, value in {**told, **env}.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        return here.store

    return say


def gather_weights(store: Store, models: Sequence[str] = ()) -> Weights:
    return studio_weights.gather_weights(store, studio_options(get_settings()), models)


def open_library(store: Store) -> Library:
    return studio_weights.open_library(store, studio_options(get_settings()))


def add_tiny(store) -> None:
    from f5_pipeline.speech.engines.f5.architecture import Architecture

    open_library(store).add(
        "tiny",
        "hf://somebody/tiny/model.safetensors",
        architecture=Architecture.model_validate(ARCHITECTURE),
        vocoder="hf://somebody/vocos",
        languages=["sv", "fi"],
        licence="MIT",
        commercial_use="yes",
    )


def test_draft_alone_asks_no_hub(configured, hub):
    weights = gather_weights(configured())
    assert list(weights.engines) == ["draft"] and weights.problems == {}
    assert hub.requests.total() == 0


def test_every_locked_model_is_told(configured):
    store = configured()
    before = gather_weights(store)
    add_tiny(store)
    weights = gather_weights(store)
    tiny = weights.engines["f5:tiny"]
    assert (tiny.engine, tiny.model, tiny.tags, tiny.languages) == ("f5", "tiny", ["sv", "fi"], 2)
    assert (tiny.licence, tiny.commercial_use, tiny.repo) == ("MIT", "yes", "somebody/tiny")
    assert tiny.sha256 == open_library(store).lock("tiny").sha256
    assert set(tiny.files) == {"checkpoint", "vocabulary", "vocoder_config", "vocoder_weights"}
    assert (tiny.place, tiny.seconds) == (None, None)
    assert weights.digest != before.digest


def test_models_asked_for_are_pulled(configured, hub):
    store = configured()
    add_tiny(store)
    digest = gather_weights(store).digest
    tiny = gather_weights(store, ["tiny"]).engines["f5:tiny"]
    assert tiny.place in ("store", "hub") and tiny.seconds is not None
    assert gather_weights(store, ["tiny"]).digest == digest  # how it came here is no other data
    with pytest.raises(PipelineError, match="no model 'nothing'"):
        gather_weights(store, ["nothing"])


def test_the_model_of_the_settings_is_pulled_where_f5_speaks(configured, hub):
    store = configured()
    add_tiny(store)
    store = configured(F5_ENGINE="f5", F5_MODEL="tiny")
    assert gather_weights(store).engines["f5:tiny"].place is not None
    store = configured(F5_ENGINE="auto", F5_DEVICE="cpu", F5_MODEL="tiny")
    assert gather_weights(store).engines["f5:tiny"].place is not None


def test_the_draft_engine_speaks_on_where_the_model_cannot_be_had(configured):
    store = configured(F5_ENGINE="auto", F5_DEVICE="cpu", F5_OFFLINE="1")
    weights = gather_weights(store)
    assert list(weights.engines) == ["draft"]
    assert "may not be asked" in weights.problems["f5:F5TTS_v1_Base"]
    with pytest.raises(PipelineError, match="may not be asked"):
        gather_weights(configured(F5_ENGINE="f5", F5_OFFLINE="1"))


def test_the_asset_shows_where_everything_comes_from(configured):
    store = configured()
    add_tiny(store)
    run_config = {"ops": {"model_weights": {"config": {"models": ["tiny"]}}}}
    resources = {"store": StoreResource(url=get_settings().store_url)}
    made = dg.materialize([model_weights], resources=resources, run_config=run_config)
    (event,) = made.asset_materializations_for_node("model_weights")
    rows = {row.data["model"]: row.data for row in event.metadata["engines"].records}  # type: ignore[union-attr]
    tiny = rows["tiny"]
    assert (tiny["licence"], tiny["commercial_use"], tiny["languages"]) == ("MIT", "yes", 2)
    assert tiny["came_from"] in ("store", "hub") and tiny["sha256"]
    files = event.metadata["files"].records  # type: ignore[union-attr]
    assert len(files) == 4 and all(len(str(row.data["sha256"])) == 64 for row in files)
    assert (event.tags or {})["dagster/data_version"] == gather_weights(store).digest

"""A store with a prepared voice, and every step from a script to its timings, without Dagster."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from f5_pipeline.store.local import LocalStore
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Weights
from f5_pipeline.studio.weights import gather_weights
from f5_pipeline_tests.support.installation import EXAMPLES
from f5_pipeline_tests.support.small_studio import Studio, prepare_voice


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Weights:
    return gather_weights(LocalStore(tmp_path_factory.mktemp("weights")), StudioOptions(offline=True))


@pytest.fixture(scope="session")
def voices(tmp_path_factory) -> Path:
    """A store that holds the voice ada with its reference."""
    root = tmp_path_factory.mktemp("voices")
    prepare_voice(LocalStore(root), "ada", EXAMPLES / "voices" / "ada.flac")
    return root


@pytest.fixture
def make_studio(here, voices, weights, tmp_path_factory):
    """Make studios with fresh stores that have the voice ada."""

    def make() -> Studio:
        root = tmp_path_factory.mktemp("fresh") / "studio"
        shutil.copytree(voices, root)
        return Studio(LocalStore(root), weights)

    return make


@pytest.fixture
def studio(make_studio) -> Studio:
    return make_studio()

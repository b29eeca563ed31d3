"""The code location as Dagster loads it."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg
import pytest

from f5_pipeline.definitions import defs
from f5_pipeline.orchestration.lineage import LINEAGE

ASSETS = {
    "model_weights": set(),
    "reference_audio": {"voice_recording"},
    "narration_plan": {"model_weights", "reference_audio", "script", "lexicon"},
    "takes": {"model_weights", "reference_audio", "narration_plan"},
    "narration_audio": {"narration_plan", "takes"},
    "timing_files": {"narration_plan", "narration_audio"},
    "download_links": {"timing_files"},
}


def test_the_code_location_loads():
    dg.Definitions.validate_loadable(defs)


@pytest.mark.parametrize("name", ASSETS)
def test_every_asset_tells_its_story(name):
    spec = defs.resolve_asset_graph().get(dg.AssetKey(name))
    assert spec.description and len(spec.description) > 80
    assert spec.code_version
    assert spec.group_name in ("models", "voices", "narration")
    assert any(tag.startswith("dagster/kind/") for tag in spec.tags)
    assert {key.to_user_string() for key in spec.parent_keys} == ASSETS[name] == set(LINEAGE[name].upstream)


def test_takes_alone_handle_many_partitions_in_one_run():
    graph = defs.resolve_asset_graph()
    single = [
        key.to_user_string()
        for key in graph.materializable_asset_keys
        if (policy := graph.get(key).backfill_policy) and policy.max_partitions_per_run is None
    ]
    assert single == ["takes"]


def test_what_is_heavy_is_not_imported_to_load_the_code_location():
    heavy = (
        "torch",
        "f5_tts",
        "numpy",
        "scipy",
        "pandas",
        "soundfile",
        "boto3",
        "PIL",
        "starlette",
        "sqlalchemy",
        "rich",
    )
    program = f"import sys, f5_pipeline.definitions; print(*(name for name in {heavy!r} if name in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ended.stdout.split() == []
    assert ended.stderr == ""

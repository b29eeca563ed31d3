"""`f5-pipeline status`: what the ledger knows beside the store."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from f5_pipeline.orchestration.ledger import Ledger, SourceState
from f5_pipeline.studio.narrating.scripts import script_version
from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.quick import quick

pytestmark = pytest.mark.slow


def test_failed_and_retired_narrations_are_told(installation: Installation, voices: Path):
    installation.copy(voices)
    for name in ("failed", "edited", "gone"):
        quick(installation, "scripts", "add", installation.write(f"{name}.txt", "A sentence."), "--voice", "ada")
    with dg.DagsterInstance.from_config(installation.env["DAGSTER_HOME"]) as instance:
        ledger = Ledger(instance)
        version = script_version(installation.store, "failed")
        ledger.finish("failed", version, "run", "the script says nothing")
        ledger.finish("edited", "an older version", "run", "it said nothing then")
        script = SourceState(marks={"scripts/gone.txt": "1"}, version="1", size=1, since=0.0, retired=True)
        ledger.record_scripts({"gone": script})
    installation.store.delete("scripts/gone.txt")
    told = {state["narration"]: state for state in quick(installation, "status", "--json").objects}
    assert {name: state["state"] for name, state in told.items()} == {
        "edited": "scripted",
        "failed": "failed",
        "gone": "retired",
    }
    assert told["failed"]["reason"] == "the script says nothing"
    assert "failed: the script says nothing" in quick(installation, "status").err


def test_what_is_narrated_here_is_not_launched_by_the_in_box(installation: Installation, voices: Path):
    """The command line holds its narrations in the ledger for as long as it works, and tells what failed."""
    installation.copy(voices)
    good, bad = installation.write("good.txt", "A sentence."), installation.write("bad.txt", "ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ.")
    installation.run("narrate", good, bad, "--voice", "ada", code=1)
    with dg.DagsterInstance.from_config(installation.env["DAGSTER_HOME"]) as instance:
        outcomes = Ledger(instance).outcomes(["good", "bad"])
    assert {name: one.state for name, one in outcomes.items()} == {"good": "done", "bad": "failed"}
    assert all(one.version == script_version(installation.store, name) for name, one in outcomes.items())

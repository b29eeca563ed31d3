"""Runs of a command: why one failed, also where none of its steps did."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from f5_pipeline.dagster_host.runs import run_job
from f5_pipeline.orchestration.partitions import VOICES
from f5_pipeline_tests.support.installation import Installation

pytestmark = pytest.mark.slow


def test_what_fails_beside_the_steps_is_told(here: Installation, monkeypatch: pytest.MonkeyPatch):
    def execute(*_: object) -> Iterator[dg.DagsterEvent]:
        yield from ()
        raise RuntimeError("Ray has not answered for 300 s")

    monkeypatch.setattr("dagster._core.executor.multiprocess.MultiprocessExecutor.execute", execute)
    with dg.DagsterInstance.from_config(here.env["DAGSTER_HOME"]) as instance:
        instance.add_dynamic_partitions(str(VOICES.name), ["ada"])
        outcome = run_job(instance, "prepare_voice", partition="ada")
    assert not outcome.success
    assert outcome.errors == ["the run failed: RuntimeError: Ray has not answered for 300 s"]

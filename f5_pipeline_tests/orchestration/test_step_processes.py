"""Where a step runs: beside none in the process of its run, else in one of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from f5_pipeline.orchestration import step_processes


@pytest.fixture
def placed(monkeypatch) -> list[str]:
    """Keys of the steps that got a process, and of those that did not, with a star."""
    steps: list[str] = []

    def outside(context: Any, job: Any, step_context: Any, step: Any, *_: Any):
        steps.append(step.key)
        yield None
        yield SimpleNamespace(event_type=dg.DagsterEventType.STEP_SUCCESS)
        yield None  # its process is still ending

    def here(job: Any, step_context: Any, step: Any, *_: Any):
        steps.append(f"{step.key}*")
        yield SimpleNamespace(event_type=dg.DagsterEventType.STEP_SUCCESS)

    monkeypatch.setattr(step_processes, "_execute_step_out_of_process", outside)
    monkeypatch.setattr(step_processes, "_execute_here", here)
    return steps


class Taken:
    """An event whose lock has gone with the process that held it."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of it waits for ever")


def begin(key: str, active: dict[str, Any], *, pool: str | None = None, run: str = "run"):
    active[key] = Taken()
    step = SimpleNamespace(key=key, pool=pool, get_mapping_key=lambda: None)
    state: Any = SimpleNamespace(dynamic_mappings={})
    nothing: Any = None
    context: Any = SimpleNamespace(run_id=run)
    return step_processes._execute_step(
        nothing, nothing, context, step, nothing, nothing, active, nothing, state, nothing
    )


def test_a_step_after_one_whose_process_is_still_ending_runs_here(placed):
    active: dict[str, Any] = {}
    gpu = begin("gpu", active, pool="gpu")
    next(gpu)
    list(begin("beside", active))
    del active["beside"]
    next(gpu)
    list(begin("after", active))
    assert placed == ["gpu", "beside", "after*"]


def test_a_step_that_is_tried_again_is_at_work_again(placed):
    active: dict[str, Any] = {}
    list(begin("gpu", active, pool="gpu"))
    again = begin("gpu", active, pool="gpu")
    next(again)
    list(begin("beside", active))
    assert placed == ["gpu", "gpu", "beside"]

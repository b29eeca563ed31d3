"""Old runs are cleared, and what they made looks as before."""

import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import select

from f5_pipeline.orchestration.history import clear_run, old_runs
from f5_pipeline.orchestration.internals import event_log_schema
from f5_pipeline.orchestration.tags import CLEARED_TAG
from f5_pipeline_tests.support.installation import Installation

TALES = dg.StaticPartitionsDefinition(["told", "broken"])


@dg.asset(partitions_def=TALES, check_specs=[dg.AssetCheckSpec("whole", asset="tale")])
def tale(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    sys.stdout.write("once upon a time")
    if context.partition_key == "broken":
        raise dg.Failure("it has no end", allow_retries=False)
    return dg.MaterializeResult(metadata={"words": 4}, check_results=[dg.AssetCheckResult(passed=True)])


def looks(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What the UI shows of the asset and of its runs."""
    key = dg.AssetKey("tale")
    made = instance.get_latest_materialization_event(key)
    checks = dg.AssetCheckKey(key, "whole")
    return {
        "partitions": instance.get_status_by_partition(key, ["told", "broken"], TALES),
        "materialization": made and made.asset_materialization,
        "check": {
            run: latest and (latest.status, latest.partition)
            for run, latest in instance.event_log_storage.get_latest_asset_check_execution_by_key([checks]).items()
        },
        "runs": {run.run_id: run.status for run in instance.get_runs()},
        "ends": {
            record.dagster_event_type
            for run in instance.get_runs()
            for record in instance.all_logs(run.run_id)
            if record.dagster_event and record.dagster_event.is_job_event
        },
    }


def kinds(instance: dg.DagsterInstance, run_id: str) -> set[str | None]:
    storage: Any = instance.event_log_storage
    events = event_log_schema.SqlEventLogStorageTable
    found: set[str | None] = set()
    for connect in (storage.index_connection, lambda: storage.run_connection(run_id)):
        with connect() as connection:
            found |= {
                *connection.execute(select(events.c.dagster_event_type).where(events.c.run_id == run_id)).scalars()
            }
    return found


def test_an_old_run_leaves_what_it_made(instance: dg.DagsterInstance, here: Installation):
    told, broken = (
        dg.materialize([tale], instance=instance, partition_key=name, raise_on_error=False).run_id
        for name in ("told", "broken")
    )
    working = dg.DagsterRun(job_name="narrate", status=dg.DagsterRunStatus.STARTED)
    instance.add_run(working)
    before = looks(instance)
    assert before["materialization"] is not None
    logs = [Path(here.env["DAGSTER_HOME"]) / "storage" / run_id for run_id in (told, broken)]
    assert all(folder.exists() for folder in logs)

    assert not list(old_runs(instance, days=1))
    old = {run.run_id: run for run in old_runs(instance, days=0)}
    assert set(old) == {told, broken}
    assert all(clear_run(instance, run) > 5 for run in old.values())

    assert looks(instance) == before
    assert not any(folder.exists() for folder in logs)
    assert not {"STEP_START", "LOGS_CAPTURED", "ENGINE_EVENT", None} & (kinds(instance, told) | kinds(instance, broken))
    assert "ASSET_MATERIALIZATION_PLANNED" not in kinds(instance, told), "of it nothing is to be seen any more"
    assert not list(old_runs(instance, days=0)), "they are not cleared again"
    assert CLEARED_TAG not in instance.get_run_by_id(working.run_id).tags  # type: ignore[union-attr]


def test_a_clearing_that_was_cut_off_is_finished(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch):
    dg.materialize([tale], instance=instance, partition_key="told")
    (run,) = old_runs(instance, days=0)
    with monkeypatch.context() as patch:
        patch.setattr(instance, "add_run_tags", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            clear_run(instance, run)
    assert [one.run_id for one in old_runs(instance, days=0)] == [run.run_id]
    assert clear_run(instance, run) == 0
    assert not list(old_runs(instance, days=0))

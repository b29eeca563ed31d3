"""Old runs: what Dagster keeps of their steps is cleared; what they made, and that they ran, stays.

Dagster's retention is of ticks only, and `delete_run` takes a run's materializations with it, so that partitions look
never made. Of an old run these go: what its steps printed, and its events of steps, inputs, outputs and resources. The
run stays with its tags and how it ended, and so do materializations, observations and results of checks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg

from f5_pipeline.orchestration.tags import CLEARED_TAG

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_PAGE = 500

_PLANNED = ("ASSET_MATERIALIZATION_PLANNED", "ASSET_CHECK_EVALUATION_PLANNED")
"""By these the UI shows partitions of failed runs as failed."""

_KEPT = (
    *(kind.value for kind in dg.DagsterEventType if kind.value.startswith("PIPELINE_")),
    "ASSET_MATERIALIZATION",
    "ASSET_OBSERVATION",
    "ASSET_CHECK_EVALUATION",
)


def old_runs(instance: dg.DagsterInstance, days: float) -> Iterator[dg.DagsterRun]:
    """Runs that were created before so many days, have ended, and are not cleared yet; the newest first."""
    before = datetime.now(timezone.utc) - timedelta(days=days)
    cursor = None
    while True:
        filters = dg.RunsFilter(statuses=_ENDED, created_before=before)
        page = instance.get_runs(filters, cursor=cursor, limit=_PAGE)
        yield from (run for run in page if CLEARED_TAG not in run.tags)
        if len(page) < _PAGE:
            return
        cursor = page[-1].run_id


def clear_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int:
    """Clear a run; how many events went. What was cut off in between, the next time finishes."""
    import sqlalchemy as sql

    from f5_pipeline.orchestration.internals import event_log_schema

    instance.compute_log_manager.delete_logs(prefix=[run.run_id])
    storage: Any = instance.event_log_storage
    events = event_log_schema.SqlEventLogStorageTable
    kept = _KEPT if run.status == dg.DagsterRunStatus.SUCCESS else _KEPT + _PLANNED
    kind = events.c.dagster_event_type
    gone = sql.and_(events.c.run_id == run.run_id, sql.or_(kind.is_(None), kind.not_in(kept)))
    with storage.run_connection(run.run_id) as connection:
        cleared = connection.execute(sql.delete(events).where(gone)).rowcount
    with storage.index_connection() as connection:  # SQLite has a part of them in another file
        connection.execute(sql.delete(events).where(gone))
    if hasattr(storage, "path_for_shard"):
        # The file stays: a web server that has looked at the run does not make its tables again.
        with closing(sqlite3.connect(storage.path_for_shard(run.run_id), timeout=30)) as file:
            file.execute("VACUUM")
    instance.add_run_tags(run.run_id, {CLEARED_TAG: f"{datetime.now(timezone.utc):%Y-%m-%d}"})
    return cleared

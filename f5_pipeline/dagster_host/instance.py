"""Dagster's instance: opened in the home folder, and cleared of runs whose process is gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy.exc import DBAPIError

from f5_pipeline.dagster_host.compute_logs import check_compute_logs
from f5_pipeline.dagster_host.run_launcher import process_of
from f5_pipeline.errors import StoreError
from f5_pipeline.orchestration import internals
from f5_pipeline.orchestration.sqlite_storage import close_databases, keep_databases_open
from f5_pipeline.settings import Settings
from f5_pipeline.system.bundled import bundled


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance in the home folder, which is created with our dagster.yaml if necessary."""
    check_compute_logs(settings)
    home = settings.home_folder
    config = home / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not config.exists():
            config.write_bytes(bundled("dagster.yaml").read_bytes())
    except OSError as error:
        raise _unusable(home, error.strerror or str(error)) from error
    os.environ["DAGSTER_HOME"] = str(home)
    # Steps are processes of their own: they must use the same folder, wherever they start.
    os.environ["F5_STORE"] = settings.store_url
    try:
        keep_databases_open()
        _keep_no_component_state()
        with dg.DagsterInstance.get() as instance:
            fail_dead_runs(instance)
            yield instance
    except DBAPIError as error:  # a full disk, a damaged or locked database
        raise _unusable(home, str(error.orig)) from error
    finally:
        close_databases()


def _keep_no_component_state() -> None:
    """Open no storage for the state of Dagster's components, unless dagster.yaml names one: nothing here has any."""
    reference: Any = internals.InstanceRef
    opened = reference.defs_state_storage.fget
    if opened.__name__ != "configured":

        def configured(ref: Any) -> Any:
            return opened(ref) if ref.defs_state_storage_data else None

        reference.defs_state_storage = property(configured)


def _unusable(home: Path, why: str) -> StoreError:
    return StoreError(
        f"Dagster's instance cannot be kept there ({why})",
        file=str(home),
        hint="Free space there, make it writable for this user, or set DAGSTER_HOME to another folder; takes are kept.",
    )


def fail_dead_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs as failed whose process on this host is gone, as a killed process cannot do it. Return how many."""
    unfinished = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    )
    dead = 0
    for run in instance.get_runs(filters=unfinished):
        process = process_of(instance, run)
        if process is None or process.living:
            continue
        current = instance.get_run_by_id(run.run_id)
        if current is None or current.is_finished:
            continue  # it has ended meanwhile
        instance.report_run_failed(run, "The process that worked on this run is gone; its takes are kept.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        dead += 1
    return dead

"""Runs of the code location's jobs in this process: the same runs, events and assets that the UI shows.

Such a run needs neither web server nor daemon; both may be up at the same time. If it is killed, the next run finds the
takes it has made.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy.exc import DBAPIError

from f5_pipeline import errors
from f5_pipeline.orchestration.internals import (
    PARTITION_NAME_TAG,
    PRIORITY_TAG,
    LoadableTargetOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    ReconstructableRepository,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
    RunFailureReason,
    create_execution_plan,
    execute_run_iterator,
)
from f5_pipeline.orchestration.tags import COMMAND_LINE_PRIORITY, WORKER_TAG
from f5_pipeline.system.processes import process_name

MODULE = "f5_pipeline.definitions"
LOCATION = "f5_pipeline"
POLL_SECONDS = 0.5


@dataclass
class RunOutcome:
    """How a run ended.

    Attributes:
        run_id: its id in the UI.
        success: whether all its steps succeeded.
        canceled: whether it was interrupted.
        errors: a sentence for each failed step; where none failed, why the run did.
    """

    run_id: str
    success: bool = False
    canceled: bool = False
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """An event of a step: it began, ended, is retried, or reported its progress."""

    name: str
    kind: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


def run_job(
    instance: dg.DagsterInstance,
    job: str,
    *,
    partition: str | None = None,
    config: Mapping[str, Any] | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
    verbose: bool = False,
) -> RunOutcome:
    """Run a job to its end.

    Args:
        partition: the one partition of the run.
        config: the run's, without its loggers.
        on_step: called with each event of a step, from another thread.
        verbose: show Dagster's own log.

    Raises:
        KeyboardInterrupt: it was interrupted; the run is marked as canceled first.
    """
    repository = ReconstructableRepository.for_module(MODULE, "defs", working_directory=str(Path.cwd()))
    reconstructable = repository.get_reconstructable_job(job)
    definition = reconstructable.get_definition()
    worker_tags = {PRIORITY_TAG: str(COMMAND_LINE_PRIORITY), WORKER_TAG: process_name(os.getpid())}
    tags = {**definition.run_tags, **worker_tags}
    if partition is not None:
        tags[PARTITION_NAME_TAG] = partition
    config = {**(config or {}), "loggers": {"console": {"config": {"log_level": "DEBUG" if verbose else "CRITICAL"}}}}
    run = instance.create_run_for_job(
        job_def=definition,
        execution_plan=create_execution_plan(reconstructable, run_config=config, tags=tags, instance_ref=None),
        run_config=config,
        tags=tags,
        job_code_origin=reconstructable.get_python_origin(),
        remote_job_origin=_origin(job),
    )
    outcome = RunOutcome(run.run_id)
    why = "the run ended without success"
    ended = threading.Event()
    watcher = threading.Thread(target=_watch_steps, args=(instance, run.run_id, on_step, ended), daemon=True)
    watcher.start()
    try:
        for event in execute_run_iterator(reconstructable, run, instance):
            if event.event_type == dg.DagsterEventType.STEP_FAILURE:
                outcome.errors.append(_failure_reason(event))
            elif event.event_type == dg.DagsterEventType.RUN_FAILURE:
                failure = event.job_failure_data
                outcome.canceled |= failure.failure_reason == RunFailureReason.UNEXPECTED_TERMINATION
                if failure.error:  # of what runs the steps
                    why = _message(failure.error, "the run failed")
    except KeyboardInterrupt:
        outcome.canceled = True
    finally:
        ended.set()
        watcher.join()
    if outcome.canceled:
        # Dagster takes an interruption that does not come from the UI for a failure.
        instance.report_run_canceled(run, "Interrupted at the command line; its takes are kept.")
    ended_run = instance.get_run_by_id(run.run_id)
    outcome.success = ended_run is not None and ended_run.status == dg.DagsterRunStatus.SUCCESS
    outcome.canceled |= ended_run is not None and ended_run.status == dg.DagsterRunStatus.CANCELED
    if not outcome.success and not outcome.errors:
        outcome.errors.append("the run was interrupted" if outcome.canceled else why)
    if outcome.canceled:
        raise KeyboardInterrupt
    return outcome


def _origin(job: str) -> RemoteJobOrigin:
    """The job's place in the UI, so that the run links to it and can be launched again from there."""
    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name=MODULE), LOCATION)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job)


def _failure_reason(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    if data.error is None:
        return f"{event.step_key} failed"
    return _message(data.error.cause or data.error, f"{event.step_key} failed")


def _message(error: Any, what: str) -> str:
    message = error.message.strip()
    if isinstance(getattr(errors, error.cls_name or "", None), type):
        return message.partition(": ")[2]  # one of our errors: its message without the class name
    return f"{what}: {message}"


def _watch_steps(
    instance: dg.DagsterInstance, run_id: str, on_step: Callable[[Step], None], ended: threading.Event
) -> None:
    """Report steps from the events in the database: `execute_run_iterator` does not yield what steps log themselves."""
    kinds = {
        dg.DagsterEventType.STEP_START: "start",
        dg.DagsterEventType.STEP_SUCCESS: "success",
        dg.DagsterEventType.STEP_FAILURE: "failure",
        dg.DagsterEventType.STEP_UP_FOR_RETRY: "retry",
        dg.DagsterEventType.ASSET_OBSERVATION: "progress",
    }
    cursor = None
    while True:
        last = ended.wait(POLL_SECONDS)
        while True:
            try:
                page = instance.get_records_for_run(run_id, cursor=cursor, of_type=set(kinds), limit=500)
            except DBAPIError:
                return  # only progress is lost; the run itself reports the error
            cursor = page.cursor
            for record in page.records:
                event = record.event_log_entry.dagster_event
                if event is None:
                    continue
                numbers: dict[str, Any] = {}
                if event.event_type == dg.DagsterEventType.ASSET_OBSERVATION:
                    metadata = event.asset_observation_data.asset_observation.metadata
                    numbers = {name: value.value for name, value in metadata.items()}
                on_step(Step(event.step_key or "", kinds[event.event_type], numbers))
            if not page.has_more:
                break
        if last:
            return

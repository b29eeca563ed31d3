"""Runs of the code location's jobs from this process: the same runs, events and assets that the UI shows.

A run that is launched here works in this process and its children, without web server or daemon; both may be up beside
it. Killed in the middle it leaves takes that the next run finds.
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
class Outcome:
    """How a run ended.

    Attributes:
        run_id: under which the UI shows it.
        success: whether all its steps succeeded.
        canceled: whether it was interrupted.
        errors: a sentence a failed step.
    """

    run_id: str
    success: bool = False
    canceled: bool = False
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """Something that happened in a run: a step began or ended, or told how far it is."""

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
) -> Outcome:
    """Run a job to its end.

    Args:
        partition: the one partition of the run.
        config: of the run, beside that of its loggers.
        on_step: told of steps and their progress, from another thread.
        verbose: show Dagster's own log.

    Raises:
        KeyboardInterrupt: as it was interrupted; the run is marked as canceled first.
    """
    repository = ReconstructableRepository.for_module(MODULE, "defs", working_directory=str(Path.cwd()))
    reconstructable = repository.get_reconstructable_job(job)
    definition = reconstructable.get_definition()
    # Somebody waits at the terminal.
    own = {PRIORITY_TAG: str(COMMAND_LINE_PRIORITY), WORKER_TAG: process_name(os.getpid())}
    all_tags = {**definition.run_tags, **own}
    if partition is not None:
        all_tags[PARTITION_NAME_TAG] = partition
    config = {**(config or {}), "loggers": {"console": {"config": {"log_level": "DEBUG" if verbose else "CRITICAL"}}}}
    run = instance.create_run_for_job(
        job_def=definition,
        execution_plan=create_execution_plan(reconstructable, run_config=config, tags=all_tags, instance_ref=None),
        run_config=config,
        tags=all_tags,
        job_code_origin=reconstructable.get_python_origin(),
        remote_job_origin=_origin(job),
    )
    outcome = Outcome(run.run_id)
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(instance, run.run_id, on_step, ended), daemon=True)
    watcher.start()
    try:
        for event in execute_run_iterator(reconstructable, run, instance):
            if event.event_type == dg.DagsterEventType.STEP_FAILURE:
                outcome.errors.append(_why(event))
            elif event.event_type == dg.DagsterEventType.RUN_FAILURE:
                reason = event.job_failure_data.failure_reason
                outcome.canceled |= reason == RunFailureReason.UNEXPECTED_TERMINATION
    except KeyboardInterrupt:
        outcome.canceled = True
    finally:
        ended.set()
        watcher.join()
    if outcome.canceled:
        # Dagster takes an interruption that was not asked for in the UI for a failure; here it was asked for.
        instance.report_run_canceled(run, "Interrupted at the command line; its takes are kept.")
    status = instance.get_run_by_id(run.run_id)
    outcome.success = status is not None and status.status == dg.DagsterRunStatus.SUCCESS
    outcome.canceled |= status is not None and status.status == dg.DagsterRunStatus.CANCELED
    if not outcome.success and not outcome.errors:
        outcome.errors.append("the run was interrupted" if outcome.canceled else "the run ended without success")
    if outcome.canceled:
        raise KeyboardInterrupt
    return outcome


def _origin(job: str) -> RemoteJobOrigin:
    """Where the UI finds the job of a run, so that the run links to it and can be launched again from there."""
    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name=MODULE), LOCATION)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job)


def _why(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    if data.error is None:
        return f"{event.step_key} failed"
    error = data.error.cause or data.error
    message = error.message.strip()
    if isinstance(getattr(errors, error.cls_name or "", None), type):
        return message.partition(": ")[2]  # ours: without the name of its class it is a sentence for people
    return f"{event.step_key} failed: {message}"


def _watch(instance: dg.DagsterInstance, run_id: str, on_step: Callable[[Step], None], ended: threading.Event) -> None:
    """Tell of steps as their processes write events: those of a step's own process reach nobody else."""
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
                return  # progress alone is lost; the run itself tells of it
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

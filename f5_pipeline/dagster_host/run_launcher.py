"""Dagster's launcher of runs, made to know their processes: one that is gone is noticed, one that lives can be ended.

Dagster's own launcher leaves both to the code server that started a run. A code server that was killed knows nothing of
the runs that it left behind, and of the command line's runs it never knows.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import NamedTuple

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import ConfigurableClass, deserialize_value

from f5_pipeline.orchestration.tags import WORKER_TAG
from f5_pipeline.system.processes import is_living, process_name

_PATIENCE = 10
"""Seconds that a code server may take to answer."""

_SLACK = 60.0
"""Seconds that a clock may have been set by between the start of a process and its first event."""


class RunProcess(NamedTuple):
    """The process on this host that works on a run, living or gone."""

    pid: int
    living: bool


def process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> RunProcess | None:
    """The process of a run, or None where it has none yet, or none that this host could know."""
    # A run that is continued has the tags of the one before it.
    name = run.tags.get(WORKER_TAG, "") if run.parent_run_id is None else ""
    if (living := is_living(name)) is not None:
        return RunProcess(int(name.split("/")[-2]), living)
    if '"socket"' not in run.tags.get(GRPC_INFO_TAG, ""):
        return None  # a code server on a port may be on another host
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        told = event.engine_event_data.metadata.get("pid") if event and event.step_key is None else None
        if told is not None and (pid := str(told.value)).isdigit():
            return RunProcess(int(pid), _is_that(int(pid), entry.timestamp))
    return None


def _is_that(pid: int, told: float) -> bool:
    """Whether a process is the one that told something at a POSIX time: it had started by then."""
    if is_living(process_name(pid)) is not True:
        return False
    try:
        state, *_ = fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    except (OSError, StopIteration):
        return True  # not told on this system
    started = float(booted.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return state != "Z" and started < told + _SLACK


class LocalRunLauncher(DefaultRunLauncher, ConfigurableClass):
    """Launches runs by the code server, as Dagster's default does; tells whether their processes on this host live."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        process = process_of(self._instance, run)
        if process is None:
            return self._told_by_server(run)
        if process.living:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {process.pid} is gone; the run's takes are kept")

    def _told_by_server(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask the code server that started a run, in a container or on another host: one that was started anew since
        does not know it. One that is silent proves nothing, and a run could not be continued without it."""
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=_PATIENCE)
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "its code server was started anew; its takes are kept")

    def terminate(self, run_id: str) -> bool:
        """Interrupt a run, as Ctrl-C does: its steps end at their next batch."""
        run = self._instance.get_run_by_id(run_id) if self.has_instance else None
        process = process_of(self._instance, run) if run and not run.is_finished else None
        if run is None or process is None or not process.living:
            return super().terminate(run_id)
        self._instance.report_run_canceling(run)
        os.kill(process.pid, signal.SIGINT)
        return True

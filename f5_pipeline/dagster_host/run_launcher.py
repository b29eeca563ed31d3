"""Dagster's launcher of runs, made to know their processes: one that is gone is noticed, one that lives can be ended.

Dagster's own launcher leaves both to the code server that started a run. A code server that was killed knows nothing of
the runs that it left behind, and of the command line's runs it never knows.
"""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

import dagster as dg

from f5_pipeline.orchestration.internals import (
    GRPC_INFO_TAG,
    CanCancelExecutionRequest,
    CanCancelExecutionResult,
    CheckRunHealthResult,
    ConfigurableClass,
    DagsterUserCodeUnreachableError,
    WorkerStatus,
)
from f5_pipeline.orchestration.tags import WORKER_TAG
from f5_pipeline.system.processes import is_living, start_time

_ANSWER_SECONDS = 10
"""How long a code server may take to answer."""

_CLOCK_SECONDS = 60.0
"""By how much a clock may have been set between the start of a process and its first event."""


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
        recorded = event.engine_event_data.metadata.get("pid") if event and event.step_key is None else None
        if recorded is not None and (pid := str(recorded.value)).isdigit():
            started = start_time(int(pid))
            # One that started later has come by the id of the run's process, which is gone.
            return RunProcess(int(pid), started is not None and started < entry.timestamp + _CLOCK_SECONDS)
    return None


class LocalRunLauncher(dg.DefaultRunLauncher, ConfigurableClass):
    """Launches runs by the code server, as Dagster's default does; knows whether their processes on this host live."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        process = process_of(self._instance, run)
        if process is None:
            return self._ask_server(run)
        if process.living:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {process.pid} is gone; the run's takes are kept")

    def _ask_server(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Ask the code server that started a run, in a container or on another host, whether it still has it.

        One that was restarted since does not know the run, so its process is gone. One that does not answer proves
        nothing, and the run could not be continued without it anyway: the run counts as running.
        """
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=_ANSWER_SECONDS)
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if dg.deserialize_value(answer, CanCancelExecutionResult).can_cancel:
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

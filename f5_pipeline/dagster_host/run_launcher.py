"""A run launcher that knows the processes of runs: it notices those that are gone, and can end those that live.

Dagster's own launcher leaves both to the code server that started a run. A killed code server knows nothing of the runs
it left behind, and none knows the command line's runs.
"""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

import dagster as dg

from f5_pipeline.orchestration.internals import (
    GRPC_INFO_TAG,
    MAX_RETRIES_TAG,
    CanCancelExecutionRequest,
    CanCancelExecutionResult,
    CheckRunHealthResult,
    ConfigurableClass,
    DagsterUserCodeUnreachableError,
    WorkerStatus,
)
from f5_pipeline.orchestration.tags import WORKER_TAG
from f5_pipeline.system.processes import is_living, start_time

_MAX_ANSWER_SECONDS = 10
"""How long a code server may take to answer."""

_MAX_CLOCK_CHANGE_SECONDS = 60.0
"""How far the clock may jump between the start of a process and its first event."""


class RunProcess(NamedTuple):
    """A process on this host that works, or worked, on a run."""

    pid: int
    living: bool


def process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> RunProcess | None:
    """The process of a run; None where it has none yet, or none that this host can know."""
    # A continued run has the tags of the run before it.
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
            # A process that started later has the same id by chance: the run's process is gone.
            return RunProcess(int(pid), started is not None and started < entry.timestamp + _MAX_CLOCK_CHANGE_SECONDS)
    return None


class LocalRunLauncher(dg.DefaultRunLauncher, ConfigurableClass):
    """Launches runs by the code server, as Dagster's default does, and checks whether their processes live."""

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

        A server that was restarted does not know the run: its process is gone. Where a server does not answer, the run
        counts as running; it could not be continued without the server anyway.
        """
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        request = CanCancelExecutionRequest(run_id=run.run_id)
        try:
            answer = client.can_cancel_execution(request, timeout=_MAX_ANSWER_SECONDS)
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if dg.deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "its code server was restarted; its takes are kept")

    def terminate(self, run_id: str) -> bool:
        """Interrupt a run, as Ctrl-C does: its steps end at their next batch."""
        run = self._instance.get_run_by_id(run_id) if self.has_instance else None
        if run and run.status in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING):
            # A process that is interrupted while it starts fails, and a run whose process failed is tried again.
            self._instance.add_run_tags(run_id, {MAX_RETRIES_TAG: "0"})
        process = process_of(self._instance, run) if run and not run.is_finished else None
        if run is None or process is None or not process.living:
            return super().terminate(run_id)
        self._instance.report_run_canceling(run)
        os.kill(process.pid, signal.SIGINT)
        return True

"""Dagster's daemon looks at a run's failure between its event and its status, and passes the run over."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.test_utils import create_run_for_test, create_test_daemon_workspace_context
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon

from f5_pipeline.cli.services import set_retry_cursors
from f5_pipeline.orchestration.launching.missed_retries import OLD_SECONDS, YOUNG_SECONDS, show_again

JOBS = """
import dagster as dg

@dg.op
def speak():
    ...

@dg.job
def narrates():
    speak()

defs = dg.Definitions(jobs=[narrates])
"""


def test_a_failure_that_the_daemon_passed_over_is_shown_to_it_again(instance: Any, tmp_path: Path, monkeypatch):
    (tmp_path / "jobs.py").write_text(JOBS)
    set_retry_cursors(instance)
    target = PythonFileTarget(str(tmp_path / "jobs.py"), None, str(tmp_path), "jobs")
    with create_test_daemon_workspace_context(target, instance) as workspace:
        (location,) = workspace.create_request_context().code_locations
        (repository,) = location.get_repositories().values()
        job = repository.get_full_job("narrates")

        def look() -> None:
            daemon = EventLogConsumerDaemon()
            daemon._logger = logging.getLogger("daemon")
            for _ in daemon.run_iteration(workspace):
                pass

        def failed(daemon_looks_in_between: bool) -> str:
            run = create_run_for_test(
                instance,
                "narrates",
                status=dg.DagsterRunStatus.STARTED,
                tags={"dagster/retry_strategy": "ALL_STEPS"},
                job_snapshot=job.job_snapshot,
                remote_job_origin=job.get_remote_origin(),
                job_code_origin=job.get_python_origin(),
            )
            with monkeypatch.context() as patched:
                storage = instance.run_storage
                handle = type(storage).handle_run_event

                def late(self: Any, *args: Any, **kwargs: Any) -> None:
                    look()
                    handle(self, *args, **kwargs)

                if daemon_looks_in_between:
                    patched.setattr(type(storage), "handle_run_event", late)
                instance.report_run_failed(run, "its process is gone")
            return run.run_id

        def retries(run_id: str) -> int:
            return sum(one.parent_run_id == run_id for one in instance.get_runs())

        missed, found = failed(True), failed(False)
        look()
        assert (retries(missed), retries(found)) == (0, 1), "else Dagster has mended it, and the sensor can go"
        now = time.time()
        assert show_again(instance, now) == [] and show_again(instance, now + OLD_SECONDS) == []
        assert show_again(instance, now + YOUNG_SECONDS + 1) == [missed]
        look()
        assert (retries(missed), retries(found)) == (1, 1)
        assert show_again(instance, now + YOUNG_SECONDS + 1) == []

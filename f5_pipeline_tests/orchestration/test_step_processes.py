"""Steps and the process of their run: a step ends when that is gone, whatever it has still to say."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import psutil
import pytest

from f5_pipeline_tests.support.batches import kill
from f5_pipeline_tests.support.flood import GO
from f5_pipeline_tests.support.installation import REPOSITORY, Installation
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.waiting import wait_for

pytestmark = pytest.mark.slow


class Run:
    """A run of a job of `support.flood`, executed by a process of its own."""

    def __init__(self, made: Installation, instance: dg.DagsterInstance, job: str) -> None:
        self.made, self.instance, self.log = made, instance, made.root / "run.log"
        with self.log.open("w") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "f5_pipeline_tests.support.flood", job],
                cwd=REPOSITORY,
                env=made.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def count(self, kind: dg.DagsterEventType) -> int:
        """How many events of this kind the step has written into the instance."""
        assert self.worker.poll() is None, self.log.read_text()
        return sum(len(self.instance.all_logs(run.run_id, of_type=kind)) for run in self.instance.get_runs())

    def step(self) -> psutil.Process:
        """The process of the step."""
        (run,) = self.instance.get_runs()
        (entry,) = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_WORKER_STARTED)
        return psutil.Process(int(str(some(entry.dagster_event).engine_event_data.metadata["pid"].value)))

    def others(self) -> list[psutil.Process]:
        """What else this run has started: fork server, resource tracker."""
        return psutil.Process(self.worker.pid).children(recursive=True)


@pytest.fixture
def start(tmp_path) -> Iterator:
    runs: list[Run] = []
    made = Installation(tmp_path)
    with dg.DagsterInstance.from_config(made.env["DAGSTER_HOME"]) as instance:

        def begin(job: str) -> Run:
            runs.append(Run(made, instance, job))
            return runs[-1]

        yield begin
    for run in runs:  # only after a failure is somebody left
        for process in psutil.process_iter():
            try:
                if process.environ().get("DAGSTER_HOME") == run.made.env["DAGSTER_HOME"]:
                    process.kill()
            except psutil.Error:
                continue
        run.worker.wait()


def ended(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=0.2)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive if process.is_running())


@pytest.mark.parametrize("job", ["forked", "spawned"])
def test_a_step_with_a_full_pipe_ends_when_its_run_is_killed(start, job):
    run = start(job)
    wait_for("the step's first words", lambda: run.count(dg.DagsterEventType.ASSET_OBSERVATION))
    run.worker.send_signal(signal.SIGSTOP)  # nobody reads what the step says from here on
    run.made.write(f"dagster/{GO}", "")
    wait_for("the step's end", lambda: run.count(dg.DagsterEventType.STEP_SUCCESS))
    step, others = run.step(), run.others()
    assert not ended([step]), "it waits for room in its pipe"
    kill(run.worker.pid)
    wait_for("end of the step", lambda: ended([step, *others]))


def test_a_step_that_hears_no_interruption_ends_when_its_run_is_killed(start):
    run = start("deaf")
    wait_for("the step's first words", lambda: run.count(dg.DagsterEventType.ASSET_OBSERVATION))
    step, others = run.step(), run.others()
    kill(run.worker.pid)
    wait_for("end of the step", lambda: ended([step, *others]))

"""A run whose executor takes a step for lost that lives, and tells of its end later, on Dagster's own loop."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from f5_pipeline.orchestration import executors, internals
from f5_pipeline_tests.support.waiting import wait_for


class CutOff(internals.StepHandler):
    """Steps as processes; the first attempt at `speak` counts as lost when it has begun, and ends as told."""

    end = ""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.steps: list[subprocess.Popen[bytes]] = []

    @property
    def name(self) -> str:
        return "cut off"

    def _let_the_first_end(self) -> None:
        (self.folder / "0.end").write_text(self.end)
        self.steps[0].wait()

    def launch_step(self, step_handler_context: Any) -> Iterator[dg.DagsterEvent]:
        yield from ()
        if self.steps and self.end != "before it counts as lost":
            self._let_the_first_end()
        self.steps.append(
            subprocess.Popen([sys.executable, "-m", *step_handler_context.execute_step_args.get_command_args()])
        )

    def check_step_health(self, step_handler_context: Any) -> Any:
        if len(self.steps) > 1:
            return internals.CheckStepHealthResult.healthy()
        wait_for("the first attempt", lambda: (self.folder / "0").exists())
        if self.end == "before it counts as lost":
            self._let_the_first_end()
        return internals.CheckStepHealthResult.unhealthy("its machine does not answer")

    def terminate_step(self, step_handler_context: Any) -> Iterator[dg.DagsterEvent]:
        yield from ()


def _executor(context: Any) -> dg.Executor:
    from dagster._core.execution.retries import RetryMode
    from dagster._core.executor.step_delegating import StepDelegatingExecutor

    return StepDelegatingExecutor(
        CutOff(Path(context.instance.root_directory)), RetryMode.ENABLED, 0.1, check_step_health_interval_seconds=0
    )


@dg.op(retry_policy=dg.RetryPolicy(max_retries=1))
def speak(context: dg.OpExecutionContext) -> int:
    folder = Path(context.instance.root_directory)
    (folder / str(context.retry_number)).touch()
    if context.retry_number == 0:
        wait_for("its end", lambda: (folder / "0.end").exists() and (folder / "0.end").read_text())
        if (folder / "0.end").read_text() == "in failure":
            raise dg.Failure("cut off", allow_retries=False)
    return context.retry_number


@dg.job(
    executor_def=executors.with_near_steps(
        dg.ExecutorDefinition("cut_off", None, dg.multiple_process_executor_requirements(), _executor)
    )
)
def narrates() -> None:
    speak()


@pytest.mark.slow
@pytest.mark.parametrize(("end", "spoken"), [("before it counts as lost", 0), ("in success", 1), ("in failure", 1)])
def test_the_end_of_an_attempt_that_counted_as_lost_is_not_that_of_the_next(tmp_path, monkeypatch, end, spoken):
    monkeypatch.setattr(CutOff, "end", end)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        with dg.execute_job(dg.reconstructable(narrates), instance=instance, raise_on_error=True) as result:
            assert result.success
            assert result.output_for_node("speak") == spoken
        tries = instance.get_records_for_run(result.run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY).records
    assert len(tries) == spoken

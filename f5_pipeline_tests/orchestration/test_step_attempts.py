"""A run whose executor takes a step for lost that lives, and tells of its end later, on Dagster's own loop."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.executor.step_delegating import CheckStepHealthResult
from dagster._core.executor.step_delegating.step_handler import StepHandlerContext

from f5_pipeline_tests.support.pods import PODS, Pods, executor
from f5_pipeline_tests.support.waiting import wait_for


class CutOff(Pods):
    """The first attempt at `speak` counts as lost when it has begun, and ends as told."""

    end = ""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.again = folder, False

    def _let_the_first_end(self) -> None:
        (self.folder / "0.end").write_text(self.end)
        self._processes["speak"].wait()

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        self.again = bool(self._processes)
        if self.again:
            self._let_the_first_end()
        yield from super().launch_step(step_handler_context)

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        if self.again:
            return CheckStepHealthResult.healthy()
        wait_for("the first attempt", lambda: (self.folder / "0").exists())
        if self.end == "before it counts as lost":
            self._let_the_first_end()
        return CheckStepHealthResult.unhealthy("its machine does not answer")


@dg.op(retry_policy=dg.RetryPolicy(max_retries=1))
def speak(context: dg.OpExecutionContext) -> int:
    folder = Path(context.instance.root_directory)
    (folder / str(context.retry_number)).touch()
    if context.retry_number == 0:
        wait_for("its end", lambda: (folder / "0.end").exists() and (folder / "0.end").read_text())
        if (folder / "0.end").read_text() == "in failure":
            raise dg.Failure("cut off", allow_retries=False)
    return context.retry_number


@dg.job(executor_def=executor(lambda context: CutOff(Path(context.instance.root_directory))))
def narrates() -> None:
    speak()


@pytest.mark.slow
@pytest.mark.parametrize(("end", "spoken"), [("before it counts as lost", 0), ("in success", 1), ("in failure", 1)])
def test_the_end_of_an_attempt_that_counted_as_lost_is_not_that_of_the_next(tmp_path, monkeypatch, end, spoken):
    monkeypatch.setattr(CutOff, "end", end)
    monkeypatch.setenv(PODS, str(tmp_path / "started"))
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        with dg.execute_job(dg.reconstructable(narrates), instance=instance, raise_on_error=True) as result:
            assert result.success
            assert result.output_for_node("speak") == spoken
        tries = instance.get_records_for_run(result.run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY).records
    assert len(tries) == spoken

"""Steps as a cluster starts them, each by `dagster api execute_step`, in processes of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.step_delegating import CheckStepHealthResult, StepDelegatingExecutor, StepHandler
from dagster._core.executor.step_delegating.step_handler import StepHandlerContext

from f5_pipeline.orchestration import executors
from f5_pipeline.settings import Settings

PODS = "TEST_PODS"
"""Environment variable: the file that is told which steps were started."""


class Pods(StepHandler):
    @property
    def name(self) -> str:
        return "pods"

    def __init__(self) -> None:
        super().__init__()
        self._processes: dict[str, subprocess.Popen] = {}

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        command = step_handler_context.execute_step_args.get_command_args()
        with Path(os.environ[PODS]).open("a") as log:
            print(self._key(step_handler_context), file=log)
        self._processes[self._key(step_handler_context)] = subprocess.Popen([sys.executable, "-m", *command])
        yield from ()

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        code = self._processes[self._key(step_handler_context)].poll()
        return CheckStepHealthResult.unhealthy(f"it ended with {code}") if code else CheckStepHealthResult.healthy()

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        self._processes[self._key(step_handler_context)].terminate()
        yield from ()

    def _key(self, context: StepHandlerContext) -> str:
        return "".join(context.execute_step_args.step_keys_to_execute or ())  # there is one


def executor(handler: Callable[[dg.InitExecutorContext], StepHandler]) -> dg.ExecutorDefinition:
    """Ours of clusters, over a handler of steps."""

    def made(context: dg.InitExecutorContext) -> dg.Executor:
        return StepDelegatingExecutor(
            handler(context), RetryMode.ENABLED, sleep_seconds=0.2, check_step_health_interval_seconds=1
        )

    made_up = dg.ExecutorDefinition("pods", {}, dg.multiple_process_executor_requirements(), made)
    return executors.with_near_steps(made_up)


def executor_of(settings: Settings) -> dg.ExecutorDefinition:
    """In the place of `orchestration.executors.executor_of`."""
    return executor(lambda context: Pods())

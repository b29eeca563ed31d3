"""Steps of a run on a cluster that its own process can do: a pod or job of their own would take longer to start than
they take."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from typing import Any

import dagster as dg

from f5_pipeline.orchestration import internals
from f5_pipeline.orchestration.step_attempts import Attempts
from f5_pipeline.orchestration.step_processes import WARM, execute_step_command
from f5_pipeline.orchestration.tags import NEAR_TAG


class NearSteps(internals.StepHandler):
    """Hands steps on to a cluster's own handler, but those whose tags say that they are near: they work in processes
    forked beside that of their run, and end with it."""

    def __init__(self, far: Any, attempts: Attempts) -> None:
        super().__init__()
        self._far = far
        self._attempts = attempts
        self._processes: dict[str, Any] = {}
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(WARM)

    @property
    def name(self) -> str:
        return self._far.name

    def launch_step(self, step_handler_context: Any) -> Iterator[dg.DagsterEvent]:
        key = _key_of(step_handler_context)
        self._attempts.began(key)
        if NEAR_TAG not in step_handler_context.step_tags[key]:
            try:
                yield from self._far.launch_step(step_handler_context)
            except RuntimeError:  # of Ray, also where it was told before and its answer was lost
                if not self._far.check_step_health(step_handler_context).is_healthy:
                    raise
            return
        command = step_handler_context.execute_step_args.get_command_args()
        self._processes[key] = self._context.Process(target=execute_step_command, args=(command,), name=key)
        self._processes[key].start()

    def check_step_health(self, step_handler_context: Any) -> Any:
        key = _key_of(step_handler_context)
        self._attempts.began(key)
        process = self._processes.get(key)
        if process is None:
            health = self._far.check_step_health(step_handler_context)
        elif process.exitcode:
            health = internals.CheckStepHealthResult.unhealthy(f"its process ended with {process.exitcode}")
        else:
            health = internals.CheckStepHealthResult.healthy()
        run_id = step_handler_context.execute_step_args.run_id
        if not health.is_healthy and self._attempts.has_ended(step_handler_context.instance, run_id, key):
            return internals.CheckStepHealthResult.healthy()
        return health

    def terminate_step(self, step_handler_context: Any) -> Iterator[dg.DagsterEvent]:
        process = self._processes.get(_key_of(step_handler_context))
        if process is None:
            yield from self._far.terminate_step(step_handler_context)
        else:
            process.terminate()


def _key_of(context: Any) -> str:
    (key,) = context.execute_step_args.step_keys_to_execute
    return key

"""Where steps run: a step that nothing else waits beside, in the process of its run; others in processes of their own,
which are forked, and end with the run that they work for."""

import multiprocessing
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import wait
from multiprocessing.util import register_after_fork
from typing import Any

import dagster as dg

from f5_pipeline.orchestration import internals

GRACE_SECONDS = 5.0
"""How long a step may go on, to keep the takes it has made, after the process of its run is gone."""

WARM = ["f5_pipeline.dagster_host.warm"]
"""What the process has imported that steps are forked from: a fresh interpreter would cost each of them seconds."""

step_executor = dg.multiprocess_executor.configured({"start_method": {"forkserver": {"preload_modules": WARM}}})


def execute_step_command(command: Sequence[str]) -> None:
    """Execute a step by Dagster's own command, in this process."""
    sys.argv = list(command)
    runpy.run_module("dagster", run_name="__main__")


def run_single_steps_in_their_run() -> None:
    """Make Dagster's multiprocess executor run a step in the process of its run where it is the only one.

    A process costs a step 0.3 s, and the first 2 s more: most of the time that a short narration takes. Nothing is lost
    beside it, because nothing else could run. A step that holds a GPU keeps its own: its memory there ends with it.
    """
    internals.multiprocess_executor.execute_step_out_of_process = _execute_step


def keep_gpu_steps_in_their_run() -> None:
    """Run steps that hold a GPU in the process of their run too: for one that keeps its models for the next run."""
    global _gpu_steps_stay
    _gpu_steps_stay = True


_gpu_steps_stay = False

_execute_step_out_of_process = internals.multiprocess_executor.execute_step_out_of_process

_LAST = frozenset(
    {
        dg.DagsterEventType.STEP_SUCCESS,
        dg.DagsterEventType.STEP_FAILURE,
        dg.DagsterEventType.STEP_SKIPPED,
        dg.DagsterEventType.STEP_UP_FOR_RETRY,
    }
)
_over: set[tuple[str, str]] = set()
"""Run and key of the steps whose last event has come; their processes may still be ending."""


def _execute_step(
    multiprocessing_context: Any,
    job: Any,
    step_context: Any,
    step: Any,
    errors: Any,
    processes: Any,
    active: dict[str, Any],
    retries: Any,
    known_state: Any,
    load_data: Any,
) -> Iterator[dg.DagsterEvent | None]:
    """Yield the events of a step, in the place of Dagster's function.

    Args:
        active: by the key of each step that was begun and is not over, the event that would end its process. It must
            not be asked here: a process that ends may take the event's lock along.
    """
    run_id = step_context.run_id
    _over.discard((run_id, step.key))
    alone = all(key == step.key or (run_id, key) in _over for key in active)
    own_process = step.pool is not None and not _gpu_steps_stay
    if own_process or not alone or _has_siblings(step.get_mapping_key(), known_state.dynamic_mappings):
        events = _execute_step_out_of_process(
            multiprocessing_context, job, step_context, step, errors, processes, active, retries, known_state, load_data
        )
    else:
        events = _execute_here(job, step_context, step, retries, known_state, load_data)
    for event in events:
        if event is not None and event.event_type in _LAST:
            _over.add((run_id, step.key))
        yield event


def _execute_here(
    job: Any, step_context: Any, step: Any, retries: Any, known_state: Any, load_data: Any
) -> Iterator[dg.DagsterEvent]:
    run_config = step_context.run_config
    plan = internals.create_execution_plan(
        job,
        run_config=run_config,
        step_keys_to_execute=[step.key],
        known_state=known_state,
        repository_load_data=load_data,
    )
    for event in internals.execute_plan_iterator(
        plan,
        job,
        step_context.dagster_run,
        run_config=run_config,
        retry_mode=retries.for_inner_plan(),
        instance=step_context.instance,
    ):
        yield event
        if event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY and _was_interrupted(event):
            # Dagster tries an interrupted step again; its executor must hear that the run was meant.
            signal.raise_signal(signal.SIGINT)


def _was_interrupted(event: dg.DagsterEvent) -> bool:
    error = event.step_retry_data.error
    while error is not None and error.cls_name not in ("DagsterExecutionInterruptedError", "KeyboardInterrupt"):
        error = error.cause
    return error is not None


def _has_siblings(mapping_key: str | None, mappings: Mapping[str, Mapping[str, Sequence[str] | None]]) -> bool:
    """Whether a step is one of several that another has asked for: one of them may be waiting for a GPU."""
    asked = ([key for keys in outputs.values() for key in keys or ()] for outputs in mappings.values())
    return any(mapping_key in keys and len(keys) > 1 for keys in asked)


def open_databases_once_in_workers() -> None:
    """Make a process that works on a run open Dagster's databases once. A server, which sees many runs, does not.

    Call it where the code location is imported.
    """
    if multiprocessing.parent_process() is not None:
        from f5_pipeline.orchestration.sqlite_storage import keep_databases_open

        keep_databases_open()


def run_is_gone() -> bool:
    """Whether this is a step's process and that of its run is gone."""
    run = multiprocessing.parent_process()
    return run is not None and _is_of_a_step() and not run.is_alive()


def _is_of_a_step() -> bool:
    # The process of a run, which also has a parent, its code server, outlives that.
    target = getattr(multiprocessing.current_process(), "_target", None)
    return target in (internals.run_step_in_child, execute_step_command)


def end_steps_with_their_run() -> None:
    """Make this process, where it is a step's, and every step forked from it end soon after the process of its run,
    however that ended.

    Nothing else would end a step whose run was killed: its parent is the fork server, and it writes its events to a
    pipe that it holds open itself. Call it where the code location is imported: in the fork server, or in the step
    itself where steps are spawned.
    """
    register_after_fork(_watch_run, lambda _: _watch_run())
    _watch_run()


def _watch_run() -> None:
    run = multiprocessing.parent_process()
    if run is not None and _is_of_a_step():
        threading.Thread(target=_end_after, args=(run.sentinel,), name="end-with-run", daemon=True).start()


def _end_after(sentinel: int) -> None:
    """End this process after its run's: interrupt it, as Dagster does where a run is canceled, then exit."""
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    os._exit(1)

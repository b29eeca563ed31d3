"""The processes of steps: how they begin, and that they end with the run that they work for."""

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import wait
from multiprocessing.util import register_after_fork

import dagster as dg

from f5_pipeline.orchestration import internals

GRACE_SECONDS = 5.0
"""How long a step may go on, to keep what it has in hand, after the process of its run is gone."""

# Steps are forked from a process that has imported all this: a fresh interpreter costs each of them seconds.
step_executor = dg.multiprocess_executor.configured(
    {"start_method": {"forkserver": {"preload_modules": ["f5_pipeline.dagster_host.warm"]}}}
)


def end_steps_with_their_run() -> None:
    """Let this process, where it is a step's, and every step that is forked from it end soon after the process of its
    run, however that ended.

    Nobody else would end a step whose run was killed: the fork server is its parent, and what it has left to say goes
    into a pipe that nobody reads, but which the step itself holds open. Call it where the code location is imported:
    that is in the fork server, or in the step itself where steps are spawned.
    """
    register_after_fork(_watch_run, lambda _: _watch_run())
    _watch_run()


def _watch_run() -> None:
    run, process = multiprocessing.parent_process(), multiprocessing.current_process()
    # The process of a run has a parent too, its code server, which it outlives.
    if run is not None and getattr(process, "_target", None) is internals.run_step_in_child:
        threading.Thread(target=_end_after, args=(run.sentinel,), name="end-with-run", daemon=True).start()


def _end_after(sentinel: int) -> None:
    """End this process when its run's does: interrupt it as Dagster does where a run is canceled, then for certain."""
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    os._exit(1)

"""The processes of steps: they are forked, and end with the run that they work for."""

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
"""How long a step may go on, to keep the takes it has made, after the process of its run is gone."""

# Steps are forked from a process that has imported this package: a fresh interpreter would cost each of them seconds.
step_executor = dg.multiprocess_executor.configured(
    {"start_method": {"forkserver": {"preload_modules": ["f5_pipeline.dagster_host.warm"]}}}
)


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
    run, process = multiprocessing.parent_process(), multiprocessing.current_process()
    # The process of a run, which also has a parent, its code server, outlives that.
    if run is not None and getattr(process, "_target", None) is internals.run_step_in_child:
        threading.Thread(target=_end_after, args=(run.sentinel,), name="end-with-run", daemon=True).start()


def _end_after(sentinel: int) -> None:
    """End this process after its run's: interrupt it, as Dagster does where a run is canceled, then exit."""
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    os._exit(1)

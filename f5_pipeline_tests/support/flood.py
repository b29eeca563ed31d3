"""Runs whose one step says more than a pipe holds, executed in a process of their own: `python -m … JOB`."""

import os
import sys
import time
from pathlib import Path

import dagster as dg

from f5_pipeline.orchestration.step_processes import end_steps_with_their_run, step_executor

GO = "go"
"""The file in DAGSTER_HOME that lets the flood begin."""

end_steps_with_their_run()


@dg.op
def flood():
    """One event; then, once it may, 200 of 2 kB: a pipe holds 64 kB."""
    yield dg.AssetObservation("flood")
    while not Path(os.environ["DAGSTER_HOME"], GO).exists():
        time.sleep(0.05)
    for number in range(200):
        yield dg.AssetObservation("flood", description=f"{number} " + 2000 * "x")
    yield dg.Output(None)


@dg.op
def linger():
    """Works on and hears no interruption, as in the depths of a library."""
    yield dg.AssetObservation("linger")
    while True:
        try:
            time.sleep(600)
        except BaseException:
            continue


@dg.job(executor_def=step_executor)
def forked():
    flood()


@dg.job(executor_def=dg.multiprocess_executor.configured({"start_method": {"spawn": {}}}))
def spawned():
    flood()


@dg.job(executor_def=step_executor)
def deaf():
    linger()


if __name__ == "__main__":
    with dg.DagsterInstance.get() as instance:
        from f5_pipeline_tests.support import flood as module

        dg.execute_job(dg.reconstructable(getattr(module, sys.argv[1])), instance)

"""Executes a run that was created, in a process of its own, as the code server starts it: `python -m … RUN_ID`."""

import sys

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.execution.api import execute_run_iterator

from f5_pipeline.dagster_host.runs import MODULE


def work(run_id: str) -> None:
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(run_id)
        assert run
        job = ReconstructableRepository.for_module(MODULE, "defs").get_reconstructable_job(run.job_name)
        for _ in execute_run_iterator(job, run, instance):
            pass


if __name__ == "__main__":
    work(sys.argv[1])

"""Executes a run that was created, in a process of its own, as the code server starts it: `python -m … RUN_ID`."""

import sys

import dagster as dg

from f5_pipeline.dagster_host.runs import MODULE
from f5_pipeline.orchestration.internals import ReconstructableRepository, execute_run_iterator
from f5_pipeline_tests.support.some import some


def work(run_id: str) -> None:
    with dg.DagsterInstance.get() as instance:
        run = some(instance.get_run_by_id(run_id))
        job = ReconstructableRepository.for_module(MODULE, "defs").get_reconstructable_job(run.job_name)
        for _ in execute_run_iterator(job, run, instance):
            pass


if __name__ == "__main__":
    work(sys.argv[1])

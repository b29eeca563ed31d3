"""Executes a run that was created, in a process of its own, as the code server starts it: `python -m … RUN_ID`.

With a path for a second argument it makes that file, and goes no further, before the ledger is told of an end.
"""

import sys
import time
from pathlib import Path

import dagster as dg

from f5_pipeline.dagster_host.runs import MODULE
from f5_pipeline.orchestration.internals import ReconstructableRepository, execute_run_iterator
from f5_pipeline.orchestration.ledger import Ledger
from f5_pipeline_tests.support.some import some


def work(run_id: str) -> None:
    with dg.DagsterInstance.get() as instance:
        run = some(instance.get_run_by_id(run_id))
        job = ReconstructableRepository.for_module(MODULE, "defs").get_reconstructable_job(run.job_name)
        for _ in execute_run_iterator(job, run, instance):
            pass


def hold_at(path: Path) -> None:
    def hold(*_: object, **__: object) -> None:
        path.touch()
        time.sleep(3600)

    Ledger.finish = hold  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    for place in sys.argv[2:]:
        hold_at(Path(place))
    work(sys.argv[1])

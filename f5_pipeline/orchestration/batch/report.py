"""The last step of a batch: what it has done, as a materialization of `batch_report`."""

import time
from typing import Any

import dagster as dg

from f5_pipeline.orchestration.ledger import Ledger
from f5_pipeline.orchestration.lineage import spec
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.metadata import seconds, table
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.orchestration.tags import STEP_RETRIES
from f5_pipeline.settings import get_settings
from f5_pipeline.store import layout
from f5_pipeline.store.records import write_record
from f5_pipeline.studio.narrating.batches import BatchPart, BatchPlan, BatchReport, BatchWork, report_of

MAX_FAILURES_SHOWN = 25
"""Failed narrations that a failed run names one by one; the report has all."""

batch_report = spec(
    "batch_report",
    "What each batch of narrations has done: narrations and minutes finished, seconds of GPUs and what a finished "
    "minute cost, retakes, and failures with their reasons. A materialization is a batch.",
)


@dg.op(
    name="report_batch",
    description="Report what the batch has done; failed where a narration failed.",
    out=dg.Out(dg.Nothing),
    retry_policy=STEP_RETRIES,
    tags={"dagster/compute_kind": "python"},
)
def report_op(
    context: dg.OpExecutionContext,
    store: StoreResource,
    plan: BatchPlan,
    parts: list[BatchPart],
    work: BatchWork,
) -> None:
    with failures():
        settings = get_settings()
        report = report_of(
            plan,
            parts,
            work.shards,
            run=context.run_id,
            ended=time.time(),
            waiting=len(
                Ledger(context.instance).pending(attempts=settings.attempts, failed=True, besides=context.run_id)
            ),
            gpu_hour_cost=settings.gpu_hour_cost,
        )
        write_record(store.open(), layout.batch_report(context.run_id), report)
        context.log_event(dg.AssetMaterialization("batch_report", metadata=report_metadata(report)))
        if report.failed:
            # All else is done and kept; a run with failures must not look like one without.
            raise dg.Failure(
                f"{len(report.failed)} of {len(report.narrations)} narrations failed, the others are done",
                metadata={one.narration: str(one.reason) for one in report.failed[:MAX_FAILURES_SHOWN]},
                allow_retries=False,
            )


def report_metadata(report: BatchReport) -> dict[str, Any]:
    """What the UI shows of a batch."""
    rows = [
        {
            "narration": one.narration,
            "state": "failed" if one.reason else "done",
            "reason": one.reason or "",
            "attempts": one.attempts,
            "length": seconds(one.seconds) if one.seconds else "",
            "engine": one.engine,
            "takes_made": one.takes_made,
            "takes_reused": one.takes_reused,
            "retaken": one.retaken,
            "doubtful": one.doubtful,
        }
        for one in report.narrations
    ]
    minutes = report.audio_seconds / 60
    return {
        "launched_by": report.launcher,
        "narrations_done": len(report.done),
        "narrations_failed": len(report.failed),
        "narrations_waiting": report.waiting,
        "minutes_finished": round(minutes, 2),
        "gpu_seconds": report.gpu_seconds,
        "draft_seconds": report.draft_seconds,
        "takes_made": report.takes_made,
        "retakes": report.retakes,
        "cost": report.cost,
        **({"cost_per_finished_minute": report.cost_per_minute} if report.cost_per_minute is not None else {}),
        "wall_seconds": report.wall_seconds,
        "narrations": table(rows),
    }

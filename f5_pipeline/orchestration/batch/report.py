"""The last step of a batch: its report, a materialization of `batch_report`."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import dagster as dg

from f5_pipeline.orchestration.launching.webhooks import announce_batch
from f5_pipeline.orchestration.ledger import Ledger
from f5_pipeline.orchestration.lineage import spec
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.metadata import format_duration, table
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.orchestration.tags import STEP_RETRIES, light_op_tags
from f5_pipeline.settings import get_settings
from f5_pipeline.store import layout
from f5_pipeline.store.records import write_record
from f5_pipeline.studio.measures import percent
from f5_pipeline.studio.narrating.batches import (
    BatchPart,
    BatchPlan,
    BatchReport,
    BatchWork,
    NarrationOutcome,
    report_of,
)

MAX_FAILURES_SHOWN = 25
"""Failed narrations in the failure of the run; the report has all."""

batch_report = spec(
    "batch_report",
    "The report of each batch: narrations and minutes finished, GPU seconds, the cost of a finished minute, retakes, "
    "and failures with their reasons. A materialization is a batch.",
)


@dg.op(
    name="report_batch",
    description="Report what the batch has done; fails where a narration failed.",
    out=dg.Out(dg.Nothing),
    retry_policy=STEP_RETRIES,
    tags=light_op_tags(),
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
        if settings.webhook:
            announce_batch(Ledger(context.instance), report, settings.webhook)
        if report.failed:
            # All else is done and kept; the failure makes the run stand out.
            raise dg.Failure(
                f"{len(report.failed)} of {len(report.narrations)} narrations failed, the others are done",
                metadata={outcome.narration: str(outcome.reason) for outcome in report.failed[:MAX_FAILURES_SHOWN]},
                allow_retries=False,
            )


def report_metadata(report: BatchReport) -> dict[str, Any]:
    """Metadata of a batch's report."""
    rows = [
        {
            "narration": outcome.narration,
            "state": "postponed" if outcome.postponed else "failed" if outcome.reason else "done",
            "reason": outcome.reason or "",
            "attempts": outcome.attempts,
            "length": format_duration(outcome.seconds) if outcome.seconds else "",
            "engine": outcome.engine,
            "takes_made": outcome.takes_made,
            "takes_reused": outcome.takes_reused,
            "retaken": outcome.retaken,
            "doubtful": outcome.doubtful,
            "word_error_rate": percent(outcome.word_errors, outcome.heard_words) or "",
            "warnings": " ".join(outcome.warnings),
        }
        for outcome in report.narrations
    ]
    minutes, expected = report.audio_seconds / 60, report.expected_gpu_seconds
    return {
        "launched_by": report.launcher,
        "narrations_done": len(report.done),
        "narrations_failed": len(report.failed),
        "narrations_postponed": sum(outcome.postponed for outcome in report.narrations),
        "narrations_waiting": report.waiting,
        "minutes_finished": round(minutes, 2),
        "gpu_seconds": report.gpu_seconds,
        "expected_gpu_seconds": report.expected_gpu_seconds,
        "draft_seconds": report.draft_seconds,
        "gpu_speech_seconds": report.gpu_speech_seconds,
        "draft_speech_seconds": report.draft_speech_seconds,
        "engine_batches": report.engine_batches,
        "engine_batch_frames": report.engine_batch_frames,
        "engine_batch_room": report.engine_batch_room,
        "takes_made": report.takes_made,
        "retakes": report.retakes,
        "takes_delivered": sum(outcome.takes_made + outcome.takes_reused for outcome in report.narrations),
        "takes_doubtful": sum(outcome.doubtful for outcome in report.narrations),
        **word_errors(report.done),
        "cost": report.cost,
        "expected_cost": report.expected_cost,
        **({"bill_to_estimate": round(report.gpu_seconds / expected, 2)} if expected else {}),
        **({"cost_per_finished_minute": report.cost_per_minute} if report.cost_per_minute is not None else {}),
        "wall_seconds": report.wall_seconds,
        "narrations": table(rows),
    }


def word_errors(outcomes: Sequence[NarrationOutcome]) -> dict[str, Any]:
    """Words heard otherwise than they are written, in percent of those listened to: of all, and by model."""
    words, errors = Counter[str](), Counter[str]()
    for outcome in outcomes:
        if outcome.heard_words:
            words[outcome.model or outcome.engine] += outcome.heard_words
            errors[outcome.model or outcome.engine] += outcome.word_errors
    if not words:
        return {}
    rows = [
        {"model": name, "words": words[name], "percent": percent(errors[name], words[name])} for name in sorted(words)
    ]
    return {"word_error_rate": percent(errors.total(), words.total()), "word_error_rates": table(rows)}

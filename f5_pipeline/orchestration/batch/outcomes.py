"""Failures of single narrations in a batch: caught, reported and recorded, so that the others go on."""

from typing import Any

import dagster as dg

from f5_pipeline.errors import PipelineError
from f5_pipeline.orchestration.ledger import Ledger
from f5_pipeline.orchestration.reporting.failures import is_retryable
from f5_pipeline.studio.narrating.batches import NarrationOutcome


def attempt(function: Any, *arguments: Any) -> Any:
    """The result of a call, or the error that it raises."""
    try:
        return function(*arguments)
    except Exception as error:
        return error


def record_failure(
    context: dg.OpExecutionContext, ledger: Ledger, narration: str, version: str, error: Exception
) -> NarrationOutcome:
    """Log and record a narration that failed."""
    is_ours = isinstance(error, PipelineError)
    reason = str(error) if is_ours else f"{type(error).__name__}: {error}"
    context.log.error(f"{narration}: {reason}", exc_info=None if is_ours else error)
    outcome = ledger.finish(narration, version, context.run_id, reason, is_retryable(error))
    # A batch cannot fail a single partition: the observation shows the failure on the partition's page.
    metadata = {"state": "failed", "reason": reason, "attempts": outcome.attempts}
    context.log_event(dg.AssetObservation("download_links", partition=narration, metadata=metadata, description=reason))
    return NarrationOutcome(
        narration=narration, version=version, reason=reason, retryable=is_retryable(error), attempts=outcome.attempts
    )

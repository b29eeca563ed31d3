"""One narration's failure in a batch must not become another's: errors as values, reported and recorded."""

from typing import Any

import dagster as dg

from f5_pipeline.errors import PipelineError
from f5_pipeline.orchestration.ledger import Ledger
from f5_pipeline.orchestration.reporting.failures import is_retryable
from f5_pipeline.studio.narrating.batches import NarrationOutcome


def attempt(work: Any, *arguments: Any) -> Any:
    """What `work` gives, or the error that it raises: one narration's must not become another's."""
    try:
        return work(*arguments)
    except Exception as error:
        return error


def record_failure(
    context: dg.OpExecutionContext, ledger: Ledger, narration: str, version: str, error: Exception
) -> NarrationOutcome:
    """Tell of a narration that failed."""
    ours = isinstance(error, PipelineError)
    reason = str(error) if ours else f"{type(error).__name__}: {error}"
    context.log.error(f"{narration}: {reason}", exc_info=None if ours else error)
    known = ledger.finish(narration, version, context.run_id, reason, is_retryable(error))
    # A batch cannot fail a partition: its page would say nothing.
    told = {"state": "failed", "reason": reason, "attempts": known.attempts}
    context.log_event(dg.AssetObservation("download_links", partition=narration, metadata=told, description=reason))
    return NarrationOutcome(
        narration=narration, version=version, reason=reason, retryable=is_retryable(error), attempts=known.attempts
    )

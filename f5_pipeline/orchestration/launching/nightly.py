"""The nightly batch: all pending narrations, in at most as many runs as there are GPUs."""

from datetime import timezone
from zoneinfo import ZoneInfo

import dagster as dg

from f5_pipeline.errors import InputError
from f5_pipeline.orchestration.batch.job import narrate_batch
from f5_pipeline.orchestration.internals import is_valid_cron_schedule
from f5_pipeline.orchestration.launching.budget import month_of
from f5_pipeline.orchestration.launching.requests import batch_requests, estimated_minutes, max_batches
from f5_pipeline.orchestration.ledger import Ledger
from f5_pipeline.settings import get_settings
from f5_pipeline.studio.narrating.batches import fit_within

OFF = "off"

_settings = get_settings()


def _cron() -> str:
    """The cron schedule; any valid one where the schedule is off (see definitions.py)."""
    if _settings.nightly == OFF:
        return "@daily"
    if not is_valid_cron_schedule(_settings.nightly):
        raise InputError(
            f"F5_NIGHTLY is no cron schedule ({_settings.nightly!r})",
            file="environment",
            hint="Write five fields, for example '0 1 * * *', or off.",
        )
    return _settings.nightly


def timezone_of_nights() -> str:
    try:
        ZoneInfo(_settings.timezone)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise InputError(
            f"F5_TIMEZONE is no time zone ({_settings.timezone!r})",
            file="environment",
            hint="Use a name as Europe/Berlin, or UTC.",
        ) from None
    return _settings.timezone


@dg.schedule(
    name="nightly",
    job=narrate_batch,
    cron_schedule=_cron(),
    execution_timezone=timezone_of_nights(),
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="All narrations that wait: new, edited, and failed with attempts left; by priority, then age.",
)
def nightly(context: dg.ScheduleEvaluationContext):
    settings = get_settings()
    waiting = Ledger(context.instance).pending(attempts=settings.attempts, failed=True)
    chosen = fit_within([(pending, estimated_minutes(pending)) for pending in waiting], settings.nightly_minutes)
    if not chosen:
        return dg.SkipReason("No narration waits.")
    max_cost = settings.nightly_cost
    if month := month_of(context.instance, settings, context.scheduled_execution_time):
        if month.left <= 0:
            return dg.SkipReason(month.refusal)
        max_cost = min(max_cost or month.left, month.left)
    context.log.info(f"{len(chosen)} of {len(waiting)} narrations that wait")
    # In UTC: an hour is repeated where clocks are set back.
    key = f"nightly-{context.scheduled_execution_time.astimezone(timezone.utc):%Y-%m-%dT%H:%MZ}"
    return batch_requests(chosen, max_batches(context.instance), "nightly", key=key, max_cost=max_cost)

"""Narrations and batches that have ended are told to those who asked, by a sensor, until they answer."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone

import dagster as dg

from f5_pipeline.errors import PipelineError
from f5_pipeline.orchestration.ledger import BATCH_JOB, Ledger, Outcome
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.settings import Settings, get_settings
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import find_record
from f5_pipeline.studio.links.making import read_manifest
from f5_pipeline.studio.narrating.batches import BatchReport
from f5_pipeline.studio.records import Links
from f5_pipeline.studio.state import read_state
from f5_pipeline.studio.webhooks import Webhook, open_secrets, send_all
from f5_pipeline.system.addresses import Address, is_public

API_NAME = re.compile(r"-[0-9a-f]{16}$")
"""How names of narrations end that were submitted by HTTP."""

MAX_SENDS = 50
"""In a tick, side by side."""

MAX_BATCHES, MAX_TELLING_SECONDS = 2000, 26 * 3600.0
"""Batches that are looked at, and how long after its end one is told."""

MAX_NARRATIONS_TOLD = 1000

_TICK = threading.Lock()
"""Dagster gives up a tick that takes too long and begins the next one: the first may still be sending."""


def announce_batch(ledger: Ledger, report: BatchReport, url: str) -> None:
    """Let the installation's address be told of a batch."""
    name = f"batch/{report.run}"
    if ledger.webhooks([name]):
        return  # the step is tried again
    failed = len(report.failed)
    hook = Webhook(url=url, title=f"batch by {report.launcher}", trusted=True).with_message(
        report.run,
        "batch",
        time.time(),
        state="failed" if failed else "done",
        title=f"batch by {report.launcher}",
        seconds=report.audio_seconds,
        result=None,
        error=f"{failed} of {len(report.narrations)} narrations failed" if failed else None,
        cost=report.cost,
        narrations_done=len(report.done),
        narrations_failed=failed,
        narrations=[
            {
                "id": outcome.narration,
                "state": "postponed" if outcome.postponed else "failed" if outcome.reason else "done",
                "error": outcome.reason,
            }
            for outcome in report.narrations[:MAX_NARRATIONS_TOLD]
        ],
    )
    ledger.record_webhooks({name: hook})


def tell(
    instance: dg.DagsterInstance,
    open_store: Callable[[], Store],
    settings: Settings,
    now: float,
    allowed: Callable[[Address], bool] = is_public,
) -> dict[str, Webhook]:
    """Make messages of what has ended, and one attempt at each that is due; return those, as they stand after it.

    Args:
        now: POSIX time, s.
        allowed: whether an address that a submission names may be connected to.
    """
    ledger = Ledger(instance)
    if not _TICK.acquire(blocking=False):
        return {}
    try:
        names = [name for name in ledger.narrations() if API_NAME.search(name)]
        hooks = ledger.webhooks([*names, *_recent_batches(instance, settings, now)])
        for name, outcome in ledger.outcomes(names).items():
            before = hooks.get(name)
            if before is None or (outcome.at > before.ended and before.url):
                hook = _message(before, name, outcome, open_store, settings)
                if hook is not None:
                    hooks[name] = hook
                    ledger.record_webhooks({name: hook})
        due = {name: hook for name, hook in hooks.items() if hook.state == "sending" and hook.due <= now}
        first = sorted(due.items(), key=lambda item: item[1].due)[:MAX_SENDS]
        if not first:
            return {}
        # Written before it is sent: an attempt that is killed counts, and is not made again at once.
        begun = {name: hook.begun(now) for name, hook in first}
        keys = open_secrets(settings.home_folder, settings.webhook_secret)
        ledger.record_webhooks(begun)
        answers = send_all(begun.values(), keys, now, allowed)
        told = {name: hook.answered(answer) for (name, hook), answer in zip(begun.items(), answers, strict=True)}
        ledger.record_webhooks(told)
        return told
    finally:
        _TICK.release()


def _recent_batches(instance: dg.DagsterInstance, settings: Settings, now: float) -> list[str]:
    if settings.webhook is None:
        return []
    oldest = datetime.fromtimestamp(now - settings.max_run_hours * 3600 - MAX_TELLING_SECONDS, timezone.utc)
    runs = dg.RunsFilter(job_name=BATCH_JOB, created_after=oldest)
    return [f"batch/{run}" for run in instance.get_run_ids(runs, limit=MAX_BATCHES)]


def _message(
    hook: Webhook | None, narration: str, outcome: Outcome, open_store: Callable[[], Store], settings: Settings
) -> Webhook | None:
    """A message about a narration's end; None where it has not ended, or its records cannot be read now. It has no
    address where nobody asked, so that the store is asked once.

    Args:
        hook: the one about an earlier end.
    """
    state, seconds = outcome.end(settings.attempts), None
    if state is None:
        return None
    try:
        store = open_store()
        hook = hook or find_record(store, layout.webhook(narration), Webhook)
        if hook is None:
            return Webhook(url="", state="delivered", ended=outcome.at)
        if state == "done":
            revision = read_state(store, Links, narration).revision
            seconds = read_manifest(store, narration, revision).audio.seconds
    except PipelineError as error:
        if error.retryable:
            return None
        if hook is None:
            return Webhook(url="", state="failed", ended=outcome.at, answer=error.message)
        # Else it was deleted since, or is damaged: what has ended is told all the same.
    return hook.with_message(
        narration,
        "narration",
        outcome.at,
        state=state,
        title=hook.title,
        seconds=seconds,
        result=f"{settings.base_url}/v1/narrations/{narration}/result" if state == "done" else None,
        error=outcome.reason if state != "done" else None,
    )


@dg.sensor(
    name="webhooks",
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells webhooks of narrations and batches that have ended; launches nothing.",
)
def webhooks(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SkipReason:
    told = tell(context.instance, store.open, get_settings(), time.time())
    for name, hook in told.items():
        if hook.state != "delivered":
            context.log.warning(f"webhook of {name}, attempt {hook.attempts}: {hook.answer}; {hook.state}")
    delivered = sum(hook.state == "delivered" for hook in told.values())
    return dg.SkipReason(f"{delivered} of {len(told)} delivered." if told else "Nothing is to be told.")

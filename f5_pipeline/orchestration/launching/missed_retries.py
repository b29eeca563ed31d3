"""Failed runs that Dagster's daemon is to try again and has passed over.

The daemon tries a run again where it finds the run's failure in the event log. An event is stored before the run counts
as failed: where the daemon looks in between, it takes the run for one that still works, and never looks again.
"""

from __future__ import annotations

import time

import dagster as dg

from f5_pipeline.orchestration.ledger import awaiting_retry

YOUNG_SECONDS = 20.0
"""How long the daemon is left to it: it looks every 5 s."""

OLD_SECONDS = 600.0
"""When a run is given up that the daemon cannot try again: its job is gone, or it belongs to no code location."""

_MAX_EVENTS = 500


def show_again(instance: dg.DagsterInstance, now: float) -> list[str]:
    """Let the daemon look again at the failures that it has passed over; the ids of their runs.

    It tries no run again twice.
    """
    awaiting = awaiting_retry(instance, now, OLD_SECONDS)
    missed = {record.dagster_run.run_id for record in awaiting if now - (record.end_time or now) > YOUNG_SECONDS}
    if not missed:
        return []

    from f5_pipeline.orchestration.internals import retry_cursor_key  # loads Dagster's daemon

    failures = dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_timestamp=now - 2 * OLD_SECONDS)
    events = {
        record.storage_id: record.run_id
        for record in instance.fetch_run_status_changes(failures, limit=_MAX_EVENTS).records
        if record.run_id in missed
    }
    key = retry_cursor_key(dg.DagsterEventType.RUN_FAILURE)
    seen = int(instance.daemon_cursor_storage.get_cursor_values({key}).get(key, 0))
    passed = {storage_id: run for storage_id, run in events.items() if storage_id <= seen}
    if passed:
        instance.daemon_cursor_storage.set_cursor_values({key: str(min(passed) - 1)})
    return sorted(passed.values())


@dg.sensor(
    name="missed_retries",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Shows failed runs again to the daemon that it has passed over; launches nothing.",
)
def missed_retries(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    runs = show_again(context.instance, time.time())
    return dg.SkipReason(f"Shown to the daemon again: {', '.join(runs)}" if runs else "No retry was missed.")

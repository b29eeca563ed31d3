"""What a narration has asked of the bucket, counted as Backblaze B2 bills it."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from f5_pipeline.store.calls import dollars

_KEY = "store_calls_{}"


def calls_metadata(by_class: Mapping[str, int]) -> dict[str, Any]:
    """Metadata: calls of each class. Empty where nothing was asked, as of a folder."""
    return {_KEY.format(name.lower()): times for name, times in by_class.items()} if any(by_class.values()) else {}


def run_calls_metadata(instance: dg.DagsterInstance, run_id: str, now: Mapping[str, int]) -> dict[str, Any]:
    """Metadata: what the steps of a run have asked together, and what it costs at most.

    Args:
        now: of the present step, which has not told its own yet.
    """
    sums = dict(now)
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.HANDLED_OUTPUT):
        event = entry.dagster_event
        told: Mapping[str, Any] = getattr(event.event_specific_data, "metadata", {}) if event else {}
        for name in sums:
            value = told.get(_KEY.format(name.lower()))
            sums[name] += int(value.value) if value is not None else 0
    if not any(sums.values()):
        return {}
    return {
        "calls_of_the_run": ", ".join(f"{times} of class {name}" for name, times in sums.items()),
        "calls_of_the_run_usd": round(dollars(sums), 6),
    }

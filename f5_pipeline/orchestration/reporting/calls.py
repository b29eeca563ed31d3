"""Calls to the bucket for a narration, counted as Backblaze B2 bills them."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from f5_pipeline.store.calls import dollars

_KEY = "store_calls_{}"


def calls_metadata(by_class: Mapping[str, int]) -> dict[str, Any]:
    """Metadata: calls of each class. Empty where there were none, as with a folder."""
    return {_KEY.format(name.lower()): count for name, count in by_class.items()} if any(by_class.values()) else {}


def run_calls_metadata(instance: dg.DagsterInstance, run_id: str, step_calls: Mapping[str, int]) -> dict[str, Any]:
    """Metadata: the calls of all steps of a run, and what they cost at most.

    Args:
        step_calls: those of the present step, whose output is not handled yet.
    """
    totals = dict(step_calls)
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.HANDLED_OUTPUT):
        event = entry.dagster_event
        metadata: Mapping[str, Any] = getattr(event.event_specific_data, "metadata", {}) if event else {}
        for name in totals:
            value = metadata.get(_KEY.format(name.lower()))
            totals[name] += int(value.value) if value is not None else 0
    if not any(totals.values()):
        return {}
    return {
        "calls_of_the_run": ", ".join(f"{count} of class {name}" for name, count in totals.items()),
        "calls_of_the_run_usd": round(dollars(totals), 6),
    }

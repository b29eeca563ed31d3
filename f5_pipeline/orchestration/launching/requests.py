"""Run requests for batches: how many, and with which tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from f5_pipeline.orchestration.ledger import BATCH_JOB, CLAIM_OP, Pending, active_batches, is_delivering
from f5_pipeline.orchestration.tags import GPU_POOL, INTERACTIVE_PRIORITY, PRIORITY_TAG, batch_run_tags
from f5_pipeline.studio.narrating.batches import CHARACTERS_PER_MINUTE, divide

MIN_RUN_MINUTES = 10.0
"""Minutes of narration that justify loading the weights on a further GPU."""


def max_batches(instance: dg.DagsterInstance) -> int:
    """Batches that may run at once: as many as there are GPUs, at least one."""
    limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    return max(1, limits.get(GPU_POOL, 1))


def free_batches(instance: dg.DagsterInstance) -> int:
    """Batches that may begin now: one for each GPU that no batch speaks on. One that has only its delivery left holds
    none, so that the GPU does not wait for it; at most as many deliver as there are GPUs."""
    most, active = max_batches(instance), active_batches(instance)
    return min(most - sum(not is_delivering(instance, run) for run in active), 2 * most - len(active))


def estimated_minutes(pending: Pending) -> float:
    """Estimated length of a narration, from the size of its script."""
    return pending.script.size / CHARACTERS_PER_MINUTE


def batch_config(narrations: Sequence[str], launcher: str, max_cost: float = 0.0) -> dict[str, Any]:
    """Configuration of a run of `narrate_batch`.

    Args:
        narrations: the most urgent first.
        launcher: what launches it, for the report.
        max_cost: what it may be expected to cost; 0: no limit.
    """
    config = {"narrations": list(narrations), "launcher": launcher, **({"max_cost": max_cost} if max_cost else {})}
    return {"ops": {CLAIM_OP: {"config": config}}}


def batch_requests(
    pending: Sequence[Pending],
    max_runs: int,
    launcher: str,
    *,
    key: str | None = None,
    urgent: bool = False,
    max_cost: float = 0.0,
) -> list[dg.RunRequest]:
    """Runs for pending narrations, about equally long: as many as `MIN_RUN_MINUTES` justifies, at most `max_runs`.

    Args:
        launcher: what launches them, for the report.
        key: prefix of the run keys; without one, the ledger alone keeps a narration from being launched twice.
        urgent: whether somebody waits for them.
        max_cost: what all of them may be expected to cost together; 0: no limit.
    """
    if not pending:
        return []
    lengths = [(item.narration, estimated_minutes(item)) for item in pending]
    parts = divide(lengths, max(1, min(max_runs, int(sum(minutes for _, minutes in lengths) / MIN_RUN_MINUTES))))
    order = {item.narration: number for number, item in enumerate(pending)}
    tags = batch_run_tags(launcher) | ({PRIORITY_TAG: str(INTERACTIVE_PRIORITY)} if urgent else {})
    return [
        dg.RunRequest(
            run_key=f"{key}-{number}" if key else None,
            job_name=BATCH_JOB,
            run_config=batch_config(sorted(names, key=order.__getitem__), launcher, max_cost / len(parts)),
            tags=tags,
        )
        for number, names in enumerate(parts)
    ]

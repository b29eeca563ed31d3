"""Launches of batches: how many at once, and with which tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from f5_pipeline.orchestration.ledger import BATCH_JOB, CLAIM_OP, Pending
from f5_pipeline.orchestration.tags import GPU_POOL, INTERACTIVE, PRIORITY_TAG, batch_run_tags
from f5_pipeline.studio.narrating.batches import CHARACTERS_PER_MINUTE, divide

WORTH_A_RUN = 10.0
"""Minutes of narration under which a further GPU is not worth loading the weights there."""


def slots(instance: dg.DagsterInstance) -> int:
    """Batches that may work side by side: as many as there are GPUs, one where there are none."""
    limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    return max(1, limits.get(GPU_POOL, 1))


def minutes_of(pending: Pending) -> float:
    """About how long a narration will be, from the size of its script."""
    return pending.seen.size / CHARACTERS_PER_MINUTE


def batch_config(narrations: Sequence[str], launcher: str) -> dict[str, Any]:
    """Configuration of a run of `narrate_batch`.

    Args:
        narrations: the most urgent first.
        launcher: what launches it, for people.
    """
    return {"ops": {CLAIM_OP: {"config": {"narrations": list(narrations), "launcher": launcher}}}}


def batch_requests(
    pending: Sequence[Pending], most: int, launcher: str, *, key: str | None = None, urgent: bool = False
) -> list[dg.RunRequest]:
    """Runs for narrations that wait: as few as GPUs are worth it, each about as long as the others.

    Args:
        most: runs at most.
        launcher: what launches them, for people.
        key: what makes the run keys; without one, nothing but the ledger keeps a narration from two runs.
        urgent: whether somebody waits for them.
    """
    if not pending:
        return []
    sizes = [(one.narration, minutes_of(one)) for one in pending]
    parts = divide(sizes, max(1, min(most, int(sum(size for _, size in sizes) / WORTH_A_RUN))))
    order = {one.narration: number for number, one in enumerate(pending)}
    tags = batch_run_tags(launcher) | ({PRIORITY_TAG: str(INTERACTIVE)} if urgent else {})
    return [
        dg.RunRequest(
            run_key=f"{key}-{number}" if key else None,
            job_name=BATCH_JOB,
            run_config=batch_config(sorted(names, key=order.__getitem__), launcher),
            tags=tags,
        )
        for number, names in enumerate(parts)
    ]

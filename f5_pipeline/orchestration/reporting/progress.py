"""The progress of steps, as observations of their assets, which the UI and the command line show."""

from __future__ import annotations

import time

import dagster as dg


class ProgressReporter:
    """Reports the progress of a step.

    Args:
        asset: the step's asset.
        partition: the run's, None if it has many.
    """

    INTERVAL_SECONDS = 3.0
    """Minimum between two reports: each is an event in the database."""

    def __init__(self, context: dg.OpExecutionContext | dg.AssetExecutionContext, asset: str, partition: str | None):
        self._context, self._asset, self._partition = context, asset, partition
        self._reported = time.monotonic()

    def __call__(self, what: str, done: int, total: int, **numbers: float) -> None:
        """Report that `done` of `total` are done, if all are or the interval has passed."""
        if done < total and time.monotonic() - self._reported < self.INTERVAL_SECONDS:
            return
        self._reported = time.monotonic()
        self._context.log_event(
            dg.AssetObservation(
                self._asset,
                partition=self._partition,
                description=f"{done} of {total} {what}",
                metadata={"what": what, "done": done, "total": total, **numbers},
            )
        )

"""The figures of an instance: from the ledger, the pool of GPUs, and the reports of batches."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import fields

import dagster as dg

from f5_pipeline.orchestration.ledger import Ledger, active_narrations
from f5_pipeline.orchestration.tags import GPU_POOL
from f5_pipeline.studio.figures import BatchTotals, Figures

MAX_REPORTS = 250
"""Reports of batches that are read at a time."""

_SUMS = [field.name for field in fields(BatchTotals) if field.name != "batches"]


class FiguresReader:
    """Reads the figures of an instance. The store is not asked.

    Reports of batches are read once, in the order of their ends, `MAX_REPORTS` in a call: until all are read, their
    sums are not known.
    """

    def __init__(self, open_instance: Callable[[], dg.DagsterInstance], attempts: int) -> None:
        self._open, self._attempts = open_instance, attempts
        self._totals, self._last, self._cursor = BatchTotals(), 0.0, None
        self._counted: deque[str] = deque(maxlen=100)

    def read(self) -> Figures:
        instance = self._open()
        figures = queue_figures(instance, self._attempts)
        pool = instance.event_log_storage.get_concurrency_info(GPU_POOL)
        figures.gpu_slots, figures.gpu_slots_busy = pool.slot_count, pool.active_slot_count
        if self._read_reports(instance):
            figures.batches, figures.last_batch = self._totals, self._last
        return figures

    def _read_reports(self, instance: dg.DagsterInstance) -> bool:
        """Add the reports that are new to the sums; return whether these are all."""
        page = instance.fetch_materializations(
            dg.AssetKey("batch_report"), limit=MAX_REPORTS, cursor=self._cursor, ascending=True
        )
        for record in page.records:
            materialization = record.asset_materialization
            # The step that reports may be tried again.
            if materialization is None or (record.run_id and record.run_id in self._counted):
                continue
            self._counted.append(record.run_id)
            self._totals.batches += 1
            self._last = max(self._last, record.timestamp)
            for name in _SUMS:  # reports of earlier versions have fewer
                value = materialization.metadata.get(name)
                number = value.value if value is not None else 0
                if isinstance(number, int | float):
                    setattr(self._totals, name, getattr(self._totals, name) + number)
        self._cursor = page.cursor
        return not page.has_more


def queue_figures(instance: dg.DagsterInstance, attempts: int) -> Figures:
    """The figures of the queue.

    Args:
        attempts: maximum attempts at a version of a script.
    """
    ledger = Ledger(instance)
    names = ledger.narrations()
    scripts, outcomes, active = ledger.scripts(names), ledger.outcomes(names), active_narrations(instance)
    waiting = [pending.narration for pending in ledger.pending(attempts=attempts)]
    ends = {
        name: outcome.end(attempts)
        for name, outcome in outcomes.items()
        if name in scripts and outcome.version == scripts[name].version and not scripts[name].retired
    }
    present = [name for name in active if name in scripts and not scripts[name].retired]
    running = [name for name in present if ends.get(name) is None]
    since = [scripts[name].since for name in (*waiting, *running)]
    return Figures(
        running=len(running),
        waiting=len(waiting),
        oldest_seconds=max(0.0, time.time() - min(since)) if since else 0.0,
        failed=sum(end == "failed" for end in ends.values()),
    )

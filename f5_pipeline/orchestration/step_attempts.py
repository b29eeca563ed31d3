"""Attempts at a run's steps on a cluster, of which one that counts as lost may live: its machine was cut off only.

Dagster takes the end of whichever attempt for that of the step, and fails the run where it comes after another.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

_STARTS = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED}
_ENDS = {dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.STEP_UP_FOR_RETRY}
_OF_ONE_ATTEMPT = {*_ENDS, dg.DagsterEventType.STEP_OUTPUT}


class Attempts:
    """Knows which steps of a run are at work, and passes over what an attempt tells that counted as lost."""

    def __init__(self) -> None:
        self._at_work: dict[str, int | None] = {}  # the process that has told of its start
        self._lost: set[tuple[str, int]] = set()
        self._ends: Counter[str] = Counter()

    def began(self, key: str) -> None:
        """A step is at work: it has been launched, or is found so."""
        self._at_work.setdefault(key, None)

    def current(self, read: Callable[..., Sequence[dg.DagsterEvent]]) -> Callable[..., list[dg.DagsterEvent]]:
        """An executor's reading of new events of its run, without those of attempts that count as lost."""

        def read_current(*args: Any) -> list[dg.DagsterEvent]:
            # Before any step is at work, those of a run that is resumed are read.
            events, resumed = read(*args), not self._at_work
            return [event for event in events if self._counts(event) or resumed]

        return read_current

    def _counts(self, event: dg.DagsterEvent) -> bool:
        key, pid = event.step_key, event.pid
        if key is None or pid is None:
            return True
        if event.event_type in _STARTS:
            self._lost.discard((key, pid))  # containers have the same numbers again
            if key in self._at_work:
                self._at_work[key] = pid
        if event.event_type not in _OF_ONE_ATTEMPT:
            return True
        ends = event.event_type in _ENDS
        self._ends[key] += ends
        if key not in self._at_work or (key, pid) in self._lost:
            return False
        if ends:
            worker = self._at_work.pop(key)
            if worker is not None and worker != pid == os.getpid():  # the executor itself has given it up
                self._lost.add((key, worker))
        return True

    def has_ended(self, instance: dg.DagsterInstance, run_id: str, key: str) -> bool:
        """Whether the log holds an end of a step's attempt that has not been read yet."""
        records = instance.get_records_for_run(run_id, of_type=_ENDS).records
        return sum(record.event_log_entry.step_key == key for record in records) > self._ends[key]

"""What the HTTP API may ask of the in-box: look now, how far is it, cancel, try again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

import dagster as dg

from f5_pipeline.orchestration.internals import PARTITION_NAME_TAG
from f5_pipeline.orchestration.ledger import ACTIVE, BATCH_JOB, SINGLE_JOB, Ledger, narrations_of
from f5_pipeline.orchestration.reporting.figures import FiguresReader
from f5_pipeline.orchestration.reporting.removals import report_removal, runs_of
from f5_pipeline.orchestration.reporting.states import narration_states
from f5_pipeline.settings import Settings
from f5_pipeline.store.base import Store
from f5_pipeline.studio.figures import Figures
from f5_pipeline.studio.narrating.scripts import script_version
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.removal import Receipt
from f5_pipeline.studio.state import NarrationState
from f5_pipeline.studio.webhooks import Webhook


class InboxDesk:
    """Implements `gateway.api.port.Desk` on an instance, which is opened at the first call."""

    def __init__(
        self, open_instance: Callable[[], dg.DagsterInstance], store: Store, options: StudioOptions, settings: Settings
    ) -> None:
        self._open, self._store, self._options, self._settings = open_instance, store, options, settings
        self._figures = FiguresReader(open_instance, settings.attempts)
        self._calls: list[str] = []
        self._calling, self._writing = threading.Lock(), threading.Lock()

    def call(self, narration: str) -> None:
        with self._calling:
            self._calls.append(narration)
        with (
            self._writing
        ):  # who comes next writes for all that wait here: in a burst, a write each would take its time
            with self._calling:
                names, self._calls = self._calls, []
            if names:
                Ledger(self._open()).call(names)

    def state(self, narration: str) -> NarrationState:
        return self.states([narration])[narration]

    def states(self, narrations: Collection[str]) -> dict[str, NarrationState]:
        instance = self._open()
        outcomes = Ledger(instance).outcomes(narrations)
        states = {}
        for state in narration_states(instance, self._store, self._options, narrations):
            outcome = outcomes.get(state.narration)
            if state.state == "failed" and outcome and outcome.retryable and outcome.attempts < self._settings.attempts:
                state = state.model_copy(update={"state": "planned"})  # the in-box tries it again by itself
            states[state.narration] = state
        return states

    def cancel(self, narration: str) -> None:
        instance = self._open()
        Ledger(instance).cancel(narration, script_version(self._store, narration), "canceled by its owner")
        for run in instance.get_runs(dg.RunsFilter(statuses=ACTIVE)):
            alone = run.job_name == BATCH_JOB and narrations_of(run) == [narration]
            if alone or (run.job_name == SINGLE_JOB and run.tags.get(PARTITION_NAME_TAG) == narration):
                instance.run_coordinator.cancel_run(run.run_id)

    def runs(self, narrations: Collection[str]) -> list[str]:
        return runs_of(self._open(), self._store, narrations)

    def removed(self, receipt: Receipt) -> None:
        report_removal(self._open(), self._store, receipt)

    def webhook(self, narration: str) -> Webhook | None:
        return Ledger(self._open()).webhooks([narration]).get(narration)

    def figures(self) -> Figures:
        return self._figures.read()

    def retry(self, narration: str) -> None:
        ledger = Ledger(self._open())
        ledger.retry(narration, script_version(self._store, narration))
        ledger.call([narration])

"""The states of narrations: from the store, the ledger and the runs of this instance."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import dagster as dg

from f5_pipeline.orchestration.ledger import Ledger, active_narrations
from f5_pipeline.store.base import Store
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.overview import OnProgress, overview
from f5_pipeline.studio.state import NarrationState, standing, with_attempt

_RUNS_ASKED = 1000
"""Runs asked for at once: SQLite takes 32,766 values in a query."""


def narration_states(
    instance: dg.DagsterInstance,
    store: Store,
    options: StudioOptions,
    narrations: Collection[str] | None = None,
    *,
    on_progress: OnProgress = lambda done, total: None,
) -> Iterator[NarrationState]:
    """The state of each narration, sorted by name; those whose scripts were removed are retired.

    Of one narration alone each take is looked for; of several, what is delivered is taken to miss none.

    Args:
        narrations: only these; of several, those that have no script are left out.
        on_progress: see `overview`.

    Raises:
        InputError: the only one has no script.
    """
    ledger = Ledger(instance)
    if narrations is not None and len(narrations) == 1:
        standings = {name: standing(store, name, options) for name in narrations}
    else:
        standings = overview(store, options, narrations, on_progress=on_progress)
    scripts = ledger.scripts(ledger.narrations()) if narrations is None else {}
    retired = {name for name, script in scripts.items() if script.retired}
    outcomes, active = ledger.outcomes(set(standings)), active_narrations(instance)
    runs = _run_states(instance, {outcome.run for outcome in outcomes.values()})
    for name in sorted(standings.keys() | retired):
        if name in retired:
            yield NarrationState(narration=name, state="retired")
            continue
        outcome = outcomes.get(name)
        failed = outcome.version if outcome and outcome.state == "failed" else None
        reason = outcome.reason if outcome else None
        state = with_attempt(standings[name], failed, reason, running=name in active)
        yield state.model_copy(update={"run": runs.get(outcome.run) if outcome else None})


def _run_states(instance: dg.DagsterInstance, run_ids: set[str]) -> dict[str, str]:
    """Dagster's status of runs, by id; ids of command line processes are left out."""
    ids = sorted(run_id for run_id in run_ids if "/" not in run_id)
    groups = (ids[first : first + _RUNS_ASKED] for first in range(0, len(ids), _RUNS_ASKED))
    runs = (run for group in groups for run in instance.get_runs(dg.RunsFilter(run_ids=group)))
    return {run.run_id: run.status.value.lower() for run in runs}

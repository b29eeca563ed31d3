"""The states of narrations: from the store, the ledger and the runs of this instance."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import dagster as dg

from f5_pipeline.orchestration.ledger import Ledger, active_narrations
from f5_pipeline.store.base import Store
from f5_pipeline.studio.narrating.scripts import list_scripts
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.state import NarrationState, narration_state


def narration_states(
    instance: dg.DagsterInstance, store: Store, options: StudioOptions, narrations: Collection[str] | None = None
) -> Iterator[NarrationState]:
    """The state of each narration, sorted by name; those whose scripts were removed are retired.

    Args:
        narrations: only these.
    """
    ledger = Ledger(instance)
    names = {name for name, _ in list_scripts(store)} if narrations is None else set(narrations)
    scripts = ledger.scripts(ledger.narrations()) if narrations is None else {}
    retired = {name for name, script in scripts.items() if script.retired}
    outcomes, active = ledger.outcomes(names), active_narrations(instance)
    runs = _run_states(instance, {outcome.run for outcome in outcomes.values()})
    for name in sorted(names | retired):
        if name in retired:
            yield NarrationState(narration=name, state="retired")
            continue
        outcome = outcomes.get(name)
        failed = outcome is not None and outcome.state == "failed"
        state = narration_state(
            store,
            name,
            options,
            failed_version=outcome.version if outcome and failed else None,
            reason=outcome.reason if outcome else None,
            running=name in active,
        )
        yield state.model_copy(update={"run": runs.get(outcome.run) if outcome else None})


def _run_states(instance: dg.DagsterInstance, run_ids: set[str]) -> dict[str, str]:
    """Dagster's status of runs, by id; ids of command line processes are left out."""
    ids = sorted(run_id for run_id in run_ids if "/" not in run_id)
    runs = instance.get_runs(dg.RunsFilter(run_ids=ids)) if ids else []
    return {run.run_id: run.status.value.lower() for run in runs}

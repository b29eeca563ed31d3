"""Removals and Dagster: what works on a narration, what runs left in the store, and what Dagster is told afterwards."""

from __future__ import annotations

from collections.abc import Collection

import dagster as dg

from f5_pipeline.orchestration.internals import PARTITION_NAME_TAG
from f5_pipeline.orchestration.ledger import ACTIVE, Ledger, active_narrations, narrations_of
from f5_pipeline.orchestration.reporting.observations import report_lexicon, report_state
from f5_pipeline.store.base import Store
from f5_pipeline.studio.lexicon import load_lexicon
from f5_pipeline.studio.narrating.scripts import list_scripts, script_version
from f5_pipeline.studio.removal import REMOVED, Receipt, busy, check_idle

GONE = "removed"
"""Version of a source that is there no more."""


def check_no_run(instance: dg.DagsterInstance, store: Store, narrations: Collection[str]) -> None:
    """Raise InputError where a run or a worker of the queue makes one of these narrations."""
    for name in sorted(set(narrations) & active_narrations(instance)):
        raise busy(name)
    check_idle(store, narrations)


def runs_of(instance: dg.DagsterInstance, store: Store, narrations: Collection[str]) -> list[str]:
    """Ended runs that have left values in the store and worked on one of these narrations."""
    wanted, kept = set(narrations), list(store.folders("runs/"))
    runs = instance.get_runs(dg.RunsFilter(run_ids=kept)) if kept and wanted else []
    return [
        run.run_id
        for run in runs
        if run.status not in ACTIVE and wanted & {*narrations_of(run), run.tags.get(PARTITION_NAME_TAG)}
    ]


def report_removal(instance: dg.DagsterInstance, store: Store, receipt: Receipt) -> None:
    """Report to Dagster what was removed: scripts are retired, as where their files are taken out of the store."""
    ledger = Ledger(instance)
    metadata = {"state": "removed", "receipt": receipt.receipt}
    if receipt.kind == "voice":
        report_state(instance, "voice_recording", receipt.name, GONE, metadata)
        _observe(instance, "reference_audio", receipt.name, metadata)
    known, scripts = ledger.scripts(receipt.narrations), dict(list_scripts(store))
    for name in receipt.narrations:
        if receipt.kind == "script":
            version = known[name].version if name in known else GONE
            report_state(instance, "script", name, version, metadata | {"state": "retired: its script was removed"})
        elif name in scripts:
            ledger.cancel(name, script_version(store, name), REMOVED)
        for asset in ("narration_audio", "download_links"):
            _observe(instance, asset, name, metadata)
    if receipt.kind == "script":
        retired = {name: state.model_copy(update={"retired": True}) for name, state in known.items()}
        ledger.record_scripts(retired)
    if receipt.entries:
        report_lexicon(instance, load_lexicon(store))


def _observe(instance: dg.DagsterInstance, asset: str, partition: str, metadata: dict[str, str]) -> None:
    instance.report_runless_asset_event(dg.AssetObservation(asset, partition=partition, metadata=metadata))

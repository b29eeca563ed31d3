"""The lineage, once: every asset, what it is made from, the record it is kept as, and how it is shown.

Definitions, jobs, the IO manager, the delivery of batches, materializations that a step logs itself, the state of a
narration and the command line's progress are made from this table. The assets themselves are in `assets/`, a file each,
and are declared by `@asset`, which takes all but the function and its checks from here.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import BaseModel

from f5_pipeline.orchestration.partitions import NARRATIONS, VOICES
from f5_pipeline.orchestration.tags import STEP_RETRIES
from f5_pipeline.studio.records import Audio, Links, Plan, ReferenceClip, Takes, Timings, Weights

# Data versions of outputs are marked as beta. They are what tells stale from fresh here, and the tests watch over them.
warnings.filterwarnings("ignore", message="Parameter `data_version`", category=dg.BetaWarning)


@dataclass(frozen=True)
class Asset:
    """A row of the lineage.

    Attributes:
        name: its key in Dagster.
        record: what it is kept as in the store (`studio.state` has the key); None for what people bring.
        upstream: names of what it is made from. Of one with other partitions than its own it takes all there is.
        partitions: one a voice, one a narration; None for an asset that is one thing.
        group, kinds: how the UI shows it.
        code_version: changes when the same inputs would give another output.
        stage: what the command line calls the making of it.
    """

    name: str
    record: type[BaseModel] | None = None
    upstream: tuple[str, ...] = ()
    partitions: dg.DynamicPartitionsDefinition | None = NARRATIONS
    group: str = "narration"
    kinds: frozenset[str] = frozenset({"python"})
    code_version: str | None = None
    stage: str = ""


_ROWS = (
    Asset("model_weights", Weights, partitions=None, group="models", code_version="2", stage="weights"),
    Asset("voice_recording", partitions=VOICES, group="voices", kinds=frozenset({"file"})),
    Asset(
        "reference_audio", ReferenceClip, ("voice_recording",), VOICES, "voices", code_version="2", stage="reference"
    ),
    Asset("script", kinds=frozenset({"markdown", "file"})),
    Asset(
        "narration_plan",
        Plan,
        ("script", "model_weights", "reference_audio"),
        code_version="1",
        stage="planning",
    ),
    Asset("takes", Takes, ("narration_plan", "model_weights", "reference_audio"), code_version="1", stage="takes"),
    Asset("narration_audio", Audio, ("narration_plan", "takes"), code_version="1", stage="assembling"),
    Asset(
        "timing_files",
        Timings,
        ("narration_plan", "narration_audio"),
        kinds=frozenset({"csv", "json"}),
        code_version="1",
        stage="timing files",
    ),
    Asset("download_links", Links, ("timing_files",), code_version="2", stage="links"),
    Asset("batch_report", upstream=("download_links",), partitions=None, kinds=frozenset({"json"})),
)

LINEAGE: Mapping[str, Asset] = {row.name: row for row in _ROWS}

NARRATION_ASSETS = tuple(row.name for row in _ROWS if row.record and row.partitions is NARRATIONS)
"""What a script becomes, in order: one run of the job `narrate`, or a part of a batch."""

STEP_STAGES = {
    "takes.plan_shards": "finding missing takes",
    "takes.synthesize_shard": "synthesizing",
    "takes.draft_shard": "synthesizing drafts",
    "takes.gather_takes": "gathering takes",
    "plan_batch": "planning",
    "synthesize_shard": "synthesizing",
    "draft_shard": "synthesizing drafts",
    "gather_shards": "gathering takes",
    "deliver_narrations": "delivering",
    "report_batch": "report",
}
"""Stages of the ops inside the graph asset `takes` and the job `narrate_batch`, by step key without its index."""


def stage_of(step_key: str) -> str | None:
    """What the command line calls a step; None for one that it does not show."""
    name = step_key.partition("[")[0]
    row = LINEAGE.get(name)
    return STEP_STAGES.get(name) or (row.stage if row else None)


def uses_all_partitions(row: Asset, upstream: str) -> bool:
    """Whether an asset is made from all of an upstream asset, and not from the partition of its own name."""
    return LINEAGE[upstream].partitions is not row.partitions


def _mapping(row: Asset, upstream: str) -> dg.PartitionMapping | None:
    if LINEAGE[upstream].partitions is None or not uses_all_partitions(row, upstream):
        return None
    # All of them: which of the voices speak is known only from the script; those needed are read from the store.
    return dg.AllPartitionMapping()


def _shown(row: Asset) -> dict[str, Any]:
    return {
        "partitions_def": row.partitions,
        "group_name": row.group,
        "kinds": set(row.kinds),
        "code_version": row.code_version,
    }


def asset(
    function: Callable[..., Any] | None = None, *, checks: Mapping[str, str] | None = None
) -> Any:  # dg.AssetsDefinition, or a decorator that makes one
    """Declare the asset of the function's name as its row of the lineage says.

    Upstream assets that are parameters of the function are loaded; the others are dependencies.

    Args:
        checks: description of each of its checks, by name.
    """

    def declare(function: Callable[..., Any]) -> dg.AssetsDefinition:
        row = LINEAGE[function.__name__]
        not_loaded = [name for name in row.upstream if name not in inspect.signature(function).parameters]
        return dg.asset(
            **_shown(row),
            retry_policy=STEP_RETRIES,
            deps=[dg.AssetDep(name, partition_mapping=_mapping(row, name)) for name in not_loaded],
            check_specs=[_check(row, name, text) for name, text in (checks or {}).items()],
        )(function)

    return declare(function) if function is not None else declare


def graph_asset(*, loaded: str) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Declare an asset of several steps, which takes many partitions in one run, as its row says.

    Args:
        loaded: the upstream asset whose value is handed in; the others only have to be there.
    """

    def declare(function: Callable[..., Any]) -> dg.AssetsDefinition:
        row = LINEAGE[function.__name__]
        only_there: dict[str, Any] = {"dagster_type": dg.Nothing}
        return dg.graph_asset(
            **_shown(row),
            backfill_policy=dg.BackfillPolicy.single_run(),
            ins={
                name: dg.AssetIn(name, partition_mapping=_mapping(row, name), **({} if name == loaded else only_there))
                for name in row.upstream
            },
        )(function)

    return declare


def spec(name: str, description: str) -> dg.AssetSpec:
    """An asset that no run of an asset job makes: what people bring, and reports."""
    row = LINEAGE[name]
    return dg.AssetSpec(name, deps=list(row.upstream), description=description, **_shown(row))


def _check(row: Asset, name: str, description: str) -> dg.AssetCheckSpec:
    """A check with a result for each partition, which Dagster calls a preview: without it the last voice or narration
    would speak for all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(name, asset=row.name, description=description, partitions_def=row.partitions)

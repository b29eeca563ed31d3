"""The lineage: a table of every asset, what it is made from, the record it is kept as, and how it is shown.

Definitions, jobs, the IO manager, batches, materializations that a step logs itself, states of narrations and the
progress on the command line all use it. The assets themselves are in `assets/`, one file each, declared by `@asset`,
which takes everything but the function and its checks from here.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import BaseModel

from f5_pipeline.orchestration.partitions import MONTHS, NARRATIONS, VOICES
from f5_pipeline.orchestration.tags import STEP_RETRIES, light_op_tags
from f5_pipeline.studio.records import Audio, Links, Plan, ReferenceClip, Takes, Timings, Weights

# Dagster marks data versions of outputs as beta. They decide what is stale here; tests cover them.
warnings.filterwarnings("ignore", message="Parameter `data_version`", category=dg.BetaWarning)


@dataclass(frozen=True)
class Asset:
    """A row of the lineage.

    Attributes:
        name: its key in Dagster.
        record: type of its record in the store (`studio.state` has the key); None for what people bring.
        upstream: assets it is made from; from those with other partitions than its own it uses all partitions.
        partitions: a voice, a narration or a month each; None for an asset without partitions.
        group, kinds: how the UI shows it.
        code_version: changes when the same inputs would give another output.
        stage: the command line's name for its step.
    """

    name: str
    record: type[BaseModel] | None = None
    upstream: tuple[str, ...] = ()
    partitions: dg.PartitionsDefinition | None = NARRATIONS
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
    Asset("lexicon", partitions=None, kinds=frozenset({"csv", "file"})),
    Asset(
        "narration_plan",
        Plan,
        ("script", "lexicon", "model_weights", "reference_audio"),
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
    Asset("measures", upstream=("narration_audio",), partitions=MONTHS, group="quality", kinds=frozenset({"parquet"})),
    Asset("batch_report", upstream=("download_links",), partitions=None, kinds=frozenset({"json"})),
)

LINEAGE: Mapping[str, Asset] = {row.name: row for row in _ROWS}

NARRATION_ASSETS = tuple(row.name for row in _ROWS if row.record and row.partitions is NARRATIONS)
"""What a script becomes, in order, in a run of the job `narrate` or in a batch."""

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
    """The command line's name for a step; None for one that it does not show."""
    name = step_key.partition("[")[0]
    row = LINEAGE.get(name)
    return STEP_STAGES.get(name) or (row.stage if row else None)


def uses_all_partitions(row: Asset, upstream: str) -> bool:
    """Whether an asset uses all partitions of an upstream asset, not only the one of its own name."""
    return LINEAGE[upstream].partitions is not row.partitions


def _partition_mapping(row: Asset, upstream: str) -> dg.PartitionMapping | None:
    if LINEAGE[upstream].partitions is None or not uses_all_partitions(row, upstream):
        return None
    # Only the script says which voices speak; the references needed are read from the store.
    return dg.AllPartitionMapping()


def _attributes(row: Asset) -> dict[str, Any]:
    return {
        "partitions_def": row.partitions,
        "group_name": row.group,
        "kinds": set(row.kinds),
        "code_version": row.code_version,
    }


def asset(
    function: Callable[..., Any] | None = None, *, checks: Mapping[str, str] | None = None
) -> Any:  # dg.AssetsDefinition, or a decorator that makes one
    """Declare an asset by the row of the lineage with the function's name.

    Upstream assets that are parameters of the function are loaded; the others are dependencies.

    Args:
        checks: descriptions of its checks, by name.
    """

    def declare(function: Callable[..., Any]) -> dg.AssetsDefinition:
        row = LINEAGE[function.__name__]
        not_loaded = [name for name in row.upstream if name not in inspect.signature(function).parameters]
        return dg.asset(
            **_attributes(row),
            retry_policy=STEP_RETRIES,
            op_tags=light_op_tags(),
            deps=[dg.AssetDep(name, partition_mapping=_partition_mapping(row, name)) for name in not_loaded],
            check_specs=[_check_spec(row, name, text) for name, text in (checks or {}).items()],
        )(function)

    return declare(function) if function is not None else declare


def graph_asset(*, loaded: str) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Declare an asset of several steps, which makes many partitions in one run.

    Args:
        loaded: the upstream asset whose value is loaded; the others are dependencies.
    """

    def declare(function: Callable[..., Any]) -> dg.AssetsDefinition:
        row = LINEAGE[function.__name__]
        not_loaded: dict[str, Any] = {"dagster_type": dg.Nothing}

        def asset_in(name: str) -> dg.AssetIn:
            kind = {} if name == loaded else not_loaded
            return dg.AssetIn(name, partition_mapping=_partition_mapping(row, name), **kind)

        return dg.graph_asset(
            **_attributes(row),
            backfill_policy=dg.BackfillPolicy.single_run(),
            ins={name: asset_in(name) for name in row.upstream},
        )(function)

    return declare


def spec(name: str, description: str) -> dg.AssetSpec:
    """An asset that no asset job makes: what people bring, and reports."""
    row = LINEAGE[name]
    return dg.AssetSpec(name, deps=list(row.upstream), description=description, **_attributes(row))


def _check_spec(row: Asset, name: str, description: str) -> dg.AssetCheckSpec:
    """A check with a result for each partition, which Dagster marks as a preview: without it, the last voice or
    narration would decide the result for all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(name, asset=row.name, description=description, partitions_def=row.partitions)

"""Materializations that a step tells itself, of one partition among many: as a run of the asset alone would."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
from pydantic import BaseModel

from f5_pipeline.orchestration.io_manager import write_asset
from f5_pipeline.orchestration.reporting.calls import calls_metadata
from f5_pipeline.orchestration.reporting.provenance import materialization_tags
from f5_pipeline.store.base import Store

UPSTREAM = {
    "model_weights": (),
    "reference_audio": ("voice_recording",),
    "narration_plan": ("script", "model_weights", "reference_audio"),
    "takes": ("narration_plan", "model_weights", "reference_audio"),
    "narration_audio": ("narration_plan", "takes"),
    "timing_files": ("narration_plan", "narration_audio"),
    "download_links": ("timing_files",),
}
"""What each asset is made from, as the lineage has it."""

WHOLE = ("model_weights", "reference_audio")
"""Upstream assets of which a narration takes all there is, not the partition of its own name."""


def materialize(
    context: dg.OpExecutionContext,
    store: Store,
    asset: str,
    partition: str | None,
    record: BaseModel,
    *,
    data_version: str,
    code_version: str,
    metadata: Mapping[str, Any],
    checks: Iterable[dg.AssetCheckResult] = (),
) -> None:
    """Keep the value of an asset and tell Dagster of it, with what it was made from."""
    write_asset(store, asset, partition, record)
    inputs = {name: None if name in WHOLE else partition for name in UPSTREAM[asset]}
    tags = materialization_tags(context.instance, data_version=data_version, code_version=code_version, inputs=inputs)
    told = {**metadata, **calls_metadata(store.calls.take())}
    context.log_event(dg.AssetMaterialization(asset, partition=partition, metadata=told, tags=tags))
    for check in checks:
        context.log_event(
            # It takes them; its hints do not say so.
            dg.AssetCheckEvaluation(  # type: ignore[arg-type]
                asset_key=dg.AssetKey(asset),
                check_name=str(check.check_name),
                passed=check.passed,
                metadata=check.metadata,
                severity=check.severity,
                description=check.description,
                partition=partition,
            )
        )

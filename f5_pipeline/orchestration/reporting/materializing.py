"""New values of assets, reported to Dagster by a run of the asset or by a step that makes many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import dagster as dg
from pydantic import BaseModel

from f5_pipeline.orchestration.lineage import LINEAGE, uses_all_partitions
from f5_pipeline.orchestration.reporting.calls import calls_metadata
from f5_pipeline.orchestration.reporting.provenance import materialization_tags
from f5_pipeline.store.base import Store
from f5_pipeline.studio.state import write_state

Record = TypeVar("Record", bound=BaseModel)


@dataclass(frozen=True)
class Product(Generic[Record]):
    """A new value of an asset.

    Attributes:
        record: the value.
        data_version: changes whenever downstream assets must be made again.
        metadata: what the UI shows.
        checks: results of the asset's checks.
    """

    record: Record
    data_version: str
    metadata: Mapping[str, Any]
    checks: Sequence[dg.AssetCheckResult] = ()

    def outputs(self) -> Iterator[dg.Output[Record] | dg.AssetCheckResult]:
        """For the function of an asset to yield."""
        yield dg.Output(self.record, data_version=dg.DataVersion(self.data_version), metadata=dict(self.metadata))
        yield from self.checks


def materialize(
    context: dg.OpExecutionContext, store: Store, asset: str, partition: str | None, product: Product[Record]
) -> Record:
    """Keep the value of one partition and log its materialization and checks, as a run of the asset would."""
    row = LINEAGE[asset]
    write_state(store, product.record, partition or "")
    tags = materialization_tags(
        context.instance,
        data_version=product.data_version,
        code_version=str(row.code_version),
        inputs={name: None if uses_all_partitions(row, name) else partition for name in row.upstream},
        observed=[name for name in row.upstream if LINEAGE[name].record is None],
    )
    metadata = {**product.metadata, **calls_metadata(store.calls.take())}
    context.log_event(dg.AssetMaterialization(asset, partition=partition, metadata=metadata, tags=tags))
    for check in product.checks:
        context.log_event(
            # log_event takes evaluations; its annotation does not say so.
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
    return product.record

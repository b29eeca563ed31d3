"""The store as IO manager: records in and out, of one partition or of many.

What assets hand each other are small records (pydantic models) that point to the large objects beside them, which
assets put into the store themselves: audio is never held in memory here, nor pickled.
"""

from typing import Any

import dagster as dg
from pydantic import BaseModel

from f5_pipeline.errors import NotFoundError, StoreError
from f5_pipeline.orchestration.lineage import LINEAGE
from f5_pipeline.orchestration.reporting.calls import calls_metadata
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.store import layout
from f5_pipeline.store.records import read_record, write_record
from f5_pipeline.studio.narrating.batches import BatchGroup, BatchPart, BatchPlan, BatchWork
from f5_pipeline.studio.records import Shard, ShardReport
from f5_pipeline.studio.state import read_state, state_key, write_state

ALLOW_MISSING = "allow_missing_partitions"
"""Metadata of an input: partitions of the upstream asset whose value is not there, or cannot be read, are left out."""


STEPS: dict[str, type[BaseModel]] = {
    kind.__name__: kind for kind in (Shard, ShardReport, BatchPlan, BatchWork, BatchGroup, BatchPart)
}
"""What the steps inside a graph asset or a batch hand each other."""


class StepValue(BaseModel):
    """What one step hands to another, with the name of its kind."""

    kind: str
    value: dict[str, Any]


class StoreIOManager(dg.ConfigurableIOManager):
    """Keeps the records of assets and steps in the store.

    A run of several partitions gives and takes a dict by partition key. An asset's value is kept under the key of its
    partition, which is overwritten by the next materialization; what passes between steps is kept under the run's id,
    so that a run can be continued by another process on another host.

    Attributes:
        store: where.
    """

    store: dg.ResourceDependency[StoreResource]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        store = self.store.open()
        if not context.has_asset_key:
            record = _check_kind(obj, tuple(STEPS.values()), context.step_key)
            value = StepValue(kind=type(record).__name__, value=record.model_dump(mode="json"))
            write_record(store, _step_key(context), value)
        else:
            kind = _kind_of(context)
            for partition, record in _by_partition(context, obj).items():
                write_state(store, _check_kind(record, (kind,), context.step_key), partition or "")
        context.add_output_metadata(calls_metadata(store.calls.take()))

    def load_input(self, context: dg.InputContext) -> Any:
        store = self.store.open()
        if not context.has_asset_key:
            upstream = context.upstream_output
            if upstream is None:
                raise dg.DagsterInvariantViolationError("an input that is no asset has an output to come from")
            value = read_record(store, _step_key(upstream), StepValue)
            return STEPS[value.kind].model_validate(value.value)
        kind = _kind_of(context)
        if not context.has_asset_partitions:
            return read_state(store, kind)
        keys = sorted(context.asset_partition_keys)  # dynamic partitions come in no order
        metadata = context.definition_metadata or {}
        values = {}
        for partition in keys:
            try:
                values[partition] = read_state(store, kind, partition)
            except StoreError as error:
                if metadata.get(ALLOW_MISSING):
                    context.log.warning(f"left out: {error}")
                    continue
                if isinstance(error, NotFoundError):
                    raise dg.Failure(
                        f"{context.asset_key.to_user_string()} of {partition!r} is not in the store "
                        f"({state_key(kind, partition)}). Materialize it first.",
                        allow_retries=False,
                    ) from None
                raise
        if len(keys) == 1 and not metadata.get(ALLOW_MISSING):
            return values[keys[0]]
        return values


def _kind_of(context: dg.OutputContext | dg.InputContext) -> type[BaseModel]:
    kind = LINEAGE[context.asset_key.to_user_string()].record
    assert kind is not None, "an asset that people bring is never loaded as a value"
    return kind


def _by_partition(context: dg.OutputContext, obj: Any) -> dict[str | None, Any]:
    if not context.has_asset_partitions:
        return {None: obj}
    keys = list(context.asset_partition_keys)
    if len(keys) == 1 and not isinstance(obj, dict):
        return {keys[0]: obj}
    if not isinstance(obj, dict) or set(obj) - set(keys):
        raise dg.DagsterInvariantViolationError(
            f"{context.asset_key.to_user_string()} of {len(keys)} partitions gives a dict by partition key"
        )
    return obj


def _check_kind(obj: Any, kinds: tuple[type[BaseModel], ...], where: str) -> BaseModel:
    if not isinstance(obj, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise dg.DagsterInvariantViolationError(f"{where} gives {type(obj).__name__}, not {names}")
    return obj


def _step_key(context: dg.OutputContext) -> str:
    mapping = [context.mapping_key] if context.mapping_key else []
    return layout.run_value(context.run_id, context.step_key, *mapping, f"{context.name}.json")

"""The store as IO manager, for the records of one partition or of many.

Assets pass small records (pydantic models) that point to the large objects in the store, which the assets put there
themselves: no audio passes through here.
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
"""Metadata of an input: upstream partitions whose value is missing or cannot be read are left out."""

STEP_RECORDS: dict[str, type[BaseModel]] = {
    kind.__name__: kind for kind in (Shard, ShardReport, BatchPlan, BatchWork, BatchGroup, BatchPart)
}
"""Records that the steps of a graph asset or a batch pass to each other."""


class StepValue(BaseModel):
    """A record that one step passes to another, with the name of its type."""

    kind: str
    value: dict[str, Any]


class StoreIOManager(dg.ConfigurableIOManager):
    """Keeps the records of assets and steps in the store.

    In a run of several partitions a value is a dict by partition key. An asset's value is kept under the key of its
    partition, and replaced by the next materialization; values between steps are kept under the run's id, so that
    another process on another host can continue the run.
    """

    store: dg.ResourceDependency[StoreResource]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        store = self.store.open()
        if not context.has_asset_key:
            record = _check_type(obj, tuple(STEP_RECORDS.values()), context.step_key)
            value = StepValue(kind=type(record).__name__, value=record.model_dump(mode="json"))
            write_record(store, _step_key(context), value)
        else:
            kind = _record_type(context)
            for partition, record in _by_partition(context, obj).items():
                write_state(store, _check_type(record, (kind,), context.step_key), partition or "")
        context.add_output_metadata(calls_metadata(store.calls.take()))

    def load_input(self, context: dg.InputContext) -> Any:
        store = self.store.open()
        if not context.has_asset_key:
            upstream = context.upstream_output
            if upstream is None:
                raise dg.DagsterInvariantViolationError("an input that is no asset needs an upstream output")
            value = read_record(store, _step_key(upstream), StepValue)
            return STEP_RECORDS[value.kind].model_validate(value.value)
        kind = _record_type(context)
        if not context.has_asset_partitions:
            return read_state(store, kind)
        keys = sorted(context.asset_partition_keys)  # dynamic partitions have no order
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


def _record_type(context: dg.OutputContext | dg.InputContext) -> type[BaseModel]:
    kind = LINEAGE[context.asset_key.to_user_string()].record
    assert kind is not None, "what people bring is never loaded"
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


def _check_type(obj: Any, kinds: tuple[type[BaseModel], ...], where: str) -> BaseModel:
    if not isinstance(obj, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise dg.DagsterInvariantViolationError(f"{where} gives {type(obj).__name__}, not {names}")
    return obj


def _step_key(context: dg.OutputContext) -> str:
    mapping = [context.mapping_key] if context.mapping_key else []
    return layout.run_value(context.run_id, context.step_key, *mapping, f"{context.name}.json")

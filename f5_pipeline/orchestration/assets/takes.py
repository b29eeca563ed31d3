"""From plans to takes, for many narrations in one run, so that an engine loads once."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from f5_pipeline.errors import PipelineError
from f5_pipeline.orchestration.assets.steps import SHARD_OUTS, draft_shard_op, shard_outputs, synthesize_shard_op
from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.orchestration.executors import planning_options
from f5_pipeline.orchestration.io_manager import ALLOW_MISSING
from f5_pipeline.orchestration.lineage import graph_asset
from f5_pipeline.orchestration.reporting.doubts import describe_quality, doubts_metadata
from f5_pipeline.orchestration.reporting.failures import failure, failures
from f5_pipeline.orchestration.reporting.materializing import Product, materialize
from f5_pipeline.orchestration.reporting.metadata import format_duration
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.orchestration.tags import STEP_RETRIES, light_op_tags
from f5_pipeline.settings import get_settings
from f5_pipeline.studio.narrating.gathering import gather_takes
from f5_pipeline.studio.narrating.shards import plan_shards
from f5_pipeline.studio.records import Plan, Shard, ShardReport, Takes


@dg.op(
    name="plan_shards",
    description="Split the missing takes of the run's narrations into shards; a take that several need is made once.",
    ins={
        "narration_plan": dg.In(metadata={ALLOW_MISSING: True}),
        "model_weights": dg.In(dg.Nothing),
        "reference_audio": dg.In(dg.Nothing),
    },
    out=SHARD_OUTS,
    retry_policy=STEP_RETRIES,
    tags=light_op_tags(),
)
def plan_shards_op(
    context: dg.OpExecutionContext, store: StoreResource, narration_plan: dict[str, Plan]
) -> Iterator[dg.DynamicOutput[Shard]]:
    with failures():
        options = planning_options(get_settings())
        shards = plan_shards(store.open(), narration_plan.values(), context.run_id, options)
    missing = sum(shard.requests for shard in shards)
    context.log.info(f"{missing} takes to make for {len(narration_plan)} narrations, in {len(shards)} shards")
    yield from shard_outputs(shards)


@dg.op(
    name="gather_takes",
    description="Check that every chunk of every narration has its take; a narration that lacks one fails alone.",
    ins={"narration_plan": dg.In(metadata={ALLOW_MISSING: True})},
    # Not required: with several narrations each is materialized by itself, with its own data version and metadata.
    out=dg.Out(Takes, is_required=False),
    retry_policy=STEP_RETRIES,
    tags=light_op_tags(),
)
def gather_takes_op(
    context: dg.OpExecutionContext,
    store: StoreResource,
    narration_plan: dict[str, Plan],
    reports: list[ShardReport],
    drafts: list[ShardReport],
):
    opened, narrations = store.open(), sorted(context.partition_keys)
    options = studio_options(get_settings())
    failed: dict[str, PipelineError] = {}
    for narration in narrations:
        try:
            if narration not in narration_plan:
                raise PipelineError(
                    f"narration {narration!r} has no plan, or none that can be read",
                    hint=f"Materialize narration_plan for the partition {narration!r} first.",
                )
            plan = narration_plan[narration]
            result = product(plan, gather_takes(opened, plan, options, [*reports, *drafts]))
        except PipelineError as error:
            failed[narration] = error
            context.log.error(f"{narration}: {error}")
            continue
        if len(narrations) == 1:
            yield from result.outputs()
            return
        materialize(context, opened, "takes", narration, result)
    if failed:
        raise _failure(failed, len(narrations))


def _failure(failed: dict[str, PipelineError], narrations: int) -> dg.Failure:
    if narrations == 1:
        return failure(next(iter(failed.values())))
    return dg.Failure(
        f"{len(failed)} of {narrations} narrations failed, the others are done: {', '.join(sorted(failed))}",
        metadata={narration: str(error) for narration, error in failed.items()},
        allow_retries=False,
    )


def product(plan: Plan, takes: Takes) -> Product[Takes]:
    """The takes of a narration, with their metadata."""
    return Product(takes, takes.digest, _metadata(plan, takes))


def _metadata(plan: Plan, takes: Takes) -> dict[str, Any]:
    rate = takes.audio_seconds_made / takes.wall_seconds if takes.wall_seconds else 0.0
    return {
        "engine": f"{plan.engine}: {plan.engine_note}",
        "takes_needed": takes.total,
        "takes_made": takes.synthesized,
        "takes_reused": takes.reused,
        "speech": format_duration(takes.speech_seconds),
        "speech_seconds": takes.speech_seconds,
        "audio_seconds_per_second_of_work": round(rate, 2),
        "work_seconds": takes.wall_seconds,
        **(
            {"model": plan.model, "preset": plan.preset or "", "quality": describe_quality(takes)} if plan.model else {}
        ),
        **doubts_metadata(takes),
        "plan": plan.digest,
        "takes": takes.takes_key,
    }


@graph_asset(loaded="narration_plan")
def takes(narration_plan, model_weights, reference_audio):
    """The audio of every chunk, content-addressed: same key, same sound, never made twice.

    Missing takes are split into shards (`plan_shards`), each is spoken by F5 on a GPU (`synthesize_shard`) or by the
    draft engine (`draft_shard`), and each narration's takes are gathered in order (`gather_takes`). A take is kept as
    soon as it is made, so a run that is killed loses only the batch in flight. One run may make several narrations,
    so that batches fill across them; one that fails leaves the others materialized.
    """
    gpu, draft = plan_shards_op(
        narration_plan=narration_plan, model_weights=model_weights, reference_audio=reference_audio
    )
    return gather_takes_op(
        narration_plan=narration_plan,
        reports=gpu.map(synthesize_shard_op).collect(),
        drafts=draft.map(draft_shard_op).collect(),
    )

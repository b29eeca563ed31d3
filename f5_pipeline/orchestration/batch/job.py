"""Many narrations in one run: planned together, synthesized together, delivered side by side, and reported.

Weights load once, batches fill across narrations, and what is the same in two of them is spoken once. Each narration
stands for itself: what it comes to is told as materializations of the same assets that a run for it alone would make,
and written to the ledger as soon as it is known; one that fails harms no other.
"""

import os
import time
from collections.abc import Iterable
from typing import Any

import dagster as dg
from pydantic import Field

from f5_pipeline.errors import PipelineError
from f5_pipeline.orchestration.assets import (
    download_links,
    model_weights,
    narration_audio,
    narration_plan,
    takes,
    timing_files,
)
from f5_pipeline.orchestration.assets import reference_audio as reference
from f5_pipeline.orchestration.assets.steps import SHARD_OUTS, draft_shard_op, shard_outputs, synthesize_shard_op
from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.orchestration.io_manager import read_asset
from f5_pipeline.orchestration.ledger import BATCH_JOB, CLAIM_OP, Ledger, active_batches, claimed
from f5_pipeline.orchestration.reporting.materializing import materialize
from f5_pipeline.orchestration.reporting.metadata import Teller, failures, is_retryable, seconds, table
from f5_pipeline.orchestration.reporting.observations import tell_voice
from f5_pipeline.orchestration.resources import LinksResource, StoreResource
from f5_pipeline.orchestration.tags import STEP_RETRIES, gpu_run_tags
from f5_pipeline.settings import get_settings
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import write_record
from f5_pipeline.studio.links.making import make_links, read_manifest
from f5_pipeline.studio.links.rights import check_delivery
from f5_pipeline.studio.narrating.batches import (
    BatchGroup,
    BatchPart,
    BatchPlan,
    BatchReport,
    BatchWork,
    NarrationOutcome,
    outcome_of,
    report_of,
    split,
)
from f5_pipeline.studio.narrating.engines import EngineChoice, choose_engine
from f5_pipeline.studio.narrating.gathering import gather_takes
from f5_pipeline.studio.narrating.planning import make_plan
from f5_pipeline.studio.narrating.production import make_audio, make_timings
from f5_pipeline.studio.narrating.scripts import LoadedScript, load_script, script_version
from f5_pipeline.studio.narrating.shards import plan_shards
from f5_pipeline.studio.narrating.timing_check import check_timings
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Plan, ShardReport
from f5_pipeline.studio.voices import find_voice, make_reference, needs_reference
from f5_pipeline.studio.weights import gather_weights, open_library

MAX_TOLD = 25
"""Failed narrations that a failed run tells one by one; the report has all."""

batch_report = dg.AssetSpec(
    "batch_report",
    group_name="narration",
    deps=["download_links"],
    kinds={"json"},
    description=(
        "What each batch of narrations has come to: narrations and minutes finished, seconds of GPUs and what a "
        "finished minute cost, takes made again, and failures with their reasons. A materialization is a batch."
    ),
)


class BatchConfig(dg.Config):
    """What a batch is launched for."""

    narrations: list[str] = Field(description="names of the narrations, the most urgent first")
    launcher: str = Field("a person", description="what launched it, for the report")


@dg.op(
    name=CLAIM_OP,
    description="Read the scripts of the batch and plan them; split what is missing into shards.",
    out={"plan": dg.Out(BatchPlan), **SHARD_OUTS},
    retry_policy=STEP_RETRIES,
    tags={"dagster/compute_kind": "python"},
)
def plan_batch_op(context: dg.OpExecutionContext, config: BatchConfig, store: StoreResource):
    with failures():
        opened, ledger, began = store.open(), Ledger(context.instance), time.time()
        options = studio_options(get_settings())
        versions, left, failed = _to_do(context, opened, ledger, list(dict.fromkeys(config.narrations)))
        ledger.start(versions, context.run_id)

        def fail(narration: str, error: Exception) -> None:
            failed.append(_failed(context, ledger, narration, versions.pop(narration), error))

        scripts: dict[str, LoadedScript] = {}
        for narration, script in in_parallel(
            opened, lambda name: (name, _attempt(load_script, opened, name)), list(versions)
        ):
            if isinstance(script, Exception):
                fail(narration, script)
            else:
                scripts[narration] = script
        _lock_models(context, opened, scripts.values(), options)
        weights = gather_weights(opened, options)
        materialize(
            context,
            opened,
            "model_weights",
            None,
            weights,
            data_version=weights.digest,
            code_version=model_weights.CODE_VERSION,
            metadata=model_weights.weights_metadata(weights),
        )
        _prepare_voices(context, opened, scripts.values())

        teller, plans = Teller(context, "narration_plan", None), []

        def plan_one(script: LoadedScript) -> tuple[str, Plan | Exception]:
            return script.narration, _attempt(make_plan, opened, script, weights, options)

        for done, (narration, plan) in enumerate(in_parallel(opened, plan_one, scripts.values()), 1):
            teller("narrations planned", done, len(scripts))
            if isinstance(plan, Exception):
                fail(narration, plan)
                continue
            if plan.version != versions[narration]:  # it was edited between two looks
                versions[narration] = plan.version
                ledger.start({narration: plan.version}, context.run_id)
            plans.append(plan)
            materialize(
                context,
                opened,
                "narration_plan",
                narration,
                plan,
                data_version=plan.digest,
                code_version=narration_plan.CODE_VERSION,
                metadata=narration_plan.plan_metadata(opened, plan),
            )
        context.log.info(
            f"{len(plans)} narrations to make, {len(failed)} cannot be planned, {len(left)} left to others"
        )
        lengths = {plan.narration: plan.expected_seconds for plan in plans}
        batch = BatchPlan(
            launcher=config.launcher, began=began, versions=versions, lengths=lengths, failed=failed, left=left
        )
        yield dg.Output(batch, "plan")
        yield from shard_outputs(plan_shards(opened, plans, context.run_id, options))


def _deliverers(store: Store) -> int:
    """Steps that deliver side by side: encoding takes a core, waiting for a bucket does not."""
    return max(os.cpu_count() or 1, min(store.parallel, 4), 1)


def _to_do(
    context: dg.OpExecutionContext, store: Store, ledger: Ledger, names: list[str]
) -> tuple[dict[str, str], list[str], list[NarrationOutcome]]:
    """Of the narrations asked for those that are this run's, with the versions of their scripts; those that are left;
    and those that have no script.

    Two launches at once may name the same narration: the run that was created first has it.
    """
    others: set[str] = set()
    for run in active_batches(context.instance):
        if run.run_id == context.run_id:
            break
        others.update(claimed(run))
    outcomes, seen = ledger.outcomes(names), ledger.seen(names)
    versions: dict[str, str] = {}
    left: list[str] = []
    failed: list[NarrationOutcome] = []
    for name, version in in_parallel(store, lambda name: (name, _attempt(script_version, store, name)), names):
        if isinstance(version, Exception):
            # Of the version that waits, so that its attempts are counted.
            waiting = seen[name].version if name in seen else ""
            ledger.start({name: waiting}, context.run_id)
            failed.append(_failed(context, ledger, name, waiting, version))
            continue
        outcome = outcomes.get(name)
        if name in others or (outcome and outcome.state == "done" and outcome.version == version):
            left.append(name)
        else:
            versions[name] = version
    return versions, left, failed


def _lock_models(
    context: dg.OpExecutionContext, store: Store, scripts: Iterable[LoadedScript], options: StudioOptions
) -> None:
    """Lock the models that scripts ask for, so that the weights know them. One that cannot be had is told by the plan
    that needs it."""
    library = open_library(store, options)
    choices = (_attempt(choose_engine, script, options) for script in scripts)
    for model in sorted({one.model for one in choices if isinstance(one, EngineChoice) and one.model}):
        if isinstance(error := _attempt(library.lock, model), Exception):
            context.log.error(f"model {model}: {error}")


def _prepare_voices(context: dg.OpExecutionContext, store: Store, scripts: Iterable[LoadedScript]) -> None:
    """Make the references that the scripts' voices lack. One that cannot be made is told by the plan that needs it."""
    for name in sorted({name for script in scripts for name in script.script.voices}):
        voice, needed = _attempt(find_voice, store, name), _attempt(needs_reference, store, name)
        if voice is None or isinstance(voice, Exception) or needed is False:
            continue
        tell_voice(context.instance, voice)
        made = _attempt(make_reference, store, name)
        if isinstance(made, Exception):
            context.log.error(f"voice {name}: {made}")
            continue
        clip, audio = made
        materialize(
            context,
            store,
            "reference_audio",
            name,
            clip,
            data_version=clip.sha256,
            code_version=reference.CODE_VERSION,
            metadata=reference.reference_metadata(clip, audio),
            checks=reference.reference_checks(clip, audio),
        )


@dg.op(
    name="gather_shards",
    description="What the shards have come to, and the narrations in groups that are delivered side by side.",
    out={"work": dg.Out(BatchWork), "groups": dg.DynamicOut(BatchGroup)},
    retry_policy=STEP_RETRIES,
    tags={"dagster/compute_kind": "python"},
)
def gather_shards_op(store: StoreResource, plan: BatchPlan, reports: list[ShardReport], drafts: list[ShardReport]):
    yield dg.Output(BatchWork(shards=[*reports, *drafts]), "work")
    groups = split(plan.lengths.items(), min(len(plan.lengths), _deliverers(store.open())))
    for index, names in enumerate(groups):
        group = BatchGroup(index=index, versions={name: plan.versions[name] for name in names})
        yield dg.DynamicOutput(group, mapping_key=f"{index:03}", output_name="groups")


@dg.op(
    name="deliver_narrations",
    description="From takes to audio, timing files and links, one narration after the other.",
    retry_policy=STEP_RETRIES,
    tags={"dagster/compute_kind": "python"},
)
def deliver_op(
    context: dg.OpExecutionContext,
    store: StoreResource,
    links: LinksResource,
    group: BatchGroup,
    work: BatchWork,
) -> BatchPart:
    with failures():
        opened, ledger = store.open(), Ledger(context.instance)
        teller, outcomes = Teller(context, "narration_audio", None), []
        known = ledger.outcomes(group.versions)  # this step may have been killed in the middle before
        for done, (narration, version) in enumerate(group.versions.items(), 1):
            before = known.get(narration)
            outcome = None
            if before is not None and before.state == "done" and before.version == version:
                outcome = _attempt(_delivered, opened, narration, version)
            if not isinstance(outcome, NarrationOutcome):
                outcome = _attempt(_deliver, context, opened, links, narration, version, work.shards)
            if isinstance(outcome, Exception):
                outcome = _failed(context, ledger, narration, version, outcome)
            else:
                outcome.attempts = ledger.finish(narration, version, context.run_id).attempts
            outcomes.append(outcome)
            teller("narrations delivered", done, len(group.versions))
        return BatchPart(index=group.index, outcomes=outcomes)


def _delivered(store: Store, narration: str, version: str) -> NarrationOutcome | None:
    """What was delivered, as the store has it; None where that is another version."""
    plan: Plan = read_asset(store, "narration_plan", narration)
    if plan.version != version:
        return None
    return outcome_of(plan, read_asset(store, "takes", narration), read_asset(store, "narration_audio", narration))


def _deliver(
    context: dg.OpExecutionContext,
    store: Store,
    links: LinksResource,
    narration: str,
    version: str,
    reports: list[ShardReport],
) -> NarrationOutcome:
    """One narration from its takes to its links."""
    plan: Plan = read_asset(store, "narration_plan", narration)
    if plan.version != version:
        raise PipelineError(
            "another run has planned it from a newer script meanwhile", file=narration, hint="That one narrates it."
        )
    chosen = gather_takes(store, plan, studio_options(get_settings()), reports)
    materialize(
        context,
        store,
        "takes",
        narration,
        chosen,
        data_version=chosen.digest,
        code_version=takes.CODE_VERSION,
        metadata=takes.takes_metadata(plan, chosen),
    )
    settings = get_settings()
    audio = make_audio(store, plan, chosen, loudness=settings.loudness, peak=settings.peak)
    materialize(
        context,
        store,
        "narration_audio",
        narration,
        audio,
        data_version=audio.revision,
        code_version=narration_audio.CODE_VERSION,
        metadata=narration_audio.audio_metadata(store, audio),
        checks=narration_audio.audio_checks(audio, chosen),
    )
    timings = make_timings(store, audio)
    check = check_timings(store, plan, audio)
    materialize(
        context,
        store,
        "timing_files",
        narration,
        timings,
        data_version=timings.revision,
        code_version=timing_files.CODE_VERSION,
        metadata=timing_files.timings_metadata(store, timings, audio, check),
        checks=timing_files.timings_checks(check),
    )
    manifest = read_manifest(store, narration, timings.revision)
    check_delivery(store, manifest.audio.plan)
    made = make_links(store, manifest, links.signer(), base_url=links.base_url)
    materialize(
        context,
        store,
        "download_links",
        narration,
        made,
        data_version=made.revision,
        code_version=download_links.CODE_VERSION,
        metadata=download_links.links_metadata(made),
    )
    return outcome_of(plan, chosen, audio)


@dg.op(
    name="report_batch",
    description="Tell what the batch has come to; failed where a narration failed.",
    out=dg.Out(dg.Nothing),
    retry_policy=STEP_RETRIES,
    tags={"dagster/compute_kind": "python"},
)
def report_op(
    context: dg.OpExecutionContext,
    store: StoreResource,
    plan: BatchPlan,
    parts: list[BatchPart],
    work: BatchWork,
) -> None:
    with failures():
        settings = get_settings()
        report = report_of(
            plan,
            parts,
            work.shards,
            run=context.run_id,
            ended=time.time(),
            waiting=len(
                Ledger(context.instance).pending(attempts=settings.attempts, failed=True, besides=context.run_id)
            ),
            gpu_hour_cost=settings.gpu_hour_cost,
        )
        write_record(store.open(), layout.batch_report(context.run_id), report)
        context.log_event(dg.AssetMaterialization("batch_report", metadata=report_metadata(report)))
        if report.failed:
            # All else is done and kept; a run with failures must not look like one without.
            raise dg.Failure(
                f"{len(report.failed)} of {len(report.narrations)} narrations failed, the others are done",
                metadata={one.narration: str(one.reason) for one in report.failed[:MAX_TOLD]},
                allow_retries=False,
            )


def report_metadata(report: BatchReport) -> dict[str, Any]:
    """What the UI shows of a batch."""
    rows = [
        {
            "narration": one.narration,
            "state": "failed" if one.reason else "done",
            "reason": one.reason or "",
            "attempts": one.attempts,
            "length": seconds(one.seconds) if one.seconds else "",
            "engine": one.engine,
            "takes_made": one.takes_made,
            "takes_reused": one.takes_reused,
            "retaken": one.retaken,
            "doubtful": one.doubtful,
        }
        for one in report.narrations
    ]
    minutes = report.audio_seconds / 60
    return {
        "launched_by": report.launcher,
        "narrations_done": len(report.done),
        "narrations_failed": len(report.failed),
        "narrations_waiting": report.waiting,
        "minutes_finished": round(minutes, 2),
        "gpu_seconds": report.gpu_seconds,
        "draft_seconds": report.draft_seconds,
        "takes_made": report.takes_made,
        "retakes": report.retakes,
        "cost": report.cost,
        **({"cost_per_finished_minute": report.cost_per_minute} if report.cost_per_minute is not None else {}),
        "wall_seconds": report.wall_seconds,
        "narrations": table(rows),
    }


@dg.job(
    name=BATCH_JOB,
    tags=gpu_run_tags(),
    description=(
        "Many narrations in one run. The in-box and the nightly batch launch it; by hand, name narrations in the "
        "configuration."
    ),
)
def narrate_batch():
    plan, gpu, draft = plan_batch_op()
    work, groups = gather_shards_op(
        plan=plan, reports=gpu.map(synthesize_shard_op).collect(), drafts=draft.map(draft_shard_op).collect()
    )
    parts = groups.map(lambda group: deliver_op(group=group, work=work)).collect()
    report_op(plan=plan, parts=parts, work=work)


def _attempt(work: Any, *arguments: Any) -> Any:
    """What `work` gives, or the error that it raises: one narration's must not become another's."""
    try:
        return work(*arguments)
    except Exception as error:
        return error


def _failed(
    context: dg.OpExecutionContext, ledger: Ledger, narration: str, version: str, error: Exception
) -> NarrationOutcome:
    """Tell of a narration that failed."""
    ours = isinstance(error, PipelineError)
    reason = str(error) if ours else f"{type(error).__name__}: {error}"
    context.log.error(f"{narration}: {reason}", exc_info=None if ours else error)
    known = ledger.finish(narration, version, context.run_id, reason, is_retryable(error))
    # A batch cannot fail a partition: its page would say nothing.
    told = {"state": "failed", "reason": reason, "attempts": known.attempts}
    context.log_event(dg.AssetObservation("download_links", partition=narration, metadata=told, description=reason))
    return NarrationOutcome(
        narration=narration, version=version, reason=reason, retryable=is_retryable(error), attempts=known.attempts
    )

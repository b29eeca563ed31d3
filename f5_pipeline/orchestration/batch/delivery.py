"""From takes to links, in groups of narrations that are delivered side by side."""

import os
from functools import partial

import dagster as dg

from f5_pipeline.errors import PipelineError
from f5_pipeline.orchestration.assets import download_links, narration_audio, takes, timing_files
from f5_pipeline.orchestration.batch.outcomes import attempt, record_failure
from f5_pipeline.orchestration.configured import content_credentials, studio_options
from f5_pipeline.orchestration.ledger import Ledger
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.materializing import materialize
from f5_pipeline.orchestration.reporting.progress import ProgressReporter
from f5_pipeline.orchestration.resources import LinksResource, StoreResource
from f5_pipeline.orchestration.tags import GATHER_OP, STEP_RETRIES, light_op_tags, side_op_tags
from f5_pipeline.settings import get_settings
from f5_pipeline.store.base import Store
from f5_pipeline.studio.narrating.batches import (
    BatchGroup,
    BatchPart,
    BatchPlan,
    BatchWork,
    NarrationOutcome,
    divide,
    outcome_of,
)
from f5_pipeline.studio.narrating.gathering import gather_takes
from f5_pipeline.studio.narrating.production import make_audio
from f5_pipeline.studio.records import Audio, Plan, ShardReport, Takes
from f5_pipeline.studio.state import read_state


def _max_groups(store: Store) -> int:
    """Groups that are delivered side by side: encoding takes a core, waiting for a bucket does not."""
    return max(os.cpu_count() or 1, min(store.parallel, 4), 1)


@dg.op(
    name=GATHER_OP,
    description="Collect the reports of the shards, and split the narrations into groups for delivery side by side.",
    out={"work": dg.Out(BatchWork), "groups": dg.DynamicOut(BatchGroup)},
    retry_policy=STEP_RETRIES,
    tags=light_op_tags(),
)
def gather_shards_op(store: StoreResource, plan: BatchPlan, reports: list[ShardReport], drafts: list[ShardReport]):
    yield dg.Output(BatchWork(shards=[*reports, *drafts]), "work")
    groups = divide(plan.lengths.items(), min(len(plan.lengths), _max_groups(store.open())))
    for index, names in enumerate(groups):
        group = BatchGroup(index=index, versions={name: plan.versions[name] for name in names})
        yield dg.DynamicOutput(group, mapping_key=f"{index:03}", output_name="groups")


@dg.op(
    name="deliver_narrations",
    description="From takes to audio, timing files and links, one narration after the other.",
    retry_policy=STEP_RETRIES,
    tags=side_op_tags(cpus=0.5),
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
        report_progress, outcomes = ProgressReporter(context, "narration_audio", None), []
        earlier, linked = ledger.outcomes(group.versions), _linked(context)
        for done, (narration, version) in enumerate(group.versions.items(), 1):
            before = earlier.get(narration)
            outcome = None
            if narration in linked or (before and (before.state, before.version) == ("done", version)):
                outcome = attempt(_read_outcome, opened, narration, version)
            if not isinstance(outcome, NarrationOutcome):
                outcome = attempt(_deliver, context, opened, links, narration, version, work.shards)
            if isinstance(outcome, Exception):
                outcome = record_failure(context, ledger, narration, version, outcome)
            else:
                outcome.attempts = ledger.finish(narration, version, context.run_id).attempts
            outcomes.append(outcome)
            report_progress("narrations delivered", done, len(group.versions))
        return BatchPart(index=group.index, outcomes=outcomes)


def _linked(context: dg.OpExecutionContext) -> set[str]:
    """Narrations whose links this run has made: an attempt of this step may be killed before the ledger has them."""
    if not context.retry_number:
        return set()
    entries = context.instance.all_logs(context.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    events = (entry.dagster_event for entry in entries)
    key = dg.AssetKey("download_links")
    return {event.partition for event in events if event and event.asset_key == key and event.partition}


def _read_outcome(store: Store, narration: str, version: str) -> NarrationOutcome | None:
    """The outcome of a delivered narration, from the store; None where the store has another version."""
    plan = read_state(store, Plan, narration)
    if plan.version != version:
        return None
    return outcome_of(plan, read_state(store, Takes, narration), read_state(store, Audio, narration))


def _deliver(
    context: dg.OpExecutionContext,
    store: Store,
    links: LinksResource,
    narration: str,
    version: str,
    reports: list[ShardReport],
) -> NarrationOutcome:
    """Bring one narration from its takes to its links."""
    plan = read_state(store, Plan, narration)
    if plan.version != version:
        raise PipelineError(
            "another run has planned it from a newer script meanwhile", file=narration, hint="That one narrates it."
        )
    deliver = partial(materialize, context, store)
    settings = get_settings()
    gathered = gather_takes(store, plan, studio_options(settings), reports)
    gathered = deliver("takes", narration, takes.product(plan, gathered))
    credentials = content_credentials(settings)
    audio = make_audio(store, plan, gathered, loudness=settings.loudness, peak=settings.peak, credentials=credentials)
    audio = deliver("narration_audio", narration, narration_audio.product(store, audio, gathered))
    timings = deliver("timing_files", narration, timing_files.make(store, plan, audio))
    _, result = download_links.make(store, timings, links)
    deliver("download_links", narration, result)
    return outcome_of(plan, gathered, audio)

"""The steps that make takes, the same in the asset `takes` and in a batch: those on a GPU, and those of the draft."""

import multiprocessing
import time
from collections.abc import Callable, Iterator

import dagster as dg

from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.metadata import seconds
from f5_pipeline.orchestration.reporting.progress import ProgressReporter
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.orchestration.tags import GPU_POOL, STEP_RETRIES, gpu_op_tags, should_yield_gpu
from f5_pipeline.settings import get_settings
from f5_pipeline.speech import engines
from f5_pipeline.speech.engine import Cancelled
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import find_record, write_record
from f5_pipeline.studio.narrating.synthesis import Progress, synthesize_shard
from f5_pipeline.studio.records import Shard, ShardReport

SHARD_OUTS = {
    "gpu": dg.DynamicOut(Shard, description="for engines that need a GPU: each step holds one"),
    "draft": dg.DynamicOut(Shard, description="for engines that need none: any processor"),
}

YIELD_CHECK_SECONDS = 5.0
"""Seconds between two questions whether somebody more urgent waits for a GPU: each is a query to the instance."""

MAX_YIELDS = 1000


def shard_outputs(shards: list[Shard]) -> Iterator[dg.DynamicOutput[Shard]]:
    """Each shard to the steps that can speak it."""
    for shard in shards:
        out = "gpu" if engines.spec_of(shard.engine).needs_gpu else "draft"
        yield dg.DynamicOutput(shard, mapping_key=f"{shard.index:03}", output_name=out)


@dg.op(
    name="synthesize_shard",
    description="Speak the takes of a shard on a GPU and keep each as soon as it is made.",
    pool=GPU_POOL,
    # A killed process is tried again in the same run and makes only what is missing.
    retry_policy=STEP_RETRIES,
    tags={"dagster/compute_kind": "python", **gpu_op_tags()},
)
def synthesize_shard_op(context: dg.OpExecutionContext, store: StoreResource, shard: Shard) -> ShardReport:
    return _synthesize(context, store.open(), shard, yields=True)


@dg.op(
    name="draft_shard",
    description="Speak the takes of a shard on processors and keep each as soon as it is made.",
    retry_policy=STEP_RETRIES,
    tags={"dagster/compute_kind": "python"},
)
def draft_shard_op(context: dg.OpExecutionContext, store: StoreResource, shard: Shard) -> ShardReport:
    return _synthesize(context, store.open(), shard, yields=False)


def _synthesize(context: dg.OpExecutionContext, store: Store, shard: Shard, *, yields: bool) -> ShardReport:
    context.log.info(f"{shard.requests} takes by {shard.engine}, about {seconds(shard.expected_seconds)} of speech")
    keys = context.partition_keys if context.has_partition_key or context.has_partition_key_range else []
    report_progress = ProgressReporter(context, "takes", keys[0] if len(keys) == 1 else None)

    def show(progress: Progress) -> None:
        rate = progress.audio_seconds / max(progress.wall_seconds, 1e-9)
        report_progress("takes", progress.done, progress.total, shard=shard.index, x_real_time=round(rate, 1))

    step_key = context.get_step_execution_context().step.key
    urgent = _EveryNow(lambda: yields and should_yield_gpu(context.instance, context.run, step_key))
    # The process of the run may be killed: a step that nobody waits for any more must not go on.
    run = multiprocessing.parent_process()
    told: list[ShardReport] = []
    try:
        with failures():
            report = synthesize_shard(
                store,
                shard,
                studio_options(get_settings()),
                on_progress=show,
                on_report=told.append,
                cancelled=lambda: (run is not None and not run.is_alive()) or urgent(),
            )
    except Cancelled:
        if not urgent.found:
            raise
        context.log.info("a more urgent run waits for the GPU: giving it up, to go on with what is missing afterwards")
        write_record(store, _part(context, shard, context.retry_number), told[0])
        raise dg.RetryRequested(max_retries=MAX_YIELDS, seconds_to_wait=1) from None
    for number in range(context.retry_number):
        if before := find_record(store, _part(context, shard, number), ShardReport):
            report = report.after(before)
    for note in report.notes:
        context.log.info(note)
    if report.retakes:
        context.log.info(f"{report.retakes} takes were doubtful and made again")
    for problem in report.problems:
        context.log.error(f"{problem.narration}, line {problem.line}, {problem.text!r}: {problem.reason}")
    return report


def _part(context: dg.OpExecutionContext, shard: Shard, number: int) -> str:
    """Key of what a step had made when it gave the GPU up."""
    return layout.run_value(context.run_id, "shards", f"{shard.index:03}.yielded-{number}.json")


class _EveryNow:
    """Asks a question now and then, and remembers a yes."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask, self._asked, self.found = ask, time.monotonic(), False

    def __call__(self) -> bool:
        if not self.found and time.monotonic() - self._asked >= YIELD_CHECK_SECONDS:
            self.found = self._ask()
            self._asked = time.monotonic()
        return self.found

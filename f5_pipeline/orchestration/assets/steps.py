"""The steps that make takes, on a GPU or on processors; the asset `takes` and batches share them."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

from f5_pipeline.orchestration.executors import speaking_options
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.metadata import format_duration
from f5_pipeline.orchestration.reporting.progress import ProgressReporter
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.orchestration.step_processes import run_is_gone
from f5_pipeline.orchestration.tags import (
    SPEAK_OP,
    gpu_op_tags,
    gpu_pool,
    run_has_ended,
    should_yield_gpu,
    side_op_tags,
    speaking_retries,
)
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
    "draft": dg.DynamicOut(Shard, description="for engines that need no GPU"),
}

YIELD_CHECK_SECONDS = 5.0
"""Between two checks whether a more urgent step waits for a GPU: each is a query to the instance."""

MAX_YIELDS = 1000


def shard_outputs(shards: list[Shard]) -> Iterator[dg.DynamicOutput[Shard]]:
    """Send each shard to the steps that can speak it."""
    for shard in shards:
        out = "gpu" if engines.spec_of(shard.engine).needs_gpu else "draft"
        yield dg.DynamicOutput(shard, mapping_key=f"{shard.index:03}", output_name=out)


@dg.op(
    name=SPEAK_OP,
    description="Speak the takes of a shard on a GPU and keep each as soon as it is made.",
    pool=gpu_pool(),
    retry_policy=speaking_retries(),  # the retry of a killed process makes only what is missing
    tags=gpu_op_tags(),
)
def synthesize_shard_op(context: dg.OpExecutionContext, store: StoreResource, shard: Shard) -> ShardReport:
    return _synthesize(context, store.open(), shard, yields=gpu_pool() is not None)


@dg.op(
    name="draft_shard",
    description="Speak the takes of a shard on processors and keep each as soon as it is made.",
    retry_policy=speaking_retries(),
    tags=side_op_tags(cpus=1),
)
def draft_shard_op(context: dg.OpExecutionContext, store: StoreResource, shard: Shard) -> ShardReport:
    return _synthesize(context, store.open(), shard, yields=False)


def _synthesize(context: dg.OpExecutionContext, store: Store, shard: Shard, *, yields: bool) -> ShardReport:
    speech = format_duration(shard.expected_seconds)
    context.log.info(f"{shard.requests} takes by {shard.engine}, about {speech} of speech")
    keys = context.partition_keys if context.has_partition_key or context.has_partition_key_range else []
    report_progress = ProgressReporter(context, "takes", keys[0] if len(keys) == 1 else None)

    def show(progress: Progress) -> None:
        rate = progress.audio_seconds / max(progress.wall_seconds, 1e-9)
        report_progress("takes", progress.done, progress.total, shard=shard.index, x_real_time=round(rate, 1))

    step_key = context.get_step_execution_context().step.key
    urgent = _PeriodicCheck(lambda: yields and should_yield_gpu(context.instance, context.run, step_key))
    # On another node a step does not see the process of its run end.
    ended = _PeriodicCheck(
        lambda: get_settings().executor != "local" and run_has_ended(context.instance, context.run_id)
    )
    reports: list[ShardReport] = []
    told = threading.Event()
    try:
        with failures(), _notice(told):
            report = synthesize_shard(
                store,
                shard,
                speaking_options(get_settings()),
                on_progress=show,
                on_report=reports.append,
                cancelled=lambda: run_is_gone() or ended() or urgent() or told.is_set(),
            )
    except Cancelled:
        goes = told.is_set() and not run_has_ended(context.instance, context.run_id)
        if not (urgent.positive or goes):
            raise
        why = "this node is told to go" if goes else "a more urgent run waits for the GPU"
        context.log.info(f"{why}: giving it up, to go on with what is missing afterwards")
        write_record(store, _yielded_key(context, shard, context.retry_number), reports[0])
        raise dg.RetryRequested(max_retries=MAX_YIELDS, seconds_to_wait=1) from None
    for number in range(context.retry_number):
        if before := find_record(store, _yielded_key(context, shard, number), ShardReport):
            report = report.after(before)
    for note in report.notes:
        context.log.info(note)
    if report.retakes:
        context.log.info(f"{report.retakes} takes were doubtful and made again")
    for problem in report.problems:
        context.log.error(f"{problem.narration}, line {problem.line}, {problem.text!r}: {problem.reason}")
    return report


def _yielded_key(context: dg.OpExecutionContext, shard: Shard, number: int) -> str:
    """Key of a step's report from when it gave up the GPU."""
    return layout.run_value(context.run_id, "shards", f"{shard.index:03}.yielded-{number}.json")


@contextmanager
def _notice(told: threading.Event) -> Iterator[None]:
    """`told` is set when a cluster tells this process to go, by SIGTERM; on one machine Dagster interrupts steps."""
    if get_settings().executor == "local":
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _PeriodicCheck:
    """Calls `check` every few seconds until it is positive."""

    def __init__(self, check: Callable[[], bool]) -> None:
        self._check, self._checked, self.positive = check, time.monotonic(), False

    def __call__(self) -> bool:
        if not self.positive and time.monotonic() - self._checked >= YIELD_CHECK_SECONDS:
            self.positive = self._check()
            self._checked = time.monotonic()
        return self.positive

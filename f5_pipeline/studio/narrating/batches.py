"""Batches: many narrations in one run, what came of each, and the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import AliasChoices, BaseModel, Field

from f5_pipeline.speech import engines
from f5_pipeline.studio.records import Audio, Plan, ShardReport, Takes

CHARACTERS_PER_MINUTE = 850
"""Of narration in English; to guess lengths before scripts are read."""


class NarrationOutcome(BaseModel):
    """What came of a narration in a batch."""

    narration: str
    version: str = Field(description="of its script")
    reason: str | None = Field(default=None, description="why it failed; None: it is done")
    # Named `passing` until version 0.2.
    retryable: bool = Field(
        default=False,
        validation_alias=AliasChoices("retryable", "passing"),
        description="whether trying again may help by itself",
    )
    attempts: int = 1
    engine: str = ""
    revision: str = ""
    seconds: float = Field(default=0.0, description="of finished audio")
    takes_made: int = 0
    takes_reused: int = 0
    retaken: int = 0
    doubtful: int = 0


class BatchPlan(BaseModel):
    """What a batch is to do: narrations that were planned, and those that could not be."""

    launcher: str
    began: float = Field(description="POSIX time, s")
    versions: dict[str, str] = Field(description="by planned narration: the version of its script")
    lengths: dict[str, float] = Field(default={}, description="by planned narration: expected s")
    failed: list[NarrationOutcome] = []
    left: list[str] = Field(default=[], description="narrations that another run works on or has done")


class BatchWork(BaseModel):
    """What the shards of a batch have come to."""

    shards: list[ShardReport]


class BatchGroup(BaseModel):
    """Narrations that one step delivers."""

    index: int
    versions: dict[str, str]


class BatchPart(BaseModel):
    """What such a step has come to."""

    index: int
    outcomes: list[NarrationOutcome]


class BatchReport(BaseModel):
    """What a batch has come to."""

    run: str
    launcher: str
    began: str = Field(description="ISO 8601, UTC")
    ended: str
    wall_seconds: float
    narrations: list[NarrationOutcome]
    waiting: int = Field(description="narrations that wait for another batch")
    audio_seconds: float = Field(description="of finished narrations")
    gpu_seconds: float = Field(description="that GPUs were held to synthesize")
    draft_seconds: float = Field(description="that engines without a GPU worked")
    takes_made: int
    retakes: int
    gpu_hour_cost: float
    cost: float = Field(description="of the GPUs, in the currency of gpu_hour_cost")
    cost_per_minute: float | None = Field(description="of finished narration; None where nothing was finished")

    @property
    def done(self) -> list[NarrationOutcome]:
        return [one for one in self.narrations if one.reason is None]

    @property
    def failed(self) -> list[NarrationOutcome]:
        return [one for one in self.narrations if one.reason is not None]


def outcome_of(plan: Plan, takes: Takes, audio: Audio) -> NarrationOutcome:
    """Of a narration that is done."""
    return NarrationOutcome(
        narration=plan.narration,
        version=plan.version,
        engine=plan.engine,
        revision=audio.revision,
        seconds=audio.seconds,
        takes_made=takes.synthesized,
        takes_reused=takes.reused,
        retaken=takes.retaken,
        doubtful=takes.doubtful,
    )


def report_of(
    plan: BatchPlan,
    parts: Iterable[BatchPart],
    shards: Sequence[ShardReport],
    *,
    run: str,
    ended: float,
    waiting: int,
    gpu_hour_cost: float,
) -> BatchReport:
    """The report of a batch."""
    from f5_pipeline.system.clock import iso_time

    outcomes = [*plan.failed, *(one for part in parts for one in part.outcomes)]
    audio = sum(one.seconds for one in outcomes)
    gpu = sum(shard.wall_seconds for shard in shards if _needs_gpu(shard))
    cost = gpu / 3600 * gpu_hour_cost
    return BatchReport(
        run=run,
        launcher=plan.launcher,
        began=iso_time(plan.began),
        ended=iso_time(ended),
        wall_seconds=round(ended - plan.began, 1),
        narrations=sorted(outcomes, key=lambda one: (one.reason is None, one.narration)),
        waiting=waiting,
        audio_seconds=round(audio, 1),
        gpu_seconds=round(gpu, 1),
        draft_seconds=round(sum(shard.wall_seconds for shard in shards if not _needs_gpu(shard)), 1),
        takes_made=sum(sum(shard.made.values()) for shard in shards),
        retakes=sum(shard.retakes for shard in shards),
        gpu_hour_cost=gpu_hour_cost,
        cost=round(cost, 4),
        cost_per_minute=round(cost / (audio / 60), 6) if audio else None,
    )


def _needs_gpu(shard: ShardReport) -> bool:
    spec = engines.find(shard.engine)
    return spec is None or spec.needs_gpu


Item = TypeVar("Item")


def split(items: Iterable[tuple[Item, float]], parts: int) -> list[list[Item]]:
    """Share items with sizes among `parts`, each as large as the others, as well as one look at each can do; parts
    that would be empty are left out."""
    made: list[list[Item]] = [[] for _ in range(parts)]
    sizes = [0.0] * parts
    for item, size in sorted(items, key=lambda pair: -pair[1]):
        least = sizes.index(min(sizes))
        made[least].append(item)
        sizes[least] += size
    return [part for part in made if part]


def within(items: Iterable[tuple[Item, float]], most: float) -> list[Item]:
    """The first items whose sizes come to `most` at most (0: no limit): one that does not fit lets smaller ones pass,
    and the first is taken in any case, so that nothing waits for ever."""
    taken: list[Item] = []
    used = 0.0
    for item, size in items:
        if not most or not taken or used + size <= most:
            taken.append(item)
            used += size
    return taken

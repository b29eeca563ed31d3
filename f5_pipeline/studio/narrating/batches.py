"""Batches: many narrations in one run, their outcomes, and the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import AliasChoices, BaseModel, Field

from f5_pipeline.speech import engines
from f5_pipeline.studio.records import Audio, Plan, ShardReport, Takes

CHARACTERS_PER_MINUTE = 850
"""Of English narration, to estimate lengths before scripts are read."""


class NarrationOutcome(BaseModel):
    """Outcome of a narration in a batch."""

    narration: str
    version: str = Field(description="of its script")
    reason: str | None = Field(default=None, description="why it failed; None: it was delivered")
    # Named `passing` until version 0.2.
    retryable: bool = Field(
        default=False,
        validation_alias=AliasChoices("retryable", "passing"),
        description="whether trying again may succeed",
    )
    postponed: bool = Field(default=False, description="it would have cost too much, and waits for the next batch")
    attempts: int = 1
    engine: str = ""
    revision: str = ""
    seconds: float = Field(default=0.0, description="of finished audio")
    takes_made: int = 0
    takes_reused: int = 0
    retaken: int = 0
    doubtful: int = 0
    model: str = ""
    heard_words: int = Field(default=0, description="see `Takes`")
    word_errors: int = 0
    warnings: list[str] = Field(default=[], description="for people: unchecked voices, subtitles that do not fit")


class BatchPlan(BaseModel):
    """Work of a batch: narrations that were planned, and those whose planning failed."""

    launcher: str
    began: float = Field(description="POSIX time, s")
    versions: dict[str, str] = Field(description="by planned narration: the version of its script")
    lengths: dict[str, float] = Field(default={}, description="by planned narration: expected s")
    failed: list[NarrationOutcome] = Field(default=[], description="and those that are postponed")
    gpu_seconds: float = Field(default=0.0, description="expected s for which synthesis holds GPUs")
    left: list[str] = Field(default=[], description="narrations that another run works on or has delivered")


class BatchWork(BaseModel):
    """Reports of the shards of a batch."""

    shards: list[ShardReport]


class BatchGroup(BaseModel):
    """Narrations that one delivery step handles."""

    index: int
    versions: dict[str, str]


class BatchPart(BaseModel):
    """Outcomes of one delivery step."""

    index: int
    outcomes: list[NarrationOutcome]


class BatchReport(BaseModel):
    """Result of a batch."""

    run: str
    launcher: str
    began: str = Field(description="ISO 8601, UTC")
    ended: str
    wall_seconds: float
    narrations: list[NarrationOutcome]
    waiting: int = Field(description="narrations left for a later batch")
    audio_seconds: float = Field(description="of finished narrations")
    gpu_seconds: float = Field(description="for which synthesis held GPUs")
    expected_gpu_seconds: float = Field(default=0.0, description="of the plan, before anything was made")
    draft_seconds: float = Field(description="of synthesis without a GPU")
    gpu_speech_seconds: float = Field(default=0.0, description="of speech that was made on GPUs, retakes included")
    draft_speech_seconds: float = Field(default=0.0, description="of speech that was made without")
    engine_batches: float = Field(default=0.0, description="see `ShardReport`")
    engine_batch_frames: float = 0.0
    engine_batch_room: float = 0.0
    takes_made: int
    retakes: int
    gpu_hour_cost: float
    cost: float = Field(description="of the GPUs, in the currency of gpu_hour_cost")
    expected_cost: float = Field(default=0.0, description="of the plan")
    cost_per_minute: float | None = Field(description="of finished narration; None where nothing was finished")

    @property
    def done(self) -> list[NarrationOutcome]:
        return [outcome for outcome in self.narrations if outcome.reason is None]

    @property
    def failed(self) -> list[NarrationOutcome]:
        return [outcome for outcome in self.narrations if outcome.reason is not None and not outcome.postponed]


def outcome_of(plan: Plan, takes: Takes, audio: Audio) -> NarrationOutcome:
    """The outcome of a delivered narration."""
    slots = audio.slots
    unfit = [f"{slots.unfit} of {slots.cues} cues do not fit their slots"] if slots and slots.unfit else []
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
        model=plan.model or "",
        heard_words=takes.heard_words,
        word_errors=takes.word_errors,
        warnings=[*plan.warnings, *unfit],
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

    outcomes = [*plan.failed, *(outcome for part in parts for outcome in part.outcomes)]
    audio = sum(outcome.seconds for outcome in outcomes)
    on_gpu, drafts = (
        [shard for shard in shards if _needs_gpu(shard)],
        [shard for shard in shards if not _needs_gpu(shard)],
    )
    gpu = sum(shard.wall_seconds for shard in on_gpu)
    cost = gpu / 3600 * gpu_hour_cost
    return BatchReport(
        run=run,
        launcher=plan.launcher,
        began=iso_time(plan.began),
        ended=iso_time(ended),
        wall_seconds=round(ended - plan.began, 1),
        narrations=sorted(outcomes, key=lambda outcome: (outcome.reason is None, outcome.narration)),
        waiting=waiting,
        audio_seconds=round(audio, 1),
        gpu_seconds=round(gpu, 1),
        expected_gpu_seconds=round(plan.gpu_seconds, 1),
        draft_seconds=round(sum(shard.wall_seconds for shard in drafts), 1),
        gpu_speech_seconds=round(sum(shard.audio_seconds for shard in on_gpu), 1),
        draft_speech_seconds=round(sum(shard.audio_seconds for shard in drafts), 1),
        engine_batches=round(sum(shard.batches for shard in shards), 2),
        engine_batch_frames=round(sum(shard.batch_frames for shard in shards)),
        engine_batch_room=round(sum(shard.batch_room for shard in shards)),
        takes_made=sum(sum(shard.made.values()) for shard in shards),
        retakes=sum(shard.retakes for shard in shards),
        gpu_hour_cost=gpu_hour_cost,
        cost=round(cost, 4),
        expected_cost=round(plan.gpu_seconds / 3600 * gpu_hour_cost, 4),
        cost_per_minute=round(cost / (audio / 60), 6) if audio else None,
    )


def _needs_gpu(shard: ShardReport) -> bool:
    spec = engines.find(shard.engine)
    return spec is None or spec.needs_gpu


Item = TypeVar("Item")


def divide(items: Iterable[tuple[Item, float]], parts: int) -> list[list[Item]]:
    """Divide (item, size) pairs into at most `parts` lists of about equal size (greedy, largest first); empty lists are
    left out."""
    lists: list[list[Item]] = [[] for _ in range(parts)]
    sizes = [0.0] * parts
    for item, size in sorted(items, key=lambda pair: -pair[1]):
        smallest = sizes.index(min(sizes))
        lists[smallest].append(item)
        sizes[smallest] += size
    return [part for part in lists if part]


def fit_within(items: Iterable[tuple[Item, float]], limit: float) -> list[Item]:
    """The first items whose sizes add up to at most `limit` (0: no limit). Items that do not fit are skipped; the first
    is always chosen, so that no item waits for ever."""
    chosen: list[Item] = []
    used = 0.0
    for item, size in items:
        if not limit or not chosen or used + size <= limit:
            chosen.append(item)
            used += size
    return chosen

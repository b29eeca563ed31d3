"""From plans to takes: what is missing is split into shards, each shard is spoken, what is there is gathered.

Every take is kept as soon as it is made, so a run that is killed loses only what its engine had in hand.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from pydantic import BaseModel

from f5_pipeline.errors import PipelineError, StoreError
from f5_pipeline.settings import get_settings
from f5_pipeline.speech import engines
from f5_pipeline.speech.engine import SAMPLE_RATE, Engine, Failed, Request, Speech
from f5_pipeline.speech.takes import Take, make_take
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.studio.planning import missing_takes
from f5_pipeline.studio.records import Plan, PlannedChunk, Shard, ShardReport, TakeProblem, Takes, digest_of
from f5_pipeline.studio.scratch import workspace
from f5_pipeline.studio.state import find_record, put_lines, read_lines

MOST_PROBLEMS = 50
"""Problems of a shard that are told one by one; the rest is counted."""


class ShardLine(BaseModel):
    """A take to make, and the first place where it is needed."""

    request: Request
    narration: str
    line: int


def plan_shards(store: Store, plans: Iterable[Plan], run_id: str, shards: int | None = None) -> list[Shard]:
    """Split the takes that several plans lack into shards of about equal length; takes that plans share come once.

    Args:
        run_id: names the place of the shards in the store.
        shards: how many per engine at most; from the settings where None.
    """
    shards = shards or get_settings().shards
    claimed: set[bytes] = set()
    queues: dict[tuple[str, int], _Queue] = {}
    with workspace() as folder:
        try:
            for plan in plans:
                for planned in _missing_and_readable(store, plan):
                    key = bytes.fromhex(planned.key)
                    if key in claimed:
                        continue
                    claimed.add(key)
                    mine = [queues.get((plan.engine, n)) for n in range(shards)]
                    n = min(range(shards), key=lambda n: q.seconds if (q := mine[n]) else 0.0)
                    queue = mine[n]
                    if queue is None:
                        queue = queues[plan.engine, n] = _Queue((folder / f"{plan.engine}-{n}").open("wb"))
                    queue.add(plan.narration, planned)
        finally:
            for queue in queues.values():
                queue.out.close()
        made = []
        for index, ((engine, n), queue) in enumerate(sorted(queues.items())):
            key = layout.run_value(run_id, "shards", f"{index:03}.jsonl")
            store.put_file(key, folder / f"{engine}-{n}")
            made.append(
                Shard(
                    index=index,
                    requests_key=key,
                    requests=queue.requests,
                    expected_seconds=round(queue.seconds, 3),
                    engine=engine,
                    voices=sorted(queue.voices),
                )
            )
    return made


def _missing_and_readable(store: Store, plan: Plan) -> Iterator[PlannedChunk]:
    """The missing takes of a plan as far as it can be read: one that cannot fails alone, when it is gathered."""
    with suppress(StoreError):
        yield from missing_takes(store, plan)


class _Queue:
    """A shard while it is being filled."""

    def __init__(self, out) -> None:
        self.out = out
        self.requests, self.seconds = 0, 0.0
        self.voices: set[str] = set()

    def add(self, narration: str, planned: PlannedChunk) -> None:
        chunk = planned.chunk
        request = Request(
            key=planned.key,
            text=chunk.spoken,
            language=chunk.language,
            voice=chunk.voice,
            speed=chunk.speed,
            expected_seconds=chunk.expected_seconds,
        )
        line = ShardLine(request=request, narration=narration, line=chunk.line)
        self.out.write(line.model_dump_json().encode() + b"\n")
        self.requests += 1
        self.seconds += chunk.expected_seconds
        self.voices.add(chunk.voice)


@dataclass
class Progress:
    """How far a shard is."""

    done: int
    total: int
    audio_seconds: float
    wall_seconds: float


def synthesize_shard(
    store: Store,
    shard: Shard,
    *,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ShardReport:
    """Speak the takes of a shard that are still missing and keep each as soon as it is made.

    A chunk that cannot be spoken is reported and disturbs no other.

    Raises:
        EngineError: the engine cannot go on. StoreError: a take cannot be kept. Cancelled: `cancelled()` is true.
    """
    own = engine is None
    settings = get_settings()
    engine = engine or engines.create(shard.engine, workers=max(1, settings.draft_workers // settings.shards))
    started = time.monotonic()
    origin: dict[str, ShardLine] = {}
    report = ShardReport(index=shard.index, engine=shard.engine, made={})
    made: Counter[str] = Counter()
    problems = 0

    def requests() -> Iterator[Request]:
        for line in read_lines(store, shard.requests_key, ShardLine):
            if store.exists(layout.take_record(line.request.key)):
                report.found += 1
                continue
            origin[line.request.key] = line
            yield line.request

    try:
        for result in engine.speak(requests(), cancelled=cancelled):
            line = origin.pop(result.key)
            try:
                if isinstance(result, Failed):
                    raise _ChunkFailed(result.reason)
                report.audio_seconds += _keep(store, line.request, result, engine.name)
                made[line.narration] += 1
            except _ChunkFailed as failure:
                problems += 1
                if problems <= MOST_PROBLEMS:
                    report.problems.append(
                        TakeProblem(
                            narration=line.narration,
                            line=line.line,
                            text=line.request.text[:120],
                            reason=str(failure),
                        )
                    )
            report.wall_seconds = time.monotonic() - started
            done = report.found + problems + sum(made.values())
            on_progress(Progress(done, shard.requests, report.audio_seconds, report.wall_seconds))
    finally:
        if own:
            engine.close()
    report.made = dict(made)
    report.wall_seconds = time.monotonic() - started
    return report


class _ChunkFailed(Exception):
    """One chunk could not be spoken."""


def _keep(store: Store, request: Request, speech: Speech, engine: str) -> float:
    """Keep a take, audio first: a take exists when its record does. Return its length in s."""
    try:
        take, audio = make_take(request, speech, engine)
    except (ValueError, PipelineError) as error:
        raise _ChunkFailed(str(error)) from error
    store.put_bytes(layout.take_audio(take.key), audio)
    store.put_bytes(layout.take_record(take.key), take.model_dump_json().encode())
    return take.samples / SAMPLE_RATE


class MissingTakes(PipelineError):
    """Chunks of a narration have no take."""


def gather_takes(store: Store, plan: Plan, reports: Iterable[ShardReport] = ()) -> Takes:
    """The takes of a narration, in the order of its plan.

    Raises:
        MissingTakes: chunks have none; says which, and why.
    """
    reports = list(reports)
    missing: list[PlannedChunk] = []
    keys: set[bytes] = set()
    count, speech_seconds = 0, 0.0

    def lines() -> Iterator[Take]:
        nonlocal count, speech_seconds
        for planned in read_lines(store, plan.chunks_key, PlannedChunk):
            count += 1
            keys.add(bytes.fromhex(planned.key))
            key = layout.take_record(planned.key)
            take = find_record(store, key, Take)
            if take is None:
                missing.append(planned)
                continue
            speech_seconds += take.speech_end - take.speech_start
            yield take

    takes_key, content = put_lines(store, lambda digest: layout.narration_takes(plan.narration, digest), lines())
    if missing:
        store.delete(takes_key)
        raise _missing(plan, missing, reports)
    synthesized = sum(report.made.get(plan.narration, 0) for report in reports)
    return Takes(
        narration=plan.narration,
        plan=plan.digest,
        takes_key=takes_key,
        chunks=count,
        total=len(keys),
        synthesized=synthesized,
        reused=len(keys) - synthesized,
        speech_seconds=round(speech_seconds, 3),
        audio_seconds_made=round(sum(report.audio_seconds for report in reports), 3),
        wall_seconds=round(sum(report.wall_seconds for report in reports), 3),
        digest=digest_of(content),
    )


def _missing(plan: Plan, missing: list[PlannedChunk], reports: list[ShardReport]) -> MissingTakes:
    reasons = {problem.text: problem.reason for report in reports for problem in report.problems}
    told = [
        f"line {planned.chunk.line}, {planned.chunk.written[:60]!r}"
        + (f": {reason}" if (reason := reasons.get(planned.chunk.spoken[:120])) else "")
        for planned in missing[:3]
    ]
    more = f" (and {len(missing) - 3} more)" if len(missing) > 3 else ""
    return MissingTakes(
        f"{len(missing)} of {plan.chunks} chunks have no take: {'; '.join(told)}{more}",
        file=plan.script.key,
        mend="Mend these lines, then materialize the plan and the takes again; the takes made are kept.",
    )


def read_takes(store: Store, plan: Plan, takes: Takes) -> Iterator[tuple[PlannedChunk, Take]]:
    """Chunks and their takes, in order, one at a time."""
    chunks = read_lines(store, plan.chunks_key, PlannedChunk)
    for planned, take in zip(chunks, read_lines(store, takes.takes_key, Take), strict=True):
        if planned.key != take.key:
            raise StoreError("takes and plan do not belong together", file=takes.takes_key, mend="Run takes again.")
        yield planned, take

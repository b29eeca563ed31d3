"""Shards: the missing takes of several plans, divided among engines that work in parallel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import BinaryIO

from pydantic import BaseModel, Field

from f5_pipeline.errors import StoreError
from f5_pipeline.speech.chunks import Chunk
from f5_pipeline.speech.engine import Request
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.studio.narrating.planning import MissingTake, missing_takes
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Plan, Shard
from f5_pipeline.system.scratch import workspace


class ShardLine(BaseModel):
    """A take to make, and the first place that needs it."""

    request: Request
    narration: str
    line: int
    asked: bool = Field(default=False, description="a person asked for this attempt: it is not made again")


def request_of(chunk: Chunk, key: str, attempt: int) -> Request:
    """The request for the take of a chunk with this key."""
    return Request(
        key=key,
        text=chunk.spoken,
        language=chunk.language,
        voice=chunk.voice,
        speed=chunk.speed,
        attempt=attempt,
        expected_seconds=chunk.expected_seconds,
        room_seconds=chunk.seconds,
    )


def plan_shards(store: Store, plans: Iterable[Plan], run_id: str, options: StudioOptions) -> list[Shard]:
    """Divide the missing takes of several plans into shards of about equal length; shared takes are made once.

    Each combination of engine, model and sampler gets at most `options.shards` shards.

    Args:
        run_id: of the run; part of the shards' keys.
    """
    claimed: set[bytes] = set()
    queues: dict[tuple[int, int], _Queue] = {}
    kinds: list[tuple] = []
    with workspace() as folder:
        try:
            for plan in plans:
                kind = (plan.engine, plan.model, plan.sampler)
                if kind not in kinds:
                    kinds.append(kind)
                number = kinds.index(kind)
                for missing in _readable_missing_takes(store, plan, options):
                    key = bytes.fromhex(missing.key)
                    if key in claimed:
                        continue
                    claimed.add(key)
                    of_kind = [queues.get((number, n)) for n in range(options.shards)]
                    n = min(range(options.shards), key=lambda n: q.seconds if (q := of_kind[n]) else 0.0)
                    queue = of_kind[n]
                    if queue is None:
                        queue = queues[number, n] = _Queue((folder / f"{number}-{n}").open("wb"))
                    queue.add(plan.narration, missing)
        finally:
            for queue in queues.values():
                queue.out.close()
        shards = []
        for index, ((number, n), queue) in enumerate(sorted(queues.items())):
            key = layout.run_value(run_id, "shards", f"{index:03}.jsonl")
            store.put_file(key, folder / f"{number}-{n}")
            engine, model, sampler = kinds[number]
            shards.append(
                Shard(
                    index=index,
                    requests_key=key,
                    requests=queue.requests,
                    expected_seconds=round(queue.seconds, 3),
                    engine=engine,
                    model=model,
                    sampler=sampler,
                    voices=sorted(queue.voices),
                )
            )
    return shards


def _readable_missing_takes(store: Store, plan: Plan, options: StudioOptions) -> Iterator[MissingTake]:
    """The missing takes of a plan up to a read error; the error is raised later, when its own takes are gathered."""
    with suppress(StoreError):
        yield from missing_takes(store, plan, options)


class _Queue:
    """A shard while it is being filled."""

    def __init__(self, out: BinaryIO) -> None:
        self.out = out
        self.requests, self.seconds = 0, 0.0
        self.voices: set[str] = set()

    def add(self, narration: str, missing: MissingTake) -> None:
        chunk = missing.planned.chunk
        request = request_of(chunk, missing.key, missing.attempt)
        line = ShardLine(request=request, narration=narration, line=chunk.line, asked=missing.asked)
        self.out.write(line.model_dump_json().encode() + b"\n")
        self.requests += 1
        self.seconds += chunk.expected_seconds
        self.voices.add(chunk.voice)

"""Reproducibility of a narration: a sample of its takes is spoken again and compared with the kept ones."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from f5_pipeline.errors import EngineError, NotFoundError, PipelineError
from f5_pipeline.speech.audio import features
from f5_pipeline.speech.engine import SAMPLE_RATE, Failed, Request, Speech, speaking
from f5_pipeline.speech.takes import Take, make_take, read_take_audio
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import read_record
from f5_pipeline.studio.narrating.engines import speaking_engine
from f5_pipeline.studio.narrating.gate import keys_of
from f5_pipeline.studio.narrating.gathering import read_takes
from f5_pipeline.studio.narrating.shards import request_of
from f5_pipeline.studio.narrating.timing import timer_of
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import ChosenTake, Plan, PlannedChunk, Shard, Takes

if TYPE_CHECKING:
    import numpy as np

MAX_CLOSE_DB = 1.0
"""Mean difference of log-mel frames, dB, up to which two takes are the same speech: another device or precision gives
some tenths, another seed ten times as much."""

Outcome = Literal["identical", "close", "different", "failed"]


class Comparison(BaseModel):
    """A take made again."""

    chunk: int
    line: int
    text: str
    take: str = Field(description="key")
    outcome: Outcome
    difference_db: float | None = Field(
        default=None, description="mean difference of the log-mel frames; None: lengths differ"
    )
    reason: str = ""


def verify_narration(
    store: Store,
    narration: str,
    options: StudioOptions,
    *,
    sample: int = 5,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Comparison]:
    """Make a sample of a narration's takes again, with the same text, reference, weights, settings and seeds.

    Args:
        sample: number of takes to compare, drawn at random with a fixed seed; all where there are fewer.

    Raises:
        NotFoundError: the narration has no takes. EngineError: the model or a voice has changed.
    """
    plan = read_record(store, layout.narration_state(narration, "plan"), Plan)
    takes = read_record(store, layout.narration_state(narration, "takes"), Takes)
    if takes.plan != plan.digest:
        raise NotFoundError(
            f"the takes of {narration!r} belong to an older plan", hint=f"Run: f5-pipeline narrate {narration}."
        )
    chosen = _sample(read_takes(store, plan, takes), sample, seed=takes.digest)
    shard = Shard(
        index=0,
        requests_key="",
        requests=len(chosen),
        expected_seconds=0.0,
        engine=plan.engine,
        model=plan.model,
        sampler=plan.sampler,
        voices=sorted({planned.chunk.voice for planned, _ in chosen}),
    )
    with ExitStack() as stack:
        engine = stack.enter_context(speaking_engine(store, shard, options))
        timer = stack.enter_context(timer_of(store, shard, options))
        originals: dict[str, tuple[PlannedChunk, Take, Request]] = {}
        for planned, used in chosen:
            request = request_of(planned.chunk, used.take.key, used.take.details.get("attempt", 0))
            if keys_of(planned.chunk, engine.sound(request.voice))(request.attempt) != request.key:
                raise EngineError(
                    f"voice {request.voice!r}, the model or the engine is not what spoke {narration!r}",
                    hint="Bring back what the manifest names, or narrate again.",
                )
            if timer is not None:
                request = replace(request, speech_seconds=timer.seconds(request))
            originals[request.key] = planned, used.take, request
        with speaking(engine, [request for _, _, request in originals.values()], cancelled=cancelled) as results:
            for result in results:
                planned, take, request = originals[result.key]
                yield _compare(store, planned, take, request, result, engine.name)


def _sample(
    takes: Iterator[tuple[PlannedChunk, ChosenTake]], count: int, seed: str
) -> list[tuple[PlannedChunk, ChosenTake]]:
    """Some of the takes, each once (reservoir sampling), in the order of the narration."""
    generator = random.Random(seed)
    sample: list[tuple[int, PlannedChunk, ChosenTake]] = []
    seen: set[str] = set()
    for planned, used in takes:
        if used.take.key in seen:
            continue
        seen.add(used.take.key)
        if len(sample) < count:
            sample.append((len(seen), planned, used))
        elif (place := generator.randrange(len(seen))) < count:
            sample[place] = len(seen), planned, used
    return [(planned, used) for _, planned, used in sorted(sample, key=lambda entry: entry[0])]


def _compare(
    store: Store, planned: PlannedChunk, take: Take, request: Request, result: Speech | Failed, engine: str
) -> Comparison:
    chunk = planned.chunk

    def report(outcome: Outcome, difference: float | None = None, reason: str = "") -> Comparison:
        return Comparison(
            chunk=chunk.index,
            line=chunk.line,
            text=chunk.written[:120],
            take=take.key,
            outcome=outcome,
            difference_db=difference,
            reason=reason,
        )

    if isinstance(result, Failed):
        return report("failed", reason=result.reason)
    try:
        repeated, audio = make_take(request, result, engine)
    except PipelineError as error:
        return report("failed", reason=str(error))
    if repeated.sha256 == take.sha256:
        return report("identical", 0.0)
    old, new = read_take_audio(store.get_bytes(layout.take_audio(take.key))), read_take_audio(audio)
    if len(old) != len(new):
        return report("different", reason=f"{len(old) / SAMPLE_RATE:.3f} s then, {len(new) / SAMPLE_RATE:.3f} s now")
    difference = round(difference_db(old, new), 3)
    return report("close" if difference <= MAX_CLOSE_DB else "different", difference)


def difference_db(first: np.ndarray, second: np.ndarray) -> float:
    """Mean absolute difference of the log-mel frames of two recordings of equal length, dB.

    Frames are floored at 60 dB below the loudest, so that silence does not count.

    Args:
        first, second: float32, shape (n,), mono, SAMPLE_RATE Hz.
    """
    import numpy as np

    decibels = [features.log_mel(samples) * (10 / math.log(10)) for samples in (first, second)]
    floor = max(float(frames.max()) for frames in decibels) - 60
    floored = [np.maximum(frames, floor) for frames in decibels]
    return float(np.abs(floored[0] - floored[1]).mean())

"""From a shard's requests to takes: spoken, timed, measured, kept, and made again where the quality gate doubts them.

Every take is kept as soon as it is made, so a killed run loses only the takes that its engine was working on.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from f5_pipeline.errors import PipelineError
from f5_pipeline.speech.engine import SAMPLE_RATE, Engine, Failed, Request, Speech, speaking
from f5_pipeline.speech.quality.gate import Band, Measures
from f5_pipeline.speech.takes import Take, make_take, read_take_audio, take_json, take_key
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio.narrating.costs import record_speed
from f5_pipeline.studio.narrating.engines import retakes_of, speaking_engine
from f5_pipeline.studio.narrating.gate import Bands, find_take, is_heard_alike, verdict_of
from f5_pipeline.studio.narrating.listening import TakeListener, take_listener_of
from f5_pipeline.studio.narrating.shards import ShardLine
from f5_pipeline.studio.narrating.timing import Timer, timer_of
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Shard, ShardReport, TakeProblem

MAX_PROBLEMS = 50
"""Problems of a shard that are listed; more are only counted."""

_MIN_KEEPERS = 4
"""Minimum number of threads that time, measure and keep takes while the engine makes the next ones."""


@dataclass
class Progress:
    """Progress of a shard."""

    done: int
    total: int
    audio_seconds: float
    wall_seconds: float


def synthesize_shard(
    store: Store,
    shard: Shard,
    options: StudioOptions,
    *,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_report: Callable[[ShardReport], None] = lambda report: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ShardReport:
    """Speak the missing takes of a shard and keep each as soon as it is made.

    Takes of an engine that does not know its own times are timed by alignment and measured; those that the quality
    gate doubts are made again with the next attempt's seed, in rounds. A chunk that cannot be spoken is reported and
    does not affect others.

    Args:
        on_report: called with the report at the end, also after an error.

    Raises:
        EngineError: the engine cannot go on. StoreError: a take cannot be kept. Cancelled: `cancelled()` is true.
    """
    started = time.monotonic()  # the device is held from now on
    with ExitStack() as stack:
        engine = engine or stack.enter_context(speaking_engine(store, shard, options, cancelled=cancelled))
        timer = stack.enter_context(timer_of(store, shard, options))
        device = getattr(engine, "device", "cpu")
        listener = stack.enter_context(take_listener_of(store, shard, options, device))
        retakes = retakes_of(shard.engine, options)
        work = _Work(store, shard, engine, timer, listener, retakes, on_progress, cancelled, started)
        lines: Iterable[ShardLine] = read_lines(store, shard.requests_key, ShardLine)
        try:
            for round_ in range(1 + retakes):
                doubted = work.speak(lines, first=round_ == 0)
                if not doubted:
                    break
                lines = doubted
        finally:
            on_report(work.close())
        record_speed(store, work.report, shard.model, shard.sampler, options)
        return work.report


class _Work:
    """A shard being synthesized."""

    def __init__(
        self,
        store: Store,
        shard: Shard,
        engine: Engine,
        timer: Timer | None,
        listener: TakeListener | None,
        retakes: int,
        on_progress: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        started: float,
    ) -> None:
        self._store, self._shard, self._engine, self._timer = store, shard, engine, timer
        self._listener, self._retakes = listener, retakes
        self._on_progress, self._cancelled = on_progress, cancelled
        self._started = started
        self._made: Counter[str] = Counter()
        self._problems = 0
        self._fullest = 0.0  # frames of the fullest batch
        self._chunks: set[str] = set()  # first keys of the chunks that have a take
        self._sounds: dict[str, dict[str, Any]] = {}
        self._bands = Bands(store)
        self._measures: dict[str, list[Measures]] = defaultdict(list)
        self.report = ShardReport(index=shard.index, engine=shard.engine, made={})

    def speak(self, lines: Iterable[ShardLine], *, first: bool) -> list[ShardLine]:
        """One round: speak the lines, keep their takes, and return the lines to speak again."""
        origin: dict[str, ShardLine] = {}
        takes: list[tuple[ShardLine, Take]] = []
        failed: list[tuple[ShardLine, _ChunkFailed]] = []

        def requests() -> Iterator[Request]:
            for line, exists in in_parallel(self._store, self._check_take, self._timed(lines)):
                if isinstance(line, tuple):
                    failed.append(line)
                    self._report_progress()
                    continue
                if exists:
                    self.report.found += first
                    if self._timer and (take := find_take(self._store, line.request.key)) is not None:
                        takes.append((line, take))
                    continue
                origin[line.request.key] = line
                yield line.request

        keeping = max(_MIN_KEEPERS, self._store.parallel)
        with ThreadPoolExecutor(keeping, thread_name_prefix="keep") as keepers:
            pending: deque[tuple[ShardLine, Future[Take]]] = deque()

            def settle(max_pending: int) -> None:
                while len(pending) > max_pending:
                    line, future = pending.popleft()
                    try:
                        take = future.result()
                    except _ChunkFailed as failure:
                        failed.append((line, failure))
                    else:
                        self.report.audio_seconds += take.samples / SAMPLE_RATE
                        self._count(line)
                        self._count_batch(take)
                        if self._timer:
                            takes.append((line, take))
                    self._report_progress()

            try:
                with speaking(self._engine, requests(), cancelled=self._cancelled) as results:
                    for result in results:
                        line = origin.pop(result.key)
                        pending.append((line, keepers.submit(self._keep, line.request, result)))
                        settle(4 * keeping)
            finally:
                settle(0)  # keep finished takes, also after an error of the engine
        return self._lines_to_repeat(takes, failed)

    def _check_take(
        self, line: ShardLine | tuple[ShardLine, _ChunkFailed]
    ) -> tuple[ShardLine | tuple[ShardLine, _ChunkFailed], bool]:
        """A line, and whether its take exists: another run may have made it in the meantime."""
        return line, not isinstance(line, tuple) and self._store.exists(layout.take_record(line.request.key))

    def _timed(self, lines: Iterable[ShardLine]) -> Iterator[ShardLine | tuple[ShardLine, _ChunkFailed]]:
        """The lines with their speech seconds, if the engine needs them; a tuple for a line that cannot be spoken."""
        if self._timer is None:
            yield from lines
            return
        for line, outcome in self._timer.ahead(lines, lambda line: line.request):
            if isinstance(outcome, str):
                yield line, _ChunkFailed(outcome)
            elif self._key(line.request) != line.request.key:
                reason = f"voice {line.request.voice!r} or the model has changed since: plan the narration again"
                yield line, _ChunkFailed(reason)
            else:
                yield line.model_copy(update={"request": replace(line.request, speech_seconds=outcome)})

    def _key(self, request: Request, attempt: int | None = None) -> str:
        sound = self._sounds.get(request.voice)
        if sound is None:
            sound = self._sounds[request.voice] = self._engine.sound(request.voice)
        return take_key(
            text=request.text,
            language=request.language,
            sound=sound,
            speed=request.speed,
            attempt=request.attempt if attempt is None else attempt,
            room=request.room_seconds,
        )

    def _keep(self, request: Request, result: Speech | Failed) -> Take:
        """Keep a take, audio first: a take exists when its record does."""
        if isinstance(result, Failed):
            raise _ChunkFailed(result.reason, another_seed=result.another_seed)
        try:
            measures = self._timer.time(request, result) if self._timer and result.tokens is None else None
            take, audio = make_take(request, result, self._engine.name, measures)
            if self._listener and self._listener.wants(take, self._band(request.voice)):
                take = self._listener.listened(take, read_take_audio(audio))
        except (ValueError, PipelineError) as error:
            raise _ChunkFailed(str(error), another_seed=True) from error
        self._store.put_bytes(layout.take_audio(take.key), audio)
        self._store.put_bytes(layout.take_record(take.key), take_json(take))
        return take

    def _lines_to_repeat(
        self, takes: list[tuple[ShardLine, Take]], failed: list[tuple[ShardLine, _ChunkFailed]]
    ) -> list[ShardLine]:
        """Judge a round: return the next attempts of doubtful takes, and note chunks that failed for good."""
        repeat: list[ShardLine] = []
        if self._timer:
            for line, take in takes:
                if take.measures is not None and line.request.attempt == 0:
                    self._measures[line.request.voice].append(Measures.model_validate(take.measures))
            for voice, measures in self._measures.items():
                self._bands.learn(voice, self._sounds[voice], measures)
            for line, take in in_parallel(self._store, self._listened, takes):
                if not verdict_of(take, self._band(line.request.voice)).passed and not self._is_heard_again(line, take):
                    repeat += self._next(line)
        for line, failure in failed:
            retry = self._next(line) if failure.another_seed else []
            repeat += retry
            if not retry and self._base(line) not in self._chunks:
                self._note_problem(line, str(failure))
        self.report.retakes += len(repeat)
        return repeat

    def _band(self, voice: str) -> Band:
        return self._bands.of(voice, self._sounds[voice])

    def _listened(self, line_and_take: tuple[ShardLine, Take]) -> tuple[ShardLine, Take]:
        """A take that was made before, or whose voice's band was learnt since, is listened to now."""
        line, take = line_and_take
        if self._listener and self._listener.wants(take, self._band(line.request.voice)):
            take = self._listener.relistened(self._store, take)
        return line, take

    def _is_heard_again(self, line: ShardLine, take: Take) -> bool:
        if line.request.attempt == 0 or take.heard is None:
            return False
        before = find_take(self._store, self._key(line.request, line.request.attempt - 1))
        return before is not None and is_heard_alike(before, take)

    def _next(self, line: ShardLine) -> list[ShardLine]:
        attempt = line.request.attempt + 1
        if attempt > self._retakes or line.asked:
            return []
        request = replace(line.request, attempt=attempt, key=self._key(line.request, attempt))
        return [line.model_copy(update={"request": request})]

    def _base(self, line: ShardLine) -> str:
        return line.request.key if line.request.attempt == 0 or line.asked else self._key(line.request, 0)

    def _count(self, line: ShardLine) -> None:
        if (base := self._base(line)) not in self._chunks:
            self._chunks.add(base)
            self._made[line.narration] += 1

    def _count_batch(self, take: Take) -> None:
        """Count a take's part of the batch that its engine says it was made in."""
        batch = take.details.get("batch")
        if isinstance(batch, dict) and (chunks := batch.get("chunks")) and (frames := batch.get("frames")):
            self.report.batches += 1 / chunks
            self.report.batch_frames += frames / chunks
            self._fullest = max(self._fullest, frames)

    def _note_problem(self, line: ShardLine, reason: str) -> None:
        self._problems += 1
        if self._problems <= MAX_PROBLEMS:
            self.report.problems.append(
                TakeProblem(narration=line.narration, line=line.line, text=line.request.text[:120], reason=reason)
            )

    def _report_progress(self) -> None:
        self.report.wall_seconds = time.monotonic() - self._started
        done = min(self._shard.requests, self.report.found + self._problems + sum(self._made.values()))
        self._on_progress(Progress(done, self._shard.requests, self.report.audio_seconds, self.report.wall_seconds))

    def close(self) -> ShardReport:
        """Complete the report and return it."""
        self.report.made = dict(self._made)
        self.report.batch_room = self.report.batches * self._fullest
        self.report.notes = list(getattr(self._engine, "notes", ()))
        self.report.wall_seconds = time.monotonic() - self._started
        return self.report


class _ChunkFailed(Exception):
    """One chunk could not be spoken; another seed may help."""

    def __init__(self, reason: str, *, another_seed: bool = False) -> None:
        super().__init__(reason)
        self.another_seed = another_seed

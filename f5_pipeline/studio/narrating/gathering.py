"""Gathers the takes of a narration: the chosen take of each chunk, in order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import zip_longest
from statistics import fmean
from typing import Any

from f5_pipeline.errors import DamagedError, PipelineError, StoreError
from f5_pipeline.speech.takes import Take
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import put_lines, read_lines
from f5_pipeline.studio.narrating.choices import identity
from f5_pipeline.studio.narrating.engines import retakes_of
from f5_pipeline.studio.narrating.gate import PICKED, Bands, Choice, choose, hearing_of, keys_of
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import ChosenTake, Doubt, Plan, PlannedChunk, ShardReport, Takes, digest_of

MAX_DOUBTS = 50
"""Doubtful takes that are listed for a narration; more are only counted."""

_COMPUTED = ("f5_tts", "torch", "device", "dtype", "attention")

MAX_REASONS = 3
"""Reasons listed for a doubtful take, the weightiest first."""


class MissingTakes(PipelineError):
    """Chunks of a narration have no take."""


def gather_takes(store: Store, plan: Plan, options: StudioOptions, reports: Iterable[ShardReport] = ()) -> Takes:
    """The takes of a narration, in the order of its plan: of each chunk the first that passes the quality gate, else
    the best.

    Raises:
        MissingTakes: chunks have no take; the message says which, and why.
        DamagedError: the plan or a take is damaged.
    """
    reports = list(reports)
    bands, retakes = Bands(store), retakes_of(plan.engine, options)
    missing: list[PlannedChunk] = []
    keys: set[bytes] = set()
    computed: dict[str, dict[str, Any]] = {}
    likenesses: list[float] = []
    used = sha256()  # over sound and times, not over the gate's measures
    tally = Takes(
        narration=plan.narration,
        plan=plan.digest,
        takes_key="",
        chunks=0,
        total=0,
        synthesized=0,
        reused=0,
        speech_seconds=0.0,
        audio_seconds_made=round(sum(report.audio_seconds for report in reports), 3),
        wall_seconds=round(sum(report.wall_seconds for report in reports), 3),
        digest="",
    )

    def choice_of(planned: PlannedChunk) -> tuple[PlannedChunk, Choice | None]:
        chunk = planned.chunk
        sound = plan.sounds[chunk.voice]
        chosen = plan.choices.get(identity(chunk)) if plan.choices else None
        return planned, choose(store, keys_of(chunk, sound), bands.of(chunk.voice, sound), retakes, chosen)

    def lines() -> Iterator[ChosenTake]:
        for planned, choice in in_parallel(store, choice_of, read_lines(store, plan.chunks_key, PlannedChunk)):
            chunk = planned.chunk
            tally.chunks += 1
            keys.add(bytes.fromhex(planned.key))
            if choice is None:
                missing.append(planned)
                continue
            take, verdict = choice.take, choice.verdict
            tally.speech_seconds += take.speech_end - take.speech_start
            tally.picked += verdict is PICKED
            tally.retaken += verdict.passed and verdict is not PICKED and take.key != planned.key
            tally.measured += take.measures is not None
            if hearing := hearing_of(take):
                tally.heard += 1
                tally.heard_words += hearing.differences.words
                tally.word_errors += hearing.differences.errors
                if hearing.similarity is not None:
                    likenesses.append(hearing.similarity)
            if not verdict.passed:
                tally.doubtful += 1
                if len(tally.doubts) < MAX_DOUBTS:
                    tally.doubts.append(
                        Doubt(
                            chunk=chunk.index,
                            line=chunk.line,
                            voice=chunk.voice,
                            text=chunk.written[:120],
                            attempts=choice.attempts,
                            score=round(verdict.score, 2),
                            reasons=verdict.reasons[:MAX_REASONS],
                            take=take.key,
                        )
                    )
            computed.setdefault(json.dumps(details := computed_by(take), sort_keys=True), details)
            used.update(
                f"{planned.key} {take.model_dump_json(exclude={'details', 'measures', 'heard', 'divided'})}\n".encode()
            )
            yield ChosenTake(key=planned.key, take=take, attempts=choice.attempts, doubts=verdict.reasons)

    takes_key, _ = put_lines(store, lambda digest: layout.narration_takes(plan.narration, digest), lines())
    if tally.chunks != plan.chunks:
        store.delete(takes_key)
        problem = f"it holds {tally.chunks} chunks, and {plan.chunks} are planned"
        raise DamagedError(problem, file=plan.chunks_key, hint=plan_again(plan))
    if missing:
        store.delete(takes_key)
        raise _missing(plan, missing, reports)
    tally.takes_key, tally.digest = takes_key, digest_of(used.hexdigest())
    tally.computed = [details for _, details in sorted(computed.items()) if details]
    tally.speech_seconds = round(tally.speech_seconds, 3)
    tally.similarity = round(fmean(likenesses), 3) if likenesses else None
    tally.total = len(keys)
    tally.synthesized = sum(report.made.get(plan.narration, 0) for report in reports)
    tally.reused = max(0, tally.total - tally.synthesized)
    return tally


def plan_again(plan: Plan) -> str:
    """The hint where a plan's chunks are damaged."""
    return f"Plan it again: f5-pipeline narrate {plan.narration}."


def computed_by(take: Take) -> dict[str, Any]:
    """Software and device that a take was computed with, as far as its engine reports them."""
    return {name: take.details[name] for name in _COMPUTED if name in take.details}


def _missing(plan: Plan, missing: list[PlannedChunk], reports: list[ShardReport]) -> MissingTakes:
    reasons = {problem.text: problem.reason for report in reports for problem in report.problems}
    lines = [
        f"line {planned.chunk.line}, {planned.chunk.written[:60]!r}"
        + (f": {reason}" if (reason := reasons.get(planned.chunk.spoken[:120])) else "")
        for planned in missing[:3]
    ]
    more = f" (and {len(missing) - 3} more)" if len(missing) > 3 else ""
    return MissingTakes(
        f"{len(missing)} of {plan.chunks} chunks have no take: {'; '.join(lines)}{more}",
        file=plan.script.key,
        hint="Correct these lines, then materialize the plan and the takes again; the takes made are kept.",
    )


def read_takes(store: Store, plan: Plan, takes: Takes) -> Iterator[tuple[PlannedChunk, ChosenTake]]:
    """Chunks and their chosen takes, in order, one at a time.

    Raises:
        DamagedError: one of the two lists is damaged. StoreError: they belong to different plans.
    """
    chunks = read_lines(store, plan.chunks_key, PlannedChunk)
    for planned, chosen in zip_longest(chunks, read_lines(store, takes.takes_key, ChosenTake)):
        if planned is None or chosen is None or planned.key != chosen.key:
            raise StoreError("takes and plan do not belong together", file=takes.takes_key, hint="Run takes again.")
        yield planned, chosen

"""What a plan changes: the takes that are to be made, why each, how long and how dear they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field

from f5_pipeline.speech.chunks import Chunk, iter_chunks
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio.narrating.costs import Estimate, estimate
from f5_pipeline.studio.narrating.engines import chosen_engine, retakes_of
from f5_pipeline.studio.narrating.planning import MissingTake, lexicon_of, missing_chunks, missing_takes, planned_chunks
from f5_pipeline.studio.narrating.scripts import LoadedScript, check_language
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Plan, PlannedChunk
from f5_pipeline.studio.state import find_state
from f5_pipeline.studio.voices import needs_reference

MAX_LISTED = 25
"""Takes that are named one by one; all are counted."""


class Change(BaseModel):
    """A take to make."""

    chunk: int = Field(description="index of the first chunk that needs it")
    line: int
    voice: str
    reason: str
    seconds: float = Field(description="expected speech, s")
    text: str


class Changes(BaseModel):
    """The takes that a plan needs and the store lacks."""

    takes: int = 0
    speech_seconds: float = 0.0
    reasons: dict[str, int] = Field(default={}, description="takes by reason")
    first: list[Change] = Field(default=[], description=f"the first {MAX_LISTED}")
    gpu_seconds: float = Field(default=0.0, description="expected s for which a GPU is held")
    basis: str = Field(default="", description="where gpu_seconds comes from")
    cost: float | None = Field(default=None, description="in the currency of F5_GPU_HOUR_COST; None where it is 0")

    def priced(self, estimate: Estimate, gpu_hour_cost: float) -> Changes:
        """These changes with what they take."""
        cost = round(estimate.cost(gpu_hour_cost), 4) if gpu_hour_cost else None
        return self.model_copy(
            update={"gpu_seconds": round(estimate.gpu_seconds, 1), "basis": estimate.basis, "cost": cost}
        )


class Reasons:
    """Why takes are missing, by comparison with the plan before, which is the one the store has of a narration."""

    def __init__(self, store: Store, previous: Plan | None, sounds: dict[str, dict[str, Any]]) -> None:
        """
        Args:
            sounds: of the new plan, by voice.
        """
        self._sounds, self._old_sounds = sounds, previous.sounds if previous else {}
        self._keys: set[bytes] = set()
        self._spoken: dict[str, Chunk] = {}
        self._written: set[str] = set()
        self._is_new = previous is None
        for planned in read_lines(store, previous.chunks_key, PlannedChunk) if previous else ():
            self._keys.add(bytes.fromhex(planned.key))
            self._spoken[planned.chunk.spoken] = planned.chunk
            self._written.add(planned.chunk.written)

    def of(self, planned: PlannedChunk, attempt: int = 0, asked: bool = False) -> str:
        chunk = planned.chunk
        if attempt and asked:
            return "asked for"
        if attempt:
            return "doubted by the quality gate"
        if self._is_new:
            return "new narration"
        if bytes.fromhex(planned.key) in self._keys:
            return "not made yet"
        old = self._spoken.get(chunk.spoken)
        if old is None:
            return "read differently" if chunk.written in self._written else "text"
        for name in ("voice", "language", "speed", "seconds"):
            if getattr(old, name) != getattr(chunk, name):
                return "length of the cue" if name == "seconds" else name
        before, now = self._old_sounds.get(chunk.voice, {}), self._sounds.get(chunk.voice, {})
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        return f"{', '.join(changed) or 'sound'} of {chunk.voice}".replace("_", " ")


def plan_changes(store: Store, plan: Plan, options: StudioOptions, gpu_hour_cost: float) -> Changes:
    """The changes that a plan makes to the one that is kept of its narration, priced."""
    reasons = Reasons(store, find_state(store, Plan, plan.narration), plan.sounds)
    missing = missing_takes(store, plan, options)
    changes = changes_of(missing, reasons)
    speech = changes.speech_seconds
    return changes.priced(estimate(store, plan.engine, plan.model, plan.sampler, speech, options), gpu_hour_cost)


def script_changes(store: Store, loaded: LoadedScript, options: StudioOptions, gpu_hour_cost: float) -> Changes:
    """As `plan_changes`, of a script that is not planned yet; nothing is kept.

    A voice that has no reference yet has no take either.

    Raises:
        InputError, EngineError: as `planning.plan_narration`.
    """
    with chosen_engine(store, loaded, options) as (engine, choice):
        check_language(engine, loaded)
        unprepared = any(needs_reference(store, voice) for voice in loaded.script.voices)
        sounds = {} if unprepared else {voice: engine.sound(voice) for voice in loaded.script.voices}
        reasons = Reasons(store, find_state(store, Plan, loaded.narration), sounds)
        if unprepared:  # what they will sound like is not known: all is made anew
            missing = (MissingTake(PlannedChunk(key="", chunk=chunk), 0, "") for chunk in iter_chunks(loaded.script))
        else:
            chunks = planned_chunks(loaded.script, engine, lexicon_of(loaded, engine), loaded.choices.chunks)
            missing = missing_chunks(store, chunks, sounds, retakes_of(choice.engine, options), loaded.choices.chunks)
        changes = changes_of(missing, reasons)
    speech = changes.speech_seconds
    return changes.priced(estimate(store, choice.engine, choice.model, choice.sampler, speech, options), gpu_hour_cost)


def changes_of(missing: Iterable[MissingTake], reasons: Reasons) -> Changes:
    """The changes that missing takes make."""
    changes, counts = Changes(), Counter[str]()
    for planned, attempt, _, asked in missing:
        chunk, reason = planned.chunk, reasons.of(planned, attempt, asked)
        counts[reason] += 1
        changes.takes += 1
        changes.speech_seconds += chunk.expected_seconds
        if len(changes.first) < MAX_LISTED:
            row = Change(
                chunk=chunk.index,
                line=chunk.line,
                voice=chunk.voice,
                reason=reason,
                seconds=round(chunk.expected_seconds, 2),
                text=chunk.written,
            )
            changes.first.append(row)
    changes.reasons = dict(counts.most_common())
    changes.speech_seconds = round(changes.speech_seconds, 2)
    return changes

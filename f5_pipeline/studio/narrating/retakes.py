"""The attempts at a chunk, as a person hears and chooses among them. The next narration carries a choice out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from pydantic import BaseModel, Field

from f5_pipeline.errors import InputError, NotFoundError
from f5_pipeline.speech import engines
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio.narrating import choices
from f5_pipeline.studio.narrating.choices import find_choices, identity, keep_choices
from f5_pipeline.studio.narrating.engines import retakes_of
from f5_pipeline.studio.narrating.gate import Bands, choose, find_take, keys_of, verdict_of
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import (
    MAX_SEED,
    Choices,
    Chosen,
    ChosenTake,
    ChunkChoice,
    Plan,
    PlannedChunk,
    Takes,
)
from f5_pipeline.studio.state import find_state, read_state

MIN_SPEED, MAX_SPEED = 0.3, 3.0


class Attempt(BaseModel):
    """An attempt at a chunk.

    `letter` names it in a list; the order says nothing of which is better.
    """

    letter: str
    attempt: int = Field(description="0 for the first; the seed of the noise follows from it")
    key: str = Field(description="of its take")
    made: bool
    seconds: float | None = Field(default=None, description="of speech, s")
    score: float | None = Field(default=None, description="of the quality gate, lower is better; None: not measured")
    reasons: list[str] = Field(default=[], description="why the quality gate doubts it")
    used: bool = Field(default=False, description="the next narration uses it")
    picked: bool = Field(default=False, description="because a person picked it")


class RetakeDesk:
    """One chunk of a narration, and what was chosen for it.

    Raises:
        InputError: the narration is not planned yet, or has no such chunk.
    """

    def __init__(self, store: Store, narration: str, index: int, options: StudioOptions) -> None:
        self._store, self._narration = store, narration
        try:
            self.plan = read_state(store, Plan, narration)
        except NotFoundError:
            hint = f"Narrate it first: f5-pipeline narrate {narration}."
            raise InputError("it is not planned yet", file=narration, hint=hint) from None
        self.planned = self._find(index)
        self._choices = find_choices(store, narration)
        self._retakes = retakes_of(self.plan.engine, options)
        self.sound = self.plan.sounds[self.planned.chunk.voice]
        self._key = keys_of(self.planned.chunk, self.sound)

    def _find(self, index: int) -> PlannedChunk:
        for planned in read_lines(self._store, self.plan.chunks_key, PlannedChunk):
            if planned.chunk.index == index:
                return planned
        raise InputError(
            f"there is no chunk {index}; it has 0 to {self.plan.chunks - 1}",
            file=self._narration,
            hint=f"See: f5-pipeline plan {self._narration}.",
        )

    @property
    def choice(self) -> ChunkChoice:
        """What is chosen for the chunk now."""
        chunk = self.planned.chunk
        return self._choices.chunks.get(identity(chunk)) or ChunkChoice(text=chunk.written[:120])

    def attempts(self) -> list[Attempt]:
        """The attempts that exist or were asked for, in the order of their numbers."""
        choice, chunk = self.choice, self.planned.chunk
        band = Bands(self._store).of(chunk.voice, self.sound)
        used = choose(self._store, self._key, band, self._retakes, choice)
        numbers = sorted({*range(self._retakes + 1), *choice.attempts})
        keys = [(number, self._key(number)) for number in numbers]
        if choice.pick and choice.pick not in {key for _, key in keys}:
            keys.append((-1, choice.pick))  # of another model or speed: it is used only where it is locked
        attempts = []
        for number, key in keys:
            take = find_take(self._store, key)
            if take is None and number not in choice.attempts:
                continue
            verdict = verdict_of(take, band) if take else None
            attempts.append(
                Attempt(
                    letter=_letter(len(attempts)),
                    attempt=number if number >= 0 else int(take.details.get("attempt", 0)) if take else 0,
                    key=key,
                    made=take is not None,
                    seconds=round(take.speech_end - take.speech_start, 2) if take else None,
                    score=round(verdict.score, 2) if take and verdict and take.measures is not None else None,
                    reasons=verdict.reasons if verdict else [],
                    used=used is not None and used.take.key == key,
                    picked=choice.pick == key,
                )
            )
        return attempts

    @property
    def differ(self) -> bool:
        """Whether another attempt of this engine sounds another way."""
        spec = engines.find(self.plan.engine)
        return spec is None or spec.retakes

    def ask(self, count: int = 1, seeds: Sequence[int] = ()) -> list[int]:
        """Ask for further attempts: the next ones, or those of certain numbers. Return their numbers.

        Raises:
            InputError: another attempt of this engine sounds the same, or they are too many.
        """
        if not self.differ:
            label = spec.label if (spec := engines.find(self.plan.engine)) else self.plan.engine
            raise InputError(
                f"every attempt of the {label} sounds the same",
                file=self._narration,
                hint="Give this chunk another --speed, or say in the lexicon how a word is said.",
            )
        known = {*range(self._retakes + 1), *self.choice.attempts}
        asked = list(seeds) or [max(known) + 1 + number for number in range(count)]
        if bad := [seed for seed in asked if not 0 <= seed <= MAX_SEED]:
            raise InputError(f"{bad[0]} is no number of an attempt", hint=f"Use 0 to {MAX_SEED}.")
        self._keep(lambda choice: choices.ask(choice, self._key, asked))
        return asked

    def pick(self, letter: str, *, lock: bool = False) -> Attempt:
        """Use a certain attempt, whatever the quality gate says; with `lock` also under another model or preset.

        Args:
            letter: or the key of its take, which stays the same where others are asked for meanwhile.
        """
        attempts = {attempt.letter: attempt for attempt in self.attempts() if attempt.made}
        by_key = {attempt.key: attempt for attempt in attempts.values()}
        attempt = attempts.get(letter.upper()) or by_key.get(letter)
        if attempt is None:
            there = f"there {'is' if len(attempts) == 1 else 'are'} {', '.join(attempts) or 'none'}"
            hint = f"See: f5-pipeline retake {self._narration} --chunk {self.planned.chunk.index}."
            raise InputError(f"there is no attempt {letter!r}; {there}", file=self._narration, hint=hint)
        self._set(pick=attempt.key, locked=lock)
        return attempt

    def set_speed(self, speed: float) -> None:
        """Speak the chunk at another speed than the script's; what was picked before is of the old speed."""
        if not MIN_SPEED <= speed <= MAX_SPEED:
            raise InputError(f"{speed:g} is no speed of speech", hint=f"Use {MIN_SPEED:g} to {MAX_SPEED:g}.")
        self._set(speed=speed, pick=None, locked=False)

    def release(self) -> None:
        """Leave the chunk to the script and the quality gate again."""
        self._set(pick=None, locked=False, speed=None)

    def roll_back(self) -> None:
        """Undo the last choice. Raises InputError where there is none."""
        self._keep(choices.rolled_back)

    def _set(self, **fields: object) -> None:
        present = self.choice.model_dump(include=set(Chosen.model_fields))
        state = Chosen.model_validate({**present, **fields})
        self._keep(lambda choice: choices.changed(choice, state))

    def _keep(self, change: Callable[[ChunkChoice], ChunkChoice]) -> None:
        place = identity(self.planned.chunk)
        before = find_choices(self._store, self._narration)  # another chunk's may have changed since
        self._choices = Choices(chunks={**before.chunks, place: change(before.chunks.get(place) or self.choice)})
        keep_choices(self._store, self._narration, self._choices)

    def audio(self, attempt: Attempt) -> bytes:
        """The FLAC file of an attempt. Raises NotFoundError where it is not made."""
        return self._store.get_bytes(layout.take_audio(attempt.key))


def read_chunks(
    store: Store, plan: Plan, start: int, count: int
) -> list[tuple[PlannedChunk, ChosenTake | None, ChunkChoice | None]]:
    """Chunks of a plan from a place on: each with the take that is used (None: not gathered yet) and what is chosen."""
    planned = list(islice(read_lines(store, plan.chunks_key, PlannedChunk), start, start + count))
    wanted, chosen = {line.key for line in planned}, find_choices(store, plan.narration).chunks
    takes, used = find_state(store, Takes, plan.narration), {}
    if takes is not None:
        # By key: an edited narration has other chunks than those gathered last.
        for line in read_lines(store, takes.takes_key, ChosenTake):
            if line.key in wanted:
                used[line.key] = line
            if len(used) == len(wanted):
                break
    return [(line, used.get(line.key), chosen.get(identity(line.chunk))) for line in planned]


def _letter(number: int) -> str:
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)

"""Choice of the attempt of a chunk to use, and of the next one to make, by the measures of the quality gate.

A take is judged against the band of its voice. The band is the quality module's prior until a run has measured
MIN_BAND_TAKES takes of the voice; then it is learnt from them, once, and kept, so that choices do not change later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from pydantic import ValidationError

from f5_pipeline.errors import DamagedError, NotFoundError
from f5_pipeline.speech.listening.listener import Hearing
from f5_pipeline.speech.quality.gate import PRIOR, Band, Measures, Verdict, band_of, judge
from f5_pipeline.speech.takes import Take, problem_of, take_key
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import find_record, parse_record, write_record
from f5_pipeline.studio.records import ChunkChoice, digest_of

MIN_BAND_TAKES = 8
"""Takes of a voice from which its band is learnt; the shrinkage in `band_of` makes up for so few."""

PICKED = Verdict(passed=True, score=0.0, reasons=[])
"""Verdict on a take that a person picked."""

NO_GATE = Verdict(passed=True, score=0.0, reasons=[])
"""Verdict on a take that is not measured, as its engine knows its own times."""


class Bands:
    """Bands of voices, read from and kept in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Band] = {}

    def of(self, voice: str, sound: dict[str, Any]) -> Band:
        """The band of a voice as it sounds under `sound` (see `Engine.sound`)."""
        key = layout.band(voice, digest_of(sound))
        if key not in self._known:
            self._known[key] = find_record(self._store, key, Band) or PRIOR
        return self._known[key]

    def learn(self, voice: str, sound: dict[str, Any], measures: list[Measures]) -> None:
        """Learn the band of a voice, where it has none yet and there are enough takes."""
        if len(measures) < MIN_BAND_TAKES or self.of(voice, sound) is not PRIOR:
            return
        key = layout.band(voice, digest_of(sound))
        self._known[key] = band_of(measures)
        write_record(self._store, key, self._known[key])


def find_take(store: Store, key: str) -> Take | None:
    """The record of a take, None where there is none. Raises DamagedError where it is not what was written."""
    record = layout.take_record(key)
    try:
        data = store.get_bytes(record)
    except NotFoundError:
        return None
    take = parse_record(data, record, Take)
    problem = f"it is the record of the take {take.key}" if take.key != key else problem_of(take, data)
    if problem:
        hint = "Delete it and narrate again: this take alone is made anew."
        raise DamagedError(problem, file=record, hint=hint)
    return take


def verdict_of(take: Take, band: Band) -> Verdict:
    """The gate's verdict on a take."""
    if take.measures is None:
        return NO_GATE
    return judge(Measures.model_validate(take.measures), band, hearing_of(take))


def hearing_of(take: Take) -> Hearing | None:
    """What was heard in a take; None where nobody listened to it, or a listener of another version."""
    try:
        return Hearing.model_validate(take.heard) if take.heard else None
    except ValidationError:
        return None


def is_heard_alike(take: Take, other: Take) -> bool:
    """Whether two attempts differ from their text in the same words: then so will the next, most likely."""
    first, second = hearing_of(take), hearing_of(other)
    return bool(first and second and first.differences.errors and first.differences == second.differences)


class Spoken(Protocol):
    """What of a chunk decides its take keys."""

    spoken: str
    language: str
    speed: float
    seconds: float | None


def keys_of(chunk: Spoken, sound: dict[str, Any]) -> Callable[[int], str]:
    """A function from an attempt of a chunk to its take key."""

    def key(attempt: int) -> str:
        return take_key(
            text=chunk.spoken,
            language=chunk.language,
            sound=sound,
            speed=chunk.speed,
            attempt=attempt,
            room=chunk.seconds,
        )

    return key


class Choice(NamedTuple):
    """The take chosen for a chunk.

    Attributes:
        attempts: takes considered.
        next: the next attempt to make; None where this take passed, all attempts are made, or two in a row are heard
            to differ in the same words.
    """

    take: Take
    verdict: Verdict
    attempts: int
    next: int | None


def choose(
    store: Store,
    key: Callable[[int], str],
    band: Band,
    retakes: int,
    chosen: ChunkChoice | None = None,
) -> Choice | None:
    """The take that a person picked, the first take of a chunk that passes, else the best of all attempts; None where
    there is no take.

    Args:
        chosen: for this chunk. A pick that is not locked counts where it is an attempt with the present sound.
    """
    if chosen is not None and chosen.pick is not None:
        attempts = {*range(retakes + 1), *chosen.attempts}
        if chosen.locked or chosen.pick in map(key, attempts):
            take = find_take(store, chosen.pick)
            if take is not None:
                return Choice(take, PICKED, len(attempts), None)
    best: tuple[Take, Verdict] | None = None
    gap: int | None = None
    considered, before, is_alike = 0, None, False
    for attempt in range(retakes + 1):
        take = find_take(store, key(attempt))
        if take is None:
            gap = attempt if gap is None else gap
            continue
        considered += 1
        verdict = verdict_of(take, band)
        if verdict.passed:
            return Choice(take, verdict, considered, None)
        is_alike = is_alike or (before is not None and is_heard_alike(before, take))
        before = take
        if best is None or verdict.score < best[1].score:
            best = take, verdict
    return best and Choice(*best, considered, None if is_alike else gap)

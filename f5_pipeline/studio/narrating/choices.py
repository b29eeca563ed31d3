"""What a person chose for single chunks of a narration: another attempt, a certain one, another speed.

Choices are kept in one record beside the script. A plan takes them over, so that they are among what a
delivered revision names; without them nothing of a plan or of a key differs. They belong to what is said (voice,
language, words), so they stay where the script is edited elsewhere, and rest where their words are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from f5_pipeline.errors import InputError
from f5_pipeline.speech.chunks import Chunk
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import find_record, write_record
from f5_pipeline.studio.records import Choices, Chosen, ChunkChoice, digest_of

MAX_ATTEMPTS = 50
"""Attempts that may be asked for of one chunk."""

MAX_HISTORY = 20
"""Earlier states of a choice that are kept, for rolling back."""


def identity(chunk: Chunk) -> str:
    """What a choice is for: the same words by the same voice in one narration share it, as they share their take."""
    return digest_of([chunk.voice, chunk.language, chunk.spoken])[:32]


def find_choices(store: Store, narration: str) -> Choices:
    """The choices of a narration; empty where nothing was chosen."""
    return find_record(store, layout.script_choices(narration), Choices) or Choices()


def keep_choices(store: Store, narration: str, choices: Choices) -> None:
    write_record(store, layout.script_choices(narration), choices)


def chosen_speed(chunk: Chunk, choices: Mapping[str, ChunkChoice]) -> Chunk:
    """The chunk at the speed that was chosen for it."""
    choice = choices.get(identity(chunk)) if choices else None
    if choice is None or choice.speed is None or choice.speed == chunk.speed:
        return chunk
    seconds = round(chunk.expected_seconds * chunk.speed / choice.speed, 3)
    return chunk.model_copy(update={"speed": choice.speed, "expected_seconds": seconds})


def ask(choice: ChunkChoice, key: Callable[[int], str], attempts: Iterable[int]) -> ChunkChoice:
    """The choice with further attempts. Raises InputError where they are too many."""
    asked = {**choice.attempts, **{attempt: key(attempt) for attempt in attempts}}
    if len(asked) > MAX_ATTEMPTS:
        raise InputError(
            f"{len(asked)} attempts at one chunk are more than {MAX_ATTEMPTS}",
            hint="Write it in other words, or say in the lexicon how a word is said.",
        )
    return choice.model_copy(update={"attempts": asked})


def changed(choice: ChunkChoice, state: Chosen) -> ChunkChoice:
    """The choice with another state; the present one goes into its history."""
    present = Chosen(**choice.model_dump(include=set(Chosen.model_fields)))
    if present == state:
        return choice
    history = [*choice.history, present][-MAX_HISTORY:]
    return choice.model_copy(update={**state.model_dump(), "history": history})


def rolled_back(choice: ChunkChoice) -> ChunkChoice:
    """The choice as it was before. Raises InputError where there is nothing before."""
    if not choice.history:
        raise InputError("nothing was chosen before", hint="It is as it was made.")
    return choice.model_copy(update={**choice.history[-1].model_dump(), "history": choice.history[:-1]})

"""Plans: all chunks of a narration with the keys of their takes. Nothing is synthesized here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from f5_pipeline.errors import EngineError, InputError
from f5_pipeline.settings import get_settings
from f5_pipeline.speech import engines
from f5_pipeline.speech.engine import Engine
from f5_pipeline.speech.script import Script
from f5_pipeline.speech.takes import take_key
from f5_pipeline.speech.text import iter_chunks
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.studio.records import Plan, PlannedChunk, Weights, digest_of
from f5_pipeline.studio.scripts import LoadedScript, load_script
from f5_pipeline.studio.state import put_lines, read_lines
from f5_pipeline.studio.voices import find_reference


@dataclass
class _Tally:
    """What is counted while the chunks stream by."""

    chunks: int = 0
    words: int = 0
    characters: int = 0
    seconds: float = 0.0
    takes: set[bytes] = field(default_factory=set)

    def add(self, planned: PlannedChunk) -> PlannedChunk:
        self.chunks += 1
        self.words += len(planned.chunk.words)
        self.characters += len(planned.chunk.spoken)
        self.seconds += planned.chunk.expected_seconds
        self.takes.add(bytes.fromhex(planned.key))
        return planned


def plan_narration(store: Store, narration: str, weights: Weights) -> Plan:
    """Read a narration's script and plan it.

    Raises:
        InputError: the script cannot be used (names file and line), or a voice has no reference.
        EngineError: the engine asked for cannot speak here.
    """
    return make_plan(store, load_script(store, narration), weights)


@contextmanager
def chosen_engine(loaded: LoadedScript) -> Iterator[tuple[Engine, str, str]]:
    """The engine that speaks a script, what was asked for, and why this one. Raises EngineError."""
    asked = loaded.options.engine if loaded.options.engine != "auto" else get_settings().engine
    name, note = engines.resolve(asked)
    engine = engines.create(name)
    try:
        yield engine, asked, note
    finally:
        engine.close()


def planned_chunks(script: Script, engine: Engine) -> Iterator[PlannedChunk]:
    """The chunks of a script with the keys of their first takes, one at a time."""
    sounds = {voice: engine.sound(voice) for voice in script.voices}
    for chunk in iter_chunks(script):
        key = take_key(
            text=chunk.spoken, language=chunk.language, sound=sounds[chunk.voice], speed=chunk.speed, attempt=0
        )
        yield PlannedChunk(key=key, chunk=chunk)


def make_plan(store: Store, loaded: LoadedScript, weights: Weights) -> Plan:
    """Plan a script and keep its chunks. Raises as `plan_narration`."""
    script, tally = loaded.script, _Tally()
    with chosen_engine(loaded) as (engine, asked, note):
        if engine.name not in weights.engines:
            raise EngineError(
                f"model_weights knows no engine {engine.name!r}",
                mend="Materialize model_weights again, then the plan.",
            )
        try:
            engine.check_language(script.language)
        except InputError as error:
            raise InputError(error.message, file=loaded.source.key, mend=error.mend) from None
        references = {voice: find_reference(store, voice).sha256 for voice in script.voices}
        sounds = {voice: engine.sound(voice) for voice in script.voices}
        name = engine.name
        chunks_key, content = put_lines(
            store,
            lambda digest: layout.plan_chunks(loaded.narration, digest),
            map(tally.add, planned_chunks(script, engine)),
        )
    if not tally.chunks:
        raise InputError("there is nothing to speak in it", file=loaded.source.key, mend="Write some words.")
    header: dict[str, Any] = {
        "title": script.title,
        "author": script.author,
        "language": script.language,
        "engine": name,
        "voices": script.voices,
        "pauses": script.pauses.model_dump(),
        "captions": script.captions.model_dump(),
        "formats": script.formats,
    }
    return Plan.model_validate(
        {
            **header,
            "narration": loaded.narration,
            "engine_asked": asked,
            "engine_note": note,
            "sounds": sounds,
            "references": references,
            "weights": weights.engines[name],
            "script": loaded.source,
            "options": loaded.options.model_dump(),
            "chunks_key": chunks_key,
            "chunks": tally.chunks,
            "words": tally.words,
            "characters": tally.characters,
            "expected_seconds": round(tally.seconds, 3),
            "takes": len(tally.takes),
            "digest": digest_of({"header": header, "chunks": content}),
        }
    )


def missing_takes(store: Store, plan: Plan) -> Iterator[PlannedChunk]:
    """The first chunk of every take that the plan needs and the store has not."""
    seen: set[bytes] = set()
    for planned in read_lines(store, plan.chunks_key, PlannedChunk):
        key = bytes.fromhex(planned.key)
        if key not in seen:
            seen.add(key)
            if not store.exists(layout.take_record(planned.key)):
                yield planned

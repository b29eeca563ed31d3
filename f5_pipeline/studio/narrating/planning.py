"""Plans: all chunks of a narration with the keys of their takes. Nothing is synthesized here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from f5_pipeline.errors import EngineError, InputError
from f5_pipeline.speech.chunks import iter_chunks
from f5_pipeline.speech.engine import Engine
from f5_pipeline.speech.script.model import Pauses, Script
from f5_pipeline.speech.text.lexicon import Lexicon
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import put_lines, read_lines
from f5_pipeline.studio.links.rights import check_rights
from f5_pipeline.studio.narrating.delivery import cover_for, delivery_of, formats_of
from f5_pipeline.studio.narrating.engines import chosen_engine, retakes_of
from f5_pipeline.studio.narrating.gate import Bands, choose, keys_of
from f5_pipeline.studio.narrating.scripts import LoadedScript, check_language, load_script
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Plan, PlannedChunk, Weights, digest_of
from f5_pipeline.studio.voices import find_reference, find_voice

MAX_LISTED_ENTRIES = 500
"""Entries of the lexicon that a plan lists, the most used first."""


@dataclass
class _Tally:
    """Counts, summed up while the chunks stream by."""

    pauses: Pauses
    pause: float = 0.0
    """After the previous chunk, s; the last chunk has none."""
    chunks: int = 0
    words: int = 0
    characters: int = 0
    headings: int = 0
    seconds: float = 0.0
    takes: set[bytes] = field(default_factory=set)

    def add(self, planned: PlannedChunk) -> PlannedChunk:
        self.chunks += 1
        self.words += len(planned.chunk.words)
        self.characters += len(planned.chunk.spoken)
        chunk = planned.chunk
        self.headings += chunk.heading
        self.seconds += (chunk.lead or 0.0) + self.pause + chunk.expected_seconds + (chunk.silence or 0.0)
        self.pause = self.pauses.after(chunk.pause) if chunk.silence is None else 0.0
        self.takes.add(bytes.fromhex(planned.key))
        return planned


def plan_narration(store: Store, narration: str, weights: Weights, options: StudioOptions) -> Plan:
    """Read a narration's script and plan it.

    Raises:
        InputError: the script cannot be used (names file and line), or a voice has no reference.
        EngineError: the requested engine does not work here.
    """
    return make_plan(store, load_script(store, narration), weights, options)


def lexicon_of(loaded: LoadedScript, engine: Engine) -> Lexicon:
    """How words are said in a script: by its own lexicon and the store's, as the engine reads them."""
    phonemes = getattr(engine, "phonemes", False)
    return Lexicon(loaded.lexicon, loaded.script.lexicon, narration=loaded.narration, phonemes=phonemes)


def planned_chunks(script: Script, engine: Engine, lexicon: Lexicon | None = None) -> Iterator[PlannedChunk]:
    """The chunks of a script with the keys of their first takes, one at a time."""
    sounds = {voice: engine.sound(voice) for voice in script.voices}
    for chunk in iter_chunks(script, lexicon=lexicon):
        yield PlannedChunk(key=keys_of(chunk, sounds[chunk.voice])(0), chunk=chunk)


def make_plan(store: Store, loaded: LoadedScript, weights: Weights, options: StudioOptions) -> Plan:
    """Plan a script and keep its chunks. Raises as `plan_narration`."""
    script, tally = loaded.script, _Tally(loaded.script.pauses)
    formats, delivery, cover_key = formats_of(loaded, options), delivery_of(loaded, options), None
    with chosen_engine(store, loaded, options) as (engine, choice):
        engine_weights = weights.engines.get(choice.weights)
        if engine_weights is None:
            raise EngineError(
                weights.problems.get(choice.weights) or f"model_weights knows nothing of {choice.weights!r}",
                hint="Materialize model_weights again, then the plan.",
            )
        check_language(engine, loaded)
        references = {voice: find_reference(store, voice).sha256 for voice in script.voices}
        if script.commercial:
            check_rights(
                engine_weights,
                [voice for name in script.voices if (voice := find_voice(store, name))],
                loaded.source.key,
            )
        sounds = {voice: engine.sound(voice) for voice in script.voices}
        lexicon = lexicon_of(loaded, engine)
        chunks_key, content = put_lines(
            store,
            lambda digest: layout.plan_chunks(loaded.narration, digest),
            map(tally.add, planned_chunks(script, engine, lexicon)),
        )
    if not tally.chunks:
        raise InputError("there is nothing to speak in it", file=loaded.source.key, hint="Write some words.")
    if cover := cover_for(loaded, formats):
        delivery.cover = sha256(cover).hexdigest()
        cover_key = layout.narration_cover(loaded.narration, delivery.cover)
        if not store.exists(cover_key):
            store.put_bytes(cover_key, cover)
    header: dict[str, Any] = {
        "title": script.title,
        "author": script.author,
        "language": script.language,
        "engine": choice.engine,
        "voices": script.voices,
        "pauses": script.pauses.model_dump(),
        "captions": script.captions.model_dump(),
        "formats": formats,
        "commercial": script.commercial,
    }
    return Plan.model_validate(
        {
            **header,
            "narration": loaded.narration,
            "engine_asked": choice.asked,
            "engine_note": choice.note,
            "model": choice.model,
            "preset": choice.preset,
            "sampler": choice.sampler,
            "sounds": sounds,
            "references": references,
            "weights": engine_weights,
            "script": loaded.source,
            "options": loaded.options.model_dump(),
            "delivery": delivery,
            "cover_key": cover_key,
            "headings": tally.headings,
            "chunks_key": chunks_key,
            "chunks": tally.chunks,
            "words": tally.words,
            "characters": tally.characters,
            "expected_seconds": round(tally.seconds, 3),
            "takes": len(tally.takes),
            "digest": digest_of({"header": header, "chunks": content}),
            "version": loaded.version,
            "lexicon": lexicon.report()[:MAX_LISTED_ENTRIES],
        }
    )


class MissingTake(NamedTuple):
    """A take that a plan needs: the chunk, the attempt, and the take's key."""

    planned: PlannedChunk
    attempt: int
    key: str


def missing_takes(store: Store, plan: Plan, options: StudioOptions) -> Iterator[MissingTake]:
    """The takes that a plan needs and the store lacks; see `missing_chunks`."""
    chunks = read_lines(store, plan.chunks_key, PlannedChunk)
    return missing_chunks(store, chunks, plan.sounds, retakes_of(plan.engine, options))


def missing_chunks(
    store: Store, planned_chunks: Iterable[PlannedChunk], sounds: Mapping[str, dict[str, Any]], retakes: int
) -> Iterator[MissingTake]:
    """The takes that chunks need and the store lacks, each once: the first attempt of a chunk without a take, the next
    attempt of a chunk whose takes the quality gate doubts."""
    bands = Bands(store)

    def chunks() -> Iterator[PlannedChunk]:
        seen: set[bytes] = set()
        for planned in planned_chunks:
            first = bytes.fromhex(planned.key)
            if first not in seen:
                seen.add(first)
                yield planned

    def missing(planned: PlannedChunk) -> MissingTake | None:
        if not retakes:
            is_kept = store.exists(layout.take_record(planned.key))
            return None if is_kept else MissingTake(planned, 0, planned.key)
        chunk = planned.chunk
        sound = sounds[chunk.voice]
        key = keys_of(chunk, sound)
        choice = choose(store, key, bands.of(chunk.voice, sound), retakes)
        attempt = 0 if choice is None else choice.next
        return None if attempt is None else MissingTake(planned, attempt, key(attempt))

    yield from filter(None, in_parallel(store, missing, chunks()))

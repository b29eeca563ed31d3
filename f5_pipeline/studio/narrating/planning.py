"""Plans: all chunks of a narration with the keys of their takes. Nothing is synthesized here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from f5_pipeline.errors import EngineError, InputError
from f5_pipeline.speech import engines
from f5_pipeline.speech.captions.formats import chosen_formats
from f5_pipeline.speech.chunks import Chunk, iter_chunks
from f5_pipeline.speech.engine import MAX_FIT, Engine
from f5_pipeline.speech.script.model import CaptionStyle, Pauses, Script, caption_names
from f5_pipeline.speech.text.lexicon import Lexicon
from f5_pipeline.speech.timeline import SlotFit
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import put_lines, read_lines
from f5_pipeline.studio.links.rights import check_consent, check_rights, clones_voices
from f5_pipeline.studio.narrating.choices import chosen_speed, identity
from f5_pipeline.studio.narrating.delivery import cover_for, delivery_of, formats_of
from f5_pipeline.studio.narrating.engines import chosen_engine, retakes_of
from f5_pipeline.studio.narrating.gate import Bands, choose, keys_of
from f5_pipeline.studio.narrating.scripts import LoadedScript, check_language, load_script
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import ChunkChoice, Plan, PlannedChunk, Weights, digest_of
from f5_pipeline.studio.voices import find_reference, find_voice, warnings_of

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
    slots: SlotFit | None = None

    def add(self, planned: PlannedChunk) -> PlannedChunk:
        self.chunks += 1
        self.words += len(planned.chunk.words)
        self.characters += len(planned.chunk.spoken)
        chunk = planned.chunk
        self.headings += chunk.heading
        if chunk.at is not None and chunk.seconds is not None:
            self.slots = self.slots or SlotFit()
            add_expected(self.slots, chunk)
            self.seconds = max(self.seconds, chunk.at + chunk.seconds)
        else:
            self.seconds += (chunk.lead or 0.0) + self.pause + chunk.expected_seconds + (chunk.silence or 0.0)
        self.pause = self.pauses.after(chunk.pause) if chunk.silence is None else 0.0
        self.takes.add(bytes.fromhex(planned.key))
        return planned


def add_expected(slots: SlotFit, chunk: Chunk) -> None:
    """Count a chunk with a slot as it is expected to fit, at the highest speed that is allowed."""
    assert chunk.at is not None and chunk.seconds is not None
    over = chunk.expected_seconds / MAX_FIT - chunk.seconds
    slots.add(line=chunk.line, at=chunk.at, seconds=chunk.seconds, text=chunk.written, late=0.0, over=over)


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


def planned_chunks(
    script: Script, engine: Engine, lexicon: Lexicon | None = None, choices: Mapping[str, ChunkChoice] | None = None
) -> Iterator[PlannedChunk]:
    """The chunks of a script with the keys of their first takes, one at a time."""
    sounds = {voice: engine.sound(voice) for voice in script.voices}
    for chunk in iter_chunks(script, lexicon=lexicon):
        chunk = chosen_speed(chunk, choices or {})
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
        voices = [voice for name in script.voices if (voice := find_voice(store, name))]
        if script.commercial:
            check_rights(engine_weights, voices, loaded.source.key)
        if clones_voices(choice.engine):
            required = options.require_consent
            check_consent(voices, loaded.narration, script.language, loaded.source.key, required=required)
        sounds = {voice: engine.sound(voice) for voice in script.voices}
        lexicon, choices = lexicon_of(loaded, engine), loaded.choices.chunks
        chunks_key, content = put_lines(
            store,
            lambda digest: layout.plan_chunks(loaded.narration, digest),
            map(tally.add, planned_chunks(script, engine, lexicon, choices)),
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
        "captions": caption_style(script, options).model_dump(),
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
            "choices": choices,
            "notes": script.notes,
            "warnings": warnings_of(store, script.voices) if engines.spec_of(choice.engine).clones else [],
            "slots": tally.slots,
        }
    )


def caption_style(script: Script, options: StudioOptions) -> CaptionStyle:
    """A script's captions, with the options' where it says nothing. What is usual is left out."""
    style = script.captions
    formats = chosen_formats(style.formats or caption_names(options.captions))
    words = options.words_per_cue if style.words_per_cue is None else style.words_per_cue
    names = [] if formats == chosen_formats([]) else [known.name for known in formats]
    return style.model_copy(update={"formats": names, "words_per_cue": words or None})


class MissingTake(NamedTuple):
    """A take that a plan needs: the chunk, the attempt, the take's key, and whether a person asked for it."""

    planned: PlannedChunk
    attempt: int
    key: str
    asked: bool = False


def missing_takes(store: Store, plan: Plan, options: StudioOptions) -> Iterator[MissingTake]:
    """The takes that a plan needs and the store lacks; see `missing_chunks`."""
    chunks = read_lines(store, plan.chunks_key, PlannedChunk)
    return missing_chunks(store, chunks, plan.sounds, retakes_of(plan.engine, options), plan.choices)


def missing_chunks(
    store: Store,
    planned_chunks: Iterable[PlannedChunk],
    sounds: Mapping[str, dict[str, Any]],
    retakes: int,
    choices: Mapping[str, ChunkChoice],
) -> Iterator[MissingTake]:
    """The takes that chunks need and the store lacks, each once: the first attempt of a chunk without a take, the next
    attempt of a chunk whose takes the quality gate doubts, and those that were asked for."""
    bands = Bands(store)

    def chunks() -> Iterator[PlannedChunk]:
        seen: set[bytes] = set()
        for planned in planned_chunks:
            first = bytes.fromhex(planned.key)
            if first not in seen:
                seen.add(first)
                yield planned

    def missing(planned: PlannedChunk) -> list[MissingTake]:
        chunk = planned.chunk
        chosen = choices.get(identity(chunk)) if choices else None
        if not retakes and chosen is None:
            is_kept = store.exists(layout.take_record(planned.key))
            return [] if is_kept else [MissingTake(planned, 0, planned.key)]
        sound = sounds[chunk.voice]
        key = keys_of(chunk, sound)
        choice = choose(store, key, bands.of(chunk.voice, sound), retakes, chosen)
        attempt = 0 if choice is None else choice.next
        takes = [] if attempt is None else [MissingTake(planned, attempt, key(attempt))]
        for asked, asked_key in chosen.attempts.items() if chosen else ():
            is_meant = asked_key == key(asked) and asked != attempt  # else it was for another model or speed
            if is_meant and not store.exists(layout.take_record(asked_key)):
                takes.append(MissingTake(planned, asked, asked_key, asked=True))
        return takes

    for takes in in_parallel(store, missing, chunks()):
        yield from takes

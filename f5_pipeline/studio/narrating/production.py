"""From takes to what is delivered: the assembled audio, its timing files, and the manifest that closes a revision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from f5_pipeline import __version__
from f5_pipeline.errors import NotFoundError, StoreError
from f5_pipeline.settings import get_settings
from f5_pipeline.speech.audio.assembly import AssemblySettings, Part, assemble
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.timeline import TimedWord
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record, read_lines, write_record
from f5_pipeline.studio.narrating.gathering import read_takes
from f5_pipeline.studio.records import (
    Audio,
    Chapter,
    ChosenTake,
    File,
    Manifest,
    Plan,
    PlannedChunk,
    Takes,
    Timings,
    digest_of,
)
from f5_pipeline.system.clock import iso_time
from f5_pipeline.system.hashing import file_sha256
from f5_pipeline.system.scratch import workspace


def assembly_settings(plan: Plan) -> AssemblySettings:
    """How a plan's takes become its narration: the script's pauses, the installation's loudness."""
    settings = get_settings()
    return AssemblySettings(**plan.pauses.model_dump(), loudness=settings.loudness, peak=settings.peak)


def revision_of(plan: Plan, takes: Takes, assembly: AssemblySettings) -> str:
    """The name of what is delivered: a hash of the plan, the takes and the assembly settings."""
    return digest_of({"plan": plan.digest, "takes": takes.digest, "assembly": assembly.model_dump()})[:16]


def make_audio(
    store: Store,
    plan: Plan,
    takes: Takes,
    *,
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Audio:
    """Assemble a narration; nothing is done where this revision is there already.

    Args:
        on_progress: told what is counted ("chunks placed", "seconds encoded"), how many are done, and of how many.

    Raises:
        StoreError: a take is missing or cannot be read, or the store or the disk for temporary files is full.
    """
    assembly = assembly_settings(plan)
    revision = revision_of(plan, takes, assembly)
    record_key = layout.delivered(plan.narration, revision, "audio.json")
    known = find_record(store, record_key, Audio)
    if known is not None and all(store.exists(file.key) for file in known.files):
        return known

    def parts() -> Iterator[Part]:
        yield from in_parallel(store, lambda pair: _part(store, *pair), read_takes(store, plan, takes))

    with workspace() as folder:
        made = assemble(
            parts(),
            folder,
            assembly,
            formats=plan.formats,
            tags=_tags(plan, revision),
            progress=lambda chunks: on_progress("chunks placed", chunks, plan.chunks),
            encoding=lambda done, total: on_progress("seconds encoded", done // SAMPLE_RATE, total // SAMPLE_RATE),
        )
        files = [
            _deliver(store, plan.narration, revision, path, f"{plan.narration}{path.suffix}")
            for path in made.files.values()
        ]
        timeline = _deliver(store, plan.narration, revision, made.timeline, "timeline.jsonl")
        _deliver(store, plan.narration, revision, made.chunk_index, "chunks.jsonl")
        audio = Audio(
            narration=plan.narration,
            revision=revision,
            plan=plan,
            takes=takes.digest,
            takes_key=takes.takes_key,
            computed=takes.computed,
            assembly=assembly,
            seconds=made.seconds,
            words=made.words,
            loudness_lufs=made.loudness_lufs,
            true_peak_dbtp=made.true_peak_dbtp,
            gain_db=made.gain_db,
            limited_by_peak=made.limited_by_peak,
            chapters=[Chapter(title=one.text, start=one.start) for one in made.chapters],
            timeline_key=timeline.key,
            files=files,
        )
        write_record(store, record_key, audio)
    return audio


def _part(store: Store, planned: PlannedChunk, chosen: ChosenTake) -> Part:
    """A chunk with its take; the audio is read here and decoded where it is placed."""
    take = chosen.take
    key = layout.take_audio(take.key)
    hint = f"Delete {layout.take_record(take.key)} and run again: this take alone is made anew."
    try:
        data = store.get_bytes(key)
    except NotFoundError:
        raise StoreError("the audio of a take is gone", file=key, hint=hint) from None
    if sha256(data).hexdigest() != take.sha256:
        raise StoreError("the audio of a take is not what was stored", file=key, hint=hint)

    def decoded() -> Any:
        from f5_pipeline.speech.takes import read_take_audio

        return read_take_audio(data)

    return Part(planned.chunk, take, decoded)


def _tags(plan: Plan, revision: str) -> dict[str, str]:
    """What players show. The comment says what spoke, so that a draft is never taken for the product."""
    return {
        "title": plan.title,
        "artist": plan.author or ", ".join(plan.voices),
        "comment": f"{plan.engine_note}. Voices: {', '.join(plan.voices)}. Revision {revision}.",
        "software": f"f5_pipeline {__version__}, {plan.weights.name} {plan.weights.version}",
    }


def _deliver(store: Store, narration: str, revision: str, path: Path, name: str) -> File:
    key = layout.delivered(narration, revision, name)
    digest = file_sha256(path)
    found = store.put_file(key, path, sha256=digest)
    return File(name=name, key=key, size=found.size, sha256=digest)


def make_timings(store: Store, audio: Audio) -> Timings:
    """Write the timing files of a revision, then its manifest, which closes it.

    Word level: CSV and JSON. Caption level: SRT and VTT. All spelled as the author wrote.
    """
    from f5_pipeline.speech.captions import cues as captions

    manifest_key = layout.manifest(audio.narration, audio.revision)
    known = find_record(store, manifest_key, Manifest)
    record_key = layout.delivered(audio.narration, audio.revision, "timings.json")
    timings = find_record(store, record_key, Timings)
    if known and timings and all(store.exists(file.key) for file in known.files):
        return timings

    def words() -> Iterator[TimedWord]:
        return read_lines(store, audio.timeline_key, TimedWord)

    def cues() -> Iterator[captions.Cue]:
        return captions.iter_cues(
            words(), audio.plan.captions, language=audio.plan.language, audio_seconds=audio.seconds
        )

    name = audio.narration
    about = {"narration": name, "revision": audio.revision, "title": audio.plan.title, "seconds": audio.seconds}
    with workspace() as folder:
        paths = {suffix: folder / f"{name}{suffix}" for suffix in (".words.csv", ".words.json", ".srt", ".vtt")}
        with paths[".words.csv"].open("w", encoding="utf-8", newline="") as out:
            captions.write_words_csv(words(), out)
        with paths[".words.json"].open("w", encoding="utf-8", newline="\n") as out:
            captions.write_words_json(words(), out, about)
        with paths[".srt"].open("w", encoding="utf-8", newline="\n") as out:
            count = captions.write_srt(cues(), out)
        with paths[".vtt"].open("w", encoding="utf-8", newline="\n") as out:
            captions.write_vtt(cues(), out)
        files = [_deliver(store, name, audio.revision, path, path.name) for path in paths.values()]
    timings = Timings(
        narration=name, revision=audio.revision, words=audio.words, cues=count, files=files, manifest_key=manifest_key
    )
    write_record(store, record_key, timings)
    manifest = Manifest(
        narration=name,
        revision=audio.revision,
        created=known.created if known else iso_time(),
        pipeline=__version__,
        audio=audio,
        timings=files,
    )
    write_record(store, manifest_key, manifest)
    return timings

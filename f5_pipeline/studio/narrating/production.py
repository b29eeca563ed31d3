"""From takes to delivered files: the assembled audio, its timing files, and the manifest that completes a revision."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from f5_pipeline import __version__
from f5_pipeline.errors import DamagedError, NotFoundError, StoreError
from f5_pipeline.speech.ahead import ahead
from f5_pipeline.speech.audio import encoding
from f5_pipeline.speech.audio.assembly import Assembled, AssemblySettings, Part, assemble
from f5_pipeline.speech.audio.mastering import PRESETS, MasterPreset
from f5_pipeline.speech.captions import formats as captions
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.script.model import AudioFormat
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record, write_record
from f5_pipeline.studio.formats import COVER
from f5_pipeline.studio.narrating.credentials import (
    MEDIA_TYPES,
    Credentials,
    digital_source_type,
    open_signer,
    sign_file,
)
from f5_pipeline.studio.narrating.gathering import plan_again, read_takes
from f5_pipeline.studio.narrating.waveforms import READABLE, keep_waveform
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
from f5_pipeline.studio.timing_files import timed_narration
from f5_pipeline.system.clock import iso_time
from f5_pipeline.system.hashing import file_sha256
from f5_pipeline.system.scratch import workspace

MIN_CHAPTER_SECONDS = 1.25
"""Pause around headings where the files of chapters must have silence at both ends, s."""


def assembly_settings(plan: Plan, *, loudness: float, peak: float) -> AssemblySettings:
    """Assembly settings of a plan: the script's pauses, and this loudness (LUFS) and peak (dBTP), or those of its
    master."""
    settings = AssemblySettings(**plan.pauses.model_dump(), loudness=loudness, peak=peak)
    preset = _preset(plan)
    if preset is None:
        return settings
    changes: dict[str, float] = {"peak": preset.peak}
    if preset.measure == "loudness":
        changes["loudness"] = preset.target
    if preset.head and preset.tail:
        changes |= {"head": sum(preset.head) / 2, "tail": preset.tail[0] + 1, "chapter": settings.chapter}
        changes["chapter"] = max(settings.chapter, MIN_CHAPTER_SECONDS)
    return settings.model_copy(update=changes)


def _preset(plan: Plan) -> MasterPreset | None:
    return PRESETS[plan.delivery.master] if plan.delivery.master else None


def revision_of(plan: Plan, takes: Takes, assembly: AssemblySettings, credentials: Credentials | None = None) -> str:
    """The revision: a hash (16 hex digits) of the plan, the takes, the assembly settings and what is delivered."""
    parts = {"plan": plan.digest, "takes": takes.digest, "assembly": assembly.model_dump()}
    delivery: dict[str, Any] = plan.delivery.model_dump(exclude_defaults=True)
    if plan.headings:  # chapters were not marked in files once
        delivery["chapters"] = "marked"
    if credentials and any(encoding.FORMATS[name].suffix in MEDIA_TYPES for name in plan.formats):
        delivery["credentials"] = credentials.digest
    return digest_of(parts | ({"delivery": delivery} if delivery else {}))[:16]


def make_audio(
    store: Store,
    plan: Plan,
    takes: Takes,
    *,
    loudness: float,
    peak: float,
    credentials: Credentials | None = None,
    on_progress: Callable[[str, int, int], None] = lambda unit, done, total: None,
) -> Audio:
    """Assemble a narration. An intact revision in the store is reused; missing or damaged files are replaced.

    Args:
        loudness: target integrated loudness, LUFS.
        peak: highest true peak allowed, dBTP.
        credentials: what files are signed with that can hold a manifest. Signed files differ each time they are made.
        on_progress: called with the unit ("chunks placed", "seconds encoded"), done and total.

    Raises:
        StoreError: a take is missing or cannot be read, or the store or the disk for temporary files is full.
    """
    assembly = assembly_settings(plan, loudness=loudness, peak=peak)
    revision = revision_of(plan, takes, assembly, credentials)
    record_key = layout.delivered(plan.narration, revision, "audio.json")
    present = find_record(store, record_key, Audio)
    if present and store.exists(present.timeline_key) and all(_is_intact(store, file) for file in present.files):
        return present

    signer = open_signer(credentials) if credentials else None

    # Read by many, decoded by one: decoded takes are large.
    read = in_parallel(store, lambda pair: _part(store, *pair), read_takes(store, plan, takes))
    readable = next((name for name in plan.formats if encoding.FORMATS[name].suffix in READABLE), None)

    def written(name: AudioFormat, path: Path, seconds: float) -> None:
        if name == readable:
            keep_waveform(store, plan.narration, revision, path, seconds)

    with workspace() as folder, closing(ahead(_decoded, read, threads=1, max_pending=4, name="decode")) as parts:
        assembled = assemble(
            parts,
            folder,
            assembly,
            formats=plan.formats,
            tags=tags_of(plan, revision),
            cover=store.get_bytes(plan.cover_key) if plan.cover_key else None,
            preset=_preset(plan),
            by_chapter=plan.delivery.chapter_files,
            progress=lambda chunks: on_progress("chunks placed", chunks, plan.chunks),
            encoding=lambda done, total: on_progress("seconds encoded", done // SAMPLE_RATE, total // SAMPLE_RATE),
            written=written,
        )
        if assembled.words != plan.words:
            problem = f"it holds {assembled.words} words, and {plan.words} are planned"
            raise DamagedError(problem, file=plan.chunks_key, hint=plan_again(plan))
        named = _names(plan, assembled)
        for path, _, _ in named if signer else ():
            sign_file(path, signer, plan)
        files = [
            _deliver(store, plan.narration, revision, path, name).model_copy(update={"chapter": chapter})
            for path, name, chapter in named
        ]
        if plan.cover_key:
            with store.fetch(plan.cover_key) as cover:
                files.append(_deliver(store, plan.narration, revision, cover, f"{plan.narration}{COVER.suffix}"))
        names = {path.name: name for path, name, _ in named}
        timeline = _deliver(store, plan.narration, revision, assembled.timeline, "timeline.jsonl")
        _deliver(store, plan.narration, revision, assembled.chunk_index, "chunks.jsonl")
        audio = Audio(
            narration=plan.narration,
            revision=revision,
            plan=plan,
            takes=takes.digest,
            takes_key=takes.takes_key,
            computed=takes.computed,
            assembly=assembly,
            seconds=assembled.seconds,
            words=assembled.words,
            loudness_lufs=assembled.loudness_lufs,
            true_peak_dbtp=assembled.true_peak_dbtp,
            gain_db=assembled.gain_db,
            limited_by_peak=assembled.limited_by_peak,
            chapters=[Chapter(title=chapter.text, start=chapter.start) for chapter in assembled.chapters],
            slots=assembled.slots,
            timeline_key=timeline.key,
            files=files,
            measures=[found.model_copy(update={"name": names[found.name]}) for found in assembled.measures],
        )
        write_record(store, record_key, audio)
    return audio


def _part(store: Store, planned: PlannedChunk, chosen: ChosenTake) -> Part:
    """A chunk with its take; the audio is read now and decoded later."""
    take = chosen.take
    key = layout.take_audio(take.key)
    hint = f"Delete {layout.take_record(take.key)} and run again: this take alone is made anew."
    try:
        data = store.get_bytes(key)
    except NotFoundError:
        raise StoreError("the audio of a take is gone", file=key, hint=hint) from None
    if sha256(data).hexdigest() != take.sha256:
        raise StoreError("the audio of a take is not what was stored", file=key, hint=hint)

    def decode() -> Any:
        from f5_pipeline.speech.takes import read_take_audio

        return read_take_audio(data)

    return Part(planned.chunk, take, decode)


def _decoded(part: Part) -> Part:
    samples = part.audio()
    return replace(part, audio=lambda: samples)


def _names(plan: Plan, assembled: Assembled) -> list[tuple[Path, str, int | None]]:
    """The files, the names that they are delivered by (story.mp3, story-01-the-lamp.mp3), and their chapters."""
    named: list[tuple[Path, str, int | None]] = [
        (path, f"{plan.narration}{encoding.FORMATS[name].suffix}", None) for name, path in assembled.files.items()
    ]
    digits = len(str(max((file.number for file in assembled.chapter_files), default=0)))
    for file in assembled.chapter_files:
        title = layout.slug(file.title)[:40].strip("-_")
        stem = "-".join(filter(None, [plan.narration, f"{file.number:0{max(2, digits)}}", title]))
        named.append((file.path, f"{stem}{encoding.FORMATS[file.format].suffix}", file.number))
    return named


def tags_of(plan: Plan, revision: str) -> dict[str, str]:
    """Tags that players show. The comment names the engine, so that nobody takes a draft for the final narration; that
    the voice is synthetic is said for programs too (IPTC, "Digital Source Type")."""
    return {
        "title": plan.title,
        "album": plan.title,
        "artist": plan.author or ", ".join(plan.voices),
        "narrator": ", ".join(plan.voices),
        "language": plan.language,
        "description": plan.delivery.description or "",
        "genre": "Audiobook" if plan.headings else "",
        "synthetic_voice": "yes",
        "digital_source_type": digital_source_type(plan),
        "comment": f"{plan.engine_note}. Voices: {', '.join(plan.voices)}. Revision {revision}.",
        "software": f"f5_pipeline {__version__}, {plan.weights.name} {plan.weights.version}",
    }


def _deliver(store: Store, narration: str, revision: str, path: Path, name: str) -> File:
    key = layout.delivered(narration, revision, name)
    digest = file_sha256(path)
    stat = store.put_file(key, path, sha256=digest)
    return File(name=name, key=key, size=stat.size, sha256=digest)


def _is_intact(store: Store, file: File) -> bool:
    """Whether a delivered file is undamaged: by its hash in a local folder, by its size in a bucket, which guards its
    own bytes."""
    path = store.local_path(file.key)
    try:
        return store.stat(file.key).size == file.size and (path is None or file_sha256(path) == file.sha256)
    except NotFoundError:
        return False


def make_timings(store: Store, audio: Audio) -> Timings:
    """Write the timing files of a revision, those of `captions.formats.FORMATS` that its plan asks for, then its
    manifest, which completes it. Intact ones in the store are reused.

    Raises:
        StoreError: the timeline cannot be read, or the store or the disk for temporary files is full.
    """
    narration, revision = audio.narration, audio.revision
    manifest_key = layout.manifest(narration, revision)
    present = find_record(store, manifest_key, Manifest)
    record_key = layout.delivered(narration, revision, "timings.json")
    timings = find_record(store, record_key, Timings)
    if present and present.audio == audio and timings and all(_is_intact(store, file) for file in timings.files):
        return timings

    plan = audio.plan
    formats = captions.chosen_formats(plan.captions.formats)
    files = []
    with workspace() as folder:
        timed, cue_count = timed_narration(store, audio, plan.captions, folder)
        for file_format in formats:
            path = folder / f"{narration}{file_format.suffix}"
            file_format.write(timed, path)
            files.append(_deliver(store, narration, revision, path, path.name))
    timings = Timings(
        narration=narration,
        revision=revision,
        words=audio.words,
        cues=cue_count,
        files=files,
        manifest_key=manifest_key,
    )
    write_record(store, record_key, timings)
    manifest = Manifest(
        narration=narration,
        revision=revision,
        created=present.created if present else iso_time(),
        pipeline=__version__,
        audio=audio,
        timings=files,
    )
    write_record(store, manifest_key, manifest)
    return timings

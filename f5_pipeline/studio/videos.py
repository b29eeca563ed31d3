"""What is made from a delivered narration without narrating again: captions, videos with them, audiograms, EPUB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from f5_pipeline.errors import InputError
from f5_pipeline.speech.audio.cover import drawn_cover
from f5_pipeline.speech.audio.waveform import FINE_COLUMNS, peaks_of
from f5_pipeline.speech.captions.ass import write_ass
from f5_pipeline.speech.captions.epub import Book, write_epub
from f5_pipeline.speech.captions.formats import FORMATS, named_format
from f5_pipeline.speech.script.model import CaptionStyle
from f5_pipeline.speech.video.audiogram import SHAPES, make_audiogram
from f5_pipeline.speech.video.captioned import (
    AudioUse,
    Narration,
    burn,
    burnt_look,
    check_streams,
    container_of,
    mux,
)
from f5_pipeline.speech.video.process import Progress, probe, run
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import find_record
from f5_pipeline.studio.formats import COVER
from f5_pipeline.studio.links.making import read_manifest
from f5_pipeline.studio.links.rights import check_delivery
from f5_pipeline.studio.narrating.production import tags_of
from f5_pipeline.studio.narrating.waveforms import read_waveform
from f5_pipeline.studio.records import File, Manifest, Timings
from f5_pipeline.studio.timing_files import timed_narration
from f5_pipeline.system.new_file import check_new, new_file
from f5_pipeline.system.scratch import workspace

_SOUND = (".flac", ".wav", ".m4b", ".opus", ".mp3")
"""Files that a video's sound is taken from, the best first."""


def newest_delivery(store: Store, narration: str) -> Manifest:
    """The newest revision of a narration.

    Raises:
        InputError: it has none yet, or model or voices do not allow it any more.
    """
    timings = find_record(store, layout.narration_state(narration, "timings"), Timings)
    if timings is None:
        raise InputError(f"nothing of {narration!r} is delivered yet", hint=f"Run: f5-pipeline narrate {narration}.")
    manifest = read_manifest(store, narration, timings.revision)
    check_delivery(store, manifest.audio.plan)
    return manifest


def write_captions(
    store: Store, manifest: Manifest, name: str, output: Path, *, words_per_cue: int | None = None, force: bool = False
) -> None:
    """Write the captions or word times of a revision in the format of this name.

    Args:
        words_per_cue: words of a caption; 0: by the norms; None: as it was delivered.

    Raises:
        InputError: the format is not known, or `output` cannot be written.
    """
    file_format = named_format(name)
    with workspace() as folder, new_file(output, force=force) as draft:
        timed, _ = timed_narration(store, manifest.audio, _style(manifest, words_per_cue), folder)
        file_format.write(timed, draft)


def caption_video(
    store: Store,
    manifest: Manifest,
    video: Path,
    output: Path,
    *,
    burnt: bool,
    name: str | None = None,
    words_per_cue: int | None = None,
    use: AudioUse = "keep",
    force: bool = False,
    on_progress: Progress | None = None,
) -> list[str]:
    """Put the captions of a revision into a video, burnt into its picture or as a stream.

    Args:
        name: format of the captions in a stream; None: the container's usual one.
        words_per_cue: see `write_captions`.

    Returns:
        What a person should know of the result, a sentence each.

    Raises:
        InputError: the video cannot be read or has no picture, the output cannot be written or cannot hold the streams,
            or the narration has no whole sound file.
        PipelineError: ffmpeg failed.
    """
    audio = manifest.audio
    container = container_of(output, burnt=burnt)
    suffix = named_format(name).suffix if name else ".ass" if burnt else container.captions[0]
    if suffix not in ((".ass",) if burnt else container.captions):
        takes = "burnt" if burnt else f"those of a {output.suffix} file"
        allowed = "ass" if burnt else " or ".join(known[1:] for known in container.captions)
        raise InputError(f"the captions cannot be {suffix[1:]}: {takes} are {allowed}", hint="Leave out --format.")
    check_new(output, force=force)
    media = probe(video)
    if output.exists() and output.samefile(video):
        raise InputError("the output is the video itself", file=str(output), hint="Give it another name.")
    if not burnt:
        check_streams(media, container, use)
    sound = sound_of(manifest) if use != "keep" else None
    style, look = _style(manifest, words_per_cue), None
    if burnt:
        look, columns = burnt_look(media.width, media.height)
        style = style.model_copy(update={"max_chars": min(style.max_chars, columns)})
    with workspace() as folder, _fetched(store, sound) as path:
        captions = folder / f"captions{suffix}"
        timed, _ = timed_narration(store, audio, style, folder)
        if look:
            with captions.open("w", encoding="utf-8", newline="\n") as out:
                write_ass(timed.cues(), out, audio.plan.title, look)
        else:
            FORMATS[suffix].write(timed, captions)
        narration = Narration(captions, path, audio.plan.language, audio.seconds, _tags(manifest))
        notes = []
        with new_file(output, force=force) as draft:
            if burnt:
                burn(media, narration, draft, use, on_progress)
            elif left := mux(media, narration, draft, use, on_progress):
                notes.append(f"{left} captions of the video are left out: {output.suffix} holds no pictures of text")
    if media.seconds and audio.seconds > media.seconds + 0.1:
        notes.append(f"the narration is {audio.seconds - media.seconds:.1f} s longer than the video")
    return notes


def write_audiogram(
    store: Store,
    manifest: Manifest,
    shape_name: str,
    output: Path,
    *,
    force: bool = False,
    on_progress: Progress | None = None,
) -> None:
    """Write a revision as a video with cover, waveform and lit words: see `speech.video.audiogram`.

    Raises:
        InputError: the output cannot be written, or the narration has no whole sound file.
        PipelineError: ffmpeg failed.
    """
    if output.suffix.lower() != ".mp4":
        raise InputError("an audiogram is an MP4", file=str(output), hint="End its name in .mp4.")
    check_new(output, force=force)
    audio, plan, shape = manifest.audio, manifest.audio.plan, SHAPES[shape_name]
    _, _, columns, lines = shape.words
    bounds = {"max_chars": columns, "max_lines": lines, "words_per_cue": None}
    style = plan.captions.model_copy(update=bounds)
    cover = _cover(store, manifest) or drawn_cover(plan.title, plan.author, lettered=False)
    with workspace() as folder, _fetched(store, sound_of(manifest)) as sound, new_file(output, force=force) as draft:
        assert sound is not None
        timed, _ = timed_narration(store, audio, style, folder)
        peaks = read_waveform(store, audio)
        if peaks is None:  # M4B is read by ffmpeg alone
            decoded = folder / "sound.wav"
            run(["-i", f"file:{sound}", "-map", "0:a", "-f", "wav"], decoded, folder, seconds=audio.seconds)
            peaks = peaks_of(decoded, FINE_COLUMNS)
        make_audiogram(
            shape,
            audio=sound,
            cues=timed.cues(),
            peaks=peaks,
            cover=cover,
            title=plan.title,
            author=plan.author or "",
            tags={**_tags(manifest), "title": plan.title, "artist": plan.author or ""},
            folder=folder,
            output=draft,
            on_progress=on_progress,
        )


def write_book(
    store: Store, manifest: Manifest, output: Path, *, force: bool = False, on_progress: Progress | None = None
) -> int:
    """Write a revision as an EPUB 3 whose sentences are lit as they are said: see `speech.captions.epub`. Its sound is
    the revision's MP3; where there is none it is encoded as AAC.

    Returns:
        The number of chapters.

    Raises:
        InputError: the output cannot be written, or the narration has no whole sound file.
        PipelineError: ffmpeg failed.
    """
    if output.suffix.lower() != ".epub":
        raise InputError("a book is an EPUB", file=str(output), hint="End its name in .epub.")
    check_new(output, force=force)
    audio, plan = manifest.audio, manifest.audio.plan
    whole = [file for file in audio.files if file.chapter is None and file.name.endswith(".mp3")]
    file = whole[0] if whole else sound_of(manifest)
    with workspace() as folder, _fetched(store, file) as sound, new_file(output, force=force) as draft:
        assert sound is not None
        if not whole:
            encoded = folder / "audio.m4a"
            options = ["-map", "0:a:0", "-c:a", "aac", "-b:a", "64k", "-movflags", "+faststart", "-f", "ipod"]
            run(["-i", f"file:{sound}", *options], encoded, folder, seconds=audio.seconds, on_progress=on_progress)
            sound = encoded
        timed, _ = timed_narration(store, audio, plan.captions, folder)
        created = datetime.fromisoformat(manifest.created).astimezone(timezone.utc)
        book = Book(
            identifier=f"urn:uuid:{uuid5(NAMESPACE_URL, f'{manifest.narration}/{manifest.revision}')}",
            title=plan.title,
            language=plan.language,
            authors=[plan.author] if plan.author else [],
            narrators=plan.voices,
            description=plan.delivery.description or "",
            modified=f"{created:%Y-%m-%dT%H:%M:%SZ}",
            seconds=audio.seconds,
            audio=sound,
            audio_suffix=".mp3" if whole else ".m4a",
            cover=_cover(store, manifest),
        )
        return write_epub(timed.words(), book, draft)


def sound_of(manifest: Manifest) -> File:
    """The best file with the whole sound of a revision. Raises InputError: it has files of chapters alone."""
    for suffix in _SOUND:
        for file in manifest.audio.files:
            if file.chapter is None and file.name.endswith(suffix):
                return file
    raise InputError(
        "no file of it holds the whole narration",
        file=manifest.narration,
        hint="Narrate it with flac among its formats, which makes no take anew: --formats flac,mp3.",
    )


def _cover(store: Store, manifest: Manifest) -> bytes | None:
    covers = [file for file in manifest.files if file.name.endswith(COVER.suffix)]
    return store.get_bytes(covers[0].key) if covers else None


@contextmanager
def _fetched(store: Store, file: File | None) -> Iterator[Path | None]:
    if file is None:
        yield None
        return
    with store.fetch(file.key) as path:
        yield path.absolute()


def _style(manifest: Manifest, words_per_cue: int | None) -> CaptionStyle:
    style = manifest.audio.plan.captions
    return style if words_per_cue is None else style.model_copy(update={"words_per_cue": words_per_cue})


def _tags(manifest: Manifest) -> dict[str, str]:
    """What the audio files say of the voice; MPEG-4 has no tag for it, so that the comment says it."""
    tags = tags_of(manifest.audio.plan, manifest.revision)
    kept = {name: tags[name] for name in ("synthetic_voice", "digital_source_type")}
    return {**kept, "comment": f"Synthetic voice. {tags['comment']}"}

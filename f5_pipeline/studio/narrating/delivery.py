"""What a narration is delivered as: formats, master, files, cover."""

from __future__ import annotations

from pathlib import PurePosixPath

from f5_pipeline.errors import InputError
from f5_pipeline.speech.audio.cover import checked_cover, drawn_cover
from f5_pipeline.speech.audio.encoding import BY_FFMPEG
from f5_pipeline.speech.audio.ffmpeg import HINT, find_ffmpeg
from f5_pipeline.speech.audio.mastering import PRESETS
from f5_pipeline.speech.script.model import AudioFormat
from f5_pipeline.speech.script.sources import cover_of
from f5_pipeline.studio.narrating.scripts import LoadedScript
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Delivery


def formats_of(loaded: LoadedScript, options: StudioOptions) -> list[AudioFormat]:
    """The formats of a script's audio files.

    Raises:
        InputError: one of them needs ffmpeg, which is not here.
    """
    formats = list(dict.fromkeys(loaded.script.formats or options.formats))
    needed = [name for name in formats if name in BY_FFMPEG]
    if needed and find_ffmpeg() is None:
        of_header = loaded.script.formats and not loaded.options.formats
        raise InputError(
            f"{' and '.join(needed)} files are made by ffmpeg, which is not here",
            file=loaded.file,
            place=loaded.script.lines.get("formats") if of_header else "formats",
            hint=HINT,
        )
    return formats


def delivery_of(loaded: LoadedScript, options: StudioOptions) -> Delivery:
    """Everything of a script that decides its delivered files and not its takes; the cover is not among it yet."""
    script = loaded.script
    master = script.master or options.master
    by_chapter = script.chapter_files
    if by_chapter is None:
        by_chapter = master is not None and PRESETS[master].by_chapter
    return Delivery(master=master, chapter_files=by_chapter, description=script.description)


def cover_for(loaded: LoadedScript, formats: list[AudioFormat]) -> bytes | None:
    """The cover of a script as a JPEG: the one it names, or its book's own; for an audiobook (m4b) without one, one is
    drawn."""
    script = loaded.script
    if script.cover == "none":
        return None
    if loaded.cover is not None:
        return checked_cover(loaded.cover, loaded.file)
    if script.cover is None:
        picture = cover_of(loaded.data, PurePosixPath(loaded.source.key).suffix, loaded.file)
        try:
            if picture is not None:
                return checked_cover(picture, loaded.file)
        except InputError:  # a book is narrated even where its cover is damaged
            pass
    return drawn_cover(script.title, script.author) if script.cover == "drawn" or "m4b" in formats else None

"""What timing files are written from, and those that are written when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from f5_pipeline.speech.captions.cues import Cue, iter_cues
from f5_pipeline.speech.captions.formats import TimedNarration
from f5_pipeline.speech.captions.one_word import ONE_WORD
from f5_pipeline.speech.script.model import CaptionStyle
from f5_pipeline.speech.timeline import TimedWord
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio.records import Audio, Manifest, PlannedChunk


def timed_narration(store: Store, audio: Audio, style: CaptionStyle, folder: Path) -> tuple[TimedNarration, int]:
    """The words and cues of a revision, and the number of its cues, which are kept in `folder` while they are read.

    Raises:
        StoreError: its timeline cannot be read.
    """
    plan = audio.plan
    several = len(plan.voices) > 1
    languages = {
        planned.chunk.index: planned.chunk.language
        for planned in read_lines(store, plan.chunks_key, PlannedChunk)
        if planned.chunk.language != plan.language
    }

    def words() -> Iterator[TimedWord]:
        for word in read_lines(store, audio.timeline_key, TimedWord):
            word.language = languages.get(word.chunk, "")
            yield word

    # Made once: several files hold them.
    kept, count = folder / "cues.jsonl", 0
    with kept.open("w", encoding="utf-8", newline="\n") as out:
        for cue in iter_cues(
            words(),
            style,
            language=plan.language,
            audio_seconds=audio.seconds,
            speakers=several and style.speakers,
        ):
            out.write(cue.model_dump_json() + "\n")
            count = cue.index

    def cues() -> Iterator[Cue]:
        with kept.open(encoding="utf-8") as lines:
            yield from map(Cue.model_validate_json, lines)

    meta = {
        "narration": audio.narration,
        "revision": audio.revision,
        "title": plan.title,
        "language": plan.language,
        "seconds": audio.seconds,
    }
    return TimedNarration(words, cues, meta, voices=plan.voices if several and not style.speakers else ()), count


def write_timing_file(store: Store, manifest: Manifest, name: str) -> tuple[bytes, str] | None:
    """The content and the media type of a timing file that is written when it is asked for; None where there is none of
    this name."""
    narration = manifest.narration
    found = (entry for entry in ONE_WORD.values() if name == f"{narration}{entry.suffix}")
    if (timing_format := next(found, None)) is None:
        return None
    timed = TimedNarration(
        lambda: read_lines(store, manifest.audio.timeline_key, TimedWord),
        lambda: (),
        {"title": manifest.audio.plan.title, "language": manifest.audio.plan.language},
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "timing"
        timing_format.write(timed, path)
        return path.read_bytes(), timing_format.media_type

"""Timing files that are written when somebody asks for them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from f5_pipeline.speech.captions.formats import TimedNarration
from f5_pipeline.speech.captions.one_word import ONE_WORD
from f5_pipeline.speech.timeline import TimedWord
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio.records import Manifest


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
        {"title": manifest.audio.plan.title},
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "timing"
        timing_format.write(timed, path)
        return path.read_bytes(), timing_format.media_type

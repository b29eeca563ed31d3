"""The envelope of a revision's audio, kept beside it, so that no picture needs the audio again."""

from __future__ import annotations

import math
from pathlib import Path

from f5_pipeline.errors import NotFoundError
from f5_pipeline.speech.audio.waveform import FINE_COLUMNS, Peaks, peaks_of
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.studio.records import Audio

MAX_COLUMNS_A_SECOND = 100

READABLE = (".flac", ".wav", ".mp3", ".opus")
"""Endings of the audio files that an envelope is measured in."""


def keep_waveform(store: Store, narration: str, revision: str, path: Path, seconds: float) -> Peaks:
    """Measure the audio of a revision, of this duration, in the file at `path`, and keep the envelope."""
    peaks = peaks_of(path, min(FINE_COLUMNS, math.ceil(seconds * MAX_COLUMNS_A_SECOND)))
    store.replace_bytes(layout.waveform(narration, revision), peaks.dump())
    return peaks


def read_waveform(store: Store, audio: Audio) -> Peaks | None:
    """The envelope of a revision, None where it has no file to measure it in. It is measured now where the revision was
    made before envelopes were kept."""
    try:
        return Peaks.load(store.get_bytes(layout.waveform(audio.narration, audio.revision)), audio.seconds)
    except (NotFoundError, ValueError):
        readable = [file for file in audio.files if file.chapter is None and file.name.endswith(READABLE)]
        if not readable:
            return None
        with store.fetch(readable[0].key) as path:
            return keep_waveform(store, audio.narration, audio.revision, path, audio.seconds)

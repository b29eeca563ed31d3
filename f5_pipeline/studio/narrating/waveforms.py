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


def keep_waveform(store: Store, narration: str, revision: str, path: Path, seconds: float) -> Peaks:
    """Measure the audio of a revision, of this duration, in the file at `path`, and keep the envelope."""
    peaks = peaks_of(path, min(FINE_COLUMNS, math.ceil(seconds * MAX_COLUMNS_A_SECOND)))
    store.replace_bytes(layout.waveform(narration, revision), peaks.dump())
    return peaks


def read_waveform(store: Store, audio: Audio) -> Peaks:
    """The envelope of a revision. It is measured now where the revision was made before envelopes were kept."""
    try:
        return Peaks.load(store.get_bytes(layout.waveform(audio.narration, audio.revision)), audio.seconds)
    except (NotFoundError, ValueError):
        with store.fetch(audio.files[0].key) as path:
            return keep_waveform(store, audio.narration, audio.revision, path, audio.seconds)

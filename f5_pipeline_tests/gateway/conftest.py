"""A delivered revision in a real folder, and the service over it."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from f5_pipeline.gateway.page import PageChapter, PageFacts
from f5_pipeline.store.local import LocalStore
from f5_pipeline_tests.support.gateway_studio import VTT, Studio


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """Files that are no real audio: bytes are bytes to the service."""
    made = Studio(LocalStore(tmp_path / "studio"))
    made.add("engine.flac", bytes(range(256)) * 4096)  # four blocks of the service
    made.add("engine.mp3", b"ID3" + bytes(1000))
    made.add("engine.vtt", VTT.encode())
    made.add("engine.srt", "1\n00:00:00,400 --> 00:00:02,200\nÄther\n".encode())
    made.add("engine.csv", b"word,start,end\n")
    made.add("engine.json", b"{}")
    return made


@pytest.fixture
def playable(tmp_path: Path) -> Studio:
    """A revision that a browser can play."""
    import io

    import numpy as np
    import soundfile

    made = Studio(LocalStore(tmp_path / "studio"))
    rate, seconds = 24_000, 8
    time = np.arange(rate * seconds) / rate
    tone = (0.2 * np.sin(2 * np.pi * 220 * time) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * time))).astype("float32")
    for name, kind, subtype in (("engine.mp3", "MP3", None), ("engine.flac", "FLAC", "PCM_16")):
        buffer = io.BytesIO()
        soundfile.write(buffer, tone, rate, format=kind, subtype=subtype)
        made.add(name, buffer.getvalue())
    made.add("engine.vtt", VTT.encode())
    made.add("engine.srt", b"1\n00:00:00,400 --> 00:00:02,200\nThe Analytical Engine\n")
    made.add("engine.words.csv", b"word,start,end\n" * 400)
    made.facts = PageFacts(
        title="Notes on the Analytical Engine",
        author="Ada Lovelace",
        voices=["Ada", "Charles"],
        seconds=8.0,
        engine="draft",
        created=datetime(2026, 5, 4, tzinfo=timezone.utc),
        chapters=[PageChapter("The loom", 0.0), PageChapter("By steam", 4.6)],
    )
    return made

"""A delivered revision in a real folder, and the service over it."""

from __future__ import annotations

from pathlib import Path

import pytest

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

"""Folders for what is too large for memory: freed, also after a kill, and never under somebody's hands."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from f5_pipeline.system.scratch import LOCK, PREFIX, sweep, workspace
from f5_pipeline_tests.support.some import some

HOLDER = """
import os, signal
from f5_pipeline.system.scratch import workspace
with workspace() as folder:
    (folder / "large").write_bytes(bytes(1000))
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A place for temporary files of the test's own, for this process and its children."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def folders(place: Path) -> list[Path]:
    return list(place.glob(f"{PREFIX}*"))


def test_a_workspace_is_gone_after_its_context_and_after_an_error(temporary):
    with workspace() as folder:
        (folder / "deep").mkdir()
        assert folders(temporary) == [folder]
    with pytest.raises(ValueError, match="no"), workspace():
        raise ValueError("no")
    assert folders(temporary) == []


def test_what_a_killed_process_left_is_swept_and_a_living_one_is_left_alone(temporary):
    running = [
        subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    kept, left = (Path(some(process.stdout).readline().strip()) for process in running)
    running[1].kill()
    running[1].wait()
    assert sweep() == 0, "what is young is left alone"
    assert sweep(min_age=-1) == 1
    assert folders(temporary) == [kept] and (kept / "large").exists() and not left.exists()
    running[0].communicate("\n")
    assert folders(temporary) == []


def test_a_folder_that_is_not_locked_yet_is_left_alone(temporary):
    (temporary / f"{PREFIX}new").mkdir()
    with workspace() as folder:
        assert (folder / LOCK).exists()
        assert (temporary / f"{PREFIX}new").exists()

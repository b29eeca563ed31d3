"""Locks between processes, and the folder that they lie in."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

import pytest

from f5_pipeline.errors import StoreError
from f5_pipeline.system.locks import hold, holder, lock, machine_folder, release

HOLD = """
import sys
from pathlib import Path
from f5_pipeline.system.locks import hold
print(hold(Path(sys.argv[1])) is not None, flush=True)
sys.stdin.readline()
"""


def test_the_holder_of_a_lock_is_known_until_it_is_killed(tmp_path):
    path = tmp_path / "up.lock"
    assert holder(path) is None, "nobody has ever held it"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "True\n"
    assert hold(path) is None and holder(path) == process.pid
    process.kill()
    process.communicate()
    assert holder(path) is None, "the kernel has freed it"
    mine = hold(path)
    assert mine is not None and holder(path) == os.getpid()
    release(mine)
    release(mine)
    assert holder(path) is None


def test_many_share_what_one_has_alone(tmp_path):
    path = tmp_path / "file"
    with path.open("w") as first, path.open() as second, path.open() as third:
        assert lock(first, shared=True, wait=False) and lock(second, shared=True, wait=False)
        assert not lock(third, wait=False)
        first.close()
        second.close()
        assert lock(third, wait=False)


def test_the_folder_is_this_users(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = machine_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(StoreError, match="somebody else's"):
        machine_folder()

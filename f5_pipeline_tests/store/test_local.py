"""What a folder as store does beyond what every store does."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from f5_pipeline.errors import InputError, StoreError
from f5_pipeline.store.connect import connect
from f5_pipeline.store.local import ABANDONED_AFTER_SECONDS, LocalStore
from f5_pipeline_tests.support.installation import small_file_system


def test_killed_in_the_middle_of_a_write_nothing_appears(tmp_path):
    """A writer that dies between two blocks leaves no object, and its rest is swept once it is old."""
    root = tmp_path / "studio"
    writer = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from f5_pipeline.store.local import LocalStore
        store = LocalStore(Path(sys.argv[1]))
        def die(out):
            out.write(b"half")
            out.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        store._put("takes/aa/x.flac", die)
        """
    )
    ended = subprocess.run([sys.executable, "-c", writer, str(root)], check=False)
    assert ended.returncode == -9
    store = LocalStore(root)
    assert not store.exists("takes/aa/x.flac")
    assert list(store.list()) == []
    rest = list((root / ".tmp").iterdir())
    assert [path.read_bytes() for path in rest] == [b"half"]
    assert store.sweep() == 0
    old = rest[0].stat().st_mtime - ABANDONED_AFTER_SECONDS - 1
    os.utime(rest[0], (old, old))
    assert store.sweep() == 1
    assert list((root / ".tmp").iterdir()) == []


def test_a_write_that_fails_leaves_the_older_state(tmp_path):
    store = LocalStore(tmp_path)
    store.put_bytes("a/b", b"old")
    with pytest.raises(StoreError):
        store.put_file("a/b", tmp_path / "no-such-file")
    assert store.get_bytes("a/b") == b"old"
    assert list((tmp_path / ".tmp").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB of its own."""
    yield from small_file_system(tmp_path / "small", "1m")


def test_a_full_disk_is_told_with_its_mend_and_leaves_nothing(small_disk):
    store = LocalStore(small_disk / "studio")
    store.put_bytes("a/kept", b"x" * 1000)
    with pytest.raises(StoreError, match="the disk is full") as told:
        store.put_bytes("a/large", bytes(2 << 20))
    assert told.value.hint and "F5_STORE" in told.value.hint
    assert not store.exists("a/large")
    assert store.get_bytes("a/kept") == b"x" * 1000
    assert list((small_disk / "studio" / ".tmp").iterdir()) == []


def test_a_read_only_store_is_told_with_its_mend(small_disk):
    store = LocalStore(small_disk)
    store.put_bytes("a/kept", b"x")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match="no permission to write") as told:
        store.put_bytes("a/new", b"x")
    assert told.value.hint and "writable" in told.value.hint
    assert store.get_bytes("a/kept") == b"x"


@pytest.mark.parametrize("url", ["", "studio", "file:", "http://host/bucket"])
def test_addresses_of_no_store_are_refused(url):
    with pytest.raises(InputError, match="not the address of a store"):
        connect(url)


def test_the_folder_is_made_on_the_first_write_only(tmp_path):
    store = connect(f"file:{tmp_path / 'later'}")
    assert not store.exists("a") and list(store.list()) == []
    assert not Path(tmp_path / "later").exists()

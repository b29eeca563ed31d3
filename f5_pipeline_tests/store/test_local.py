"""The contract of a store, and what a folder adds to it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from f5_pipeline.errors import InputError, NotFoundError, StoreError
from f5_pipeline.store.base import Store
from f5_pipeline.store.connect import connect
from f5_pipeline.store.local import ABANDONED_AFTER, LocalStore
from f5_pipeline_tests.conftest import small_file_system


@pytest.fixture(params=["file"])
def store(request, tmp_path) -> Store:
    return connect(f"{request.param}:{tmp_path / 'studio'}")


def test_what_is_put_is_got(store, tmp_path):
    assert not store.exists("takes/ab/abc.json")
    put = store.put_bytes("takes/ab/abc.json", b"{}")
    assert (put.key, put.size) == ("takes/ab/abc.json", 2)
    assert store.exists("takes/ab/abc.json")
    assert store.get_bytes("takes/ab/abc.json") == b"{}"
    store.put_bytes("takes/ab/abc.json", b"[1]")
    assert store.get_bytes("takes/ab/abc.json") == b"[1]"
    assert store.stat("takes/ab/abc.json").size == 3
    with store.open("takes/ab/abc.json") as stream:
        stream.seek(1)
        assert stream.read(1) == b"1"


def test_files_go_in_and_out_as_files(store, tmp_path):
    source = tmp_path / "big"
    source.write_bytes(os.urandom(3 << 20))
    store.put_file("narrations/n/r/n.flac", source)
    assert source.exists()
    with store.fetch("narrations/n/r/n.flac") as path:
        assert path.read_bytes() == source.read_bytes()


def test_keys_are_listed_in_order_by_prefix(store):
    for key in ("voices/b/voice.json", "voices/a/voice.json", "voices/ab/x", "scripts/a.md"):
        store.put_bytes(key, b"x")
    assert [found.key for found in store.list("voices/")] == [
        "voices/a/voice.json",
        "voices/ab/x",
        "voices/b/voice.json",
    ]
    assert [found.key for found in store.list("voices/a")] == ["voices/a/voice.json", "voices/ab/x"]
    assert len(list(store.list())) == 4
    assert list(store.list("nothing/")) == []


def test_delete_is_quiet_about_what_is_gone(store):
    store.put_bytes("a/b", b"x")
    store.delete("a/b")
    store.delete("a/b")
    assert not store.exists("a/b")


@pytest.mark.parametrize("call", ["get_bytes", "open", "stat"])
@pytest.mark.parametrize("key", ["no/such/object", "folder"])
def test_missing_objects_are_not_found(store, call, key):
    store.put_bytes("folder/object", b"x")
    with pytest.raises(NotFoundError):
        getattr(store, call)(key)
    assert not store.exists(key)


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../../b", ".", "a/./b", "a\\b", "a\0b", "a\nb", "e\u0301", "a" * 1001]
)
def test_unsound_keys_are_refused(store, key):
    for call in (lambda: store.put_bytes(key, b"x"), lambda: store.exists(key), lambda: store.get_bytes(key)):
        with pytest.raises(StoreError, match="not a sound object key"):
            call()


def test_names_of_all_scripts_are_sound(store):
    store.put_bytes("scripts/Größe 語 😀.txt", b"x")
    assert [found.key for found in store.list("scripts/")] == ["scripts/Größe 語 😀.txt"]


def test_check_leaves_nothing(store):
    store.check()
    assert list(store.list()) == []


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
    old = rest[0].stat().st_mtime - ABANDONED_AFTER - 1
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
    assert told.value.mend and "F5_STORE" in told.value.mend
    assert not store.exists("a/large")
    assert store.get_bytes("a/kept") == b"x" * 1000
    assert list((small_disk / "studio" / ".tmp").iterdir()) == []


def test_a_read_only_store_is_told_with_its_mend(small_disk):
    store = LocalStore(small_disk)
    store.put_bytes("a/kept", b"x")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match="no permission to write") as told:
        store.put_bytes("a/new", b"x")
    assert told.value.mend and "writable" in told.value.mend
    assert store.get_bytes("a/kept") == b"x"


@pytest.mark.parametrize("url", ["", "studio", "file:", "http://host/bucket", "b2://"])
def test_addresses_of_no_store_are_refused(url):
    with pytest.raises(InputError, match="not the address of a store"):
        connect(url)


def test_the_folder_is_made_on_the_first_write_only(tmp_path):
    store = connect(f"file:{tmp_path / 'later'}")
    assert not store.exists("a") and list(store.list()) == []
    assert not Path(tmp_path / "later").exists()

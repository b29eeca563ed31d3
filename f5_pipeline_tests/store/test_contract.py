"""What every store does, whatever it is made of."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from f5_pipeline.errors import NotFoundError, StoreError
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel

LARGE = 12 << 20
"""Three of the smallest parts."""


@pytest.fixture
def store(any_store) -> Store:
    return any_store


def test_it_is_a_store(store):
    assert isinstance(store, Store)
    assert store.parallel >= 1


def test_what_is_put_is_got(store):
    assert not store.exists("takes/ab/abc.json")
    put = store.put_bytes("takes/ab/abc.json", b"{}")
    assert (put.key, put.size) == ("takes/ab/abc.json", 2)
    assert store.exists("takes/ab/abc.json")
    assert store.get_bytes("takes/ab/abc.json") == b"{}"
    store.put_bytes("takes/ab/abc.json", b"[1]")
    assert store.get_bytes("takes/ab/abc.json") == b"[1]"
    assert store.stat("takes/ab/abc.json").size == 3


def test_an_empty_object(store, tmp_path):
    store.put_bytes("a/empty", b"")
    assert store.get_bytes("a/empty") == b""
    assert store.stat("a/empty").size == 0
    with store.open("a/empty") as stream:
        assert stream.read() == b""
    store.download("a/empty", tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""


def test_reading_jumps(store):
    content = b"".join(b"line %d\n" % number for number in range(50_000))
    store.put_bytes("a/lines", content)
    with store.open("a/lines") as stream:
        assert stream.readline() == b"line 0\n"
        stream.seek(-5, os.SEEK_END)
        assert stream.read() == content[-5:]
        assert stream.read(1) == b""
        stream.seek(300_000)
        assert stream.read(100) == content[300_000:300_100]
        stream.seek(7)
        assert stream.readline() == b"line 1\n"
        assert stream.tell() == 14
        stream.seek(0)
        assert stream.read() == content
    with store.open("a/lines") as stream:
        assert sum(1 for _ in stream) == 50_000
    with store.open("a/lines", 7, 14) as stream:
        assert (stream.tell(), stream.read(7)) == (7, b"line 1\n")
    with store.open("a/lines", 7, 7) as stream:
        assert stream.tell() == 7


@pytest.mark.parametrize("size", [1000, LARGE])
def test_files_go_in_and_out_as_files(store, tmp_path, size):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    told: list[tuple[int, int]] = []
    put = store.put_file("narrations/n/r/n.flac", source, on_progress=lambda *done: told.append(done))
    assert source.exists() and put.size == size
    assert told[-1] == (size, size) and told == sorted(told)
    with store.fetch("narrations/n/r/n.flac") as path:
        assert path.name.endswith("n.flac") and path.read_bytes() == source.read_bytes()
    told.clear()
    target = tmp_path / "out" / "target"
    target.parent.mkdir()
    store.download("narrations/n/r/n.flac", target, on_progress=lambda *done: told.append(done))
    assert target.read_bytes() == source.read_bytes()
    assert told[-1] == (size, size) and told == sorted(told)
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("size", [1000, LARGE])
def test_a_download_of_other_bytes_leaves_nothing(store, tmp_path, size):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    store.put_file("models/blobs/x", source, sha256=sha256)
    target = tmp_path / "out" / "target"
    target.parent.mkdir()
    with pytest.raises(StoreError, match="not what it was") as told:
        store.download("models/blobs/x", target, sha256="0" * 64)
    assert told.value.hint
    assert list(target.parent.iterdir()) == []
    store.download("models/blobs/x", target, sha256=sha256)
    assert target.read_bytes() == source.read_bytes()


def test_a_download_replaces_what_was_there(store, tmp_path):
    store.put_bytes("a/b", b"new")
    (tmp_path / "x").write_bytes(b"something old")
    store.download("a/b", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == b"new"


def test_a_file_that_is_missing_or_has_no_folder_is_told(store, tmp_path):
    with pytest.raises(StoreError):
        store.put_file("a/b", tmp_path / "nothing")
    assert not store.exists("a/b")
    store.put_bytes("a/b", b"x")
    with pytest.raises(StoreError, match="nowhere"):
        store.download("a/b", tmp_path / "x" / "nowhere" / "b")


def test_replacing_writes_only_what_is_new(store):
    assert store.replace_bytes("narrations/n/plan.json", b"1")
    before = store.stat("narrations/n/plan.json")
    assert not store.replace_bytes("narrations/n/plan.json", b"1")
    assert store.stat("narrations/n/plan.json").mark == before.mark
    assert store.replace_bytes("narrations/n/plan.json", b"2")
    assert store.stat("narrations/n/plan.json").mark != before.mark
    assert store.get_bytes("narrations/n/plan.json") == b"2"


def test_listings_have_marks_that_change(store):
    store.put_bytes("scripts/a.md", b"one")
    (first,) = store.list("scripts/")
    assert first.mark == store.stat("scripts/a.md").mark != ""
    store.put_bytes("scripts/a.md", b"two")
    (second,) = store.list("scripts/")
    assert second.mark != first.mark


def test_keys_are_listed_in_order_by_prefix(store):
    keys = ("voices/b/voice.json", "voices/a/voice.json", "voices/ab/x", "voices/a-b", "scripts/a.md")
    for key in keys:
        store.put_bytes(key, b"x")
    assert [found.key for found in store.list()] == sorted(keys)
    assert [found.key for found in store.list("voices/")] == [
        "voices/a-b",
        "voices/a/voice.json",
        "voices/ab/x",
        "voices/b/voice.json",
    ]
    assert [found.key for found in store.list("voices/a/")] == ["voices/a/voice.json"]
    assert [found.key for found in store.list("voices/ab")] == ["voices/ab/x"]
    assert list(store.list("nothing/")) == []
    assert [found.key for found in store.list("voices/", after="voices/a/voice.json")] == [
        "voices/ab/x",
        "voices/b/voice.json",
    ]
    assert [found.key for found in store.list("voices/", after="voices/a-b", limit=1)] == ["voices/a/voice.json"]
    assert [found.key for found in store.list(limit=2)] == sorted(keys)[:2]
    assert list(store.list(limit=0)) == []


def test_folders_are_those_that_have_something(store):
    for key in ("voices/b/voice.json", "voices/a/x/y", "voices/a-b", "scripts/a.md"):
        store.put_bytes(key, b"x")
    assert sorted(store.folders("voices/")) == ["a", "b"]
    assert list(store.folders("voices/a/")) == ["x"]
    assert list(store.folders("nothing/")) == []
    assert sorted(store.folders("")) == ["scripts", "voices"]
    store.delete("voices/b/voice.json")
    assert list(store.folders("voices/")) == ["a"]


def test_delete_is_quiet_about_what_is_gone(store):
    store.put_bytes("a/b", b"x")
    store.put_bytes("a/b", b"y")
    store.delete("a/b")
    store.delete("a/b")
    assert not store.exists("a/b")
    assert list(store.list()) == []


@pytest.mark.parametrize("key", ["no/such/object", "folder"])
def test_missing_objects_are_not_found(store, key, tmp_path):
    store.put_bytes("folder/object", b"x")
    for call in (store.get_bytes, store.open, store.stat, lambda key: store.download(key, tmp_path / "x")):
        with pytest.raises(NotFoundError):
            call(key)
    with pytest.raises(NotFoundError), store.fetch(key):
        pass
    assert not store.exists(key)
    assert not list(tmp_path.glob("*x*"))


UNSOUND = ("", "/a", "a/", "a//b", "../a", "a/../../b", ".", "a/./b", "a\\b", "a\0b", "a\nb", "e\u0301", "a" * 1001)


def test_unsound_keys_are_refused(store, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x")
    for key in UNSOUND:
        for call in (
            lambda key: store.put_bytes(key, b"x"),
            lambda key: store.put_file(key, file),
            store.exists,
            store.get_bytes,
            store.delete,
        ):
            with pytest.raises(StoreError, match="not a sound object key"):
                call(key)


def test_names_of_all_scripts_are_sound(store):
    key = "scripts/Größe 語 😀 +%20&='.txt"
    store.put_bytes(key, b"x")
    assert [found.key for found in store.list("scripts/")] == [key]
    assert store.get_bytes(key) == b"x"
    store.delete(key)
    assert not store.exists(key)


def test_many_small_objects_by_many_threads(store):
    keys = [f"takes/{number:02}/{number}.json" for number in range(60)]
    list(in_parallel(store, lambda key: store.put_bytes(key, key.encode()), keys))
    assert list(in_parallel(store, store.get_bytes, keys)) == [key.encode() for key in keys]
    assert len(list(store.list("takes/"))) == 60


def test_the_last_of_many_writers_stays_whole(store):
    contents = [bytes([number]) * 200_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda content: store.put_bytes("a/b", content), contents))
    assert store.get_bytes("a/b") in contents


def test_addresses_are_given_where_there_are_any(store):
    store.put_bytes("a/Größe.txt", b"text")
    url = store.presign(
        "a/Größe.txt",
        60,
        headers={"Content-Disposition": 'attachment; filename="x.txt"', "content-type": "text/vtt"},
    )
    if store.local_path("a/Größe.txt") is not None:
        assert url is None
        return
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == b"text"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="x.txt"'
        assert answer.headers["Content-Type"] == "text/vtt"


def test_check_leaves_nothing(store):
    store.check()
    assert list(store.list()) == []


def test_the_same_store_is_named_the_same(store):
    assert store.url in repr(store) or store.url.removeprefix("file:") in repr(store)

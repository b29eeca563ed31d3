"""What a store in a bucket does beyond what every store does: how it asks, and what it leaves behind."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from f5_pipeline.errors import InputError, NotFoundError, RetryableStoreError, StoreError
from f5_pipeline.orchestration.configured import open_store
from f5_pipeline.settings import get_settings
from f5_pipeline.store.connect import Access, connect
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.s3 import store as s3_module
from f5_pipeline.store.s3.store import S3Store
from f5_pipeline_tests.support.servers.proxy import Fault, FaultProxy, denies, only_below
from f5_pipeline_tests.support.stores import PART, again

pytestmark = pytest.mark.slow

ACCESS = Access("id", "secret", None, "us-west-004")


class Wire:
    """Every request that the client of a store has really sent."""

    def __init__(self, store: S3Store) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.events = store.client.meta.events
        self.events.register("before-send.s3", self._note)

    def _note(self, request: Any, event_name: str, **_: Any) -> None:
        self.sent.append((event_name.rpartition(".")[2], request))

    def close(self) -> None:
        self.events.unregister("before-send.s3", self._note)

    def times(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.sent)


@pytest.fixture
def watch() -> Iterator[Any]:
    wires: list[Wire] = []

    def begin(store: S3Store) -> Wire:
        wires.append(Wire(store))
        return wires[-1]

    yield begin
    for wire in wires:
        wire.close()


def random_file(path: Path, size: int) -> tuple[Path, str]:
    content = os.urandom(size)
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def versions(store: S3Store) -> list[tuple[str, str]]:
    """All that the bucket keeps, hidden or not: kind and key."""
    found = store.client.list_object_versions(Bucket=store.bucket.name)
    return [(kind, one["Key"]) for kind in ("Versions", "DeleteMarkers") for one in found.get(kind, ())]


# How it asks


def test_every_request_is_signed_v4_and_carries_no_checksum_or_condition(moto_store, watch, tmp_path):
    wire = watch(moto_store)
    source, _ = random_file(tmp_path / "big", 2 * PART + 1)
    moto_store.check()
    moto_store.put_file("a/big", source)
    moto_store.download("a/big", tmp_path / "back")
    moto_store.replace_bytes("a/state", b"1")
    moto_store.replace_bytes("a/state", b"2")
    list(moto_store.list())
    list(moto_store.folders(""))
    moto_store.delete("a/big")
    assert {name for name, _ in wire.sent} == {
        *("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"),
        *("GetObject", "HeadObject", "ListObjectsV2", "DeleteObject"),
    }
    for name, request in wire.sent:
        headers = {header.lower(): value for header, value in request.headers.items()}
        signed = headers["authorization"]
        signed = signed.decode() if isinstance(signed, bytes) else signed
        assert signed.startswith("AWS4-HMAC-SHA256 Credential="), name
        assert not [header for header in headers if "checksum" in header]
        assert "x-amz-trailer" not in headers and "aws-chunked" not in str(headers.get("content-encoding"))
        assert "if-none-match" not in headers
        assert "if-match" not in headers or name == "GetObject"
        if name in ("PutObject", "UploadPart"):
            assert "content-md5" in headers
        if name in ("PutObject", "CreateMultipartUpload"):
            assert len(headers["x-amz-meta-sha256"]) == 64


def test_opening_asks_nothing(moto_store, watch):
    wire = watch(moto_store)
    again_opened = connect(moto_store.url, moto_store.bucket.access, transfers=4)
    assert again_opened.client is moto_store.client  # type: ignore[attr-defined]
    assert wire.sent == []


def test_calls_are_counted_by_class(moto_store):
    moto_store.put_bytes("a/x", b"1")
    moto_store.get_bytes("a/x")
    moto_store.exists("a/x")
    list(moto_store.list("a/"))
    moto_store.delete("a/x")
    assert moto_store.calls.by_operation == {
        "DeleteObject": 1,
        "GetObject": 1,
        "HeadObject": 2,
        "ListObjectsV2": 1,
        "PutObject": 1,
    }
    assert moto_store.calls.by_class == {"A": 2, "B": 3, "C": 1}


def test_a_listing_of_more_than_a_page(moto_store):
    keys = [f"takes/{number:04}" for number in range(1003)]
    list(in_parallel(moto_store, lambda key: moto_store.put_bytes(key, b""), keys))
    assert [found.key for found in moto_store.list("takes/")] == keys
    assert moto_store.calls.by_operation == {"ListObjectsV2": 2, "PutObject": 1003}
    assert len(list(moto_store.list("takes/", after="takes/0001", limit=1001))) == 1001
    assert len(list(moto_store.list("takes/", limit=3))) == 3


def test_keys_beyond_the_prefix_are_not_touched(moto_server, moto_store, tmp_path):
    other = again(moto_server, f"b2://{moto_store.bucket.name}", tmp_path)
    other.put_bytes("studio/one-more/x", b"1")
    other.put_bytes("studio/x", b"1")
    moto_store.put_bytes("x", b"mine")
    assert [found.key for found in moto_store.list()] == ["x"]
    assert list(moto_store.folders("")) == []
    assert [found.key for found in other.list()] == ["studio/one-more/x", "studio/one/x", "studio/x"]


def test_what_was_written_by_other_tools_is_read(moto_store):
    moto_store.client.put_object(Bucket=moto_store.bucket.name, Key="studio/one/scripts/", Body=b"")
    moto_store.client.put_object(Bucket=moto_store.bucket.name, Key="studio/one/scripts/a.md", Body=b"text")
    assert [found.key for found in moto_store.list("scripts/")] == ["scripts/a.md"]
    assert moto_store.get_bytes("scripts/a.md") == b"text"
    assert moto_store.stat("scripts/a.md").sha256 is None


# What it leaves behind


@pytest.mark.parametrize("kind", ["moto_server", "swift_server"])
def test_versions_do_not_pile_up(request, open_bucket, kind, tmp_path):
    store = open_bucket(request.getfixturevalue(kind), versioned=True)
    source, _ = random_file(tmp_path / "big", PART + 1)
    for number in range(4):
        store.replace_bytes("narrations/n/plan.json", b"%d" % number)
    store.put_file("models/x", source)
    assert versions(store) == [("Versions", "studio/one/models/x"), ("Versions", "studio/one/narrations/n/plan.json")]
    store.put_bytes("a/b", b"1")
    store.put_bytes("a/b", b"2")
    for key in ("models/x", "narrations/n/plan.json", "a/b"):
        store.delete(key)
    assert versions(store) == []


def test_hidden_versions_and_marks_are_found_and_removed(open_bucket, moto_server):
    store = open_bucket(moto_server, versioned=True)
    store.put_bytes("a/x", b"1")
    store.put_bytes("a/x", b"12")
    store.put_bytes("b", b"123")
    store.client.delete_object(Bucket=store.bucket.name, Key="studio/one/b")
    found = sorted((key, size, mark) for key, _, size, _, mark in store.old_versions())
    assert found == [("a/x", 1, False), ("b", 0, True), ("b", 3, False)]
    for key, version, _, _, _ in store.old_versions("b"):
        store.delete_version(key, version)
    assert [key for key, *_ in store.old_versions()] == ["a/x"]
    assert store.get_bytes("a/x") == b"12"


def test_uploads_that_were_given_up_are_found_and_ended(swift_store):
    begun = swift_store.client.create_multipart_upload(Bucket=swift_store.bucket.name, Key="studio/one/a/x")
    assert [(key, upload) for key, upload, _ in swift_store.abandoned_uploads(-60)] == [("a/x", begun["UploadId"])]
    assert list(swift_store.abandoned_uploads(3600)) == []
    swift_store.abort("a/x", begun["UploadId"])
    swift_store.abort("a/x", begun["UploadId"])
    assert list(swift_store.abandoned_uploads(-60)) == []


# Large objects


def kill_after(kind: str, store: S3Store, folder: Path, parts: int, source: Path) -> None:
    """A process that is killed (-9) when so many parts of a transfer have been done."""
    access = store.bucket.access
    code = f"""
import os, signal, sys
from pathlib import Path
from f5_pipeline.store import disk
from f5_pipeline.store.connect import Access, connect
store = connect({store.url!r}, Access({access.key_id!r}, {access.key!r}, {access.endpoint!r}, {access.region!r}),
                transfers=1, part_bytes={PART}, state=Path({str(folder / "uploads")!r}))
noted = 0
add = disk.Journal.add
def count(self, line):
    global noted
    add(self, line)
    noted += 1
    if noted == {parts}:
        os.kill(os.getpid(), signal.SIGKILL)
disk.Journal.add = count
if {kind!r} == "upload":
    store.put_file("models/big", Path({str(source)!r}))
else:
    store.download("models/big", Path({str(folder / "target")!r}))
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -9


@pytest.mark.parametrize("kind", ["moto_server", "swift_server"])
def test_an_upload_goes_on_after_a_kill(request, open_bucket, kind, tmp_path, watch):
    store = open_bucket(request.getfixturevalue(kind))
    source, sha256 = random_file(tmp_path / "source", 4 * PART + 100)
    kill_after("upload", store, tmp_path, 2, source)
    assert not store.exists("models/big")
    assert len(list(store.abandoned_uploads(-60))) == 1
    wire = watch(store)
    stat = store.put_file("models/big", source)
    assert (stat.size, stat.sha256) == (4 * PART + 100, sha256)
    # One more may have been on its way when the process was killed.
    assert wire.times("UploadPart") == 3 and wire.times("CreateMultipartUpload") == 0
    assert hashlib.sha256(store.get_bytes("models/big")).hexdigest() == sha256
    assert list(store.abandoned_uploads(-60)) == []
    assert list((tmp_path / "uploads").iterdir()) == []


def test_an_upload_whose_rest_is_gone_begins_anew(swift_store, tmp_path):
    source, sha256 = random_file(tmp_path / "source", 2 * PART)
    kill_after("upload", swift_store, tmp_path, 1, source)
    for key, upload, _ in swift_store.abandoned_uploads(-60):
        swift_store.abort(key, upload)
    assert swift_store.put_file("models/big", source).sha256 == sha256
    assert swift_store.get_bytes("models/big") == source.read_bytes()
    assert list((tmp_path / "uploads").iterdir()) == []


def test_an_upload_that_was_completed_unheard_is_not_sent_again(moto_server, open_bucket, tmp_path):
    store = open_bucket(moto_server)
    proxy = FaultProxy(moto_server)
    try:
        behind = again(proxy.server, store.url, tmp_path / "uploads")
        proxy.add(Fault(("CompleteMultipartUpload",), lose_answer=True))
        source, sha256 = random_file(tmp_path / "source", 2 * PART)
        assert behind.put_file("models/big", source).sha256 == sha256
        assert proxy.counts["UploadPart"] == 2
    finally:
        proxy.stop()


def test_another_content_does_not_go_on_with_the_rest_of_the_first(moto_store, tmp_path):
    source, _ = random_file(tmp_path / "source", 2 * PART)
    kill_after("upload", moto_store, tmp_path, 1, source)
    source, sha256 = random_file(tmp_path / "source", 2 * PART)
    moto_store.put_file("models/big", source)
    assert hashlib.sha256(moto_store.get_bytes("models/big")).hexdigest() == sha256


def test_a_download_goes_on_after_a_kill(moto_store, tmp_path, watch):
    source, sha256 = random_file(tmp_path / "source", 4 * PART + 100)
    moto_store.put_file("models/big", source)
    kill_after("download", moto_store, tmp_path, 2, source)
    assert not (tmp_path / "target").exists()
    wire = watch(moto_store)
    moto_store.download("models/big", tmp_path / "target", sha256=sha256)
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert wire.times("GetObject") == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target", "uploads"]


def test_the_rest_of_another_state_is_not_gone_on_with(moto_store, tmp_path):
    source, _ = random_file(tmp_path / "source", 2 * PART)
    moto_store.put_file("models/big", source)
    kill_after("download", moto_store, tmp_path, 1, source)
    other, _ = random_file(tmp_path / "other", 2 * PART)
    moto_store.put_file("models/big", other)
    moto_store.download("models/big", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == other.read_bytes()


def test_a_rest_that_rotted_on_the_disk_is_begun_anew(moto_store, tmp_path):
    source, _ = random_file(tmp_path / "source", 3 * PART)
    moto_store.put_file("models/big", source)
    kill_after("download", moto_store, tmp_path, 2, source)
    with (tmp_path / ".target.part").open("r+b") as rest:
        rest.write(b"rotten")
    moto_store.download("models/big", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


def test_two_processes_bring_an_object_once(moto_store, tmp_path):
    source, _ = random_file(tmp_path / "source", 3 * PART)
    moto_store.put_file("models/big", source)
    access = moto_store.bucket.access
    code = f"""
from pathlib import Path
from f5_pipeline.store.connect import Access, connect
store = connect({moto_store.url!r}, Access({access.key_id!r}, {access.key!r}, {access.endpoint!r}, {access.region!r}),
                part_bytes={PART}, state=Path({str(tmp_path)!r}))
store.download("models/big", Path({str(tmp_path / "target")!r}))
print(store.calls.by_operation["GetObject"] if "GetObject" in store.calls.by_operation else 0)
"""
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    asked = [int(process.communicate()[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    # Side by side one waits and finds it there; one after the other each brings it.
    assert sorted(asked) in ([0, 3], [3, 3])
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert not list(tmp_path.glob(".target*"))


def test_damage_in_the_bucket_is_seen(moto_store, tmp_path):
    moto_store.client.put_object(
        Bucket=moto_store.bucket.name, Key="studio/one/a/x", Body=b"other", Metadata={"sha256": "0" * 64}
    )
    with pytest.raises(StoreError, match="not what it was"):
        moto_store.get_bytes("a/x")
    with pytest.raises(StoreError, match="not what it was"):
        moto_store.download("a/x", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_changes_while_it_goes_up_is_refused(moto_store, tmp_path):
    source, _ = random_file(tmp_path / "source", 2 * PART)

    def change(done: int, total: int) -> None:
        with source.open("r+b") as file:
            file.write(b"changed")

    with pytest.raises(StoreError, match="changed while"):
        moto_store.put_file("models/big", source, on_progress=change)
    assert not moto_store.exists("models/big")
    assert list(moto_store.abandoned_uploads(-60)) == []


def test_reading_goes_on_after_a_cut_and_asks_little(moto_server, open_bucket, tmp_path):
    store = open_bucket(moto_server)
    content = os.urandom(3_000_000)
    store.put_bytes("a/x", content)
    proxy = FaultProxy(moto_server)
    try:
        behind = again(proxy.server, store.url, tmp_path)
        proxy.add(Fault(("GetObject",), cut_response=500_000, times=2))
        with behind.open("a/x") as stream:
            assert stream.read() == content
        assert proxy.counts == {"GetObject": 3}
        with behind.open("a/x", 1_000_000, 1_000_010) as stream:
            assert stream.read(10) == content[1_000_000:1_000_010]
    finally:
        proxy.stop()


def test_an_object_that_is_replaced_while_it_is_read_is_told(moto_store):
    moto_store.put_bytes("a/x", os.urandom(2_000_000))
    with moto_store.open("a/x") as stream:
        stream.read(10)
        moto_store.put_bytes("a/x", os.urandom(2_000_000))
        stream.seek(1_500_000)
        with pytest.raises(StoreError, match="changed while it was read"):
            stream.read(10)


# Addresses


@pytest.mark.parametrize("kind", ["moto_store", "swift_store"])
def test_presigned_addresses_are_v4_and_name_their_answer(request, kind):
    store = request.getfixturevalue(kind)
    store.put_bytes("a/x.flac", b"audio")
    reply = {
        "Content-Type": "audio/flac",
        "Content-Disposition": "attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe.flac",
        "Cache-Control": "private, no-store",
    }
    url = store.presign("a/x.flac", 300, headers=reply)
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"] and query["X-Amz-Expires"] == ["300"]
    assert store.bucket.access.key not in url
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == b"audio"
        assert {name: answer.headers[name] for name in reply} == reply
    before = store.calls.by_operation
    store.presign("a/x.flac", 604_800, headers={})
    assert store.calls.by_operation == before
    for seconds in (604_801, 0):
        with pytest.raises(StoreError, match="cannot live"):
            store.presign("a/x.flac", seconds, headers={})


# What goes wrong


def told(work: Any, kind: type[StoreError] = StoreError) -> StoreError:
    with pytest.raises(kind) as raised:
        work()
    assert raised.value.__cause__ is None and raised.value.__suppress_context__
    return raised.value


def test_a_wrong_key_is_told(swift_store, swift_server, tmp_path):
    swift_store.put_bytes("a/x", b"1")
    for changed in ({"key": "K-wrong-secret"}, {"key_id": "studio:nobody"}):
        store = again(swift_server, swift_store.url, tmp_path, **changed)
        calls = (
            lambda store=store: store.put_bytes("a/x", b"1"),
            lambda store=store: store.exists("a/x"),
            lambda store=store: store.get_bytes("a/x"),
            lambda store=store: list(store.list()),
            store.check,
        )
        for work in calls:
            error = told(work)
            assert "the key for the bucket is wrong" in error.message
            assert error.hint and "F5_STORE_KEY_ID and F5_STORE_KEY" in error.hint
            assert "wrong-secret" not in str(error) and not error.retryable
            assert not isinstance(error, NotFoundError)


def test_a_missing_bucket_is_told(swift_store, swift_server, tmp_path):
    store = again(swift_server, "b2://no-such-bucket/x", tmp_path)
    for work in (lambda: store.put_bytes("a", b"1"), lambda: store.get_bytes("a"), lambda: list(store.list())):
        error = told(work)
        assert "no such bucket" in error.message and "F5_STORE" in (error.hint or "")


@pytest.fixture
def proxy(moto_server) -> Iterator[FaultProxy]:
    made = FaultProxy(moto_server)
    yield made
    made.stop()


@pytest.fixture
def behind(proxy, moto_store, tmp_path) -> S3Store:
    """The moto store as it is reached through the proxy."""
    return again(proxy.server, moto_store.url, tmp_path / "uploads")


@pytest.mark.parametrize(
    ("operation", "capability"),
    [
        ("PutObject", "writeFiles"),
        ("ListObjectsV2", "listFiles"),
        ("DeleteObject", "deleteFiles"),
        ("CreateMultipartUpload", "writeFiles"),
    ],
)
def test_what_a_key_may_not_do_is_named(proxy, behind, operation, capability, tmp_path):
    behind.put_bytes("a/x", b"1")
    source, _ = random_file(tmp_path / "source", PART + 1)
    proxy.add(denies(operation))
    work = {
        "PutObject": lambda: behind.put_bytes("a/y", b"1"),
        "ListObjectsV2": lambda: list(behind.list()),
        "DeleteObject": lambda: behind.delete("a/x"),
        "CreateMultipartUpload": lambda: behind.put_file("a/z", source),
    }[operation]
    error = told(work)
    assert capability in (error.hint or "") and not error.retryable
    assert behind.get_bytes("a/x") == b"1"


def test_a_key_without_reading(proxy, behind):
    behind.put_bytes("a/x", b"1")
    proxy.add(denies("GetObject", "HeadObject"))
    for work in (lambda: behind.get_bytes("a/x"), lambda: behind.exists("a/x")):
        error = told(work)
        assert "readFiles" in (error.hint or "") and not isinstance(error, NotFoundError)


def test_a_service_that_answers_403_for_what_is_missing(proxy, behind, moto_store):
    """As AWS does to a key that may not list."""
    behind.put_bytes("a/x", b"1")

    def is_missing(request) -> bool:
        return request.method in ("GET", "HEAD") and not moto_store.exists(request.key.removeprefix("studio/one/"))

    proxy.add(Fault(when=is_missing, times=None, answer=(403, "AccessDenied")))
    assert not behind.exists("a/y")
    told(lambda: behind.get_bytes("a/y"), NotFoundError)
    assert behind.get_bytes("a/x") == b"1"
    assert behind.replace_bytes("a/state", b"1")
    puts = proxy.counts["PutObject"]
    assert not behind.exists("a/z")
    assert proxy.counts["PutObject"] == puts  # it is tried once in a process
    assert [found.key for found in moto_store.list()] == ["a/state", "a/x"]


def test_a_key_without_deletion_is_enough(proxy, open_bucket, moto_server, tmp_path, caplog):
    store = open_bucket(moto_server, versioned=True)
    behind = again(proxy.server, store.url, tmp_path)
    # B2 lets a key without deleteFiles hide, but not delete a version.
    proxy.add(
        Fault(
            when=lambda request: request.method == "DELETE" and "versionId" in request.query,
            times=None,
            answer=(403, "AccessDenied"),
        )
    )
    s3_module._warned.clear()
    with caplog.at_level(logging.WARNING):
        behind.check()
        assert behind.replace_bytes("a/x", b"1")
        assert behind.replace_bytes("a/x", b"2")
        assert behind.replace_bytes("a/x", b"3")
        behind.delete("a/x")
    assert not behind.exists("a/x")
    assert len([record for record in caplog.records if "deleteFiles" in record.message]) == 1


def test_a_key_that_may_not_even_hide_passes_the_check(proxy, behind, caplog):
    proxy.add(denies("DeleteObject"))
    behind.check()
    assert "deleteFiles" in caplog.text and "left behind" in caplog.text


def test_a_key_for_the_prefix_only(proxy, behind, tmp_path):
    proxy.add(only_below("studio/one/"))
    source, _ = random_file(tmp_path / "source", PART + 1)
    behind.check()
    behind.put_file("models/x", source)
    behind.download("models/x", tmp_path / "x")
    assert [found.key for found in behind.list()] == ["models/x"]
    assert list(behind.folders("")) == ["models"]
    assert list(behind.abandoned_uploads(0)) == [] and list(behind.old_versions()) == []
    behind.delete("models/x")
    assert not behind.exists("models/x")


def test_what_passes_is_told_as_passing_with_how_often_it_was_tried(quick, proxy, behind):
    proxy.add(Fault(times=None, answer=(503, "SlowDown")))
    error = told(lambda: behind.put_bytes("a", b"1"), RetryableStoreError)
    assert "SlowDown" in error.message and "tried 2 times" in error.message and error.retryable
    assert behind.calls.by_operation == {"PutObject": 2}
    proxy.clear()
    proxy.add(Fault(times=None, drop=True))
    assert "tried 2 times" in told(lambda: behind.exists("a"), RetryableStoreError).message
    proxy.stop()
    error = told(behind.check, RetryableStoreError)
    assert "cannot be reached" in error.message and proxy.server.endpoint in error.message


def test_parts_that_are_damaged_on_their_way_are_sent_again(proxy, behind, tmp_path, monkeypatch):
    source, sha256 = random_file(tmp_path / "source", 2 * PART)
    proxy.add(Fault(("UploadPart", "PutObject"), answer=(400, "BadDigest"), times=2))
    behind.put_bytes("a/x", b"1")
    assert behind.put_file("a/y", source).sha256 == sha256


# Addresses of stores


@pytest.mark.parametrize(
    "url", ["b2://", "b2:bucket", "s3:///prefix", "b2://b", "b2://bu_cket?x", "s3://key:secret@bucket/x", "gs://bucket"]
)
def test_addresses_of_no_bucket_are_refused(url):
    with pytest.raises(InputError, match="not the address of a store") as refused:
        connect(url, ACCESS)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("prefix", ["a//b", "../a", "a/./b"])
def test_prefixes_that_are_no_keys_are_refused(prefix):
    with pytest.raises(InputError, match="cannot begin the keys"):
        connect(f"b2://bucket/{prefix}", ACCESS)


def test_the_address_shows_bucket_and_prefix_only(tmp_path):
    for url in ("b2://my-bucket/a/b/", "b2://my-bucket/a/b"):
        store = connect(url, ACCESS, state=tmp_path)
        assert store.url == "b2://my-bucket/a/b"
        assert "secret" not in repr(store) + repr(ACCESS) + repr(vars(store))
    assert connect("s3://my-bucket", ACCESS, state=tmp_path).url == "s3://my-bucket"


@pytest.fixture
def settings(monkeypatch, tmp_path) -> Iterator[Any]:
    """Sets the environment that stands for the settings."""
    for name in list(os.environ):
        if name.startswith(("F5_", "AWS_", "B2_")):
            monkeypatch.delenv(name)

    def put(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()

    put(F5_CACHE=str(tmp_path))
    yield put
    get_settings.cache_clear()


def test_the_key_comes_from_the_environment(settings, tmp_path):
    settings(
        B2_APPLICATION_KEY_ID="id", B2_APPLICATION_KEY="secret", F5_STORE_REGION="eu-central-003", F5_TRANSFERS="3"
    )
    store = open_store(get_settings(), "b2://bucket/prefix")
    assert isinstance(store, S3Store)
    assert store.bucket.access == Access("id", "secret", "https://s3.eu-central-003.backblazeb2.com", "eu-central-003")
    assert store.parallel == 3 and store._state == tmp_path / "uploads"


@pytest.mark.parametrize(
    ("url", "values", "variable"),
    [
        ("b2://bucket", {}, "F5_STORE_KEY_ID"),
        ("b2://bucket", {"F5_STORE_KEY_ID": "id"}, "F5_STORE_KEY"),
        ("b2://bucket", {"F5_STORE_KEY_ID": "id", "F5_STORE_KEY": "secret"}, "F5_STORE_REGION"),
        ("s3://bucket", {}, "F5_STORE_REGION"),
        ("s3://bucket", {"F5_STORE_KEY": "secret", "F5_STORE_REGION": "x"}, "F5_STORE_KEY_ID"),
        ("s3://bucket", {"F5_STORE_ENDPOINT": "http://127.0.0.1:1"}, "F5_STORE_REGION"),
    ],
)
def test_what_is_not_set_is_named(settings, url, values, variable):
    settings(**values)
    with pytest.raises(InputError) as refused:
        open_store(get_settings(), url)
    assert refused.value.file == variable and refused.value.hint and variable in f"{refused.value.hint}F5_STORE_KEY_ID"
    assert "secret" not in str(refused.value)


def test_b2_is_signed_for_the_region_in_its_address(tmp_path):
    access = Access("id", "secret", "https://s3.us-west-004.backblazeb2.com/", "us-east-1")
    store = connect("b2://bucket", access, state=tmp_path)
    assert store.bucket.access.region == "us-west-004"  # type: ignore[attr-defined]
    assert "us-west-004/s3/aws4_request" in (store.presign("x", 60, headers={}) or "").replace("%2F", "/")


def test_aws_itself_needs_no_endpoint_and_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    store = connect("s3://bucket/x", Access(region="eu-west-1"), state=tmp_path)
    for work in (lambda: store.put_bytes("a", b"1"), lambda: store.presign("a", 60, headers={})):
        assert "no key for the bucket" in told(work).message


def test_an_endpoint_that_is_no_address_is_told(tmp_path):
    store = connect("s3://bucket", Access("id", "secret", "http://no host", "eu-west-1"), state=tmp_path)
    with pytest.raises(InputError) as refused:
        store.exists("a")
    assert refused.value.file == "F5_STORE_ENDPOINT"


def test_a_forked_process_has_a_client_of_its_own(moto_store):
    moto_store.put_bytes("a/x", b"1")
    ours = id(moto_store.client)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            other = pickle.dumps((id(moto_store.client) != ours, moto_store.get_bytes("a/x")))
            os.write(writer, other)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert pickle.loads(os.read(reader, 1000)) == (True, b"1")


def test_local_stores_import_nothing_heavy():
    code = (
        "import sys; from f5_pipeline.store.connect import connect; connect('file:x').exists('a');"
        "print([name for name in ('boto3', 'botocore', 'dagster') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_wrong_region_is_told_and_no_bucket_is_headed(swift_store, swift_server, tmp_path, watch):
    swift_store.put_bytes("a/x", b"1")
    store = again(swift_server, swift_store.url, tmp_path, region="us-west-004")
    wire = watch(store)
    for work in (lambda: store.get_bytes("a/x"), lambda: store.stat("a/x"), lambda: store.put_bytes("a/x", b"2")):
        error = told(work)
        assert "F5_STORE_REGION" in (error.hint or "") and "us-west-004" in error.message
    assert "HeadBucket" not in {name for name, _ in wire.sent}

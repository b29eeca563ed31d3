"""What a network, a busy service and a guarded one do to a store: it finishes what it was asked, or says what to do.

Whatever happens, no object is ever there in part, and nothing that was written is lost.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from f5_pipeline.errors import RetryableStoreError, StoreError
from f5_pipeline.store.base import Store
from f5_pipeline.store.connect import Access, connect
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.s3 import client as store_client
from f5_pipeline_tests.support.installation import environment
from f5_pipeline_tests.support.servers.proxy import Fault, FaultProxy, denies, only_below, slow_down
from f5_pipeline_tests.support.servers.server import S3Server
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for

pytestmark = pytest.mark.slow

PART = 5 << 20
"""Bytes; services take no smaller part but the last."""

PARTS = 6
BUCKET = "faulty-bucket"
LISTINGS = ("ListObjectsV2", "ListObjectVersions", "ListMultipartUploads", "ListParts")
TRANSFERS = 3


@dataclass
class Place:
    """A prefix of a bucket behind the proxy, and the store there."""

    proxy: FaultProxy
    upstream: S3Server
    prefix: str
    state: Path

    def access(self, **changed: Any) -> Access:
        server = self.proxy.server
        return replace(Access(server.key_id, server.key, server.endpoint, server.region), **changed)

    def connect(self, *, bucket: str = BUCKET, **changed: Any) -> Store:
        url = f"b2://{bucket}/{self.prefix}"
        return connect(url, self.access(**changed), transfers=TRANSFERS, part_bytes=PART, state=self.state)

    def keys(self) -> list[str]:
        """What is there, asked of the server itself."""
        begin = f"{self.prefix}/"
        return [key.removeprefix(begin) for key in self.upstream.keys(BUCKET) if key.startswith(begin)]

    def body(self, key: str) -> bytes:
        return self.upstream.client().get_object(Bucket=BUCKET, Key=f"{self.prefix}/{key}")["Body"].read()

    def uploads(self) -> list[str]:
        """Ids of uploads that were begun and neither completed nor given up."""
        found = self.upstream.client().list_multipart_uploads(Bucket=BUCKET, Prefix=f"{self.prefix}/")
        return [one["UploadId"] for one in found.get("Uploads", ())]


@pytest.fixture(scope="module")
def proxies() -> Iterator[dict[str, FaultProxy]]:
    made: dict[str, FaultProxy] = {}
    yield made
    for proxy in made.values():
        proxy.stop()


def place_behind(server: S3Server, proxies: dict[str, FaultProxy], tmp_path: Path) -> Place:
    if server.name not in proxies:
        server.make_bucket(BUCKET)
        proxies[server.name] = FaultProxy(server)
    proxies[server.name].clear()
    return Place(proxies[server.name], server, tmp_path.name, tmp_path / "state")


@pytest.fixture
def place(swift_server: S3Server, proxies: dict[str, FaultProxy], tmp_path: Path) -> Iterator[Place]:
    """On Swift."""
    made = place_behind(swift_server, proxies, tmp_path)
    yield made
    made.proxy.clear()


@pytest.fixture(params=["swift_server", "moto_server"])
def anyplace(request: pytest.FixtureRequest, proxies: dict[str, FaultProxy], tmp_path: Path) -> Iterator[Place]:
    """On each server in turn."""
    made = place_behind(request.getfixturevalue(request.param), proxies, tmp_path)
    yield made
    made.proxy.clear()


@pytest.fixture
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """For faults that do not pass."""
    monkeypatch.setattr(store_client, "MAX_ATTEMPTS", 2)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries to read a body."""
    monkeypatch.setattr("f5_pipeline.store.s3.stream.pause", lambda failures: None)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_client, "READ_SECONDS", 1)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of several parts, the last a short one."""
    path = tmp_path_factory.mktemp("large") / "large.bin"
    path.write_bytes(os.urandom((PARTS - 1) * PART + 12_345))
    return path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def told(place: Place, work: Callable[[], object], kind: type[StoreError] = StoreError) -> str:
    """The error of the work: of this kind exactly, with a hint, without a secret."""
    with pytest.raises(StoreError) as raised:
        work()
    error = raised.value
    assert type(error) is kind, error
    assert error.hint
    chain: BaseException | None = error
    while chain is not None:
        text = f"{chain} {chain!r}"
        assert place.upstream.key not in text and place.upstream.key_id not in text and "Signature=" not in text
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    return str(error)


def alone(folder: Path, name: str) -> bool:
    """Whether nothing but the file of this name is in the folder."""
    return [path.name for path in folder.iterdir()] == [name]


# The network


def test_upload_cut_inside_parts(anyplace: Place, large: Path) -> None:
    anyplace.proxy.add(Fault(("UploadPart",), skip=1, times=2, cut_request=1_000_000))
    stat = anyplace.connect().put_file("big.bin", large)
    assert stat.sha256 == sha256(large.read_bytes()) == sha256(anyplace.body("big.bin"))
    # What had arrived is not sent again.
    assert anyplace.proxy.counts["UploadPart"] == PARTS + 2
    assert not anyplace.uploads()


def test_small_upload_cut(anyplace: Place) -> None:
    anyplace.proxy.add(Fault(("PutObject",), times=2, cut_request=50_000))
    data = os.urandom(200_000)
    anyplace.connect().put_bytes("small", data)
    assert anyplace.body("small") == data


def test_download_cut_inside_parts(anyplace: Place, large: Path, tmp_path: Path, no_pauses: None) -> None:
    store = anyplace.connect()
    store.put_file("big.bin", large)
    anyplace.proxy.clear()
    anyplace.proxy.add(Fault(("GetObject",), skip=1, times=3, cut_response=1_000_000))
    target = tmp_path / "into" / "big.bin"
    target.parent.mkdir()
    store.download("big.bin", target)
    assert target.read_bytes() == large.read_bytes()
    assert alone(target.parent, "big.bin")


def test_reads_cut(anyplace: Place, no_pauses: None) -> None:
    store = anyplace.connect()
    data = os.urandom(2_000_000)
    store.put_bytes("small", data)
    anyplace.proxy.add(Fault(("GetObject",), times=4, cut_response=300_000))
    assert store.get_bytes("small") == data
    anyplace.proxy.add(Fault(("GetObject",), times=2, cut_response=300_000))
    with store.open("small") as opened:
        opened.seek(1000)
        assert opened.read() == data[1000:]


def test_network_that_stays_broken(place: Place, large: Path, tmp_path: Path, few_tries: None, no_pauses: None) -> None:
    store = place.connect()
    store.put_file("there.bin", large)
    # Beyond the third part nothing passes: the error is told, what is finished is kept, and the next call goes on.
    place.proxy.add(Fault(("UploadPart",), skip=3, times=None, cut_request=1000))
    assert "tried 2 times" in told(place, lambda: store.put_file("big.bin", large), RetryableStoreError)
    assert place.keys() == ["there.bin"]
    place.proxy.clear()
    store.put_file("big.bin", large)
    assert place.proxy.counts["UploadPart"] == PARTS - 3
    assert not place.uploads()

    place.proxy.clear()
    place.proxy.add(Fault(("GetObject",), skip=3, times=None, cut_response=0))
    target = tmp_path / "big.bin"
    told(place, lambda: store.download("big.bin", target), RetryableStoreError)
    assert not target.exists()
    place.proxy.clear()
    store.download("big.bin", target)
    assert target.read_bytes() == large.read_bytes()
    assert place.proxy.counts["GetObject"] == PARTS - 3


@pytest.mark.parametrize(
    "operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "PutObject", "DeleteObject"]
)
def test_answers_that_are_lost(place: Place, large: Path, operation: str) -> None:
    """The service has done it; the answer never came."""
    store = place.connect()
    place.proxy.add(Fault((operation,), lose_answer=True))
    store.put_file("big.bin", large)
    store.put_bytes("small", b"1")
    store.put_bytes("gone", b"2")
    store.delete("gone")
    assert place.proxy.counts[operation] >= 2
    assert place.keys() == ["big.bin", "small"]
    assert sha256(place.body("big.bin")) == sha256(large.read_bytes())


def test_service_that_does_not_listen(place: Place, tmp_path: Path, few_tries: None) -> None:
    store = place.connect()
    store.put_bytes("x", b"1")
    place.proxy.stop()
    try:
        works = (
            lambda: store.put_bytes("y", b"1"),
            lambda: store.get_bytes("x"),
            lambda: store.exists("x"),
            lambda: list(store.list("")),
            lambda: store.download("x", tmp_path / "x"),
            store.check,
        )
        for work in works:
            assert "cannot be reached" in told(place, work, RetryableStoreError)
    finally:
        place.proxy.start()
    assert store.get_bytes("x") == b"1"


def test_service_that_comes_back(place: Place, large: Path, tmp_path: Path) -> None:
    """Stopped and started again in the middle of an upload and of a download."""
    store = place.connect()

    def interrupt() -> Callable[[int, int], None]:
        struck = threading.Event()

        def progress(done: int, _: int) -> None:
            if done and not struck.is_set():
                struck.set()
                place.proxy.stop()
                threading.Timer(0.5, place.proxy.start).start()

        return progress

    store.put_file("big.bin", large, on_progress=interrupt())
    assert sha256(place.body("big.bin")) == sha256(large.read_bytes())
    store.download("big.bin", tmp_path / "big.bin", on_progress=interrupt())
    assert (tmp_path / "big.bin").read_bytes() == large.read_bytes()


# A busy service


def test_storm(place: Place, large: Path, tmp_path: Path) -> None:
    store = place.connect()
    place.proxy.add(slow_down(times=6))
    data = {f"small/{index:02d}": os.urandom(1000) for index in range(24)}
    list(in_parallel(store, lambda key: store.put_bytes(key, data[key]), data))
    place.proxy.add(slow_down(times=2))
    store.put_file("big.bin", large)
    place.proxy.add(slow_down(times=2))
    assert dict(zip(data, in_parallel(store, store.get_bytes, data), strict=True)) == data
    place.proxy.add(slow_down(times=2))
    store.download("big.bin", tmp_path / "big.bin")
    assert (tmp_path / "big.bin").read_bytes() == large.read_bytes()
    assert place.keys() == ["big.bin", *data]


def test_storm_without_an_end(place: Place, large: Path, few_tries: None) -> None:
    store = place.connect()
    store.put_bytes("before", b"1")
    place.proxy.add(slow_down())
    for work in (
        lambda: store.put_bytes("x", b"1"),
        lambda: store.get_bytes("before"),
        lambda: store.put_file("big.bin", large),
        lambda: list(store.list("")),
        store.check,
    ):
        message = told(place, work, RetryableStoreError)
        assert "SlowDown" in message and "F5_TRANSFERS" in message
    place.proxy.clear()
    assert place.keys() == ["before"]


def test_slow_service(place: Place, impatient: None) -> None:
    store = place.connect()
    data = os.urandom(10_000)
    place.proxy.add(Fault(("PutObject",), pause=1.5))
    store.put_bytes("small", data)
    place.proxy.add(Fault(("GetObject",), pause=1.5), Fault(("GetObject",), trickle=(4000, 1.5)))
    assert store.get_bytes("small") == data


def test_service_that_stays_slow(place: Place, impatient: None, few_tries: None) -> None:
    store = place.connect()
    place.proxy.add(Fault(times=None, pause=30))
    assert "in time" in told(place, lambda: store.put_bytes("x", b"1"), RetryableStoreError)
    place.proxy.clear()
    assert place.keys() == []


# A guarded service


def all_works(store: Store, tmp_path: Path, large: Path) -> list[Callable[[], object]]:
    return [
        lambda: store.put_bytes("x", b"1"),
        lambda: store.put_file("big.bin", large),
        lambda: store.get_bytes("x"),
        lambda: store.exists("x"),
        lambda: store.open("x").read(),
        lambda: store.download("x", tmp_path / "x"),
        lambda: list(store.list("")),
        lambda: list(store.folders("x/")),
        lambda: store.delete("x"),
        store.check,
    ]


def test_nothing_is_asked_at_the_start(place: Place) -> None:
    place.connect()
    assert not place.proxy.seen


def test_no_bucket_is_ever_asked_about(place: Place, large: Path, tmp_path: Path) -> None:
    """What a key for one prefix may not do, and what B2 has not: conditional writes, checksums of boto3's own kind."""
    place.proxy.add(only_below(f"{place.prefix}/"))
    store = place.connect()
    for work in all_works(store, tmp_path, large):
        work()
    store.replace_bytes("state", b"1")
    store.replace_bytes("state", b"2")
    assert not {"HeadBucket", "CreateBucket", "ListBuckets", "DeleteObjects"} & set(place.proxy.counts)
    for request in place.proxy.seen:
        if request.method in ("PUT", "POST"):
            assert not {"if-none-match", "if-match"} & set(request.headers)
        assert not [name for name in request.headers if name.startswith(("x-amz-checksum", "x-amz-sdk-checksum"))]
        assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 ")


def test_calls_are_counted_as_they_are_made(place: Place, large: Path, tmp_path: Path) -> None:
    store = place.connect()
    place.proxy.add(slow_down(times=2))
    for work in all_works(store, tmp_path, large):
        work()
    assert store.calls.by_operation == dict(sorted(place.proxy.counts.items()))


def test_wrong_secret(place: Place, large: Path, tmp_path: Path) -> None:
    store = place.connect(key="wrong-secret-of-the-tests")
    for work in all_works(store, tmp_path, large):
        message = told(place, work)
        assert "F5_STORE_KEY" in message and "wrong-secret" not in message
    assert not place.keys() and not (tmp_path / "x").exists()


def test_unknown_key(place: Place) -> None:
    assert "F5_STORE_KEY_ID" in told(place, lambda: place.connect(key_id="studio:nobody").put_bytes("x", b"1"))


def test_wrong_region(place: Place, large: Path, tmp_path: Path) -> None:
    # Botocore would sign anew for the right one, but for links it cannot: they would all be refused.
    store = place.connect(region="us-west-004")
    for work in all_works(store, tmp_path, large):
        assert "F5_STORE_REGION" in told(place, work)


def test_missing_bucket(place: Place, large: Path, tmp_path: Path) -> None:
    store = place.connect(bucket="no-such-bucket")
    for work in (
        lambda: store.put_bytes("x", b"1"),
        lambda: store.put_file("big.bin", large),
        lambda: list(store.list("")),
        store.check,
    ):
        assert "no such bucket" in told(place, work)


def test_key_that_may_not_delete(place: Place, large: Path, tmp_path: Path) -> None:
    place.proxy.add(denies("DeleteObject"))
    store = place.connect()
    store.put_bytes("x", b"1")
    store.put_file("big.bin", large)
    store.replace_bytes("state", b"1")
    store.replace_bytes("state", b"2")
    store.check()  # it is enough to work with
    assert "deleteFiles" in told(place, lambda: store.delete("x"))
    assert place.body("x") == b"1" and place.body("state") == b"2"


def test_key_that_may_not_list(place: Place, large: Path, tmp_path: Path) -> None:
    place.proxy.add(denies(*LISTINGS))
    store = place.connect()
    store.put_bytes("x", b"1")
    store.put_file("big.bin", large)
    store.download("big.bin", tmp_path / "big.bin")
    assert (tmp_path / "big.bin").read_bytes() == large.read_bytes()
    assert store.get_bytes("x") == b"1" and not store.exists("y")
    for work in (lambda: list(store.list("")), lambda: list(store.folders("x/")), store.check):
        assert "listFiles" in told(place, work)
    store.delete("x")
    assert place.keys() == ["big.bin"]


def test_key_that_may_not_write(place: Place, large: Path) -> None:
    place.proxy.add(denies("PutObject", "CreateMultipartUpload", "UploadPart"))
    store = place.connect()
    for work in (lambda: store.put_bytes("x", b"1"), lambda: store.put_file("big.bin", large), store.check):
        assert "writeFiles" in told(place, work)


def test_key_that_may_not_read(place: Place, tmp_path: Path) -> None:
    store = place.connect()
    store.put_bytes("x", b"1")
    place.proxy.add(denies("GetObject", "HeadObject"))
    for work in (lambda: store.get_bytes("x"), lambda: store.download("x", tmp_path / "x"), lambda: store.stat("x")):
        assert "readFiles" in told(place, work)


def test_key_for_another_prefix(place: Place, large: Path) -> None:
    place.proxy.add(only_below("another/"))
    store = place.connect()
    for work in (lambda: store.put_bytes("x", b"1"), lambda: store.put_file("big.bin", large), store.check):
        assert "prefix" in told(place, work)
    assert not place.keys()


# Processes that die

_WORKER = """
import sys
from pathlib import Path
from f5_pipeline.orchestration.configured import open_store
from f5_pipeline.settings import get_settings

def progress(done, size):
    print(done, flush=True)

what, key, path = sys.argv[1:]
store = open_store(get_settings())
getattr(store, what)(*((key, Path(path))), on_progress=progress)
"""


def worker(place: Place, root: Path, what: str, key: str, path: Path) -> subprocess.Popen:
    """A process that moves a large object, configured as a user does it."""
    server = place.proxy.server
    env = environment(
        root,
        F5_STORE=f"b2://{BUCKET}/{place.prefix}",
        B2_APPLICATION_KEY_ID=server.key_id,
        B2_APPLICATION_KEY=server.key,
        F5_STORE_ENDPOINT=server.endpoint,
        F5_STORE_REGION=server.region,
        F5_TRANSFERS=str(TRANSFERS),
        F5_PART_MB="5",
    )
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER, what, key, str(path)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill_at(process: subprocess.Popen, size: int, also: Callable[[], bool] = lambda: True) -> None:
    """Kill -9 as soon as the process has told of so many bytes, and something else is so."""
    assert process.stdout is not None and process.stderr is not None
    for line in process.stdout:
        if int(line) >= size:
            wait_for("moment to kill it", also)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
            return
    raise AssertionError(f"it ended before it was killed:\n{process.stderr.read()}")


def finish(process: subprocess.Popen) -> None:
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err


def test_kill_in_an_upload(place: Place, large: Path, tmp_path: Path) -> None:
    # Three parts pass, the others are held up: what is there at the kill is known.
    place.proxy.add(Fault(("UploadPart",), skip=3, times=None, pause=600))
    # And nothing of the killed process is still to arrive.
    process = worker(place, tmp_path, "put_file", "big.bin", large)
    kill_at(process, 3 * PART, lambda: place.proxy.counts["UploadPart"] == PARTS)
    sent = [request.query["partNumber"] for request in place.proxy.seen if request.operation == "UploadPart"][:3]
    place.proxy.clear()
    assert place.keys() == [] and len(place.uploads()) == 1

    finish(worker(place, tmp_path, "put_file", "big.bin", large))
    again = [request.query["partNumber"] for request in place.proxy.seen if request.operation == "UploadPart"]
    assert sorted([*sent, *again]) == [str(number) for number in range(1, PARTS + 1)]
    assert place.proxy.counts["CreateMultipartUpload"] == 0
    assert sha256(place.body("big.bin")) == sha256(large.read_bytes())
    assert place.keys() == ["big.bin"] and not place.uploads()


def test_kill_in_a_download(place: Place, large: Path, tmp_path: Path) -> None:
    place.connect().put_file("big.bin", large)
    target = tmp_path / "into" / "big.bin"
    target.parent.mkdir()
    place.proxy.clear()
    place.proxy.add(Fault(("GetObject",), skip=4, times=None, pause=600))
    kill_at(worker(place, tmp_path, "download", "big.bin", target), 3 * PART)
    assert not target.exists()

    place.proxy.clear()
    finish(worker(place, tmp_path, "download", "big.bin", target))
    asked = 0
    for request in place.proxy.seen:
        if request.operation == "GetObject":
            bounds = some(re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["range"]))
            asked += int(bounds[2]) + 1 - int(bounds[1])
    # The part that was finished last may not have been noted yet.
    assert asked <= large.stat().st_size - 2 * PART
    assert target.read_bytes() == large.read_bytes()
    assert alone(target.parent, "big.bin")


def test_kill_in_a_small_upload(place: Place, tmp_path: Path) -> None:
    small = tmp_path / "small.bin"
    small.write_bytes(os.urandom(1_000_000))
    place.proxy.add(Fault(("PutObject",), pause=600))
    process = worker(place, tmp_path, "put_file", "small.bin", small)
    wait_for("upload", lambda: place.proxy.counts["PutObject"])
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    place.proxy.clear()
    assert place.keys() == []
    finish(worker(place, tmp_path, "put_file", "small.bin", small))
    assert place.body("small.bin") == small.read_bytes()

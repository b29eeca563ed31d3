"""The cache: what goes first, what stays, and what is proven."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from f5_pipeline.weights import cache as cache_module
from f5_pipeline.weights.cache import ABANDONED_AFTER_SECONDS, Cache, Mismatch
from f5_pipeline.weights.errors import WeightsError
from f5_pipeline.weights.records import Blob
from f5_pipeline_tests.support.installation import small_file_system
from f5_pipeline_tests.support.weights_place import content

KB = 1000


def blob(data: bytes, name: str = "model.safetensors") -> Blob:
    return Blob(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def put(cache: Cache, data: bytes) -> Blob:
    """Take a file in and let it go."""
    one = blob(data)
    lease = cache.lease(one)
    with cache.alone(one.sha256):
        cache.fill(one, lambda part: part.write_bytes(data))
    lease.release()
    return one


def used_at(cache: Cache, one: Blob, when: float) -> None:
    os.utime(cache.folder / "locks" / f"{one.sha256}.use", (when, when))


def test_the_least_recently_used_goes_first(tmp_path: Path):
    cache = Cache(tmp_path / "cache", 350 * KB)
    one, two, three = (put(cache, content(100 * KB, n)) for n in range(3))
    for when, which in ((300, one), (100, two), (200, three)):
        used_at(cache, which, when)
    four = put(cache, content(100 * KB, 4))
    assert [cache.has(which) for which in (one, two, three, four)] == [True, False, True, True]
    five = put(cache, content(200 * KB, 5))
    assert [cache.has(which) for which in (one, three, four, five)] == [False, False, True, True]


def test_a_lease_is_a_use(tmp_path: Path):
    cache = Cache(tmp_path / "cache", 250 * KB)
    one, two = (put(cache, content(100 * KB, n)) for n in range(2))
    used_at(cache, one, 100)
    used_at(cache, two, 200)
    cache.lease(one).release()
    put(cache, content(100 * KB, 3))
    assert cache.has(one) and not cache.has(two)


def test_what_is_in_use_stays_and_so_does_what_has_just_come(tmp_path: Path):
    cache = Cache(tmp_path / "cache", 150 * KB)
    one = put(cache, content(100 * KB, 1))
    lease = cache.lease(one)
    two = put(cache, content(100 * KB, 2))
    assert cache.has(one) and cache.has(two)  # over the limit, but nothing may go
    lease.release()
    three = put(cache, content(200 * KB, 3))
    assert [cache.has(which) for which in (one, two, three)] == [False, False, True]


def test_evict_takes_all_or_what_it_is_told(tmp_path: Path):
    cache = Cache(tmp_path / "cache", 1 << 30)
    one, two = (put(cache, content(10 * KB, n)) for n in range(2))
    lease = cache.lease(two)
    assert cache.evict({one.sha256}) == {one.file_name: 10 * KB}
    assert cache.evict() == {}
    lease.release()
    assert cache.evict() == {two.file_name: 10 * KB}
    assert cache.used() == 0


def test_wrong_bytes_get_no_name(tmp_path: Path):
    cache = Cache(tmp_path / "cache", 1 << 30)
    one = blob(content(KB, 1))
    for wrong in (content(KB, 2), b"", content(KB + 1, 1)):
        with cache.alone(one.sha256), pytest.raises(Mismatch):
            cache.fill(one, lambda part, wrong=wrong: part.write_bytes(wrong))
        assert not cache.has(one) and cache.used() == 0


def test_a_beginning_that_does_not_fit_is_fetched_again_once(tmp_path: Path):
    cache = Cache(tmp_path / "cache", 1 << 30)
    data = content(KB, 1)
    one = blob(data)
    (tmp_path / "cache" / "partial").mkdir(parents=True)
    (tmp_path / "cache" / "partial" / f"{one.sha256}.part").write_bytes(b"?" * 100)
    begun = []

    def pull(part: Path) -> None:
        begun.append(part.stat().st_size if part.exists() else 0)
        with part.open("ab") as out:
            out.write(data[begun[-1] :])

    with cache.alone(one.sha256):
        assert cache.fill(one, pull).read_bytes() == data
    assert begun == [100, 0]


def test_files_are_read_only_and_proven_once(tmp_path: Path, monkeypatch):
    data = content(KB, 1)
    one = put(Cache(tmp_path / "cache", 1 << 30), data)
    hashed = []
    monkeypatch.setattr(cache_module, "file_sha256", lambda path: hashed.append(path) or one.sha256)
    fresh = Cache(tmp_path / "cache", 1 << 30)
    path = fresh.find(one)
    assert path is not None and path.stat().st_mode & 0o222 == 0
    assert hashed == []
    os.utime(path)
    assert fresh.find(one) and fresh.find(one)
    assert hashed == [path]
    assert Cache(tmp_path / "cache", 1 << 30).find(one) == path
    assert hashed == [path]
    assert fresh.find(one, deep=True) == path
    assert hashed == [path, path]


def test_a_file_of_another_size_is_damaged_without_a_hash(tmp_path: Path, monkeypatch):
    cache = Cache(tmp_path / "cache", 1 << 30)
    one = put(cache, content(KB, 1))
    cache.path(one).chmod(0o644)
    cache.path(one).write_bytes(b"short")
    monkeypatch.setattr(cache_module, "file_sha256", lambda path: pytest.fail("needless"))
    assert cache.find(one) is None
    assert not cache.has(one)


def test_what_killed_processes_left_is_swept_unless_somebody_is_at_it(tmp_path: Path):
    cache = Cache(tmp_path / "cache", 1 << 30)
    put(cache, b"something")
    old = time.time() - ABANDONED_AFTER_SECONDS - 60
    names = ("a" * 64, "b" * 64, "c" * 64)
    for name in names:
        part = tmp_path / "cache" / "partial" / f"{name}.part"
        part.write_bytes(b"0" * 100)
        if name[0] != "c":
            os.utime(part, (old, old))
    with cache.alone("b" * 64):
        assert cache.sweep() == 100
    left = {path.name[0] for path in (tmp_path / "cache" / "partial").iterdir()}
    assert left == {"b", "c"}
    assert cache.evict() and cache.used() == 0


@pytest.fixture
def disk(tmp_path: Path):
    yield from small_file_system(tmp_path / "disk", "66m")


def test_room_is_made_on_a_full_disk_by_what_nobody_uses(disk: Path):
    cache = Cache(disk / "cache", 1 << 30)
    one, two = (put(cache, content(600 * KB, n)) for n in range(2))
    used_at(cache, one, 100)
    used_at(cache, two, 200)
    put(cache, content(1000 * KB, 3))
    assert not cache.has(one) and cache.has(two)
    lease = cache.lease(two)
    with pytest.raises(WeightsError, match=r"no room for model\.safetensors"):
        put(cache, content(3000 * KB, 4))
    assert cache.has(two)
    lease.release()


def test_a_read_only_cache_is_read(disk: Path):
    data = content(KB, 1)
    one = put(Cache(disk / "cache", 1 << 30), data)
    os.utime(disk / "cache" / "blobs" / one.file_name)  # its stamp does not fit any more
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    cache = Cache(disk / "cache", 1 << 30)
    lease = cache.lease(one)
    with cache.alone(one.sha256):
        path = cache.find(one)
    assert path is not None and path.read_bytes() == data
    lease.release()
    other = blob(b"other")
    with cache.alone(other.sha256), pytest.raises(WeightsError, match="the cache cannot be written"):
        cache.fill(other, lambda part: part.write_bytes(b"other"))

"""Many processes, and processes that are killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from f5_pipeline_tests.support.waiting import wait_for
from f5_pipeline_tests.support.weights_place import SIZE, Place, contents, ended

pytestmark = pytest.mark.slow

CHECKPOINT = "sub/model 1.safetensors"


def test_six_processes_at_once_make_one_download(place: Place):
    place.hub.faults.pause = 0.01
    workers = [place.worker(remote=True) for _ in range(6)]
    told = [ended(worker) for worker in workers]
    assert place.hub.sent == SIZE + SIZE // 8
    assert place.hub.requests["api"] == 2  # one a repository: the lock is made once, too
    assert len({one["path"] for one in told}) == 1
    assert sum(one["source"] == "hub" for one in told) >= 1
    waited = [one for one in told if "from hub" not in one["seen"]]
    assert len(waited) == 5 and any("waiting" in one["seen"] for one in waited)
    assert contents(place.root / "cache" / "partial") == {}


def test_a_killed_download_is_continued_by_the_next_process(place: Place):
    place.files[CHECKPOINT] *= 8
    place.hub.put("a/model", place.files)
    size = 8 * SIZE
    place.hub.faults.pause = 0.01
    part = place.root / "cache" / "partial"

    def come() -> int:
        return max((one.stat().st_size for one in part.glob("*.part")), default=0) if part.exists() else 0

    worker = place.worker()
    wait_for("beginning", lambda: come() > size // 4)
    worker.kill()
    worker.communicate()
    left = come()
    assert size // 4 < left < size
    assert not list((place.root / "store" / "models" / "blobs").glob("*.safetensors"))
    assert contents(place.root / "cache" / "blobs") == {}
    place.hub.faults.pause = 0.0
    place.hub.forget()
    told = ended(place.worker())
    assert told["source"] == "hub"
    assert place.hub.starts == [left, 0]  # the checkpoint from there, the vocoder from its beginning
    assert Path(told["path"]).read_bytes() == place.files[CHECKPOINT]


def test_who_waits_goes_on_where_a_killed_one_was(place: Place):
    place.hub.faults.pause = 0.02
    first = place.worker(remote=True)
    wait_for("beginning", lambda: place.hub.sent > 4 * (16 << 10))
    second = place.worker(remote=True)
    wait_for("second", lambda: second.poll() is None and place.hub.sent > 16 * (16 << 10))
    first.kill()
    first.communicate()
    assert ended(second)["source"] == "hub"
    assert place.hub.starts[0] == 0 < place.hub.starts[1]


def test_what_a_living_process_uses_is_not_evicted(place: Place):
    worker = place.worker(remote=True, hold=True)
    assert worker.stdout is not None and worker.stdout.readline()
    library = place.library(remote=True)
    assert library.evict("one") == {}
    assert library.evict() == {}
    place.library(remote=True, limit=1).acquire("two").release()
    assert library.models()[0].cached == library.lock("one").size
    worker.kill()
    worker.communicate()
    gone = library.evict("one")
    assert sum(gone.values()) >= SIZE
    assert library.models()[0].cached < SIZE

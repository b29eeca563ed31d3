"""The queue in the store: one worker a narration, whoever dies, cancels or fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from f5_pipeline.store import layout
from f5_pipeline.store.base import ObjectStat
from f5_pipeline.store.local import LocalStore
from f5_pipeline.studio import queue as queues
from f5_pipeline.studio.narrating.scripts import script_version
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.queue import LEASE_SECONDS, Queue, QueueDesk
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.waiting import wait_for


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    made = LocalStore(tmp_path)
    for name in ("one", "two"):
        made.put_bytes(f"scripts/{name}.txt", b"Good day.")
    return made


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def worker(store: LocalStore, **more) -> Queue:
    return Queue(store, **{"attempts": 2, "wait": 0.0, **more})


def attempt(store: LocalStore, queue: Queue, name: str):
    return queue.start(name, script_version(store, name))


def test_workers_that_meet_never_have_the_same_narration(store: LocalStore):
    """However their requests interleave: 16 workers ask for one narration, and again where they met."""
    held, most, lock, done = [], [], threading.Lock(), threading.Event()

    def work() -> None:
        mine = worker(store)
        while not done.is_set():
            if (claim := mine.claim("one")) is None:
                continue
            with lock:
                held.append(claim)
                most.append(len(held))
            with lock:
                held.remove(claim)
            claim.give_back()
            if len(most) > 20:
                done.set()

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}


def test_who_meets_another_takes_his_claim_back(tmp_path: Path):
    class Meeting(LocalStore):
        """Where another claim is written between the look and the own one."""

        other: str | None = None

        def list(self, prefix: str = "", **more) -> Iterator[ObjectStat]:
            stats = list(super().list(prefix, **more))
            if self.other and prefix == layout.work_of("one"):
                self.put_bytes(self.other, b"1")
                self.other = None
            return iter(stats)

    store = Meeting(tmp_path)
    store.put_bytes("scripts/one.txt", b"Good day.")
    store.other = layout.work_claim("one", "other")
    assert worker(store).next() is None
    assert [stat.key for stat in store.list("work/")] == [layout.work_claim("one", "other")]


def test_a_dead_workers_narration_is_taken_over_after_its_lease(store: LocalStore):
    clock = Clock()
    other = worker(store, now=clock)
    claims = [some(worker(store).next()), some(worker(store).next())]
    assert sorted(claim.narration for claim in claims) == ["one", "two"]
    assert other.next() is None
    clock.now = LEASE_SECONDS - 1
    claims[1].put()
    assert other.next() is None, "not yet"
    clock.now = LEASE_SECONDS + 1
    assert some(other.next()).narration == claims[0].narration
    assert other.claim(claims[1].narration) is None, "it was renewed"


def test_a_worker_that_stood_still_notices(store: LocalStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queues, "RENEW_SECONDS", 0.05)
    ended = threading.Event()
    claim = some(worker(store, on_end=ended.set).claim("one"))
    with claim:
        key = next(stat.key for stat in store.list("work/one/"))
        before = store.get_bytes(key)
        wait_for("renewal", lambda: store.get_bytes(key) != before)

        def taken_over() -> bool:
            store.delete(key)  # again and again: a renewal that has begun writes it once more
            return ended.is_set()

        wait_for("end", taken_over)
    assert claim.ended == "another worker has taken it over"


def test_a_canceled_narration_is_let_go_and_a_retried_one_comes_back(store: LocalStore, monkeypatch):
    monkeypatch.setattr(queues, "RENEW_SECONDS", 0.05)
    desk, ended = QueueDesk(store, StudioOptions(), 2), threading.Event()
    mine = worker(store, on_end=ended.set)
    claim = some(mine.claim("one"))
    with claim:
        assert desk.state("one").state == "running" and desk.figures().running == 1
        desk.cancel("one")
        wait_for("end", ended.is_set)
    assert claim.ended == "canceled" and some(mine.next()).narration == "two"
    assert desk.state("one").state != "running" and mine.claim("one") is None
    desk.retry("one")
    assert desk.figures().running == 1, "two is claimed still"
    assert some(mine.next()).narration == "one"


def test_attempts_are_counted_and_end(store: LocalStore):
    store.delete("scripts/two.txt")
    mine, desk = worker(store), QueueDesk(store, StudioOptions(), 2)
    for reason in ("the store is away", "it is away still"):
        claim = some(mine.next())
        mine.finish("one", attempt(store, mine, "one"), reason, retryable=True)
        claim.give_back()
    assert mine.next() is None and worker(store).next() is None
    assert (desk.state("one").state, desk.state("one").reason) == ("failed", "it is away still")
    assert desk.states(["one", "two"]) == {"one": desk.state("one")}, "two has no script"
    store.put_bytes("scripts/one.txt", b"Good evening.")
    claim = some(mine.next())
    assert desk.state("one").state == "running"
    assert desk.states(["one", "two"]) == {"one": desk.state("one")}
    mine.leave("one", attempt(store, mine, "one"))
    claim.give_back()
    assert attempt(store, mine, "one").attempts == 1, "what was interrupted was no attempt"

"""Who fetched what by a link, as the download service counts it."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from f5_pipeline.errors import StoreError
from f5_pipeline.store.local import LocalStore
from f5_pipeline.studio.links import fetches as fetches_module
from f5_pipeline.studio.links.fetches import OTHERS, FetchLog, fetches_of
from f5_pipeline.studio.links.grants import grants_of, revoke
from f5_pipeline.studio.upkeep.collection import collect
from f5_pipeline.studio.upkeep.inventory import Inventory
from f5_pipeline_tests.support.deliveries import VTT, deliver, give, service

FILES = {"story.mp3": b"ID3 first", "story.vtt": VTT}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    made = LocalStore(tmp_path / "studio")
    deliver(made, "r1", FILES)
    return made


def test_each_link_has_who_fetched_what_and_when(store: LocalStore):
    links, other = give(store, "r1"), give(store, "r1")
    address = next(grant.grant for grant in grants_of(store, "story") if grant.covers == "newest")
    with closing(FetchLog(store, flush_seconds=3600)) as log:
        client = service(store, on_fetch=log.note)
        url, page = links.files["story.mp3"], links.page
        for headers in ({}, {"range": "bytes=0-2"}):
            assert client.get(url, headers={"user-agent": "a player", **headers}).status_code in (200, 206)
        client.get(page)
        client.get(f"{page.replace('/n/', '/d/')}all.zip")
        client.head(url)
        client.get(f"{page.replace('/n/', '/d/')}nothing.mp3")
        revoke(store, "story", other.grant)
        assert client.get(other.files["story.mp3"]).status_code == 410
        log.flush()
        client.get(url, headers={"user-agent": "a player"})
    with closing(FetchLog(store)) as log:  # another service
        service(store, on_fetch=log.note).get(links.files["story.vtt"])
    found = fetches_of(store, "story")
    assert set(found) == {links.grant, address}
    rows = {(row.file, row.agent): (row.requests, row.bytes, row.address, row.revision) for row in found[links.grant]}
    assert rows == {
        ("story.mp3", "a player"): (3, 9 + 3 + 9, "testclient", "r1"),
        ("story.vtt", "testclient"): (1, len(VTT), "testclient", "r1"),
    }
    assert {row.file for row in found[address]} == {"page", "all.zip"}
    assert all(row.first <= row.last for rows in found.values() for row in rows)


def test_what_cannot_be_written_now_is_written_later(store: LocalStore, monkeypatch):
    links = give(store, "r1")
    with closing(FetchLog(store, flush_seconds=3600)) as log:
        log.note("story", links.grant, "r1", "story.mp3", 9, "10.0.0.1", "one")
        with monkeypatch.context() as patch:
            patch.setattr(store, "replace_bytes", lambda key, data: (_ for _ in ()).throw(StoreError("no")))
            log.flush()
        log.note("story", links.grant, "r1", "story.mp3", 9, "10.0.0.1", "one")
    assert [(row.requests, row.bytes) for row in fetches_of(store, "story")[links.grant]] == [(2, 18)]


def test_readers_beyond_number_are_counted_together(store: LocalStore, monkeypatch):
    monkeypatch.setattr(fetches_module, "MAX_ROWS", 3)
    links = give(store, "r1")
    with closing(FetchLog(store, flush_seconds=3600)) as log:
        for number in range(10):
            log.note("story", links.grant, "r1", "story.mp3", 1, f"10.0.0.{number}", "x" * 10_000)
            log.flush()
    rows = fetches_of(store, "story")[links.grant]
    assert len(rows) == 4 and sum(row.requests for row in rows) == 10 and len(rows[0].agent) < 200
    assert next(row.requests for row in rows if row.address == OTHERS) == 7


def test_they_go_with_their_grant_and_do_not_come_back(store: LocalStore):
    links = give(store, "r1")
    with closing(FetchLog(store, flush_seconds=3600)) as log:
        log.note("story", links.grant, "r1", "story.mp3", 9, "10.0.0.1", "one")
        log.flush()
        store.delete(f"grants/story/{links.grant}.json")
        later = Inventory(store, alive=lambda run: False, now=time.time() + 30 * 24 * 3600)
        assert collect(later, delete=True)["fetches"].count == 1
        log.note("story", links.grant, "r1", "story.mp3", 9, "10.0.0.1", "one")
    assert fetches_of(store, "story") == {}

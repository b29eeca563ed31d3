"""Voices, scripts and narrations that are removed for good: all of it, nothing else, and whatever cuts it off."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from f5_pipeline.errors import InputError, StoreError
from f5_pipeline.speech.engines.draft import engine
from f5_pipeline.speech.text.lexicon import Entry
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.local import LocalStore
from f5_pipeline.store.records import read_record, write_record
from f5_pipeline.studio.lexicon import load_lexicon, save_lexicon
from f5_pipeline.studio.links.making import make_links, read_manifest
from f5_pipeline.studio.narrating.gate import find_take
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.queue import Queue
from f5_pipeline.studio.records import Links
from f5_pipeline.studio.removal import Kind, Receipt, check_idle, find_removal, receipts, remove
from f5_pipeline.studio.state import standing
from f5_pipeline.studio.upkeep.inventory import Inventory
from f5_pipeline_tests.support.deliveries import BASE, SIGNER, service
from f5_pipeline_tests.support.small_studio import Studio
from f5_pipeline_tests.support.stores import _numbers, again

pytestmark = pytest.mark.slow

TEXTS = {
    "story": ("The first sentence is here.\n\nA second one follows it.", "ada"),
    "twin": ("The first sentence is here.\n\nIts end is another.", "ada"),
    "other": ("A voice of its own says this.", "kit"),
}
"""Story and twin share a take."""


def deliver(studio: Studio, name: str, text: str, voice: str) -> None:
    plan = studio.plan(text, f"{name}.txt", voice=voice)
    takes, audio, timings = studio.produce(plan)
    links = make_links(studio.store, read_manifest(studio.store, name, audio.revision), SIGNER, base_url=BASE)
    for step, record in {"plan": plan, "takes": takes, "audio": audio, "timings": timings, "links": links}.items():
        write_record(studio.store, layout.narration_state(name, step), record)


@pytest.fixture(scope="module")
def filled_root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("filled") / "studio"


@pytest.fixture
def filled(studio: Studio, filled_root: Path) -> LocalStore:
    """Narrations of two voices; `moved` was ada's in its first revision, and is kit's now."""
    if not filled_root.exists():
        store = studio.store
        for stat in list(store.list("voices/ada/")):
            store.put_bytes(stat.key.replace("/ada/", "/kit/"), store.get_bytes(stat.key).replace(b"ada", b"kit"))
        for key in ("voices/ada.flac", "voices/ada.txt"):  # as somebody puts them in for the in-box
            store.put_bytes(key, b"dropped")
        for name, (text, voice) in TEXTS.items():
            deliver(studio, name, text, voice)
        deliver(studio, "moved", "It was by the one.", "ada")
        first = store.get_bytes(layout.narration_state("moved", "links"))
        deliver(studio, "moved", "It was by the one.", "kit")
        store.put_bytes("first-links.json", first)
        save_lexicon(store, [Entry(written="one", said="won", voice=voice) for voice in ("ada", "kit")])
        shutil.copytree(store.root, filled_root)
    shutil.rmtree(studio.store.root)
    shutil.copytree(filled_root, studio.store.root)
    return studio.store


@pytest.fixture(params=["file", "moto"])
def store(request, filled: LocalStore, tmp_path: Path) -> Store:
    """The same in a folder, and in a bucket that keeps versions."""
    if request.param == "file":
        return filled
    server = request.getfixturevalue("moto_server")
    name = server.make_bucket(f"removal-{os.getpid()}-{next(_numbers)}", versioned=True)
    bucket = again(server, f"b2://{name}/studio", tmp_path / "uploads")
    for stat in filled.list():
        bucket.put_bytes(stat.key, filled.get_bytes(stat.key))
    bucket.put_bytes("voices/ada/recordings/0123456789abcdef.wav", b"older")
    bucket.bucket.ask("delete_object", "voices/ada/recordings/0123456789abcdef.wav")  # hidden, and still there
    return bucket


class Killed(Exception):
    pass


class Cut:
    """A store whose process is killed at the n-th removal of an object."""

    def __init__(self, store: Store, removals: int) -> None:
        self._store, self._left, self.parallel = store, removals, 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def delete(self, key: str) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1
        self._store.delete(key)


def keys(store: Store) -> set[str]:
    return {stat.key for stat in store.list()}


def erase(store: Store, kind: Kind, name: str, **options: Any) -> Receipt:
    return remove(store, find_removal(store, kind, name, **options), **options)


def assert_whole(store: Store) -> None:
    assert list(Inventory(store, alive=lambda run: False).findings()) == []


def status(store: Store, links: Links) -> set[int]:
    client = service(store)
    return {client.get(url).status_code for url in (links.page, *links.files.values())}


def links_of(store: Store, name: str) -> Links:
    return read_record(store, layout.narration_state(name, "links"), Links)


def test_a_voice_goes_with_its_takes_narrations_and_links(store: Store):
    before, links = keys(store), {name: links_of(store, name) for name in (*TEXTS, "moved")}
    first = read_record(store, "first-links.json", Links)
    takes = {key[9:73]: find_take(store, key[9:73]) for key in before if layout.take_record.match(key)}
    removal = find_removal(store, "voice", "ada", runs=["run"])
    assert keys(store) == before, "to look changes nothing"
    assert removal.narrations == ["story", "twin"] and removal.revisions == [("moved", first.revision)]
    assert removal.removed["takes"].objects == 2 * sum(
        take is not None and take.voice == "ada" for take in takes.values()
    )

    receipt = remove(store, removal, runs=["run"])
    after = keys(store)
    gone = before - after
    assert not [key for key in after if key.startswith(("voices/ada", "narrations/story/", "grants/twin/", "runs/"))]
    assert {"scripts/story.txt", "scripts/twin.txt"} <= after, "what others wrote is not the speaker's"
    left = {take.voice for key, take in takes.items() if take and layout.take_record(key) in after}
    assert left == {"kit"}
    assert_whole(store)
    assert {name: status(store, one) for name, one in links.items()} == {
        "story": {410}, "twin": {410}, "other": {200}, "moved": {200}
    }  # fmt: skip
    assert {service(store).get(url).status_code for url in first.files.values()} == {410}, "its older revision"
    assert [entry.voice for entry in load_lexicon(store)] == ["kit"]
    if hasattr(store, "old_versions"):
        hidden = [key for key, *_ in store.old_versions() if key.startswith(("voices/ada", "narrations/story"))]  # type: ignore[attr-defined]
        assert hidden == [], "nor in older versions"

    assert receipt.finished and [one.receipt for one in receipts(store)] == [receipt.receipt]
    assert sum(counts.objects for counts in receipt.removed.values()) == len(gone)
    assert (receipt.removed["recordings"].objects, receipt.links, receipt.entries) == (3, 5, 1)
    hashes = store.get_bytes(layout.receipt_keys(receipt.receipt)).decode().split()
    assert set(hashes) == {sha256(key.encode()).hexdigest() for key in gone}
    with pytest.raises(InputError, match="receipts"):
        find_removal(store, "voice", "ada")


@pytest.mark.parametrize(("kind", "name"), [("voice", "ada"), ("script", "story"), ("narration", "story")])
@pytest.mark.parametrize("removals", [0, 1, 7, 16])
def test_what_is_killed_is_finished_by_the_next(
    filled: LocalStore, tmp_path: Path, kind: Kind, name: str, removals: int
):
    links = links_of(filled, "story")
    whole = LocalStore(tmp_path / "whole")
    shutil.copytree(filled.root, whole.root)
    uncut = erase(whole, kind, name, runs=["run"])
    kills = 0
    while True:
        try:
            receipt = erase(Cut(filled, removals + kills), kind, name, runs=["run"])  # type: ignore[arg-type]
            break
        except Killed:
            kills += 1
            assert [one.finished for one in receipts(filled)] == [None]
            assert status(filled, links) == {410}, "links end first"
    assert kills >= 1
    kept = {key for key in keys(filled) if not key.startswith("receipts/")}
    assert kept == {key for key in keys(whole) if not key.startswith("receipts/")}
    assert_whole(filled)
    told = {"receipt", "begun", "finished"}
    assert receipt.finished and receipt.model_dump(exclude=told) == uncut.model_dump(exclude=told)
    assert len(list(receipts(filled))) == 1


def test_a_script_goes_and_leaves_what_others_share(store: Store):
    links, shared = links_of(store, "story"), links_of(store, "twin")
    receipt = erase(store, "script", "story")
    assert not [key for key in keys(store) if "story" in key]
    assert (receipt.removed["takes"].objects, receipt.removed["scripts"].objects) == (2, 2), (
        "one of its two is twin's too"
    )
    assert status(store, links) == {410} and status(store, shared) == {200}
    assert_whole(store)


def test_takes_of_two_voices_of_one_recording_stay(studio: Studio, filled: LocalStore, monkeypatch):
    manner = engine.variant_of("ada")
    monkeypatch.setattr(engine, "variant_of", lambda _: manner)
    deliver(studio, "own", "Two voices say this alike.", "ada")
    before = set(filled.list("takes/"))
    deliver(studio, "alike", "Two voices say this alike.", "kit")
    assert set(filled.list("takes/")) == before, "they share a take, whose record names ada"
    filled.put_bytes(layout.standings(), b"")
    taken = find_removal(filled, "voice", "ada")
    assert "own" in taken.narrations and "alike" not in taken.narrations
    remove(filled, taken)
    for name in ("alike", "other", "moved"):
        assert standing(filled, name, StudioOptions(engine="draft")).state.missing == 0, name
    assert not filled.exists(layout.standings()), "it names what is removed"


def test_a_narration_goes_and_its_script_waits_for_an_edit(filled: LocalStore):
    def waiting() -> set[str]:
        return set(Queue(filled, attempts=3, wait=1.0)._pending())

    for name in ("twin", "other", "moved"):
        filled.delete(f"scripts/{name}.txt")
    erase(filled, "narration", "story")
    assert {key for key in keys(filled) if "story" in key} == {
        "scripts/story.txt", "scripts/story.options.json", layout.work_attempts("story")
    }  # fmt: skip
    assert waiting() == set()
    filled.put_bytes("scripts/story.txt", b"Something else is written.")
    assert waiting() == {"story"}


def test_takes_that_an_unreadable_record_may_use_are_not_removed(filled: LocalStore):
    filled.put_bytes(layout.narration_state("twin", "takes"), b"{")
    before = keys(filled)
    with pytest.raises(StoreError, match="store check"):
        find_removal(filled, "script", "story")
    assert keys(filled) == before


def test_what_there_is_not_and_what_is_being_made_is_told(filled: LocalStore):
    for kind, text in (
        ("voice", "no voice 'nobody'"),
        ("script", "nothing of the script"),
        ("narration", "nothing of"),
    ):
        with pytest.raises(InputError, match=text):
            find_removal(filled, kind, "nobody")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cannot name"):
        find_removal(filled, "voice", "../ada")
    check_idle(filled, ["story"])
    filled.put_bytes(layout.work_claim("story", "somebody"), b"{}")
    with pytest.raises(InputError, match="being narrated"):
        check_idle(filled, ["story"])

"""The standings of all narrations: those of single looks, by fewer of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from f5_pipeline.store import layout
from f5_pipeline.store.local import LocalStore
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio import overview as overviews
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.overview import overview
from f5_pipeline.studio.records import Links, Plan, PlannedChunk
from f5_pipeline.studio.state import Standing, read_state, standing, write_state

NAMES = ("a", "a-b", "a0", "a_b", "b")
"""Their folders sort otherwise than they do."""


class Counted(LocalStore):
    """A folder that is used as a bucket is, and tells what was read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.parallel, self.read, self.asked = 3, [], []

    def get_bytes(self, key: str) -> bytes:
        self.read.append(key)
        return super().get_bytes(key)

    def exists(self, key: str) -> bool:
        self.asked.append(key)
        return super().exists(key)


@pytest.fixture
def options(tmp_path) -> StudioOptions:
    return StudioOptions(cache=tmp_path / "cache", engine="draft")


@pytest.fixture
def delivered(studio) -> Counted:
    """A narration for each of NAMES with all its records: of one script, delivered."""
    plan = studio.plan("A sentence.", f"{NAMES[0]}.txt")
    takes, audio, _ = studio.produce(plan)
    for name in NAMES:
        if name != NAMES[0]:
            plan = studio.plan("A sentence.", f"{name}.txt")
        links = Links(narration=name, revision=audio.revision, page="", files={}, expires="")
        made = takes.model_copy(update={"plan": plan.digest})
        for record in (plan, made, audio.model_copy(update={"plan": plan}), links):
            write_state(studio.store, record, name)
        studio.store.put_bytes(f"narrations/{name}/{audio.revision}/manifest.json", b"{}")
    return Counted(studio.store.root)


def single(store: LocalStore, options: StudioOptions) -> dict[str, Standing]:
    return {name: standing(store, name, options) for name in NAMES}


@pytest.mark.parametrize("parallel", [1, 3])
def test_standings_are_those_of_single_looks(delivered, options, parallel):
    delivered.parallel = parallel
    assert overview(delivered, options) == single(delivered, options)
    assert {found.state.state for found in overview(delivered, options).values()} == {"delivered"}
    delivered.put_bytes(layout.script("a", ".txt"), b"Another sentence.")
    delivered.put_bytes(layout.narration_state("a-b", "audio"), b"{")
    delivered.delete(layout.narration_state("a0", "links"))
    delivered.delete(layout.narration_state("b", "plan"))
    found = overview(delivered, options)
    assert found == single(delivered, options)
    assert [found[name].state.state for name in NAMES] == ["edited", "damaged", "synthesized", "delivered", "scripted"]


def test_what_has_not_changed_is_not_read_again(delivered, options):
    first = overview(delivered, options)
    delivered.read.clear()
    assert overview(delivered, options) == first
    assert set(delivered.read) <= {layout.lexicon()}
    delivered.put_bytes(layout.lexicon(), b"word,replacement\nsentence,phrase\n")
    assert overview(delivered, options)["b"].state.state == "edited"
    delivered.delete(layout.lexicon())
    assert overview(delivered, options) == first
    delivered.read.clear()
    delivered.put_bytes(layout.script_options("b"), b'{"voice": "other"}')
    assert overview(delivered, options)["b"].state.state == "edited"
    assert {key.split("/")[1].split(".")[0] for key in delivered.read if key != layout.lexicon()} == {"b"}


def test_missing_takes_are_counted_each_time(delivered, options, monkeypatch):
    delivered.delete(layout.narration_state("b", "links"))
    assert overview(delivered, options)["b"].state.missing == 0
    for stat in list(delivered.list("takes/")):
        delivered.delete(stat.key)
    assert overview(delivered, options)["b"].state.missing == 1
    assert not delivered.asked, "a listing tells of many takes"
    monkeypatch.setattr(overviews, "_PAGE", 1)  # too many to be listed
    take = planned_take(delivered, "b")
    delivered.put_bytes(take, b"{}")
    assert overview(delivered, options)["b"].state.missing == 0
    assert delivered.asked == [take]


def planned_take(store: LocalStore, name: str) -> str:
    (planned,) = read_lines(store, read_state(store, Plan, name).chunks_key, PlannedChunk)
    return layout.take_record(planned.key)


def test_a_new_machine_reads_what_another_has_found(delivered, options, tmp_path, monkeypatch):
    monkeypatch.setattr(overviews, "MANY", len(NAMES))
    other = options.model_copy(update={"cache": tmp_path / "other"})
    first = overview(delivered, options)
    delivered.read.clear()
    assert overview(delivered, other) == first
    assert sorted(delivered.read) == [layout.lexicon(), layout.standings()]
    for name in NAMES:
        delivered.put_bytes(layout.script(name, ".txt"), b"Another sentence.")
    for cache in (tmp_path / "third", tmp_path / "fourth"):
        found = overview(delivered, options.model_copy(update={"cache": cache}))
        assert {standing.state.state for standing in found.values()} == {"edited"}, "the copy is of other marks"
    delivered.put_bytes(layout.standings(), b"not gzip")
    assert overview(delivered, options.model_copy(update={"cache": tmp_path / "fifth"})) == found


def test_a_look_that_is_ended_is_continued_by_the_next(delivered, options, monkeypatch):
    monkeypatch.setattr(overviews, "MANY", len(NAMES))
    monkeypatch.setattr(overviews, "KEEP_SECONDS", 0.0)
    told: list[tuple[int, int]] = []

    def interrupt(done: int, total: int) -> None:
        told.append((done, total))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        overview(delivered, options, on_progress=interrupt)
    assert told == [(n, len(NAMES)) for n in (1, 2, 3)]
    every = single(delivered, options)
    delivered.read.clear()
    assert overview(delivered, options) == every
    read = {key.split("/")[1] for key in delivered.read if key.startswith("narrations/")}
    assert len(read) == len(NAMES) - 2, "what was kept before the end is not read again"


@pytest.mark.parametrize("parallel", [1, 3])
def test_some_are_looked_at_without_the_others(delivered, options, parallel):
    delivered.parallel = parallel
    every = overview(delivered, options)
    delivered.put_bytes(layout.script("a", ".txt"), b"Another sentence.")
    delivered.read.clear()
    found = overview(delivered, options, ["a", "a-b", "without-script"])
    assert [(name, look.state.state) for name, look in found.items()] == [("a", "edited"), ("a-b", "delivered")]
    assert not [key for key in delivered.read if "b." in key.replace("a-b", "") or "a0" in key or "a_b" in key]
    if parallel > 1:
        delivered.read.clear()
        assert overview(delivered, options) == every | found
        assert {key.split("/")[1].split(".")[0] for key in delivered.read if "/" in key} == {"a"}


def test_a_damaged_cache_is_passed_over(delivered, options):
    first = overview(delivered, options)
    (file,) = (options.cache / "standings").iterdir()
    file.write_bytes(b'{"a": ')
    assert overview(delivered, options) == first

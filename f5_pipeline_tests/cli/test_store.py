"""f5-pipeline store: check, gc."""

from __future__ import annotations

import os
import shutil
import time

import dagster as dg
import pytest
from dagster._core.storage.dagster_run import DagsterRun

from f5_pipeline.store import layout
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio.records import PlannedChunk
from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.narrated import TEXT, contents
from f5_pipeline_tests.support.quick import quick

pytestmark = pytest.mark.slow

WEEK = 7 * 24 * 3600


@pytest.fixture
def made(narrated, tmp_path) -> Installation:
    """The installation with the finished narration, a test's own, two weeks old."""
    root = tmp_path / "copy"
    shutil.copytree(narrated.installation.root, root)
    copied = Installation(root)
    for one in copied.store.list():
        age(copied, one.key)
    return copied


def age(made: Installation, key: str) -> None:
    then = time.time() - 2 * WEEK
    os.utime(made.root / "studio" / key, (then, then))


def put_old(made: Installation, key: str, data: bytes) -> None:
    made.store.put_bytes(key, data)
    age(made, key)


def takes(made: Installation) -> list[str]:
    return [one.key for one in made.store.list("takes/") if one.key.endswith(".json")]


def test_a_whole_store(made):
    told = quick(made, "store", "check", "--deep", "--json").object
    assert told["findings"] == [] and told["held_back"] == {}
    assert set(told["unused"]) <= {"runs"}
    assert told["there"]["takes"]["objects"] == 2 * len(takes(made))
    ended = quick(made, "store", "check")
    assert "is whole" in ended.err and "takes" in ended.out


def test_what_is_wrong_is_told_with_key_and_mend(made):
    delivered = next(one.key for one in made.store.list("narrations/story/") if one.key.endswith("/story.mp3"))
    made.store.delete(delivered)
    take = takes(made)[0]
    made.store.delete(take.replace(".json", ".flac"))
    captions = delivered.replace(".mp3", ".vtt")
    data = made.store.get_bytes(captions)
    made.store.put_bytes(captions, b"X" + data[1:])

    told = quick(made, "store", "check", "--deep", "--json", code=1).object["findings"]
    assert {(one["state"], one["key"]) for one in told} == {
        ("missing", delivered),
        ("missing", take.replace(".json", ".flac")),
        ("damaged", captions),
    }
    ended = quick(made, "store", "check", code=1)
    assert delivered in ended.out and "f5-pipeline narrate story" in ended.out and f"Delete {take}" in ended.out
    assert "2 findings" in ended.err and "Traceback" not in ended.err


def test_gc_counts_first_and_removes_what_is_old_and_unused(made):
    stays = contents(made)
    gone = {layout.take_audio("a" * 64): b"flac", layout.take_record("a" * 64): b"{}"}
    gone["runs/0123/plan.json"] = b"{}"
    for key, data in gone.items():
        put_old(made, key, data)
    young = layout.take_audio("b" * 64)
    made.store.put_bytes(young, b"young")
    everything = contents(made)
    stays = {key: data for key, data in stays.items() if not key.startswith("runs/")} | {young: b"young"}

    told = quick(made, "store", "gc", "--json").object
    assert told["deleted"] is False and told["unused"]["takes"] == {"count": 1, "objects": 2, "size": 6}
    assert "--delete" in quick(made, "store", "gc").err
    assert contents(made) == everything
    assert quick(made, "store", "gc", "--delete", "--grace", "3w", "--json").object["unused"] == {}
    assert contents(made) == everything

    ended = quick(made, "store", "gc", "--delete")
    assert "takes" in ended.out and "removed" in ended.err
    assert contents(made) == stays
    assert quick(made, "store", "gc", "--delete", "--json").object["unused"] == {}

    again = made.run("narrate", made.write("story.txt", TEXT), "--voice", "ada", "--json").object
    assert again["takes"]["synthesized"] == 0
    assert quick(made, "verify", "story").code == 0


def test_gc_says_what_it_cannot_judge(made):
    unused = layout.take_audio("a" * 64)
    put_old(made, unused, b"flac")
    plan = layout.narration_state("story", "plan")
    made.store.put_bytes(plan, b"{")
    told = quick(made, "store", "gc", "--delete", "--json", code=1).object
    assert told["blocked_by"] == [plan] and told["held_back"]["takes"]["count"] == 1
    ended = quick(made, "store", "gc", "--delete", code=1)
    assert plan in ended.err and "1 takes" in ended.err and "store check" in ended.err
    assert made.store.exists(unused)
    assert plan in quick(made, "store", "check", code=1).out


def test_the_folder_of_an_unfinished_run_and_of_what_it_continues_stays(made):
    """The instance tells which runs work; a re-execution reads what the run before it made."""
    ids = [f"{n:08}-0000-4000-8000-000000000000" for n in range(4)]
    first, second, working, done = ids
    status = dg.DagsterRunStatus
    with dg.DagsterInstance.from_config(str(made.root / "dagster")) as instance:
        for run, state, parent in (
            (first, status.FAILURE, None),
            (second, status.FAILURE, first),
            (working, status.STARTED, second),
            (done, status.SUCCESS, None),
        ):
            root = first if parent else None
            instance.add_run(DagsterRun("narrate", run, status=state, parent_run_id=parent, root_run_id=root))
    for run in ids:
        put_old(made, f"runs/{run}/value.json", b"{}")
    quick(made, "store", "gc", "--delete")
    assert list(made.store.folders("runs/")) == ids[:3]


@pytest.mark.parametrize("grace", ["7", "d", "-1d", "1y", "7d7d"])
def test_a_grace_time_has_its_unit(made, grace):
    assert "not a duration" in quick(made, "store", "gc", f"--grace={grace}", code=2).err


def test_an_empty_store(tmp_path):
    made = Installation(tmp_path)
    assert "is whole" in quick(made, "store", "check").err
    assert "nothing is unused" in quick(made, "store", "gc", "--delete").err
    assert not list(made.store.list())


def test_nothing_is_needed_twice(made):
    """What gc leaves is what the narration is made of: its plan's takes are all there."""
    quick(made, "store", "gc", "--delete", "--grace", "0s")
    chunks = next(one.key for one in made.store.list("narrations/story/plans/"))
    assert {layout.take_record(one.key) for one in read_lines(made.store, chunks, PlannedChunk)} == set(takes(made))


def test_old_runs_are_cleared(made):
    state = quick(made, "status", "story", "--json").object
    counted = quick(made, "runs", "clear", "--older-than", "0s", "--json").object
    assert counted["runs"] >= 1 and not counted["deleted"]
    assert quick(made, "runs", "clear", "--older-than", "1d", "--delete", "--json").object["runs"] == 0
    cleared = quick(made, "runs", "clear", "--older-than", "0s", "--delete", "--json").object
    assert cleared["runs"] == counted["runs"] and cleared["events"] > 50
    assert "0 runs to clear" in quick(made, "runs", "clear", "--older-than", "0s").err
    assert quick(made, "status", "story", "--json").object == state

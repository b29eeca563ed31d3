"""f5-pipeline scripts, plan and status."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg

from f5_pipeline import __version__
from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.narrated import TEXT, contents
from f5_pipeline_tests.support.quick import quick


def test_plan_shows_what_has_a_take_and_stores_nothing(narrated):
    made = narrated.installation
    before = contents(made)
    ended = quick(made, "plan", "story", "--json")
    assert [chunk["state"] for chunk in ended.objects] == ["has a take"] * 3
    assert set(ended.objects[0]) == {
        "key", "state", "written", "index", "passage", "paragraph", "line", "heading", "voice", "language", "speed",
        "spoken", "words", "expected_seconds", "pause",
    }  # fmt: skip
    assert {f"takes/{one['key'][:2]}/{one['key']}.json" for one in ended.objects} == set(made.take_records())
    assert "3 takes, 0 to make" in ended.err

    edited = made.write("edited.txt", TEXT.replace("second", "better") + "\nThe third one ends it.\n")
    ended = quick(made, "plan", edited, "--voice", "ada", "--json")
    assert [chunk["state"] for chunk in ended.objects] == ["has a take", "needs a take", "has a take", "has a take"]
    assert [chunk["line"] for chunk in ended.objects] == [1, 3, 5, 7]
    assert "3 takes, 1 to make" in ended.err and "draft voice (espeak-ng)" in ended.err
    slower = quick(made, "plan", "story", "--voice", "ada", "--speed", "0.5", "--json").objects
    assert {chunk["state"] for chunk in slower} == {"needs a take"}

    table = quick(made, "plan", edited, "--voice", "ada").out.splitlines()
    assert table[0].split() == ["chunk", "line", "voice", "expected", "take", "text"]
    assert "needs a take" in table[2] and "A better one follows it." in table[2]
    assert contents(made) == before


def test_status_tells_how_far_a_narration_is(narrated):
    made = narrated.installation
    told = quick(made, "status", "story", "--json").object
    assert told == {
        "narration": "story",
        "state": "delivered",
        "takes": 3,
        "missing": 0,
        "length": told["length"],
        "engine": "draft",
        "revision": narrated.told["revision"],
        "run": "success",
        "reason": None,
    }
    assert told["length"].endswith(" s")
    assert "delivered" in quick(made, "status").out


def test_scripts_are_added_listed_and_seen_in_the_ui(tmp_path, narrated):
    made = Installation(tmp_path)
    assert "no scripts yet" in quick(made, "scripts", "list").err
    assert "no narrations yet" in quick(made, "status").err
    for one in narrated.installation.store.list("voices/"):
        made.store.put_bytes(one.key, narrated.installation.store.get_bytes(one.key))
    first, second = made.write("first.txt", "One."), made.write("Second One.md", "# Two\n\n[ada] Text.\n")
    ended = quick(made, "scripts", "add", first, second, "--voice", "ada")
    assert "first: first, 1 passages" in ended.err and "second-one: Two, 2 passages" in ended.err
    assert quick(made, "scripts", "list", "--json").objects == [
        {"narration": "first", "key": "scripts/first.txt", "size": 4},
        {"narration": "second-one", "key": "scripts/second-one.md", "size": 19},
    ]
    assert "scripts/second-one.md" in quick(made, "scripts", "list").out
    assert [one["state"] for one in quick(made, "status", "--json").objects] == ["scripted", "scripted"]

    def told() -> tuple[list[str], int]:
        with dg.DagsterInstance.from_config(str(made.root / "dagster")) as instance:
            filters = dg.AssetRecordsFilter(asset_key=dg.AssetKey("script"))
            found = instance.fetch_observations(filters, limit=100).records
            return list(instance.get_dynamic_partitions("narrations")), len(found)

    assert told() == (["first", "second-one"], 2)
    before = contents(made)
    quick(made, "scripts", "add", first, second)
    assert contents(made) == before and told() == (["first", "second-one"], 2), "the same again is nothing new"
    quick(made, "scripts", "add", made.write("first.txt", "Another one."))
    assert told() == (["first", "second-one"], 3)
    assert "--name goes with one file" in quick(made, "scripts", "add", first, second, "--name", "x", code=2).err
    assert "another kind of script" in quick(made, "scripts", "add", made.write("first.md", "One."), code=2).err


def test_an_edited_script_is_told(narrated):
    made = narrated.installation
    options = made.store.get_bytes("scripts/story.options.json")
    try:
        made.store.put_bytes("scripts/story.txt", TEXT.replace("second", "edited").encode())
        assert quick(made, "status", "story", "--json").object["state"] == "edited"
        made.store.put_bytes("scripts/story.txt", TEXT.encode())
        assert quick(made, "status", "story", "--json").object["state"] == "delivered"
        made.store.put_bytes("scripts/story.options.json", b'{"voice": "ada", "speed": 2.0}')
        assert quick(made, "status", "story", "--json").object["state"] == "edited"
    finally:
        made.store.put_bytes("scripts/story.txt", TEXT.encode())
        made.store.put_bytes("scripts/story.options.json", options)


def test_help_and_version():
    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "f5_pipeline", *arguments], check=True, capture_output=True, text=True
        ).stdout

    assert __version__ in run("--version")
    for command in ("demo", "doctor", "links", "narrate", "plan", "scripts", "serve", "status", "up", "voices"):
        assert f"  {command} " in run("--help")

"""f5-pipeline scripts, plan and status."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from f5_pipeline import __version__
from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.narrated import TEXT, Narrated, contents
from f5_pipeline_tests.support.quick import quick
from f5_pipeline_tests.support.some import some

pytestmark = pytest.mark.slow


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
        "seconds": pytest.approx(7, abs=1),
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


def with_voice(folder: Path, narrated: Narrated) -> Installation:
    """An installation with the voice ada, in which nothing was done yet."""
    made = Installation(folder)
    for stat in narrated.installation.store.list("voices/"):
        made.store.put_bytes(stat.key, narrated.installation.store.get_bytes(stat.key))
    return made


@pytest.mark.parametrize("command", [["narrate"], ["plan"], ["scripts", "add"]], ids=" ".join)
@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("language", "xx", "there is no language 'xx'"),
        ("language", "english", "Did you mean en"),
        ("speed", "nan", "should be less than 3"),
        ("speed", "0.1", "greater than 0.3"),
        ("speed", "3", "less than 3"),
        ("model", "nope", "there is no model 'nope'"),
        ("preset", "quick", "'quick' is not one of"),
        ("priority", "10", "less than or equal to 9"),
        ("voice", "adda", "Did you mean ada?"),
        ("engine", "f6", "'f6' is not one of"),
    ],
)
def test_a_refused_option_is_named_and_leaves_nothing_behind(tmp_path, narrated, command, option, value, problem):
    made = with_voice(tmp_path, narrated)
    script = made.write("hello.txt", "Hello there.")
    before = contents(made)
    ended = quick(made, *command, script, "--voice", "ada", f"--{option}", value, code=2)
    assert f"--{option}" in ended.err and problem in ended.err and "scripts/hello.txt" not in ended.err
    assert contents(made) == before and not list((made.root / "dagster").iterdir())


def test_a_header_that_is_refused_is_told_with_its_line(tmp_path, narrated):
    made = with_voice(tmp_path, narrated)
    script = made.write("hello.md", "---\nvoice: ada\nlanguage: xx\n---\nHello there.\n")
    for command in (["narrate"], ["plan"], ["scripts", "add"]):
        assert "hello.md:3: there is no language 'xx'" in quick(made, *command, script, code=2).err


def test_a_second_book_does_not_replace_the_first(tmp_path, narrated):
    made = with_voice(tmp_path, narrated)
    for book in ("book1", "book2"):
        (made.root / book).mkdir()
        (made.root / book / "chapter-01.txt").write_text(f"The text of {book}.")
    quick(made, "scripts", "add", "book1/chapter-01.txt", "--voice", "ada")
    before = contents(made)
    for command in (["narrate"], ["plan"], ["scripts", "add"]):
        ended = quick(made, *command, "book2/chapter-01.txt", code=2)
        assert f"from {made.root}/book1/chapter-01.txt" in ended.err and "--name" in ended.err
    assert contents(made) == before
    quick(made, "scripts", "add", made.root / "book1" / "chapter-01.txt")
    assert contents(made) == before
    quick(made, "scripts", "add", "book2/chapter-01.txt", "--name", "book2-chapter-01", "--voice", "ada")
    quick(made, "scripts", "add", "book2/chapter-01.txt", "--replace")
    assert made.store.get_bytes("scripts/chapter-01.txt") == b"The text of book2."
    ended = quick(made, "scripts", "add", "book1/chapter-01.txt", "book2/chapter-01.txt", "--replace", code=2)
    assert "both the narration 'chapter-01'" in ended.err


def test_a_store_without_voices_is_named_and_not_made(tmp_path):
    made = Installation(tmp_path)
    script = made.write("hello.txt", "Hello there.")
    for command in (["narrate"], ["plan"], ["scripts", "add"]):
        assert f"there is no voice in {made.store.url} (F5_STORE)" in quick(made, *command, script, code=2).err
    assert {path.name for path in made.root.rglob("*")} == {"hello.txt", "dagster"}


def test_plan_counts_pauses_and_says_what_is_not_spoken(tmp_path, narrated):
    made = with_voice(tmp_path, narrated)
    text = "---\nvoice: ada\npauses: {sentence: 6, paragraph: 12, chapter: 60}\n---\n# One\n\nText. More.\n\nText.\n"
    ended = quick(made, "plan", made.write("pauses.md", text + "\n# Two\n\nText.[^1]\n\n[^1]: A footnote.\n"))
    minutes = float(some(re.search(r"about ([\d.]+) minutes with pauses", ended.err))[1])
    assert 3.2 <= minutes < 3.6, "three pauses of a minute, one of 12 seconds, and some speech"
    assert "footnotes are not spoken (line 15)" in ended.err


def test_help_and_version():
    def run(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "f5_pipeline.cli", *arguments], check=True, capture_output=True, text=True
        ).stdout

    assert __version__ in run("--version")
    for command in ("demo", "doctor", "links", "narrate", "plan", "scripts", "serve", "status", "up", "voices"):
        assert f"  {command} " in run("--help")

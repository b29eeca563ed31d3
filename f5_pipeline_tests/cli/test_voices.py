"""f5-pipeline voices."""

from __future__ import annotations

import shutil

import pytest

from f5_pipeline.studio.voices import add_voice
from f5_pipeline_tests.support.installation import EXAMPLES, Installation
from f5_pipeline_tests.support.narrated import contents
from f5_pipeline_tests.support.quick import quick

pytestmark = pytest.mark.slow

ADA, BEN = EXAMPLES / "voices" / "ada.flac", EXAMPLES / "voices" / "ben.ogg"


@pytest.fixture(scope="module")
def studio(tmp_path_factory) -> Installation:
    made = Installation(tmp_path_factory.mktemp("voices"))
    made.first = made.run("voices", "add", "ada", ADA, "--json").object  # type: ignore[attr-defined]
    return made


def test_add_tells_the_voice_and_its_reference(studio):
    told = studio.first
    assert set(told) == {
        "name", "language", "recording", "transcript", "transcribed_by", "added", "licence", "commercial_use",
        "consent", "tunings", "reference", "current", "unchecked", "failed_checks",
    }  # fmt: skip
    assert (told["name"], told["language"], told["current"], told["failed_checks"]) == ("ada", "en", True, {})
    assert told["transcript"]["name"] == "ada.txt", "it stands beside the recording"
    reference = told["reference"]
    assert reference["text"].startswith("I like to read") and 3 < reference["seconds"] <= 10
    assert reference["measures"]["syllables_heard"] > 20
    assert reference["measures"]["method"] == "whole" and reference["measures"]["confidence"] > 0.8
    assert studio.store.exists(reference["audio"])


def test_show_and_list_tell_the_same(studio):
    kept = {name: value for name, value in studio.first.items() if name != "failed_checks"}
    assert quick(studio, "voices", "show", "ada", "--json").object == kept
    assert quick(studio, "voices", "list", "--json").objects == [kept]
    shown, listed = quick(studio, "voices", "show", "ada").out, quick(studio, "voices", "list").out
    for part in ("ada.flac", "I like to read", "8.3"):
        assert part in shown and part in listed
    assert "syllables_heard" in shown and studio.first["reference"]["audio"] in shown
    assert "to be prepared" not in shown + listed


def test_adding_the_same_again_changes_nothing(studio):
    before = contents(studio)
    assert studio.run("voices", "add", "ada", ADA, "--json").object == studio.first
    assert contents(studio) == before


def test_another_recording_makes_the_reference_new(studio):
    """Between the two the voice is known to need it; what it was made from is kept."""
    older = studio.first["reference"]
    add_voice(studio.store, "ada", BEN)
    assert quick(studio, "voices", "show", "ada", "--json").object["current"] is False
    assert "f5-pipeline voices prepare ada" in quick(studio, "voices", "show", "ada").out
    assert "to be prepared" in quick(studio, "voices", "list").out
    told = studio.run("voices", "prepare", "ada")
    assert "The bees never seemed to mind" in told.err
    newer = quick(studio, "voices", "show", "ada", "--json").object
    assert newer["current"] and newer["reference"]["sha256"] != older["sha256"]
    assert newer["recording"]["name"] == "ben.ogg"
    assert studio.store.exists(older["audio"])


def test_a_long_recording_with_a_plain_text_is_aligned_and_cut(studio, tmp_path):
    """The example with its times, and without: the same part, and the same words."""
    timed = studio.run("voices", "add", "timed", BEN, "--json").object["reference"]
    lines = BEN.with_suffix(".srt").read_text().splitlines()
    text = tmp_path / "ben.txt"
    text.write_text(" ".join(line for line in lines if line and not line[0].isdigit()))
    ended = studio.run("voices", "add", "untimed", BEN, "--transcript", text)
    assert "s of audio aligned" in ended.err
    shown = quick(studio, "voices", "show", "untimed", "--json").object["reference"]
    assert shown["measures"]["method"] == "aligned" and timed["measures"]["method"] == "given"
    assert (shown["text"], shown["start"], shown["end"]) == (timed["text"], timed["start"], timed["end"])
    assert "aligned" in quick(studio, "voices", "show", "untimed").out


def test_several_transcripts_beside_a_recording_are_asked_about(studio, tmp_path):
    shutil.copy(BEN, tmp_path / "two.ogg")
    for suffix in (".srt", ".txt"):
        shutil.copy(BEN.with_suffix(".srt"), tmp_path / f"two{suffix}")
    ended = quick(studio, "voices", "add", "two", tmp_path / "two.ogg", code=2)
    assert "two.srt, two.txt" in ended.err and "--transcript" in ended.err


def test_a_store_without_voices_says_how_to_add_one(tmp_path):
    made = Installation(tmp_path)
    ended = quick(made, "voices", "list")
    assert ended.out == "" and "f5-pipeline voices add NAME RECORDING" in ended.err
    assert quick(made, "voices", "list", "--json").objects == []
    for command in ("show", "prepare"):
        error = quick(made, "voices", command, "ada", code=2).err
        assert f"there is no voice in {made.env['F5_STORE']} (F5_STORE)" in error and "voices add NAME" in error

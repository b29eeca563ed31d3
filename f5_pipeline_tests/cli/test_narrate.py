"""The main job by the command line: the real Dagster job, on a real instance, with the draft engine."""

from __future__ import annotations

import csv
import html
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pandas
import pysubs2
import pytest
import soundfile
import webvtt

from f5_pipeline.speech.chunks import iter_chunks
from f5_pipeline.speech.script.model import parse_script
from f5_pipeline.store import layout
from f5_pipeline_tests.support.installation import EXAMPLES, Installation
from f5_pipeline_tests.support.waiting import HANG_SECONDS

STORY = """---
title: The Kettle
author: A. Writer
voice: ada
voices: {a: ada, b: ben}
---

# One

[a] Dr. Hale paid $5.20 on Jan. 5th, 2024, for a "kettle" & a cup. It was worth it!

[b] Was it? She said: 3.5 litres, i.e. too much for 2 people.

# Two

[a] The kettle sang. Nobody listened, and nobody minded.
"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory, voices: Path) -> Installation:
    """An installation with the two voices and one finished narration; tests add narrations of their own."""
    made = Installation(tmp_path_factory.mktemp("studio"))
    made.copy(voices)
    made.first = made.run("narrate", made.write("kettle.md", STORY), "--json").object  # type: ignore[attr-defined]
    return made


def sentences(count: int, about: str) -> str:
    """A text of `count` sentences that are all different."""
    return "\n\n".join(f"Sentence {n} of this text tells one more thing about {about}." for n in range(count))


def test_a_script_becomes_a_narration(studio):
    told = studio.first
    assert set(told) == {
        "narration", "revision", "engine", "files", "links", "takes", "audio_seconds", "wall_seconds", "slots",
    }  # fmt: skip
    assert told["narration"] == "kettle"
    assert told["engine"] == "draft"
    assert told["takes"]["synthesized"] == told["takes"]["total"] >= 5
    assert set(told["files"]) == {
        "kettle.flac", "kettle.mp3", "kettle.words.csv", "kettle.words.json", "kettle.srt", "kettle.vtt",
    }  # fmt: skip
    assert set(told["links"]) == {"listen", *told["files"]}
    for name in ("kettle.flac", "kettle.mp3"):
        found = soundfile.info(told["files"][name])
        assert found.samplerate == 24_000 and found.channels == 1
        assert found.duration == pytest.approx(told["audio_seconds"], abs=0.1)


def test_the_audio_tells_in_its_tags_what_spoke_it(studio):
    with soundfile.SoundFile(studio.first["files"]["kettle.flac"]) as audio:
        tags = audio.copy_metadata()
    assert tags["title"] == "The Kettle"
    assert tags["artist"] == "A. Writer"
    assert "draft voice (espeak-ng)" in tags["comment"]
    assert b"draft voice (espeak-ng)" in Path(studio.first["files"]["kettle.mp3"]).read_bytes()[:4096]


def test_every_word_occurs_once_in_order_as_written(studio):
    data = studio.store.get_bytes("scripts/kettle.md")
    written = [word.text for chunk in iter_chunks(parse_script(data, "kettle.md")) for word in chunk.words]
    assert "$5.20" in written and "Dr." in written and '"kettle"' in " ".join(written)

    with Path(studio.first["files"]["kettle.words.csv"]).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["word"] for row in rows] == written
    times = [(float(row["start"]), float(row["end"])) for row in rows]
    assert all(start < end for start, end in times)
    assert all(before[1] <= after[0] for before, after in pairwise(times))
    assert times[-1][1] <= studio.first["audio_seconds"]

    told = json.loads(Path(studio.first["files"]["kettle.words.json"]).read_text(encoding="utf-8"))
    assert [word["word"] for word in told["words"]] == written
    # espeak-ng joins some small words: their common time is divided, and says so.
    methods = Counter(word["method"] for word in told["words"])
    assert methods.keys() <= {"engine", "interpolated"} and methods["engine"] > 0.8 * len(written), methods
    assert {word["voice"] for word in told["words"]} == {"ada", "ben"}

    captions = webvtt.read(studio.first["files"]["kettle.vtt"])
    assert html.unescape(" ".join(" ".join(cue.text.split()) for cue in captions)) == " ".join(written)
    subtitles = pysubs2.load(studio.first["files"]["kettle.srt"])
    assert " ".join(" ".join(event.plaintext.split()) for event in subtitles) == " ".join(written)


def test_word_times_are_those_of_the_sound(studio):
    """Where the timings say that nobody speaks, the master is silent; where they say a word, there is sound."""
    samples, rate = soundfile.read(studio.first["files"]["kettle.flac"])
    told = json.loads(Path(studio.first["files"]["kettle.words.json"]).read_text(encoding="utf-8"))
    words = [(word["start"], word["end"]) for word in told["words"]]
    loud = [abs(samples[round(start * rate) : round(end * rate)]).max() for start, end in words]
    assert min(loud) > 0.01
    gaps = [(a[1] + 0.1, b[0] - 0.1) for a, b in pairwise(words) if b[0] - a[1] > 0.3]
    assert len(gaps) >= 5
    assert max(abs(samples[round(start * rate) : round(end * rate)]).max() for start, end in gaps) < 0.01


def test_the_same_script_again_makes_nothing(studio):
    before = studio.take_records()
    again = studio.run("narrate", "kettle", "--json").object
    assert again["takes"] == {**studio.first["takes"], "synthesized": 0, "reused": studio.first["takes"]["total"]}
    assert again["revision"] == studio.first["revision"]
    assert studio.take_records() == before


@pytest.mark.slow
def test_captions_as_they_are_asked_for(studio):
    """A caption for each word, in every format; the words are the same as ever."""
    script = studio.write("counted.md", STORY)
    asked = ("--words-per-cue", "1", "--captions", "srt,vtt,words.vtt,ass,ttml,parquet")
    told = studio.run("narrate", script, *asked, "--json").object
    assert told["takes"]["synthesized"] == 0
    suffixes = ["flac", "mp3", "words.csv", "words.json", "srt", "vtt", "words.vtt", "ass", "ttml", "words.parquet"]
    assert list(told["files"]) == [f"counted.{suffix}" for suffix in suffixes]
    files = {suffix: Path(told["files"][f"counted.{suffix}"]) for suffix in suffixes}
    with files["words.csv"].open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert files["words.csv"].read_bytes() == Path(studio.first["files"]["kettle.words.csv"]).read_bytes()
    words = [(row["word"], round(float(row["start"]) * 1000), round(float(row["end"]) * 1000)) for row in rows]
    assert [(event.plaintext, event.start, event.end) for event in pysubs2.load(str(files["srt"]))] == words
    captions = webvtt.read(str(files["vtt"]))
    assert [caption.voice for caption in captions] == [row["voice"] for row in rows]
    assert [event.name for event in pysubs2.load(str(files["ass"]))] == [row["voice"] for row in rows]
    frame = pandas.read_parquet(files["words.parquet"])
    assert list(frame.word) == [row["word"] for row in rows] and list(frame.method) == [row["method"] for row in rows]


@pytest.mark.slow
def test_one_edited_sentence_makes_one_take(studio):
    edited = STORY.replace("Nobody listened, and nobody minded.", "Somebody listened, and nobody minded.")
    told = studio.run("narrate", studio.write("kettle.md", edited), "--json").object
    assert told["takes"]["synthesized"] == 1
    assert told["revision"] != studio.first["revision"]
    old = studio.store.get_bytes(layout.delivered("kettle", studio.first["revision"], "kettle.srt")).decode()
    assert "Nobody listened" in old, "a delivered revision is never changed"
    back = studio.run("narrate", studio.write("kettle.md", STORY), "--json").object
    assert (back["takes"]["synthesized"], back["revision"]) == (0, studio.first["revision"])


@pytest.mark.slow
def test_two_narrations_share_what_they_share(studio):
    text = "A line that both of them have, word by word.\n\n"
    first = studio.write("first.txt", text + "This one is the first's alone, of course.")
    second = studio.write("second.txt", text + "And that one belongs to the second only.")
    told = {one["narration"]: one for one in studio.run("narrate", first, second, "--voice", "ada", "--json").objects}
    made = [told[name]["takes"]["synthesized"] for name in ("first", "second")]
    assert sorted(made) == [1, 2]
    assert [told[name]["takes"]["total"] for name in ("first", "second")] == [2, 2]


@pytest.mark.slow
def test_one_bad_narration_leaves_the_others_done(studio):
    """Its chunk is in a script that the draft engine has no sound for: the others of the run are delivered."""
    good = studio.write("good.txt", "This narration is in order.")
    bad = studio.write("bad.txt", "The first sentence is in order. \n\nꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ.")
    fine = studio.write("fine.txt", "And this one is in order too.")
    ended = studio.run("narrate", good, bad, fine, "--voice", "ben", "--json", code=1)
    told = {one["narration"]: one for one in ended.objects}
    assert "error" not in told["good"] and "error" not in told["fine"]
    assert "line 3" in told["bad"]["error"] and "no sound" in told["bad"]["error"]
    assert not studio.store.exists(layout.narration_state("bad", "audio"))
    states = {one["narration"]: one["state"] for one in studio.run("status", "--json").objects}
    assert (states["good"], states["bad"], states["fine"]) == ("delivered", "failed", "delivered")


@pytest.mark.slow
def test_speed_and_voice_said_on_the_command_line_are_kept(studio):
    script = studio.write("slow.txt", "This sentence is spoken at half the usual pace, and then again.")
    usual = studio.run("narrate", script, "--voice", "ada", "--json").object
    slow = studio.run("narrate", script, "--voice", "ada", "--speed", "0.6", "--json").object
    assert slow["audio_seconds"] > 1.3 * usual["audio_seconds"]
    again = studio.run("narrate", "slow", "--json").object
    assert again["revision"] == slow["revision"]
    other = studio.run("narrate", script, "--voice", "ben", "--json").object
    assert other["takes"]["synthesized"] == 1


@pytest.mark.slow
def test_an_f5_tts_configuration_brings_its_voices_and_is_narrated(installation):
    """F5-TTS's own form: recordings and texts of the voices in the same file as the lines to speak."""
    made = installation.run("voices", "import", EXAMPLES / "scripts" / "dialogue.toml", "--main", "narrator", code=2)
    assert "ada.flac" in made.err and "--allow-outside" in made.err
    config = (EXAMPLES / "scripts" / "dialogue.toml").read_text().replace("examples/voices", str(EXAMPLES / "voices"))
    script = installation.write("dialogue.toml", config)
    installation.run("voices", "import", script, "--main", "narrator", "--allow-outside")
    voices = {voice["name"]: voice for voice in installation.run("voices", "list", "--json").objects}
    assert set(voices) == {"narrator", "ada", "ben"}
    assert voices["narrator"]["reference"]["text"].startswith("I like to read in the early morning")
    told = installation.run("narrate", script, "--json").object
    assert told["takes"]["total"] >= 3


@pytest.mark.slow
def test_two_runs_of_one_narration_at_once(studio):
    script = studio.write("both.txt", sentences(60, "two runs"))
    running = [studio.start("narrate", script, "--voice", "ada", "--json") for _ in range(2)]
    told = []
    for process in running:
        out, err = process.communicate(timeout=HANG_SECONDS)
        assert process.returncode == 0, err
        told.append(json.loads(out))
    assert told[0]["revision"] == told[1]["revision"]
    assert studio.run("narrate", "both", "--json").object["takes"]["synthesized"] == 0
    assert [path.name for path in (studio.root / "studio" / ".tmp").iterdir()] == []

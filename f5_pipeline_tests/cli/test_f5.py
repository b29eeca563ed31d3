"""The main job with the F5 engine: the real f5-tts on a tiny random checkpoint, fetched from a hub of the test's own.

What such a checkpoint speaks is noise, so that the quality gate doubts every take: it is heard, timed, measured, made
again and reported like any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import soundfile
from click.testing import CliRunner

from f5_pipeline.cli import cli, commands  # noqa: F401 - registers the commands
from f5_pipeline.settings import get_settings
from f5_pipeline.speech.takes import seed_of
from f5_pipeline.store import layout
from f5_pipeline.store.records import put_lines
from f5_pipeline.studio.records import ChosenTake
from f5_pipeline_tests.support.batches import kill, step_process
from f5_pipeline_tests.support.hub import LocalHub
from f5_pipeline_tests.support.installation import EXAMPLES, Installation
from f5_pipeline_tests.support.quick import quick
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.tiny_hub import add_tiny_model, tiny_hub, tiny_settings
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for

pytestmark = pytest.mark.slow

pytest.importorskip("f5_tts")

STORY = """---
title: The Bell
voice: ada
voices: [ada, ben]
---

The bell rang twice. Nobody came to the door of the old house by the sea that evening.

[ben speed=1.2] Who is there?
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[LocalHub]:
    """A hub that has a tiny model and its vocoder."""
    with tiny_hub(tmp_path_factory.mktemp("tiny")) as running:
        yield running


@pytest.fixture(scope="module")
def studio(tmp_path_factory, voices: Path, hub: LocalHub) -> Installation:
    """An installation with the two voices, the tiny model and one finished narration."""
    made = Installation(tmp_path_factory.mktemp("f5"), tiny_settings(hub))
    made.copy(voices)
    add_tiny_model(made)
    made.first = made.run("narrate", made.write("bell.md", STORY), "--json").object  # type: ignore[attr-defined]
    return made


def words(told: dict) -> list[dict]:
    return json.loads(Path(told["files"]["bell.words.json"]).read_text())["words"]


def record(studio: Installation, key: str) -> dict:
    return json.loads(studio.store.get_bytes(key))


def test_a_script_becomes_a_narration_in_cloned_voices(studio):
    told = studio.first
    assert told["engine"] == "f5" and set(told["links"]) == {"listen", *told["files"]}
    audio, rate = soundfile.read(told["files"]["bell.flac"])
    assert rate == 24_000 and abs(len(audio) / rate - told["audio_seconds"]) < 0.01
    spoken = [word["word"] for word in words(told)]
    assert spoken[:4] == ["The", "bell", "rang", "twice."] and spoken[-1] == "there?"


def test_each_word_names_its_method_and_confidence(studio):
    found = words(studio.first)
    assert {word["method"] for word in found} <= {"dtw", "interpolated", "proportional"}
    assert "dtw" in {word["method"] for word in found}
    assert all(0 <= word["confidence"] <= 1 for word in found)
    assert [(word["start"], word["end"]) for word in found] == sorted((word["start"], word["end"]) for word in found)


def test_the_manifest_names_all_that_made_it(studio, hub):
    told = studio.first
    manifest = record(studio, layout.manifest("bell", told["revision"]))
    plan = manifest["audio"]["plan"]
    assert plan["weights"]["repo"] is None or plan["weights"]["repo"] == "test/tiny"
    assert set(plan["weights"]["files"]) == {"checkpoint", "vocabulary", "vocoder_config", "vocoder_weights"}
    assert plan["sampler"]["nfe"] == 4 and plan["sampler"]["cfg_strength"] == 2.0
    assert plan["sounds"]["ada"]["model"] == plan["weights"]["sha256"]
    assert plan["sounds"]["ada"]["reference"] == plan["references"]["ada"]
    (computed,) = manifest["audio"]["computed"]
    assert computed["device"] == "cpu" and computed["dtype"] and computed["torch"] and computed["f5_tts"]
    chunks = studio.store.get_bytes(layout.delivered("bell", told["revision"], "chunks.jsonl")).splitlines()
    for line in map(json.loads, chunks):
        assert line["seed"] == seed_of(line["take"])


def test_noise_is_doubted_made_again_and_told(studio):
    told = studio.first["takes"]
    assert told["doubtful"] == told["total"], "a random network speaks no words"
    doubts = quick(studio, "doubts", "bell", "--json").objects
    assert len(doubts) == told["doubtful"]
    assert all(doubt["attempts"] == 2 and doubt["reasons"] for doubt in doubts)
    takes = [record(studio, key) for key in studio.take_records()]
    assert {take["details"]["attempt"] for take in takes} == {0, 1}
    with dg.DagsterInstance.from_config(studio.env["DAGSTER_HOME"]) as instance:
        (check,) = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey("narration_audio"), "quality"), limit=1
        )
        evaluation = some(some(check.event).dagster_event).asset_check_evaluation_data
        assert not evaluation.passed
        assert "doubtful" in some(evaluation.description)


def test_speed_of_a_passage_is_heard(studio):
    chunks = [json.loads(line) for line in quick(studio, "plan", "bell", "--json").out.splitlines()]
    assert [(chunk["voice"], chunk["speed"]) for chunk in chunks][-1] == ("ben", 1.2)


def test_nothing_is_made_twice(studio):
    before = studio.take_records()
    again = studio.run("narrate", "bell", "--json").object
    assert again["takes"]["synthesized"] == 0 and again["revision"] == studio.first["revision"]
    assert studio.take_records() == before


def verify(studio: Installation, monkeypatch: pytest.MonkeyPatch, narration: str) -> tuple[int, list[dict]]:
    """`f5-pipeline verify`, in this process, which has imported torch already: exit code and objects."""
    for name, value in studio.env.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    ended = CliRunner().invoke(cli, ["verify", narration, "--json"])
    monkeypatch.undo()
    get_settings.cache_clear()
    return ended.exit_code, [json.loads(line) for line in ended.stdout.splitlines()]


def test_takes_are_made_again_alike(studio, monkeypatch):
    code, compared = verify(studio, monkeypatch, "bell")
    assert code == 0 and [one["outcome"] for one in compared] == ["identical"] * len(compared) and compared


def test_a_cold_worker_starts_from_the_store(studio, hub, monkeypatch):
    hub.forget()
    worker = Installation(studio.root, {**studio.env, "F5_CACHE": str(studio.root / "cold")})
    script = worker.write("cold.txt", "The tide was out by noon.")
    told = worker.run("narrate", script, "--voice", "ada", "--json").object
    assert told["takes"]["total"] == 1
    assert hub.requests == {}, "everything that the hub has is in the store"

    # Its take is now exchanged for another: `verify` finds that.
    (doubt,) = quick(studio, "doubts", "cold", "--json").objects
    other = next(key for key in studio.take_records() if doubt["take"] not in key)
    state = record(studio, layout.narration_state("cold", "takes"))
    line = json.loads(studio.store.get_bytes(state["takes_key"]))
    line["take"]["sha256"] = record(studio, other)["sha256"]
    studio.store.put_bytes(layout.take_audio(doubt["take"]), studio.store.get_bytes(other.replace(".json", ".flac")))
    key, _ = put_lines(studio.store, lambda digest: layout.narration_takes("cold", digest), [ChosenTake(**line)])
    studio.store.put_bytes(layout.narration_state("cold", "takes"), json.dumps({**state, "takes_key": key}).encode())
    code, (compared,) = verify(studio, monkeypatch, "cold")
    assert (code, compared["outcome"]) == (1, "different")


def test_a_step_that_is_killed_is_tried_again_in_the_same_run(studio):
    """Steps that hold a GPU have a process of their own."""
    text = "\n\n".join(f"Sentence {n} of this text tells one more thing about the sea." for n in range(16))
    script = studio.write("killed.txt", text)
    studio.env |= {"F5_BATCH_FRAMES": "1500", "F5_RETAKES": "0"}
    before = set(studio.take_records())
    process = studio.start("narrate", script, "--voice", "ada", "--json")
    wait_for("first takes", lambda: len(studio.take_records().keys() - before) >= 3)
    with dg.DagsterInstance.from_config(str(studio.root / "dagster")) as instance:
        (run,) = instance.get_runs(filters=dg.RunsFilter(tags={"dagster/partition": "killed"}))
        kill(some(step_process(instance, run.run_id, "synthesize_shard")))
    made = studio.take_records()
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    assert json.loads(out)["takes"]["total"] == 16
    assert all(studio.take_records()[key] == when for key, when in made.items()), "what was made is not made again"
    with dg.DagsterInstance.from_config(str(studio.root / "dagster")) as instance:
        assert len(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_RESTARTED)) == 1


def test_commercial_use_needs_a_model_and_voices_that_allow_it(studio):
    script = studio.write("sold.txt", "This is to be sold.")
    refused = studio.run("narrate", script, "--voice", "ada", "--commercial", code=1)
    assert "commercial" in refused.err and "tiny" in refused.err
    assert not studio.store.exists(layout.narration_state("sold", "links"))
    voice = studio.run("narrate", script, "--voice", "ada", "--commercial", "--engine", "draft", code=1)
    assert "voice 'ada' does not say that it allows it" in voice.err
    studio.run("voices", "add", "ada", EXAMPLES / "voices" / "ada.flac", "--commercial-use", "yes")
    told = studio.run("narrate", script, "--voice", "ada", "--commercial", "--engine", "draft", "--json").object
    assert told["links"]


def test_a_language_that_the_model_does_not_speak_is_told(studio):
    ended = studio.run("narrate", studio.write("de.txt", "Guten Tag."), "--voice", "ada", "--language", "de", code=2)
    assert "the model tiny does not speak de: it speaks" in ended.err and "weights list" in ended.err


def test_a_model_that_nobody_knows_is_told(studio):
    ended = studio.run("narrate", "bell", "--model", "tinny", code=2)
    assert "tinny" in ended.err and "tiny" in ended.err

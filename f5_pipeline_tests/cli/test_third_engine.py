"""An engine that another package brings: one file and an entry point, and it narrates by the real job."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import soundfile

from f5_pipeline.store import layout
from f5_pipeline.store.records import read_record
from f5_pipeline.studio.records import Links, Plan, Weights
from f5_pipeline_tests.support.installation import Installation, bring_engine
from f5_pipeline_tests.support.quick import quick
from f5_pipeline_tests.support.toy_engine import LETTER_SECONDS

pytestmark = pytest.mark.slow

TEXT = "One small beep.\n\nAnother paragraph follows."


@pytest.fixture(scope="module")
def studio(tmp_path_factory, voices: Path) -> Installation:
    """An installation beside which the package of the toy engine is installed: what pip leaves of it is its entry
    point."""
    found = bring_engine(tmp_path_factory.mktemp("package"), "toy", "f5_pipeline_tests.support.toy_engine:TOY")
    return Installation(tmp_path_factory.mktemp("studio"), found).copy(voices)


@pytest.fixture(scope="module")
def told(studio) -> dict:
    return studio.run("narrate", studio.write("beeps.txt", TEXT), "--voice", "ada", "--engine", "toy", "--json").object


def test_it_narrates_by_the_real_job(studio, told):
    assert told["engine"] == "toy" and told["takes"]["synthesized"] == told["takes"]["total"] == 2
    assert soundfile.info(told["files"]["beeps.flac"]).duration == pytest.approx(told["audio_seconds"], abs=0.01)
    with Path(told["files"]["beeps.words.csv"]).open(newline="") as file:
        words = list(csv.DictReader(file))
    assert [word["word"] for word in words] == TEXT.split()
    for word in words:  # its own times, not those of an alignment
        length = len(word["word"])
        assert float(word["end"]) - float(word["start"]) == pytest.approx(LETTER_SECONDS * length, abs=0.002)


def test_plan_and_weights_name_it(studio, told):
    plan = read_record(studio.store, layout.narration_state("beeps", "plan"), Plan)
    assert (plan.engine, plan.engine_note, plan.model) == ("toy", "beeps, as asked for", None)
    weights = read_record(studio.store, layout.weights(), Weights)
    assert weights.engines["toy"] == plan.weights and plan.weights.name == "beeps"


def test_what_it_spoke_is_not_spoken_again(studio, told):
    again = studio.run("narrate", "beeps", "--json").object
    assert (again["revision"], again["takes"]["synthesized"]) == (told["revision"], 0)


def test_another_attempt_is_made_picked_and_taken_back(studio, told):
    def retake(*options: object) -> tuple[list[dict], str]:
        attempts = studio.run("retake", "beeps", "--chunk", "1", "--json", *options).objects
        return attempts, read_record(studio.store, layout.narration_state("beeps", "links"), Links).revision

    before = studio.take_records().keys()
    asked, revision = retake("--seed", "7")
    assert [(attempt["letter"], attempt["attempt"], attempt["used"]) for attempt in asked] == [
        ("A", 0, True),
        ("B", 7, False),
    ]
    assert len(studio.take_records().keys() - before) == 1 and revision == told["revision"]
    picked, revision = retake("--pick", "b", "--save", studio.root / "listen")
    assert [attempt["used"] for attempt in picked] == [False, True] and revision != told["revision"]
    heard = [soundfile.read(studio.root / "listen" / f"beeps-1-{letter}.flac")[0] for letter in "AB"]
    assert len(heard[0]) == len(heard[1]) and (heard[0] != heard[1]).any()
    assert retake("--undo")[1] == told["revision"]
    assert len(studio.take_records().keys() - before) == 1


def test_doctor_and_the_options_know_it(studio):
    findings = {line["what"]: line for line in studio.run("doctor", "--json", code=None).objects}
    assert (findings["toy engine"]["state"], findings["toy engine"]["found"]) == ("ok", "beeps 1")
    assert "[auto|draft|f5|toy]" in studio.run("plan", "--help").out


def test_where_it_is_not_installed_its_narration_is_still_told(studio, told):
    # `quick` forks commands from a process that has the test's own path.
    (state,) = quick(studio, "status", "--json").objects
    assert state["state"] == "delivered"
    refused = quick(studio, "narrate", "beeps", code=2)
    assert "there is no engine 'toy'" in refused.err

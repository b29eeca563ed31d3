"""Narrations that are killed or interrupted in the middle, and go on the next time."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import dagster as dg
import pytest

from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def studio(tmp_path_factory, voices: Path) -> Installation:
    return Installation(tmp_path_factory.mktemp("studio")).copy(voices)


def sentences(count: int, about: str) -> str:
    """A text of `count` sentences that are all different."""
    return "\n\n".join(f"Sentence {n} of this text tells one more thing about {about}." for n in range(count))


def test_killed_in_the_middle_the_next_run_makes_only_what_is_missing(studio):
    script = studio.write("long.txt", sentences(400, "a kill"))
    before = set(studio.take_records())
    process = studio.start("narrate", script, "--voice", "ada", "--json")
    wait_for("first takes", lambda: len(set(studio.take_records()) - before) > 30)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    # What it had started ends by itself: nobody is left who works for a run that nobody follows.
    survivors = wait_for("the end of the step", lambda: studio.settled_takes(before))
    made = set(survivors)
    assert 30 < len(made) < 400
    time.sleep(1)
    assert studio.take_records().keys() - before == made

    told = studio.run("narrate", "long", "--json").object
    assert {"total": 400, "synthesized": 400 - len(made), "reused": len(made)}.items() <= told["takes"].items()
    after = studio.take_records()
    assert {key: after[key] for key in made} == {key: survivors[key] for key in made}, "no take was made again"
    with dg.DagsterInstance.from_config(str(studio.root / "dagster")) as instance:
        runs = instance.get_runs(filters=dg.RunsFilter(tags={"dagster/partition": "long"}))
    assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def test_interrupted_it_says_so_and_goes_on_the_next_time(studio):
    script = studio.write("stop.txt", sentences(400, "an interruption"))
    before = set(studio.take_records())
    process = studio.start("narrate", script, "--voice", "ada", "--json")
    wait_for("first takes", lambda: len(set(studio.take_records()) - before) > 30)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 130, err
    assert "run the same command again" in err and out == ""
    made = len(set(studio.take_records()) - before)
    told = studio.run("narrate", "stop", "--json").object
    assert told["takes"]["reused"] >= made

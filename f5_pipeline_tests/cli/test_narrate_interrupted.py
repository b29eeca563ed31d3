"""A narration that is killed in the middle, then interrupted, and goes on each time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import dagster as dg
import pytest

from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.ready import ready_process
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for

pytestmark = pytest.mark.slow


SENTENCES = 240


@pytest.fixture(params=["a process of its own", "the process that stands ready"])
def studio(request: pytest.FixtureRequest, tmp_path: Path, voices: Path) -> Iterator[Installation]:
    """One worker: there is more time to stop it in the middle."""
    made = Installation(tmp_path, {"F5_WORKERS": "1"}).copy(voices)
    with ready_process(made.env, made.root) if "ready" in request.param else nullcontext():
        yield made


def test_killed_or_interrupted_the_next_run_makes_only_what_is_missing(studio):
    sentences = (f"Sentence {n} of this text tells one more thing about a kill." for n in range(SENTENCES))
    text = "---\nvoice: ada\nformats: [flac]\n---\n\n" + "\n\n".join(sentences)
    process = studio.start("narrate", studio.write("long.md", text), "--json")
    wait_for("first takes", lambda: len(studio.take_records()) > 30)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    # What it had started ends by itself: nobody is left who works for a run that nobody follows.
    survivors = wait_for("the end of the step", lambda: studio.settled_takes(()))
    killed = len(survivors)
    assert 30 < killed < SENTENCES
    time.sleep(1)
    assert len(studio.take_records()) == killed

    process = studio.start("narrate", "long", "--json")
    wait_for("more takes", lambda: len(studio.take_records()) > killed + 30)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 130, err
    assert "run the same command again" in err and out == ""
    before = studio.take_records()
    made = len(before)
    assert killed < made < SENTENCES
    assert {key: before[key] for key in survivors} == survivors, "no take was made again"

    told = studio.run("narrate", "long", "--json").object
    assert {"total": SENTENCES, "synthesized": SENTENCES - made, "reused": made}.items() <= told["takes"].items()
    after = studio.take_records()
    assert {key: after[key] for key in before} == before, "no take was made again"
    with dg.DagsterInstance.from_config(str(studio.root / "dagster")) as instance:
        runs = instance.get_runs(filters=dg.RunsFilter(tags={"dagster/partition": "long"}))
        steps = [len(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)) for run in runs]
    status = dg.DagsterRunStatus
    assert [run.status for run in runs] == [status.SUCCESS, status.CANCELED, status.FAILURE]
    assert all(steps), "what the steps of each run did is in its history"

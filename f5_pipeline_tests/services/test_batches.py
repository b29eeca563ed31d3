"""The in-box and its batches under a real daemon, by the draft engine: scripts in waves, killed processes, a cancelled
batch.

F5_TEST_SCRIPTS is the number of scripts in the waves.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest

from f5_pipeline.orchestration.ledger import narrations_of
from f5_pipeline_tests.support.batches import Batches, kill, step_process
from f5_pipeline_tests.support.installation import running_services
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.waiting import wait_for

SCRIPTS = int(os.environ.get("F5_TEST_SCRIPTS", "36"))

SHARED = "All of this was told before."
"""A sentence of many scripts: it is spoken once."""


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory, voices: Path) -> Iterator[Batches]:
    root = tmp_path_factory.mktemp("batches")
    # One worker: there is more time to stop a batch in the middle.
    env = {"F5_INBOX_SECONDS": "2", "F5_ATTEMPT_SECONDS": "1", "F5_NIGHTLY": "off", "F5_WORKERS": "1"}
    with (
        running_services(root, voices, **env) as services,
        dg.DagsterInstance.from_config(services.installation.env["DAGSTER_HOME"]) as instance,
    ):
        yield Batches(services, instance)


def drop_wave(batches: Batches, numbers: range) -> list[str]:
    """Short scripts; of each three one says its voice itself, and one has a sentence that others have too."""
    names = []
    for number in numbers:
        name = f"wave-{number:03}"
        text = f"Letter number {number} was never sent."
        if number % 3 == 0:
            batches.drop(name, f"---\ntitle: Letter {number}\nvoice: ben\n---\n\n{text}\n", ".md")
        elif number % 3 == 1:
            batches.drop(name, text, voice="ada")
        else:
            batches.drop(name, f"{text} {SHARED}", voice="ada")
        names.append(name)
    return names


def test_scripts_that_come_in_waves_are_narrated_once_each(batches):
    first, second = SCRIPTS // 10, SCRIPTS // 2
    names = drop_wave(batches, range(first))
    edited, removed = names[1], names[2]
    running = wait_for("a batch", lambda: batches.batch_of(edited))
    names += drop_wave(batches, range(first, second))
    wait_for("its end", lambda: batches.are_done([edited, removed]))
    before = batches.planned_takes([edited])
    names += drop_wave(batches, range(second, SCRIPTS))
    batches.drop(edited, "Letter number one was sent after all.", voice="ada")
    batches.remove(removed)
    batches.drop("wave-bad", "[nobody] This voice is unknown.", voice="ada")
    assert running.run_id in {run.run_id for run in batches.runs()}

    batches.wait_until_done([name for name in names if name != removed])
    wait_for("the bad one", lambda: batches.ledger.outcomes(["wave-bad"])["wave-bad"].state == "failed")
    batches.wait_until_idle()

    once = Counter(dict.fromkeys(names, 1))
    once[edited] = 2
    for asset in ("takes", "narration_audio", "timing_files", "download_links"):
        assert batches.materialized(asset) == once, asset
    launched = Counter(name for run in batches.runs() for name in narrations_of(run))
    assert launched == once + Counter({"wave-bad": 1})

    # What was removed is retired, and nothing of it is lost.
    assert batches.ledger.scripts([removed])[removed].retired
    assert "retired" in batches.last_told("script", removed)["state"]
    batches.check_delivered(names)
    bad = batches.ledger.outcomes(["wave-bad"])["wave-bad"]
    assert bad.attempts == 1 and "nobody" in (bad.reason or "")

    made = set(batches.services.installation.take_records())
    assert made == batches.planned_takes(names) | before, "one take for each different sentence, and none else"
    assert sum(report["takes_made"] for report in batches.reports()) == len(made), "none was made twice"

    runs = batches.instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id for run in batches.runs()]))
    times = sorted((run.start_time or 0, run.end_time or 0) for run in runs)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(times)), "one at a time"
    assert len(runs) <= 6, "the rest gathers while a batch is at work"
    assert batches.materialized("batch_report")[""] == len(runs)


def drop_many(batches: Batches, name: str, count: int) -> list[str]:
    """Scripts of a dozen sentences that no other script has, for one batch; their names."""
    names = [f"{name}-{number:02}" for number in range(count)]
    for one in names:
        text = " ".join(f"This is sentence {number} of the story {one}." for number in range(12))
        batches.drop(one, f"---\nvoice: ada\nformats: [flac]\n---\n\n{text}\n", ".md")
    batches.settle(names)
    return names


def in_synthesis(batches: Batches, names: list[str]) -> dg.DagsterRun:
    """Wait until a batch of these narrations has made some of their takes, and not all."""
    batches.new_takes()
    run = wait_for("a batch", lambda: batches.batch_of(names[0]))
    wait_for("its first takes", batches.new_takes)
    return run


def in_delivery(batches: Batches, names: list[str]) -> dg.DagsterRun:
    """Wait until a batch has finished some of these narrations, and not all."""
    run = wait_for("a batch", lambda: batches.batch_of(names[0]))
    wait_for("its first narration", lambda: batches.count_done(names))
    assert batches.count_done(names) < len(names)
    return run


def check_finished(batches: Batches, names: list[str], run: dg.DagsterRun) -> None:
    """All is there, and what was made before something was killed was not made again (`new_takes` sees to that)."""
    batches.wait_until_done(names)
    batches.check_delivered(names)
    needed = batches.planned_takes(names)
    assert needed <= set(batches.services.installation.take_records())
    of_these = [one for one in batches.runs() if set(names) & set(narrations_of(one))]
    assert {one.root_run_id or one.run_id for one in of_these} == {run.run_id}, "launched once, and continued"
    assert all(outcome.attempts == 1 for outcome in batches.ledger.outcomes(names).values())
    told = batches.materialized("narration_audio")
    in_hand = max(4, os.cpu_count() or 1)  # one of each step that delivers
    assert sum(told[name] - 1 for name in names) <= in_hand, "what was done is not done again"


def test_killed_steps_are_tried_again_in_the_same_run(batches):
    names = drop_many(batches, "steps", 24)
    run = in_delivery(batches, names)
    kill(wait_for("the step", lambda: step_process(batches.instance, run.run_id, "deliver_narrations")))
    check_finished(batches, names, run)
    assert batches.run(run.run_id).status == dg.DagsterRunStatus.SUCCESS


@pytest.mark.parametrize("moment", [in_synthesis, in_delivery])
def test_a_batch_whose_process_is_killed_is_continued(batches, moment):
    names = drop_many(batches, f"worker-{moment.__name__[3:]}", 16)
    run = moment(batches, names)
    kill(wait_for("the run's process", lambda: batches.run_process(run.run_id)))
    check_finished(batches, names, run)
    assert batches.run(run.run_id).status == dg.DagsterRunStatus.FAILURE
    (continued,) = [one for one in batches.runs() if one.parent_run_id == run.run_id]
    assert continued.status == dg.DagsterRunStatus.SUCCESS
    assert not batches.spans(continued.run_id, "plan_batch"), "from where it was"


def test_services_that_are_killed_cost_no_batch(batches):
    names, later = drop_many(batches, "services", 16), []
    run = in_synthesis(batches, names)
    for service in ("daemon", "web server", "code server"):
        killed = some(batches.service_process(service))
        kill(killed)
        later.append(f"after-{service.replace(' ', '-')}")
        batches.drop(later[-1], f"The {service} is back.", voice="ben")
        assert wait_for("the service", lambda service=service: batches.service_process(service)) != killed
    check_finished(batches, names, run)
    assert batches.run(run.run_id).status == dg.DagsterRunStatus.SUCCESS
    batches.wait_until_done(later)


def test_a_cancelled_batch_is_not_launched_again_by_itself(batches):
    names = drop_many(batches, "cancelled", 24)
    run = in_synthesis(batches, names)
    batches.cancel(run.run_id)
    assert batches.ended(run.run_id) == dg.DagsterRunStatus.CANCELED
    batches.new_takes()
    needed = sum(len(list(batches.chunks(name))) for name in names)
    kept = {key for key in batches.planned_takes(names) if batches.store.exists(key)}
    assert 0 < len(kept) < needed

    # The in-box goes on with what is new, and leaves what a person has stopped to people.
    batches.drop("cancelled-later", "This one came later.", voice="ada")
    batches.wait_until_done(["cancelled-later"])
    assert all(not set(names) & set(narrations_of(one)) for one in batches.runs() if one.run_id != run.run_id)
    waiting = batches.ledger.pending(attempts=3, failed=True)
    assert {one.narration for one in waiting} >= set(names), "the nightly batch takes them"

    again = batches.launch_batch(names)
    assert batches.ended(again) == dg.DagsterRunStatus.SUCCESS
    batches.check_delivered(names)
    batches.new_takes()
    (report,) = [report for report in batches.reports() if report["run"] == again]
    assert report["takes_made"] == needed - len(kept)


def test_the_store_is_whole_after_all_of_it(batches):
    batches.wait_until_idle()
    batches.services.installation.run("store", "check", "--deep")

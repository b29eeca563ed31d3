# ruff: noqa: F811  (fixtures are imported)
"""The queue: what waits, who works on it, and what is tried again."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import dagster as dg
import pytest
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, PARTITION_NAME_TAG, WILL_RETRY_TAG

from f5_pipeline.orchestration.launching.requests import batch_requests, estimated_minutes, max_batches
from f5_pipeline.orchestration.ledger import (
    BATCH_JOB,
    SINGLE_JOB,
    Ledger,
    Outcome,
    SourceState,
    active_batches,
    active_narrations,
    narrations_of,
)
from f5_pipeline.orchestration.partitions import NARRATIONS
from f5_pipeline.orchestration.reporting.observations import register_all
from f5_pipeline.orchestration.tags import WORKER_TAG
from f5_pipeline.studio.narrating.batches import CHARACTERS_PER_MINUTE
from f5_pipeline.system.processes import is_living, process_name
from f5_pipeline_tests.support.ticks import batch_run, end, instance  # noqa: F401

KIND = dg.DagsterEventType
MINUTE = CHARACTERS_PER_MINUTE


@pytest.fixture
def ledger(instance) -> Ledger:
    return Ledger(instance)


def see(ledger: Ledger, *names: str, version: str = "1", priority: int = 0, since: float = 1000.0, size: int = 100):
    register_all(ledger._instance, NARRATIONS, names)
    seen = SourceState(marks={}, version=version, size=size, priority=priority, since=since)
    ledger.record_scripts(dict.fromkeys(names, seen))


def waiting(ledger: Ledger, *, attempts: int = 3, **how) -> list[str]:
    return [one.narration for one in ledger.pending(attempts=attempts, **how)]


def count_queries(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the instance's storages are asked from now on."""
    asked: list[str] = []
    for storage, names in (
        (instance.run_storage, ("get_runs", "get_run_records", "get_runs_count", "get_cursor_values")),
        (instance.event_log_storage, ("get_dynamic_partitions",)),
    ):
        for name in names:
            real = getattr(storage, name)
            monkeypatch.setattr(storage, name, lambda *a, r=real, n=name, **k: asked.append(n) or r(*a, **k))
    return asked


def test_what_is_new_or_edited_waits_by_priority_then_age(ledger):
    see(ledger, "old", since=10.0)
    see(ledger, "older", since=5.0)
    see(ledger, "first", since=99.0, priority=2)
    see(ledger, "last", since=1.0, priority=-1)
    see(ledger, "done")
    ledger.start({"done": "1"}, "run")
    ledger.finish("done", "1", "run")
    assert waiting(ledger) == ["first", "older", "old", "last"]
    see(ledger, "done", version="2", since=7.0)
    assert waiting(ledger) == ["first", "older", "done", "old", "last"]


def test_what_is_retired_waits_for_nothing(ledger):
    see(ledger, "a")
    ledger.record_scripts({"a": ledger.scripts(["a"])["a"].model_copy(update={"retired": True})})
    assert waiting(ledger, failed=True) == []


def test_many_narrations_are_more_than_a_query_takes(ledger, instance, monkeypatch):
    names = [f"n{number:04}" for number in range(1300)]
    see(ledger, *names)
    ledger.start(dict.fromkeys(names[:900], "1"), "run")
    assert len(ledger.outcomes(names)) == 900
    asked = count_queries(instance, monkeypatch)
    assert len(waiting(ledger)) == 1300, "of a run that is gone"
    assert len(asked) < 30, "as many questions as pages, not as narrations"


def test_a_record_of_another_version_of_the_software_is_as_if_it_were_not(ledger, instance):
    see(ledger, "a", "b")
    instance.daemon_cursor_storage.set_cursor_values({"f5/script/a": '{"other": 1}', "f5/outcome/b": "no JSON"})
    assert list(ledger.scripts(["a", "b"])) == ["b"]
    assert ledger.outcomes(["a", "b"]) == {}
    assert waiting(ledger) == ["b"]


def test_a_run_holds_its_narrations_until_it_ends(ledger, instance):
    see(ledger, "a", "b", "c")
    run = batch_run(instance, "a", "b")
    assert waiting(ledger) == ["c"] == waiting(ledger, failed=True)
    assert waiting(ledger, besides=run.run_id) == ["a", "b", "c"]
    for kind in (KIND.RUN_STARTING, KIND.RUN_START, KIND.RUN_CANCELING):
        end(instance, run, kind)
        assert active_narrations(instance) == {"a", "b"}
    end(instance, run, KIND.RUN_SUCCESS)
    assert active_narrations(instance) == set()


def test_a_run_of_a_narration_alone_holds_it(ledger, instance):
    @dg.job(name=SINGLE_JOB)
    def narrate():
        pass

    see(ledger, "a", "b")
    tags = {PARTITION_NAME_TAG: "a"}
    run = instance.create_run_for_job(narrate, tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert waiting(ledger) == ["b"]
    instance.report_run_failed(run)
    instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "true"})
    assert waiting(ledger) == ["b"], "Dagster is about to continue it"
    instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})
    assert waiting(ledger) == ["a", "b"]


def test_a_run_that_dagster_is_about_to_continue_holds_its_narrations(ledger, instance):
    see(ledger, "a")
    run = batch_run(instance, "a", status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(run)
    instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "true"})
    assert waiting(ledger, failed=True) == []
    assert [one.run_id for one in active_batches(instance)] == [run.run_id]
    second = batch_run(instance, "a", status=dg.DagsterRunStatus.STARTED)
    instance.add_run_tags(run.run_id, {AUTO_RETRY_RUN_ID_TAG: second.run_id})
    assert [one.run_id for one in active_batches(instance)] == [second.run_id]
    instance.report_run_failed(second)
    instance.add_run_tags(second.run_id, {WILL_RETRY_TAG: "false"})
    assert waiting(ledger) == ["a"]


def test_the_oldest_batch_comes_first(instance):
    runs = [batch_run(instance, "a") for _ in range(3)]
    assert [one.run_id for one in active_batches(instance)] == [one.run_id for one in runs]
    assert narrations_of(runs[0]) == ["a"]


def test_what_failed_for_good_waits_for_the_night_and_only_as_often_as_it_may(ledger):
    see(ledger, "a")
    for attempt in (1, 2, 3):
        ledger.start({"a": "1"}, f"run-{attempt}")
        assert ledger.finish("a", "1", f"run-{attempt}", "no such voice").attempts == attempt
        assert waiting(ledger) == []
        assert waiting(ledger, failed=True) == (["a"] if attempt < 3 else [])
    see(ledger, "a", version="2")
    assert [one.attempts for one in ledger.pending(attempts=3)] == [0], "an edit begins anew"
    ledger.start({"a": "2"}, "run-4")
    assert ledger.outcomes(["a"])["a"].attempts == 1


def test_what_may_have_passed_is_tried_again_later_and_later(ledger, monkeypatch):
    see(ledger, "a")
    for attempt, wait in ((1, 60.0), (2, 240.0)):
        ledger.start({"a": "1"}, f"run-{attempt}")
        ledger.finish("a", "1", f"run-{attempt}", "the bucket does not answer", retryable=True)
        assert waiting(ledger, wait=60.0) == []
        with monkeypatch.context() as later:
            at = ledger.outcomes(["a"])["a"].at
            later.setattr("f5_pipeline.orchestration.ledger.time.time", lambda at=at, wait=wait: at + wait - 1)
            assert waiting(ledger, wait=60.0) == []
            later.setattr("f5_pipeline.orchestration.ledger.time.time", lambda at=at, wait=wait: at + wait + 1)
            assert waiting(ledger, wait=60.0) == ["a"]
    ledger.start({"a": "1"}, "run-3")
    ledger.finish("a", "1", "run-3", "the bucket does not answer", retryable=True)
    assert waiting(ledger, failed=True) == [], "three times is enough"


def test_what_a_run_left_that_died_is_tried_again_up_to_the_limit(ledger, instance):
    see(ledger, "a")
    for attempt in (1, 2, 3):
        run = batch_run(instance, "a", status=dg.DagsterRunStatus.STARTED)
        ledger.start({"a": "1"}, run.run_id)
        ledger.start({"a": "1"}, run.run_id)  # its step was tried again
        assert ledger.outcomes(["a"])["a"].attempts == attempt
        assert waiting(ledger) == []
        instance.report_run_failed(run)
        instance.add_run_tags(run.run_id, {WILL_RETRY_TAG: "false"})
        assert waiting(ledger, wait=60.0) == []
        assert waiting(ledger) == (["a"] if attempt < 3 else [])


def test_a_run_that_is_continued_is_the_same_attempt(ledger, instance):
    """Also where it was killed as it planned, and plans anew."""
    see(ledger, "a")
    run = batch_run(instance, "a", status=dg.DagsterRunStatus.FAILURE)
    ledger.start({"a": "1"}, run.run_id)
    for _ in range(2):
        continued = dg.DagsterRun(
            job_name=BATCH_JOB,
            run_config=run.run_config,
            parent_run_id=run.run_id,
            root_run_id=run.root_run_id or run.run_id,
        )
        run = instance.add_run(continued)
        ledger.start({"a": "1"}, run.run_id)
        assert ledger.outcomes(["a"])["a"].attempts == 1
    ledger.start({"a": "1"}, batch_run(instance, "a").run_id)
    assert ledger.outcomes(["a"])["a"].attempts == 2


@pytest.mark.parametrize("started", [True, False], ids=["at work", "queued"])
def test_what_a_person_canceled_waits_for_the_night_or_an_edit(ledger, instance, started):
    see(ledger, "a", "b")
    run = batch_run(instance, "a")
    if started:
        ledger.start({"a": "1"}, run.run_id)
    instance.report_run_canceled(run)
    assert waiting(ledger) == ["b"]
    assert waiting(ledger, failed=True) == ["a", "b"]
    see(ledger, "a", version="2", since=time.time() + 1)
    assert waiting(ledger) == ["b", "a"]


def test_a_process_of_the_command_line_holds_what_it_narrates_while_it_lives(ledger):
    see(ledger, "a", "b")
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        ledger.start({"a": "1"}, process_name(process.pid))
        assert waiting(ledger) == ["b"] == waiting(ledger, failed=True)
        see(ledger, "a", version="2")
        assert waiting(ledger) == ["b"], "even where it was edited since"
    finally:
        process.kill()
        process.wait()
    assert waiting(ledger) == ["a", "b"]


def test_a_process_of_another_host_holds_what_it_narrates_while_its_runs_do(ledger, instance, monkeypatch):
    see(ledger, "a")
    there = "another-host/4711/123456"
    ledger.start({"a": "1"}, there)
    assert waiting(ledger, failed=True) == [], "it has just begun"
    at = ledger.outcomes(["a"])["a"].at
    run = batch_run(instance, "z", status=dg.DagsterRunStatus.STARTED, **{WORKER_TAG: there})
    monkeypatch.setattr("f5_pipeline.orchestration.ledger.time.time", lambda: at + 9999)
    assert waiting(ledger, failed=True) == []
    instance.report_run_failed(run)
    assert waiting(ledger) == ["a"]


def test_a_name_of_a_process_is_no_other_process(ledger):
    mine = process_name(os.getpid())
    assert is_living(mine) is True
    assert is_living(mine + "0") is False, "another process with this id"
    assert is_living("another-host/1/2") is None
    assert is_living("") is None and is_living("c0ffee-a-run-id") is None


def test_what_becomes_of_an_older_version_is_no_news_where_a_newer_was_begun_since(ledger, instance):
    see(ledger, "a")
    batch = batch_run(instance, "a", status=dg.DagsterRunStatus.STARTED)
    ledger.start({"a": "1"}, batch.run_id)
    ledger.start({"a": "2"}, "command line")
    ledger.finish("a", "1", batch.run_id, "it was edited")
    assert (ledger.outcomes(["a"])["a"].version, ledger.outcomes(["a"])["a"].state) == ("2", "started")
    ledger.finish("a", "2", "command line")
    ledger.finish("a", "1", batch.run_id)
    assert (ledger.outcomes(["a"])["a"].version, ledger.outcomes(["a"])["a"].state) == ("2", "done")


def test_what_was_edited_and_narrated_before_the_inbox_came_by_waits_no_more(ledger):
    see(ledger, "a")
    ledger.start({"a": "2"}, "run")
    ledger.finish("a", "2", "run")
    assert waiting(ledger, failed=True) == []


def test_a_run_from_the_ui_that_never_began_here_still_ends_here(ledger):
    see(ledger, "a")
    ledger.finish("a", "1", "run")
    assert ledger.outcomes(["a"])["a"].state == "done" and waiting(ledger) == []
    see(ledger, "a", version="2")
    ledger.finish("a", "2", "run-2")
    assert ledger.outcomes(["a"])["a"].version == "2"


def test_outcomes_outlive_the_process_that_wrote_them(ledger, here):
    see(ledger, "a")
    ledger.start({"a": "1"}, "run")
    program = (
        "import dagster as dg\nfrom f5_pipeline.orchestration.ledger import Ledger\n"
        "with dg.DagsterInstance.get() as i: print(Ledger(i).outcomes(['a'])['a'].model_dump_json())"
    )
    told = subprocess.run([sys.executable, "-c", program], env=here.env, capture_output=True, text=True, check=True)
    assert Outcome.model_validate_json(told.stdout) == ledger.outcomes(["a"])["a"]


def test_as_many_batches_as_gpus(instance):
    assert max_batches(instance) == 1
    instance.event_log_storage.set_concurrency_slots("gpu", 4)
    assert max_batches(instance) == 4
    instance.event_log_storage.set_concurrency_slots("gpu", 0)
    assert max_batches(instance) == 1, "the draft needs none"


@pytest.mark.parametrize(
    ("minutes", "most", "runs"),
    [([1.0], 4, 1), ([19.0], 4, 1), ([9.0, 9.9], 4, 1), ([10.0, 10.5], 4, 2), ([5.0] * 20, 4, 4), ([5.0] * 20, 1, 1)],
)
def test_a_gpu_is_loaded_for_ten_minutes_or_more(ledger, minutes, most, runs):
    for number, length in enumerate(minutes):
        see(ledger, f"n{number:02}", size=round(length * MINUTE), since=100.0 - number)
    pending = ledger.pending(attempts=3)
    assert sum(map(estimated_minutes, pending)) == pytest.approx(sum(minutes), rel=0.01)
    requests = batch_requests(pending, most, "a test", key="k")
    assert len(requests) == runs
    assert [one.run_key for one in requests] == [f"k-{number}" for number in range(runs)]
    assert all(one.job_name == BATCH_JOB and one.tags["f5/batch"] == "a test" for one in requests)
    named = [one.run_config["ops"]["plan_batch"]["config"]["narrations"] for one in requests]
    assert sorted(name for names in named for name in names) == sorted(one.narration for one in pending)
    order = [one.narration for one in pending]
    assert all(names == sorted(names, key=order.index) for names in named), "each in the order of the queue"
    sums = [sum(minutes[int(name[1:])] for name in names) for names in named]
    assert max(sums) - min(sums) <= max(minutes)


def test_nothing_asks_for_nothing():
    assert batch_requests([], 4, "a test") == []


def test_what_was_too_dear_waits_and_has_not_been_tried(ledger):
    see(ledger, "book")
    ledger.start({"book": "1"}, "run")
    ledger.postpone("book", "1", "run", "it is expected to cost 9.00, more than the 5.00 allowed")
    outcome = ledger.outcomes(["book"])["book"]
    assert (outcome.state, outcome.attempts) == ("postponed", 0)
    assert waiting(ledger, attempts=1, failed=True) == ["book"]

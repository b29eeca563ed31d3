# ruff: noqa: F811  (fixtures are imported)
"""The batch job itself: many narrations in one run, on a real instance and a real store, spoken by the draft."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.execution.api import create_execution_plan
from sqlalchemy.exc import OperationalError

from f5_pipeline.assets.told import failures, may_pass
from f5_pipeline.errors import InputError, PassingStoreError
from f5_pipeline.launch import MODULE, _origin
from f5_pipeline.ledger import BATCH_JOB, Outcome, claimed
from f5_pipeline.settings import get_settings
from f5_pipeline.store import layout
from f5_pipeline.store.connect import connect
from f5_pipeline.studio.batches import BatchReport
from f5_pipeline.studio.links import read_manifest
from f5_pipeline.studio.records import Links, Plan, Voice
from f5_pipeline.studio.scripts import script_version
from f5_pipeline.studio.state import read_record, write_record
from f5_pipeline.studio.voices import add_voice, make_reference
from f5_pipeline_tests.conftest import EXAMPLES, REPOSITORY, wait_for
from f5_pipeline_tests.ticks import Inbox, batch_config, batch_run, box, instance  # noqa: F401

ASSETS = ("narration_plan", "takes", "narration_audio", "timing_files", "download_links")
UNSPEAKABLE = "This begins well. \n\nꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ."


@pytest.fixture(scope="module")
def voices(tmp_path_factory) -> Path:
    """A store with the voice ada and its reference, and ben, who has none yet."""
    root = tmp_path_factory.mktemp("voices") / "studio"
    store = connect(f"file:{root}")
    add_voice(store, "ada", EXAMPLES / "voices" / "ada.flac")
    write_record(store, layout.reference("ada"), make_reference(store, "ada")[0])
    add_voice(store, "ben", EXAMPLES / "voices" / "ben.ogg")
    return root


@pytest.fixture
def studio(box: Inbox, voices: Path) -> Inbox:
    shutil.copytree(voices, Path(str(box.store.url).removeprefix("file:")))
    return box


def put(box: Inbox, name: str, text: str, voice: str = "ada", **options: Any) -> None:
    box.say(name, voice=voice, **options)
    box.put(f"{name}.txt", text)


def run_batch(box: Inbox, request: dg.RunRequest) -> dg.DagsterRun:
    """Make a request's run, and execute it to its end."""
    run = create(box, request)
    return ended(box, run, start(run))


def create(box: Inbox, request: dg.RunRequest) -> dg.DagsterRun:
    job = ReconstructableRepository.for_module(MODULE, "defs").get_reconstructable_job(BATCH_JOB)
    config = {**request.run_config, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return box.instance.create_run_for_job(
        job.get_definition(),
        execution_plan=create_execution_plan(job, run_config=config, instance_ref=None),
        run_config=config,
        tags=request.tags,
        job_code_origin=job.get_python_origin(),
        remote_job_origin=_origin(BATCH_JOB),
    )


def start(run: dg.DagsterRun) -> subprocess.Popen[bytes]:
    """The process of a run, with the settings that the test has now."""
    return subprocess.Popen([sys.executable, "-m", "f5_pipeline_tests.run_worker", run.run_id], cwd=REPOSITORY)


def ended(box: Inbox, run: dg.DagsterRun, process: subprocess.Popen[bytes]) -> dg.DagsterRun:
    assert process.wait(240) == 0
    now = box.instance.get_run_by_id(run.run_id)
    assert now and now.is_finished
    return now


def batches(box: Inbox) -> list[dg.RunRequest]:
    """The batches that the in-box asks for; it asks for ben's reference too, which no test launches."""
    return [request for request in box.tick() if request.job_name == BATCH_JOB]


def narrate(box: Inbox) -> dg.DagsterRun:
    """What the in-box asks for, done."""
    (request,) = batches(box)
    return run_batch(box, request)


def materialized(box: Inbox, run: dg.DagsterRun) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for entry in box.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = entry.dagster_event
        assert event and event.asset_key
        found[event.asset_key.to_user_string(), event.partition or ""] += 1
    return found


def report_of(box: Inbox, run: dg.DagsterRun) -> BatchReport:
    return read_record(box.store, layout.batch_report(run.run_id), BatchReport)


def takes(box: Inbox) -> dict[str, str]:
    """Every take in the store, and which file it is."""
    return {one.key: one.mark for one in box.store.list("takes/") if one.key.endswith(".json")}


def stale(box: Inbox, asset: str, narration: str) -> StaleStatus:
    """What the UI says of a partition, by Dagster's own logic."""
    from dagster._core.loader import LoadingContextForTest

    from f5_pipeline.definitions import defs

    resolver = CachingStaleStatusResolver(box.instance, defs.resolve_asset_graph(), LoadingContextForTest(box.instance))
    return resolver.get_status(dg.AssetKey(asset), narration)


def outcome(box: Inbox, name: str) -> Outcome:
    return box.ledger.outcomes([name])[name]


def check_delivered(box: Inbox, name: str) -> None:
    links = read_record(box.store, layout.narration_state(name, "links"), Links)
    manifest = read_manifest(box.store, name, links.revision)
    assert set(links.files) == {file.name for file in manifest.files}
    assert all(box.store.exists(file.key) for file in manifest.files)


def test_good_ones_are_delivered_and_bad_ones_told(studio):
    shared = "This sentence is in every story."
    put(studio, "good-a", f"{shared} The first is short.")
    put(studio, "good-b", f"The second has a title. {shared}", priority=1)
    put(studio, "good-c", f"Ben says it too. {shared}", voice="ben")
    put(studio, "bad-script", "It ends [nobody] here.")
    put(studio, "bad-voice", "Who speaks?", voice="eve")
    put(studio, "bad-text", UNSPEAKABLE)
    urgent, rest = batches(studio)
    assert claimed(studio.launch(urgent)) == ["good-b"]
    names = sorted(rest.run_config["ops"]["plan_batch"]["config"]["narrations"])
    studio.instance.report_run_canceled(studio.instance.get_runs()[0])
    everything = dg.RunRequest(job_name=BATCH_JOB, run_config=batch_config("good-b", *names), tags=rest.tags)
    run = run_batch(studio, everything)

    assert run.status == dg.DagsterRunStatus.FAILURE
    good, bad = ["good-a", "good-b", "good-c"], ["bad-script", "bad-text", "bad-voice"]
    made = materialized(studio, run)
    for name in good:
        assert {asset: made[asset, name] for asset in ASSETS} == dict.fromkeys(ASSETS, 1)
        check_delivered(studio, name)
        told = outcome(studio, name)
        assert (told.state, told.attempts, told.run) == ("done", 1, run.run_id)
        assert told.version == script_version(studio.store, name)
        assert {stale(studio, asset, name) for asset in ASSETS} == {StaleStatus.FRESH}
    assert made["reference_audio", "ben"] == 1 and made["reference_audio", "ada"] == 0, "what lacked was prepared"
    assert made["model_weights", ""] == 1 and made["batch_report", ""] == 1

    for name in bad:
        assert not studio.store.exists(layout.narration_state(name, "links"))
        assert (outcome(studio, name).state, outcome(studio, name).passing) == ("failed", False)
    assert "nobody" in str(outcome(studio, "bad-script").reason)
    assert "there is no voice 'eve'" in str(outcome(studio, "bad-voice").reason)
    assert "have no take: line 3" in str(outcome(studio, "bad-text").reason)

    failed = [
        entry.dagster_event.step_failure_data
        for entry in studio.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        if entry.dagster_event
    ]
    assert len(failed) == 1 and failed[0].user_failure_data
    assert "3 of 6 narrations failed, the others are done" in str(failed[0].user_failure_data.description)
    assert set(failed[0].user_failure_data.metadata) == set(bad)

    plans = [read_record(studio.store, layout.narration_state(name, "plan"), Plan) for name in good]
    report = report_of(studio, run)
    assert [one.narration for one in report.failed] == bad and [one.narration for one in report.done] == good
    assert all(one.reason for one in report.failed)
    assert report.takes_made == sum(one.takes_made for one in report.done) + 1 == len(takes(studio))
    assert sum(plan.takes for plan in plans) == report.takes_made, "ada's share is one take, in two plans"
    assert report.audio_seconds > 5 and report.draft_seconds > 0 and report.gpu_seconds == 0
    assert report.waiting == 3, "those that failed have attempts left"
    event = studio.instance.get_latest_materialization_event(dg.AssetKey("batch_report"))
    assert event and event.asset_materialization
    metadata = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert (metadata["narrations_done"], metadata["narrations_failed"], metadata["takes_made"]) == (
        3,
        3,
        report.takes_made,
    )
    assert len(metadata["narrations"].records) == 6  # type: ignore[union-attr]

    checks = {
        (event.asset_check_evaluation_data.check_name, event.asset_check_evaluation_data.partition)
        for entry in studio.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        if (event := entry.dagster_event) and (event.asset_check_evaluation_data)
    }
    assert {(check, name) for check in ("mastered", "quality") for name in good} <= checks
    assert {name for check, name in checks if check == "transcript_fit"} == {"ben"}

    before = takes(studio)
    again = run_batch(studio, everything)
    assert again.status == dg.DagsterRunStatus.FAILURE
    assert [one.narration for one in report_of(studio, again).narrations] == bad, "the good ones are done already"
    assert report_of(studio, again).takes_made == 0 and takes(studio) == before
    assert {outcome(studio, name).attempts for name in bad} == {2}
    assert {one.attempts for one in report_of(studio, again).failed} == {2}
    assert batches(studio) == [], "nothing of this passes by itself"


def test_an_edit_makes_what_was_edited_and_nothing_else(studio):
    put(studio, "a", "The first sentence stays. The second one will be edited.")
    put(studio, "b", "Another story stays as it is.")
    assert narrate(studio).status == dg.DagsterRunStatus.SUCCESS
    before = takes(studio)
    put(studio, "a", "The first sentence stays. The second one was edited.")
    run = narrate(studio)
    assert run.status == dg.DagsterRunStatus.SUCCESS and claimed(run) == ["a"]
    now = takes(studio)
    assert before.items() <= now.items() and len(now) == len(before) + 1
    (told,) = report_of(studio, run).narrations
    assert (told.takes_made, told.takes_reused, told.attempts) == (1, 1, 1)
    assert {stale(studio, asset, "a") for asset in ASSETS} == {StaleStatus.FRESH}
    assert materialized(studio, run)["takes", "b"] == 0


def test_the_batch_that_was_launched_first_has_a_narration_that_two_name(studio):
    put(studio, "a", "Both want this one.")
    put(studio, "b", "This one is of the second alone.")
    studio.look()
    older = batch_run(studio.instance, "a", status=dg.DagsterRunStatus.STARTED)
    run = run_batch(studio, dg.RunRequest(job_name=BATCH_JOB, run_config=batch_config("a", "b", "b")))
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert set(studio.ledger.outcomes(["a", "b"])) == {"b"}
    assert [one.narration for one in report_of(studio, run).narrations] == ["b"]
    studio.instance.report_run_canceled(older)
    younger = run_batch(studio, dg.RunRequest(job_name=BATCH_JOB, run_config=batch_config("a", "b")))
    assert [one.narration for one in report_of(studio, younger).narrations] == ["a"]


def test_a_toml_script_that_names_its_text_no_more_is_narrated_once(studio):
    """What it named lies beside it still."""
    studio.put("a.gen_file", "A text of old.")
    studio.say("a", voice="ada")
    studio.put("a.toml", 'gen_file = ""\ngen_text = "A text of its own."\n')
    assert narrate(studio).status == dg.DagsterRunStatus.SUCCESS
    assert outcome(studio, "a").version == script_version(studio.store, "a")
    assert batches(studio) == []


def test_a_damaged_reference_is_made_anew_and_harms_no_other(studio):
    studio.store.put_bytes(layout.reference("ada"), b"{")
    studio.store.put_bytes(layout.voice("ben"), b"{")
    put(studio, "a", "Ada speaks.")
    put(studio, "b", "Ben cannot.", voice="ben")
    run = narrate(studio)
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert outcome(studio, "a").state == "done"
    assert "not a Voice record" in str(outcome(studio, "b").reason)


def test_damaged_options_fail_alone_with_their_reason(studio):
    put(studio, "a", "This one is in order.")
    studio.put("b.txt", "This one is not.")
    studio.put("b.options.json", '{"voice": ')
    narrate(studio)
    assert outcome(studio, "a").state == "done"
    assert outcome(studio, "b").state == "failed" and "b.options.json" in str(outcome(studio, "b").reason)
    assert batches(studio) == []
    studio.say("b", voice="ada")
    assert narrate(studio).status == dg.DagsterRunStatus.SUCCESS


def test_a_script_that_went_away_meanwhile_is_told_and_counted(studio):
    put(studio, "a", "Here and gone.")
    (request,) = batches(studio)
    studio.store.delete("scripts/a.txt")
    run = run_batch(studio, request)
    assert run.status == dg.DagsterRunStatus.FAILURE
    told = outcome(studio, "a")
    assert "no script" in str(told.reason) and told.version == studio.ledger.seen(["a"])["a"].version
    assert studio.ledger.pending(attempts=3) == []
    assert batches(studio) == []
    assert studio.ledger.seen(["a"])["a"].retired


@pytest.mark.parametrize("step", ["draft_shard", "deliver_narrations"])
def test_a_step_that_is_killed_is_tried_again_and_nothing_is_doubled(studio, step):
    names = [f"n{number}" for number in range(4)]
    for name in names:
        put(studio, name, f"This is {name}. It has two sentences, and the second is somewhat longer than the first.")
    (request,) = batches(studio)
    run = create(studio, request)
    process = start(run)

    def part_is_done() -> bool:
        if step == "draft_shard":
            return bool(takes(studio))
        return any(one.state == "done" for one in studio.ledger.outcomes(names).values())

    wait_for("part of the work", part_is_done)
    for entry in studio.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_WORKER_STARTED):
        event = entry.dagster_event
        if event and str(event.step_key).startswith(step):
            os.kill(int(str(event.engine_event_data.metadata["pid"].value)), signal.SIGKILL)
    run = ended(studio, run, process)
    retried = studio.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_RESTARTED)
    assert [entry.dagster_event.step_key.partition("[")[0] for entry in retried if entry.dagster_event] == [step]
    assert run.status == dg.DagsterRunStatus.SUCCESS
    report = report_of(studio, run)
    assert sorted(one.narration for one in report.narrations) == names
    assert {one.attempts for one in report.narrations} == {1}
    outcomes = studio.ledger.outcomes(names)
    assert {one.state for one in outcomes.values()} == {"done"}
    for name in names:
        check_delivered(studio, name)
    links = {name: materialized(studio, run)["download_links", name] for name in names}
    assert links == dict.fromkeys(names, 1), "none was delivered twice"
    assert batches(studio) == []


def test_a_store_that_fails_for_a_while_is_tried_again_after_a_rest(studio, monkeypatch):
    put(studio, "a", "The store fails while this is delivered.")
    put(studio, "b", "And this.")
    # A file where a folder should be: not found in the one way, in the way in the other, and mended by removing it.
    studio.store.put_bytes("narrations/a", b"in the way")
    run = narrate(studio)
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert outcome(studio, "b").state == "done"
    told = outcome(studio, "a")
    assert (told.state, told.passing, told.attempts) == ("failed", True, 1)
    studio.store.delete("narrations/a")
    assert batches(studio) == [], "not at once"
    monkeypatch.setenv("F5_ATTEMPT_SECONDS", "0")
    get_settings.cache_clear()
    run = narrate(studio)
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert (outcome(studio, "a").state, outcome(studio, "a").attempts) == ("done", 2)
    assert [one.attempts for one in report_of(studio, run).narrations] == [2]


def test_an_edit_between_two_looks_is_narrated_as_it_is(studio, monkeypatch):
    """The batch counts what it has read, and the in-box finds that it is done."""
    put(studio, "a", "The first version.")
    (request,) = batches(studio)
    put(studio, "a", "The second version, that came while it was queued.")
    assert run_batch(studio, request).status == dg.DagsterRunStatus.SUCCESS
    assert batches(studio) == []
    assert outcome(studio, "a").version == studio.ledger.seen(["a"])["a"].version


def raised(error: Exception) -> Exception:
    with pytest.raises(Exception) as told, failures():
        raise error
    return told.value


def test_what_cannot_pass_is_not_tried_again():
    ours = raised(TypeError("of ours"))
    assert isinstance(ours, dg.Failure) and not ours.allow_retries and "TypeError: of ours" in str(ours.description)
    bad = raised(InputError("no such voice", file="a.txt", place=3, mend="Add one."))
    assert isinstance(bad, dg.Failure) and not bad.allow_retries
    assert {name: value.value for name, value in bad.metadata.items()} == {
        "error": "no such voice",
        "file": "a.txt",
        "place": "3",
        "mend": "Add one.",
    }


def test_what_may_pass_is_tried_again():
    passing = raised(PassingStoreError("the bucket does not answer"))
    assert isinstance(passing, dg.Failure) and passing.allow_retries
    for error in (OSError(5, "I/O error"), MemoryError(), OperationalError("SELECT 1", {}, Exception("locked"))):
        assert raised(error) is error, "Dagster's retry policy tries again whatever is no Failure"
        assert may_pass(error)
    asked = dg.RetryRequested(max_retries=1)
    assert raised(asked) is asked
    assert not may_pass(ValueError()) and not may_pass(InputError("x")) and may_pass(PassingStoreError("x"))


def test_a_voice_is_recorded_as_it_was_used(studio):
    put(studio, "a", "Ben has no reference yet.", voice="ben")
    assert narrate(studio).status == dg.DagsterRunStatus.SUCCESS
    assert studio.instance.get_dynamic_partitions("voices") == ["ada", "ben"]
    voice = read_record(studio.store, layout.voice("ben"), Voice)
    clip = json.loads(studio.store.get_bytes(layout.reference("ben")))
    assert clip["recording"] == voice.recording.sha256

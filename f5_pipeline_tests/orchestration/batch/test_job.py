# ruff: noqa: F811  (fixtures are imported)
"""The batch job itself: many narrations in one run, on a real instance and a real store, spoken by the draft."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import Mock

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.execution.api import create_execution_plan
from dagster_postgres.utils import DagsterPostgresException, retry_pg_connection_fn
from sqlalchemy.exc import OperationalError

from f5_pipeline.dagster_host.instance import open_instance
from f5_pipeline.dagster_host.runs import MODULE, _origin
from f5_pipeline.errors import InputError, RetryableStoreError
from f5_pipeline.gateway.api.metrics import StudioCollector
from f5_pipeline.gateway.api.service import Service
from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.orchestration.internals import AUTO_RETRY_RUN_ID_TAG
from f5_pipeline.orchestration.launching.desk import InboxDesk
from f5_pipeline.orchestration.ledger import BATCH_JOB, Outcome
from f5_pipeline.orchestration.reporting.failures import failures, is_retryable
from f5_pipeline.orchestration.reporting.provenance import data_version_tags
from f5_pipeline.settings import get_settings
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.speech.takes import Take
from f5_pipeline.store import layout
from f5_pipeline.store.connect import connect
from f5_pipeline.store.records import read_lines, read_record, write_record
from f5_pipeline.studio.links.making import read_manifest
from f5_pipeline.studio.links.tokens import LinkSigner
from f5_pipeline.studio.narrating.batches import BatchReport
from f5_pipeline.studio.narrating.scripts import add_script, script_version
from f5_pipeline.studio.records import Audio, Links, Plan, PlannedChunk, ReferenceClip
from f5_pipeline.studio.voices import add_voice, make_reference
from f5_pipeline_tests.support.batches import kill, step_process
from f5_pipeline_tests.support.books import epub
from f5_pipeline_tests.support.installation import EXAMPLES, REPOSITORY, Installation
from f5_pipeline_tests.support.scraped import samples_of
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.ticks import Inbox, batch_config, batch_run, box, instance  # noqa: F401
from f5_pipeline_tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

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


def furnish(box: Inbox, voices: Path) -> Inbox:
    """Give the in-box's store the two voices, as another machine has told of them."""
    shutil.copytree(voices, Path(str(box.store.url).removeprefix("file:")))
    tags = data_version_tags(read_record(box.store, layout.reference("ada"), ReferenceClip).sha256)
    box.instance.report_runless_asset_event(dg.AssetMaterialization("reference_audio", partition="ada", tags=tags))
    return box


@pytest.fixture
def studio(box: Inbox, voices: Path) -> Inbox:
    return furnish(box, voices)


def put(box: Inbox, name: str, text: str, voice: str = "ada", extension: str = ".txt") -> None:
    box.say(name, voice=voice)
    box.put(f"{name}{extension}", text)


def add(box: Inbox, name: str, data: bytes) -> None:
    """What `scripts add` does with a file; it lies there for a minute then."""
    file = Path(str(box.store.url).removeprefix("file:")).parent / name
    file.write_bytes(data)
    loaded = add_script(box.store, file, options=ScriptOptions(voice="ada"))
    for kept in box.store.list(f"scripts/{loaded.narration}."):
        path = some(box.store.local_path(kept.key))
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 60))


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


def start(run: dg.DagsterRun, *hold: Path) -> subprocess.Popen[bytes]:
    """The process of a run, with the settings that the test has now; with `hold` see the module that it runs."""
    module = "f5_pipeline_tests.support.run_worker"
    return subprocess.Popen([sys.executable, "-m", module, run.run_id, *map(str, hold)], cwd=REPOSITORY)


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


def checks(box: Inbox, run: dg.DagsterRun) -> set[tuple[str, str | None]]:
    """The checks that a run has recorded, with their partitions."""
    logs = box.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    found = [entry.dagster_event.asset_check_evaluation_data for entry in logs if entry.dagster_event]
    return {(one.check_name, one.partition) for one in found}


GOOD = ["good-a", "good-b", "good-c", "good-d", "good-e", "good-f", "good-g"]
BAD = ["bad-options", "bad-script", "bad-text", "bad-voice", "gone"]
SHARED = "This sentence is in every story."


@dataclass
class Story:
    """Two batches of the same narrations, and what there was after each: good ones, bad ones, and between the two an
    edit, a hint, and nothing else."""

    box: Inbox
    asked: list[str]
    first: dg.DagsterRun
    takes_of_first: dict[str, str]
    outcomes_of_first: dict[str, Outcome]
    after_first: list[dg.RunRequest]
    second: dg.DagsterRun


@pytest.fixture(scope="module")
def story(tmp_path_factory, voices) -> Iterator[Story]:
    made = Installation(tmp_path_factory.mktemp("story"))
    with pytest.MonkeyPatch.context() as patched:
        for name in [name for name in os.environ if name.startswith(("F5_", "DAGSTER_"))]:
            patched.delenv(name)
        for name, value in made.env.items():
            patched.setenv(name, value)
        get_settings.cache_clear()
        with open_instance(get_settings()) as instance:
            yield played(furnish(Inbox(instance, made.store), voices))
    get_settings.cache_clear()


def played(box: Inbox) -> Story:
    put(box, "good-a", f"{SHARED} The first is short.")
    put(box, "good-b", f"The second has an end. {SHARED}")
    put(box, "good-c", f"Ben says it too. {SHARED}", voice="ben")
    put(box, "good-d", "The first version of the fourth.")
    # What the script named once lies beside it still.
    box.say("good-e", voice="ada")
    box.put("good-e.gen_file", "A text of old.")
    box.put("good-e.toml", 'gen_file = ""\ngen_text = "A text of its own."\n')
    add(box, "good-f.epub", epub({"a.xhtml": "<h1>The storm</h1><p>The lamp was out.</p>"}))
    add(box, "good-g.srt", b"1\n00:00:01,000 --> 00:00:02,500\nADA: The lamp is lit.\n[bell]\n")
    put(box, "bad-script", "---\nspeed: fast\n---\nIt has a header that means nothing.", extension=".md")
    put(box, "bad-voice", "Who speaks?", voice="eve")
    put(box, "bad-text", UNSPEAKABLE)
    box.put("bad-options.txt", "This has damaged options.")
    box.put("bad-options.options.json", '{"voice": ')
    put(box, "gone", "Here now, and removed before it is read.")
    box.put("voices/dan/voice.json", "{")
    (request,) = batches(box)
    asked = list(request.run_config["ops"]["plan_batch"]["config"]["narrations"])
    put(box, "good-d", "The second version of the fourth, of which the in-box knows nothing yet.")
    box.store.delete("scripts/gone.txt")
    first = run_batch(box, request)
    taken, outcomes, after = takes(box), box.ledger.outcomes(GOOD + BAD), batches(box)

    put(box, "good-a", f"{SHARED} The first was edited.")
    put(box, "bad-script", "It has a header no more.", extension=".md")
    box.store.put_bytes(layout.reference("ada"), b"{")
    box.look()
    config = batch_config(*GOOD, *BAD, "good-a")
    second = run_batch(box, dg.RunRequest(job_name=BATCH_JOB, run_config=config))
    return Story(box, asked, first, taken, outcomes, after, second)


def test_all_that_was_put_there_is_asked_for_at_once(story):
    assert sorted(story.asked) == sorted(GOOD + BAD)


def test_a_book_and_a_film_are_narrated_as_texts_are(story):
    def audio(name: str) -> Audio:
        links = read_record(story.box.store, layout.narration_state(name, "links"), Links)
        return read_manifest(story.box.store, name, links.revision).audio

    assert [chapter.title for chapter in audio("good-f").chapters] == ["The storm"]
    film = audio("good-g")
    assert film.seconds == 2.5 and film.plan.notes == ["sounds and songs are not spoken: [bell] (line 2)"]
    assert film.slots and (film.slots.cues, film.slots.unfit) == (1, 0)


def test_good_ones_are_delivered_each_as_if_alone(story):
    made = materialized(story.box, story.first)
    for name in GOOD:
        assert {asset: made[asset, name] for asset in ASSETS} == dict.fromkeys(ASSETS, 1)
        check_delivered(story.box, name)
        told = story.outcomes_of_first[name]
        assert (told.state, told.attempts, told.run) == ("done", 1, story.first.run_id)
    assert made["model_weights", ""] == made["batch_report", ""] == 1


def test_the_ui_calls_fresh_what_a_batch_has_made(story):
    for name in ("good-b", "good-d", "good-e"):
        assert {asset: stale(story.box, asset, name) for asset in ASSETS[1:]} == dict.fromkeys(
            ASSETS[1:], StaleStatus.FRESH
        )


def test_what_was_edited_while_it_was_queued_is_narrated_as_it_is_now(story):
    assert story.outcomes_of_first["good-d"].version == script_version(story.box.store, "good-d")
    assert story.box.ledger.scripts(["good-d"])["good-d"].version == script_version(story.box.store, "good-d")


def test_a_text_beside_a_script_that_names_it_no_more_makes_no_other_version(story):
    assert story.outcomes_of_first["good-e"].version == script_version(story.box.store, "good-e")


def test_a_voice_without_reference_is_prepared_in_the_batch(story):
    made = materialized(story.box, story.first)
    assert made["reference_audio", "ben"] == 1 and made["reference_audio", "ada"] == 0
    assert "transcript_fit" in {check for check, voice in checks(story.box, story.first) if voice == "ben"}
    assert set(story.box.instance.get_dynamic_partitions("voices")) == {"ada", "ben"}


def test_a_damaged_reference_is_made_anew(story):
    assert materialized(story.box, story.second)["reference_audio", "ada"] == 1
    read_record(story.box.store, layout.reference("ada"), ReferenceClip)


def test_checks_are_recorded_for_each_narration(story):
    found = checks(story.box, story.first)
    assert {(check, name) for check in ("mastered", "quality") for name in GOOD} <= found
    assert not {name for _, name in found} & set(BAD)


def test_bad_ones_fail_alone_with_their_reasons(story):
    assert story.first.status == dg.DagsterRunStatus.FAILURE
    told = {name: str(story.outcomes_of_first[name].reason) for name in BAD}
    assert "scripts/bad-script.md:2: " in told["bad-script"] and "speed" in told["bad-script"]
    assert "unknown voice 'eve'" in told["bad-voice"]
    assert "have no take: line 3" in told["bad-text"]
    assert "bad-options.options.json" in told["bad-options"]
    assert "no script" in told["gone"]
    for name in BAD:
        known = story.outcomes_of_first[name]
        assert (known.state, known.retryable, known.attempts) == ("failed", False, 1)
    for name in ("bad-text", "bad-voice"):
        assert not story.box.store.exists(layout.narration_state(name, "links"))
    failed = [
        entry.dagster_event.step_failure_data
        for entry in story.box.instance.all_logs(story.first.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        if entry.dagster_event
    ]
    assert len(failed) == 1 and failed[0].user_failure_data
    assert "5 of 12 narrations failed, the others are done" in str(failed[0].user_failure_data.description)
    assert set(failed[0].user_failure_data.metadata) == set(BAD)


def test_nothing_that_cannot_pass_is_launched_again(story):
    assert story.after_first == []
    assert story.box.ledger.scripts(["gone"])["gone"].retired
    assert story.outcomes_of_first["gone"].version == story.box.ledger.scripts(["gone"])["gone"].version


def test_what_two_narrations_share_is_spoken_once(story):
    plans = {name: read_record(story.box.store, layout.narration_state(name, "plan"), Plan) for name in GOOD}
    report = report_of(story.box, story.first)
    made = {one.narration: one.takes_made for one in report.done}
    assert made["good-a"] + made["good-b"] == plans["good-a"].takes + plans["good-b"].takes - 1
    assert len(story.takes_of_first) == report.takes_made
    assert report.takes_made == sum(plan.takes for plan in plans.values()) - 1 + takes_of_bad_text(story)


def takes_of_bad_text(story: Story) -> int:
    """It begins well."""
    plan = read_record(story.box.store, layout.narration_state("bad-text", "plan"), Plan)
    return sum(
        story.box.store.exists(layout.take_record(one.key))
        for one in read_lines(story.box.store, plan.chunks_key, PlannedChunk)
    )


def test_the_report_tells_all_of_it(story):
    report = report_of(story.box, story.first)
    assert sorted(one.narration for one in report.done) == GOOD
    assert sorted(one.narration for one in report.failed) == BAD
    assert all(one.reason for one in report.failed) and report.launcher == "in-box"
    assert report.audio_seconds == pytest.approx(sum(one.seconds for one in report.done), abs=0.1)
    assert report.audio_seconds > 5 and report.draft_seconds > 0
    assert report.gpu_seconds == report.cost == 0 and report.retakes == 0
    assert report.waiting == 5, "those that failed have attempts left; that one is gone is not known yet"
    wanted = dg.AssetKey("batch_report")
    newest, oldest = story.box.instance.fetch_materializations(wanted, limit=5).records
    assert (newest.run_id, oldest.run_id) == (story.second.run_id, story.first.run_id)
    metadata = {name: value.value for name, value in some(oldest.asset_materialization).metadata.items()}
    assert (metadata["narrations_done"], metadata["narrations_failed"]) == (len(GOOD), len(BAD))
    assert (metadata["takes_made"], metadata["cost"]) == (report.takes_made, 0)
    rows = [record.data for record in metadata["narrations"].records]  # type: ignore[union-attr]
    assert [row["state"] for row in rows] == ["failed"] * len(BAD) + ["done"] * len(GOOD)
    assert all(bool(row["reason"]) == (row["state"] == "failed") for row in rows)


def test_metrics_agree_with_the_reports_and_the_queue(story):
    """What Prometheus would read of the instance after both batches."""
    settings, box = get_settings(), story.box
    desk = InboxDesk(lambda: box.instance, box.store, studio_options(settings), settings)
    service = Service(box.store, studio_options(settings), desk, LinkSigner(["k" * 40]), "http://127.0.0.1")
    told = samples_of(StudioCollector(service).collect())
    reports = [report_of(box, run) for run in (story.first, story.second)]
    outcomes = [outcome for report in reports for outcome in report.narrations]
    done, failed = (sum(len(getattr(report, name)) for report in reports) for name in ("done", "failed"))
    assert told["f5_pipeline_narrations_total"] == {("done",): done, ("failed",): failed, ("postponed",): 0}
    for name, value in {
        "batches": 2,
        "takes": sum(report.takes_made for report in reports),
        "delivered_takes": sum(outcome.takes_made + outcome.takes_reused for outcome in outcomes),
        "doubtful_takes": 0,
        "retakes": 0,
        "cost": 0,
    }.items():
        assert told[f"f5_pipeline_{name}_total"] == {(): value}, name
    assert told["f5_pipeline_finished_seconds_total"][()] == pytest.approx(
        sum(report.audio_seconds for report in reports), abs=1.5
    )
    seconds = told["f5_pipeline_synthesis_seconds_total"], told["f5_pipeline_speech_seconds_total"]
    assert all(of[("gpu",)] == 0 < of[("cpu",)] for of in seconds)
    assert seconds[0][("cpu",)] == pytest.approx(sum(report.draft_seconds for report in reports))
    samples = sum(read_record(box.store, key, Take).samples for key in takes(box))
    assert seconds[1][("cpu",)] == pytest.approx(samples / SAMPLE_RATE, abs=0.2), "every take was made once"
    waiting = box.ledger.pending(attempts=settings.attempts)
    assert told["f5_pipeline_queue_narrations"] == {(): len(waiting)}
    scripts = [name for name in GOOD + BAD if name != "gone"]
    ends = [one.end(settings.attempts) for one in box.ledger.outcomes(scripts).values()]
    assert told["f5_pipeline_failed_narrations"] == {(): ends.count("failed")} != {(): 0}
    assert told["f5_pipeline_running_narrations"] == {(): 0}
    assert told["f5_pipeline_last_batch_timestamp_seconds"][()] == pytest.approx(time.time(), abs=600)


def test_a_second_batch_makes_what_was_edited_or_mended_and_nothing_else(story):
    report = report_of(story.box, story.second)
    assert sorted(one.narration for one in report.done) == ["bad-script", "good-a"]
    assert sorted(one.narration for one in report.failed) == ["bad-options", "bad-text", "bad-voice", "gone"]
    edited = next(one for one in report.done if one.narration == "good-a")
    assert (edited.takes_made, edited.takes_reused, edited.attempts) == (1, 1, 1)
    now = takes(story.box)
    assert story.takes_of_first.items() <= now.items() and len(now) == len(story.takes_of_first) + 2
    assert {one.attempts for one in report.failed} == {2}
    made = materialized(story.box, story.second)
    assert {name for asset, name in made if asset == "download_links"} == {"bad-script", "good-a"}
    assert made["takes", "good-a"] == 1, "named twice, made once"


def test_a_batch_that_is_older_has_the_narration_that_two_name(studio):
    put(studio, "a", "Both want this one.")
    put(studio, "b", "This one is of the second alone.")
    studio.look()
    batch_run(studio.instance, "a", status=dg.DagsterRunStatus.STARTED)
    run = run_batch(studio, dg.RunRequest(job_name=BATCH_JOB, run_config=batch_config("a", "b")))
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert set(studio.ledger.outcomes(["a", "b"])) == {"b"}
    assert [one.narration for one in report_of(studio, run).narrations] == ["b"]


def test_what_was_canceled_while_its_run_waited_is_left_and_what_a_person_asks_for_later_is_made(studio, monkeypatch):
    put(studio, "a", "Nobody wants this one.")
    put(studio, "b", "This one is wanted.")
    studio.look()
    request = dg.RunRequest(job_name=BATCH_JOB, run_config=batch_config("a", "b"))
    waiting = create(studio, request)
    studio.ledger.cancel("a", script_version(studio.store, "a"), "canceled by its owner")
    assert ended(studio, waiting, start(waiting)).status == dg.DagsterRunStatus.SUCCESS
    outcomes = studio.ledger.outcomes(["a", "b"])
    assert (outcomes["a"].canceled, outcomes["b"].state) == (True, "done")

    a_minute_ago = outcomes["a"].at - 60
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: a_minute_ago)
        studio.ledger.cancel("a", script_version(studio.store, "a"), "canceled by its owner")
    assert run_batch(studio, request).status == dg.DagsterRunStatus.SUCCESS
    assert outcome(studio, "a").state == "done"


def test_a_step_that_is_killed_is_tried_again_and_nothing_is_doubled(studio):
    names = [f"n{number}" for number in range(4)]
    for name in names:
        put(studio, name, " ".join(f"Sentence {number} of {name} is like the others." for number in range(20)))
    (request,) = batches(studio)
    run = create(studio, request)
    process = start(run)
    wait_for("the first narration", lambda: any(one.state == "done" for one in studio.ledger.outcomes(names).values()))
    kill(some(step_process(studio.instance, run.run_id, "deliver_narrations")))
    run = ended(studio, run, process)
    retried = studio.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_RESTARTED)
    assert len(retried) == 1
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


def test_a_kill_between_links_and_ledger_makes_nothing_anew(studio, tmp_path):
    put(studio, "a", "Its links are there, and its run has died before it could say so.")
    (request,) = batches(studio)
    run = create(studio, request)
    process = start(run, tmp_path / "held")
    wait_for("links", (tmp_path / "held").exists)
    process.kill()
    process.wait()
    studio.instance.report_run_failed(run)  # as the daemon does where a process is gone
    check_delivered(studio, "a")
    assert outcome(studio, "a").state == "started"
    links = read_record(studio.store, layout.narration_state("a", "links"), Links)
    delivered = f"narrations/a/{links.revision}/"
    before = {one.key: one.mark for prefix in ("takes/", delivered) for one in studio.store.list(prefix)}

    again = create(studio, request)
    studio.instance.add_run_tags(run.run_id, {AUTO_RETRY_RUN_ID_TAG: again.run_id})
    assert ended(studio, again, start(again)).status == dg.DagsterRunStatus.SUCCESS
    assert (outcome(studio, "a").state, outcome(studio, "a").attempts) == ("done", 2)
    assert {one.key: one.mark for prefix in ("takes/", delivered) for one in studio.store.list(prefix)} == before
    check_delivered(studio, "a")
    assert batches(studio) == []


def test_a_store_that_fails_for_a_while_is_tried_again_after_a_rest(studio, monkeypatch):
    put(studio, "a", "The store fails while this is delivered.")
    put(studio, "b", "And this.")
    # A loop of links, which no permission overcomes: the store cannot write below it, and says that this may pass.
    folder = some(studio.store.local_path("narrations/a"))
    folder.parent.mkdir()
    folder.symlink_to(folder)
    run = narrate(studio)
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert outcome(studio, "b").state == "done"
    told = outcome(studio, "a")
    assert (told.state, told.retryable, told.attempts) == ("failed", True, 1)
    assert batches(studio) == [], "not at once"
    folder.unlink()
    monkeypatch.setenv("F5_ATTEMPT_SECONDS", "0")
    get_settings.cache_clear()
    run = narrate(studio)
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert (outcome(studio, "a").state, outcome(studio, "a").attempts) == ("done", 2)
    assert [one.attempts for one in report_of(studio, run).narrations] == [2]


def raised(error: Exception) -> Exception:
    with pytest.raises(Exception) as told, failures():
        raise error
    return told.value


def test_what_cannot_pass_is_not_tried_again():
    ours = raised(TypeError("of ours"))
    assert isinstance(ours, dg.Failure) and not ours.allow_retries and "TypeError: of ours" in str(ours.description)
    bad = raised(InputError("no such voice", file="a.txt", place=3, hint="Add one."))
    assert isinstance(bad, dg.Failure) and not bad.allow_retries
    assert {name: value.value for name, value in bad.metadata.items()} == {
        "error": "no such voice",
        "file": "a.txt",
        "place": "3",
        "hint": "Add one.",
    }


def test_what_may_pass_is_tried_again():
    retryable = raised(RetryableStoreError("the bucket does not answer"))
    assert isinstance(retryable, dg.Failure) and retryable.allow_retries
    for error in (OSError(5, "I/O error"), MemoryError(), OperationalError("SELECT 1", {}, Exception("locked"))):
        assert raised(error) is error, "Dagster's retry policy tries again whatever is no Failure"
        assert is_retryable(error)
    lost = OperationalError("SELECT 1", {}, Exception("connection refused"))
    with pytest.raises(DagsterPostgresException) as away:
        retry_pg_connection_fn(Mock(side_effect=lost), retry_limit=0)
    assert raised(away.value) is away.value, "Postgres is started again"
    asked = dg.RetryRequested(max_retries=1)
    assert raised(asked) is asked
    assert (
        not is_retryable(ValueError()) and not is_retryable(InputError("x")) and is_retryable(RetryableStoreError("x"))
    )

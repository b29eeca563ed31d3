# ruff: noqa: F811  (fixtures are imported)
"""The in-box: what is put into the store becomes partitions and narrations, each version of a script once."""

from __future__ import annotations

import json
import time
from pathlib import Path

import dagster as dg
import pytest

from f5_pipeline.errors import RetryableStoreError, StoreError
from f5_pipeline.orchestration.launching import inbox as inbox_module
from f5_pipeline.orchestration.launching.requests import free_batches
from f5_pipeline.orchestration.ledger import BATCH_JOB, narrations_of
from f5_pipeline.settings import get_settings
from f5_pipeline.store import layout
from f5_pipeline.store.connect import Access, connect
from f5_pipeline.store.records import read_record, write_record
from f5_pipeline.studio.narrating.scripts import script_version
from f5_pipeline.studio.records import Voice
from f5_pipeline.studio.voices import add_voice, make_reference
from f5_pipeline_tests.support.installation import EXAMPLES
from f5_pipeline_tests.support.ticks import Inbox, box, end, instance  # noqa: F401

pytestmark = pytest.mark.slow


def names_of(requests: list[dg.RunRequest]) -> list[list[str]]:
    """The narrations that each requested batch would be of."""
    return [
        one.run_config["ops"]["plan_batch"]["config"]["narrations"] for one in requests if one.job_name == BATCH_JOB
    ]


def observed(box: Inbox, narration: str) -> list[str]:
    """What was told of a script, the newest first."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey("script"), asset_partitions=[narration])
    records = box.instance.fetch_observations(wanted, limit=20).records
    return [str(one.asset_observation.metadata["state"].value) for one in records if one.asset_observation]


def finish(box: Inbox, *runs: dg.DagsterRun) -> None:
    """Let batches do what they were launched for."""
    for run in runs:
        for name in narrations_of(run):
            version = script_version(box.store, name)
            box.ledger.start({name: version}, run.run_id)
            box.ledger.finish(name, version, run.run_id)
        end(box.instance, run, dg.DagsterEventType.RUN_SUCCESS)


def test_a_script_is_narrated_once_and_again_when_it_is_edited(box):
    box.put("a.txt", "The first text.")
    (run,) = box.tick_and_launch()
    assert narrations_of(run) == ["a"] and run.job_name == BATCH_JOB
    assert run.tags["f5/batch"] == "in-box"
    assert box.ledger.narrations() == ["a"] and observed(box, "a") == ["in the in-box"]
    assert box.tick() == [], "a run is at work"
    finish(box, run)
    assert box.tick() == [], "it is done"

    box.put("a.txt", "The first text.", age=30)
    assert box.tick() == [], "touched, and the same"
    box.put("a.txt", "The second text.")
    (run,) = box.tick_and_launch()
    finish(box, run)
    assert box.tick() == []
    assert len(observed(box, "a")) == 2


def test_an_edit_that_was_narrated_before_the_inbox_came_by_is_not_lost(box):
    """Nor is one that came between: the version is the run's, and the script is compared again."""
    box.put("a.txt", "The first text.")
    finish(box, *box.tick_and_launch())
    box.put("a.txt", "The second text.")
    read = script_version(box.store, "a")
    box.put("a.txt", "The third text.")
    box.look()
    box.ledger.start({"a": read}, "slow")
    box.ledger.finish("a", read, "slow")
    assert names_of(box.tick()) == [["a"]]
    finish(box, *box.tick_and_launch())
    box.ledger.start({"a": "another version"}, "slow")
    box.store.delete("scripts/a.txt")
    box.look()
    assert box.ledger.scripts(["a"])["a"].retired


def test_what_is_said_beside_a_script_makes_another_version(box):
    box.put("a.md", "Text.")
    finish(box, *box.tick_and_launch())
    box.say("a", voice="ada")
    assert names_of(box.tick()) == [["a"]]
    finish(box, *box.tick_and_launch())
    box.say("a", voice="ben")
    finish(box, *box.tick_and_launch())
    assert box.ledger.outcomes(["a"])["a"].version == script_version(box.store, "a")
    box.store.delete("scripts/a.options.json")
    assert names_of(box.tick()) == [["a"]]


def test_a_priority_changes_the_order_and_no_version(box):
    box.put("a.txt")
    finish(box, *box.tick_and_launch())
    box.say("a", priority=5)
    assert box.tick() == []
    assert box.ledger.scripts(["a"])["a"].priority == 5


def test_a_text_beside_a_toml_script_belongs_to_it(box):
    box.put("a.toml", 'gen_file = "story.txt"\n')
    box.put("a.gen_file", "Once upon a time. " * 100)
    (run,) = box.tick_and_launch()
    assert box.ledger.scripts(["a"])["a"].size > 1800, "the text counts"
    finish(box, run)
    box.put("a.gen_file", "Another time.")
    assert names_of(box.tick()) == [["a"]]


def test_a_file_that_is_still_being_written_is_left_for_the_next_tick(box, monkeypatch):
    monkeypatch.setattr(inbox_module, "SETTLED_SECONDS", 600.0)
    box.put("a.txt", "Half a sen")
    box.put("b.txt", "Done.", age=1000)
    box.put("b.options.json", "{}")
    box.put("c.txt", age=1000)
    box.put("d.txt", "Copied with a time of the future.", age=-9999)
    assert names_of(box.tick()) == [["c", "d"]]
    assert box.ledger.narrations() == ["c", "d"]
    box.put("a.txt", "Half a sentence no more.", age=1000)
    box.put("b.options.json", "{}", age=1000)
    assert names_of(box.tick()) == [["c", "d", "a", "b"]], "those that wait longer come first"


def test_what_cannot_be_a_narration_is_told_with_the_mend_and_harms_no_other(box):
    for name in ("My Story.txt", "b.odt", "Größe.md", "語.txt", "🎉.txt", ".DS_Store", "a.txt"):
        box.put(name)
    changes = inbox_module.find_script_changes(
        box.store, box.ledger, inbox_module.next_page(box.store, "scripts/", inbox_module.Cursor()), time.time()
    )
    assert list(changes.changed) == ["a"]
    told = "\n".join(changes.problems)
    assert "call it my-story.txt" in told and "call it grosse.md" in told and "call it another name.txt" in told
    assert "call it yu.txt" in told
    assert "b.odt: no kind of script; use one of .txt, .md, .toml" in told
    assert len(changes.problems) == 6
    assert names_of(box.tick()) == [["a"]]


def test_problems_alone_are_the_reason_of_a_tick_without_launches(box):
    box.put("My Story.txt")
    assert "call it my-story.txt" in str(box.look().skip_reason.skip_message)


def test_a_script_that_is_removed_is_retired_and_comes_back(box):
    box.put("a.txt", "Text.")
    box.say("a", voice="ada")
    finish(box, *box.tick_and_launch())
    box.store.delete("scripts/a.txt")
    assert box.tick() == []
    assert box.ledger.scripts(["a"])["a"].retired
    assert box.ledger.narrations() == ["a"], "the partition stays"
    assert observed(box, "a") == ["retired: its script was removed", "in the in-box"]
    assert box.tick() == [] and len(observed(box, "a")) == 2, "told once"

    box.put("a.txt", "Text.")
    assert box.tick() == [], "the version that was narrated"
    assert not box.ledger.scripts(["a"])["a"].retired
    assert observed(box, "a")[0] == "in the in-box"
    box.store.delete("scripts/a.txt")
    box.tick()
    box.put("a.txt", "Another text.")
    assert names_of(box.tick()) == [["a"]]


def test_a_script_that_becomes_one_of_another_kind_is_not_retired(box):
    box.put("a.txt", "Text.")
    finish(box, *box.tick_and_launch())
    box.store.delete("scripts/a.txt")
    box.put("a.md", "Other text.")
    assert names_of(box.tick()) == [["a"]]
    assert not box.ledger.scripts(["a"])["a"].retired


def test_damaged_options_stop_no_other_and_are_narrated_to_be_told(box):
    box.put("a.txt")
    box.put("a.options.json", '{"voice": ')
    box.put("b.txt")
    assert names_of(box.tick()) == [["a", "b"]]
    assert box.ledger.scripts(["a"])["a"].version == script_version(box.store, "a")


def test_a_folder_that_is_not_there_yet_is_empty(box):
    assert box.look().skip_reason.skip_message == "There is nothing new."


@pytest.mark.parametrize("page", [2, 3, 4, 7])
def test_pages_are_looked_at_one_a_tick_and_come_round(box, monkeypatch, page):
    monkeypatch.setattr(inbox_module, "PAGE_SIZE", page)
    names = ["a", "a-b", "a_b", "b", "c", "d"]  # "a-b.txt" comes before "a.txt", "a_b.txt" behind it
    for name in names:
        box.put(f"{name}.md", f"The text of {name}.")
    box.say("c", voice="ada")
    for _ in range(8):
        box.look()
    assert set(box.ledger.scripts(names)) == set(names)
    assert not any(seen.retired for seen in box.ledger.scripts(names).values())
    versions = {name: seen.version for name, seen in box.ledger.scripts(names).items()}
    assert versions == {name: script_version(box.store, name) for name in names}

    box.store.delete("scripts/a-b.md")
    box.store.delete("scripts/c.options.json")
    box.say("d", voice="ben")
    box.store.delete("scripts/b.md")
    box.put("b.txt", "Another kind.")
    for _ in range(8):
        box.look()
    seen = box.ledger.scripts(names)
    assert [name for name in names if seen[name].retired] == ["a-b"]
    for name in set(names) - {"a-b"}:
        assert seen[name].version == script_version(box.store, name), name
    assert [len(observed(box, name)) for name in names] == [1, 2, 1, 2, 2, 2], "each state was told once"


def test_more_news_than_a_tick_has_time_for_wait_for_the_next(box, monkeypatch):
    monkeypatch.setattr(inbox_module, "MAX_SCRIPTS_READ", 4)
    names = [f"n{number}" for number in range(10)]
    for name in names:
        box.put(f"{name}.txt", name)
    counts = []
    for _ in range(4):
        box.look()
        counts.append(len(box.ledger.scripts(names)))
    assert counts == [4, 8, 10, 10]


def test_a_cursor_that_is_lost_or_damaged_costs_a_look_and_no_more(box, monkeypatch):
    monkeypatch.setattr(inbox_module, "PAGE_SIZE", 3)
    for name in "abcdef":
        box.put(f"{name}.txt", name)
    runs = [run for _ in range(3) for run in box.tick_and_launch()]
    finish(box, *runs)
    box.cursor = None
    for _ in range(4):
        finish(box, *box.tick_and_launch())
    done = {name: one.attempts for name, one in box.ledger.outcomes(list("abcdef")).items()}
    assert done == dict.fromkeys("abcdef", 1)


def test_a_tick_that_was_interrupted_is_made_up_for(box):
    box.put("a.txt")
    first = box.look(keep_cursor=False)
    assert names_of(list(first.run_requests or [])) == [["a"]]
    second = list(box.look(keep_cursor=False).run_requests or [])
    assert names_of(second) == [["a"]], "no run was made of it"
    box.launch(second[0])
    assert not box.look(keep_cursor=False).run_requests, "a run was made of it"
    assert len(observed(box, "a")) == 1


def test_a_store_that_is_down_fails_the_tick_and_retires_nothing(box, monkeypatch):
    box.put("a.txt")
    box.look()
    cursor = box.cursor

    def down(*_, **__):
        raise RetryableStoreError("the bucket does not answer")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(box.store, "list", down)
        with pytest.raises(StoreError):
            box.look()
    assert box.cursor == cursor
    assert not box.ledger.scripts(["a"])["a"].retired


def test_a_bucket_costs_one_listing_a_folder_and_nothing_where_nothing_changed(
    here,
    instance,
    moto_server,
    tmp_path,
    monkeypatch,
):
    bucket = moto_server.make_bucket(f"inbox-{tmp_path.name[-40:].replace('_', '-').strip('-')}")
    access = Access(moto_server.key_id, moto_server.key, moto_server.endpoint, moto_server.region)
    box = Inbox(instance, connect(f"s3://{bucket}/studio", access, state=tmp_path / "uploads"))
    monkeypatch.setattr(inbox_module, "PAGE_SIZE", 4)
    for name in "abcdefghi":
        box.put(f"{name}.txt", f"Text of {name}.")
    runs = [run for _ in range(4) for run in box.tick_and_launch()]
    finish(box, *runs)
    finish(box, *box.tick_and_launch())
    assert set(box.ledger.outcomes(list("abcdefghi"))) == set("abcdefghi"), "what was just put there is whole"

    for _ in range(4):
        before = box.store.calls.by_operation
        assert box.tick() == []
        now = box.store.calls.by_operation
        spent = {name: times - before.get(name, 0) for name, times in now.items() if times != before.get(name, 0)}
        assert spent == {"ListObjectsV2": 2}
    box.put("e.txt", "Text of e.")
    box.put("f.txt", "Another text of f.")
    box.store.delete("scripts/g.txt")
    asked = [names for _ in range(4) for names in names_of(box.tick())]
    assert {name for names in asked for name in names} == {"f"}
    assert box.ledger.scripts(["g"])["g"].retired


def test_while_as_many_batches_are_at_work_as_there_are_gpus_the_rest_gathers(box):
    box.instance.event_log_storage.set_concurrency_slots("gpu", 2)
    text = "Words. " * 850  # about seven minutes
    for name in ("a", "b", "c", "d"):
        box.put(f"{name}.txt", text)
    runs = box.tick_and_launch()
    assert [len(narrations_of(run)) for run in runs] == [2, 2]
    for name in ("e", "f"):
        box.put(f"{name}.txt", text)
    assert box.tick() == [] and box.tick() == []
    reason = box.look().skip_reason.skip_message
    assert reason == "2 narrations wait for the next batch: as many are at work as there are GPUs."
    assert set(box.ledger.scripts("ef")) == {"e", "f"}, "seen, and waiting"
    finish(box, runs[0])
    assert [sorted(names) for names in names_of(box.tick())] == [["e", "f"]], (
        "all that waits, in the place that is free"
    )


def begun(box, run: dg.DagsterRun, *steps: str) -> None:
    for step in steps:
        event = dg.DagsterEvent(event_type_value="STEP_START", job_name=run.job_name, step_key=step)
        box.instance.report_dagster_event(event, run.run_id)


def test_a_batch_that_delivers_holds_no_gpu_back(box):
    names = iter("abcdef")

    def next_batch() -> list[list[str]]:
        box.put(f"{next(names)}.txt")
        return names_of(box.tick())

    box.put(f"{next(names)}.txt")
    (first,) = box.tick_and_launch()
    begun(box, first, "plan_batch", "draft_shard[000]", "gather_shards")
    assert next_batch() == [], "drafts need the processors, as delivery does"
    begun(box, first, "synthesize_shard[000]")
    (second,) = box.tick_and_launch()
    begun(box, second, "plan_batch", "synthesize_shard[000]")
    assert next_batch() == [], "it speaks"
    begun(box, second, "gather_shards")
    assert next_batch() == [], "as many deliver as there are GPUs"
    finish(box, first)
    assert len(box.tick()) == 1
    box.instance.event_log_storage.set_concurrency_slots("gpu", 2)
    assert free_batches(box.instance) == 2, "nobody speaks"


def test_what_is_urgent_is_launched_at_once_before_what_waits(box):
    box.put("a.txt")
    box.tick_and_launch()
    box.put("b.txt")
    box.put("c.txt")
    box.say("c", priority=1)
    (run,) = box.tick_and_launch()
    assert narrations_of(run) == ["c"] and run.tags["f5/batch"] == "in-box, urgent"
    assert int(run.tags["dagster/priority"]) == 0
    assert box.tick() == []


def test_at_night_and_off_launch_nothing(box, monkeypatch):
    monkeypatch.setenv("F5_INBOX", "night")
    get_settings.cache_clear()
    box.put("a.txt")
    assert box.tick() == []
    assert box.ledger.narrations() == ["a"], "but it is seen"


def test_over_many_ticks_each_script_is_in_one_run(box):
    launched: list[str] = []
    running: list[dg.DagsterRun] = []
    for wave in range(4):
        for number in range(5):
            box.put(f"w{wave}-{number}.txt", f"Wave {wave}, number {number}.")
        running += (made := box.tick_and_launch())
        launched += [name for run in made for name in narrations_of(run)]
        if wave % 2:
            finish(box, *running)
            running.clear()
        running += (made := box.tick_and_launch())
        launched += [name for run in made for name in narrations_of(run)]
    finish(box, *running)
    launched += [name for run in box.tick_and_launch() for name in narrations_of(run)]
    assert sorted(launched) == sorted(f"w{wave}-{number}" for wave in range(4) for number in range(5))


def drop_voice(box: Inbox, name: str = "ada", *, age: float = 60) -> None:
    box.put(f"voices/{name}.flac", (EXAMPLES / "voices" / "ada.flac").read_bytes(), age=age)
    box.put(f"voices/{name}.txt", (EXAMPLES / "voices" / "ada.txt").read_bytes(), age=age)


def jobs_of(requests: list[dg.RunRequest]) -> list[str | None]:
    return [one.job_name for one in requests]


def test_a_recording_with_its_transcript_is_taken_in_once_for_each_state(box):
    drop_voice(box)
    (request,) = box.tick()
    assert request.job_name == "take_in_voice"
    assert request.run_config["ops"]["take_in"]["config"] == {
        "name": "ada",
        "recording": "voices/ada.flac",
        "transcript": "voices/ada.txt",
    }
    (again,) = box.tick()
    assert again.run_key == request.run_key, "no run was made of it"
    box.launch(again)
    assert box.tick() == []
    box.put("voices/ada.txt", "another transcript")
    (changed,) = box.tick()
    assert changed.run_key != request.run_key


def test_a_recording_that_is_being_copied_is_left_for_the_next_tick(box, monkeypatch):
    monkeypatch.setattr(inbox_module, "SETTLED_SECONDS", 600.0)
    drop_voice(box)
    assert box.tick() == []
    drop_voice(box, age=1000)
    assert jobs_of(box.tick()) == ["take_in_voice"]


def test_what_cannot_be_a_voice_is_told_with_the_mend(box):
    box.put("voices/ada.flac", b"audio")
    box.put("voices/ben.txt", "text")
    drop_voice(box, "Cyd Ö")
    box.put("voices/two.wav", b"audio")
    box.put("voices/two.mp3", b"audio")
    box.put("voices/two.txt", b"text")
    cursor = inbox_module.Cursor()
    changes = inbox_module.find_voice_changes(
        box.store, box.ledger, inbox_module.next_page(box.store, "voices/", cursor), time.time()
    )
    assert changes.dropped == {}
    told = "\n".join(changes.problems)
    assert "voices/ada: 0 transcripts" in told and "voices/ben: 0 recordings" in told
    assert "call it cyd-o" in told and "voices/two: 2 recordings" in told
    assert box.tick() == []


def test_pages_of_voices_keep_recording_and_transcript_together(box, monkeypatch):
    monkeypatch.setattr(inbox_module, "PAGE_SIZE", 3)
    for name in ("ada", "ben", "cyd"):
        drop_voice(box, name)
    names = set()
    for _ in range(4):
        names |= {request.run_config["ops"]["take_in"]["config"]["name"] for request in box.tick()}
    assert names == {"ada", "ben", "cyd"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A store that holds the voice ada with its reference."""
    root = tmp_path_factory.mktemp("prepared") / "studio"
    store = connect(f"file:{root}")
    add_voice(store, "ada", EXAMPLES / "voices" / "ada.flac")
    write_record(store, layout.reference("ada"), make_reference(store, "ada")[0])
    return root


def bring(box: Inbox, prepared: Path, *, reference: bool) -> None:
    """A voice that another machine has added to the same store."""
    for one in connect(f"file:{prepared}").list("voices/"):
        if reference or "reference" not in one.key:
            box.store.put_bytes(one.key, (prepared / one.key).read_bytes())


def test_a_voice_of_another_machine_is_told_and_prepared_once(box, prepared):
    bring(box, prepared, reference=False)
    (request,) = box.tick()
    assert (request.job_name, request.partition_key) == ("prepare_voice", "ada")
    assert box.instance.get_dynamic_partitions("voices") == ["ada"]
    (again,) = box.tick()
    assert again.run_key == request.run_key, "no run was made of it"
    box.launch(again)
    assert box.tick() == []
    observations = box.instance.fetch_observations(dg.AssetKey("voice_recording"), limit=5).records
    assert len(observations) == 1

    voice = read_record(box.store, layout.voice("ada"), Voice)
    write_record(box.store, layout.voice("ada"), voice.model_copy(update={"language": "en-GB"}))
    (changed,) = box.tick()
    assert changed.job_name == "prepare_voice" and changed.run_key != request.run_key
    assert len(box.instance.fetch_observations(dg.AssetKey("voice_recording"), limit=5).records) == 2


def test_a_voice_that_has_its_reference_is_told_alone(box, prepared):
    bring(box, prepared, reference=True)
    assert box.tick() == []
    assert box.instance.get_dynamic_partitions("voices") == ["ada"]


def test_a_damaged_voice_stops_neither_the_others_nor_the_scripts(box, prepared):
    bring(box, prepared, reference=False)
    box.put("voices/bad/voice.json", "{")
    box.put("voices/Bad Name/voice.json", (prepared / layout.voice("ada")).read_bytes())
    box.put("voices/copied/voice.json", (prepared / layout.voice("ada")).read_bytes())
    box.put("voices/ada/reference.json", "{")
    box.put("a.txt")
    assert sorted(map(str, jobs_of(box.tick()))) == ["narrate_batch", "prepare_voice"]
    assert box.instance.get_dynamic_partitions("voices") == ["ada"]


def test_the_sensor_as_the_daemon_finds_it():
    from f5_pipeline.orchestration.launching.inbox import inbox

    assert inbox.default_status == dg.DefaultSensorStatus.RUNNING
    assert {job.name for job in inbox.jobs} == {"narrate_batch", "take_in_voice", "prepare_voice"}
    json.loads(inbox_module.Cursor().model_dump_json())

# ruff: noqa: F811  (fixtures are imported)
"""What people hand in: a script in the Launchpad, a voice in a folder; checked before it is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from f5_pipeline.orchestration.launching.submissions import submit_script, take_in_voice
from f5_pipeline.orchestration.ledger import BATCH_JOB
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.store.connect import connect
from f5_pipeline.studio.narrating.scripts import load_script, read_options
from f5_pipeline.studio.voices import add_voice, find_voice
from f5_pipeline_tests.support.installation import EXAMPLES
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.ticks import Inbox, box, instance  # noqa: F401

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ada(tmp_path_factory) -> Path:
    """A store with the voice ada."""
    root = tmp_path_factory.mktemp("ada") / "studio"
    add_voice(connect(f"file:{root}"), "ada", EXAMPLES / "voices" / "ada.flac")
    return root


@pytest.fixture
def studio(box: Inbox, ada: Path) -> Inbox:
    shutil.copytree(ada, Path(box.store.url.removeprefix("file:")))
    return box


def execute(box: Inbox, job: dg.JobDefinition, op: str, config: dict[str, Any]) -> dg.ExecuteInProcessResult:
    return job.execute_in_process(
        run_config={"ops": {op: {"config": config}}},
        instance=box.instance,
        resources={"store": StoreResource(url=box.store.url)},
        raise_on_error=False,
    )


def submit(box: Inbox, **config: Any) -> dg.ExecuteInProcessResult:
    return execute(box, submit_script, "submit", {"text": "Some words.", "title": "A Story", "voice": "ada"} | config)


def why(result: dg.ExecuteInProcessResult) -> str:
    """Why the one step failed; it was not tried again."""
    assert not result.success
    assert not [event for event in result.all_events if event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY]
    (event,) = result.get_step_failure_events()
    return str(some(event.step_failure_data.user_failure_data).description)


def test_a_submission_becomes_a_narration(studio):
    made = submit(
        studio,
        text="The first words.\n\n[ada] And more.",
        title="Größe: a “Story”",
        language="en-GB",
        engine="draft",
        preset="fast",
        priority=3,
    )
    assert made.success
    (output,) = made.events_for_node("submit")[1:2] or [None]
    assert output is not None
    loaded = load_script(studio.store, "grosse-a-story")
    assert loaded.script.title == "Größe: a “Story”"
    assert loaded.script.language == "en-gb" and loaded.script.voices == ["ada"]
    assert [passage.text for passage in loaded.script.passages] == ["The first words.", "And more."]
    options = read_options(studio.store, "grosse-a-story")
    assert options.model_dump(exclude_defaults=True) == {
        "voice": "ada",
        "language": "en-GB",
        "engine": "draft",
        "preset": "fast",
        "priority": 3,
    }
    (request,) = [one for one in ticks(studio) if one.job_name == BATCH_JOB]
    assert request.run_config["ops"]["plan_batch"]["config"]["narrations"] == ["grosse-a-story"]
    assert request.tags["f5/batch"] == "in-box, urgent"


def ticks(box: Inbox) -> list[dg.RunRequest]:
    """The in-box a little later: what was just written may still be changing."""
    for one in list(box.store.list("scripts/")):
        box.put(one.key, box.store.get_bytes(one.key))
    return box.tick()


def test_text_with_front_matter_of_its_own_keeps_it(studio):
    text = "---\ntitle: Its own title\nauthor: Somebody\n---\nWords."
    assert submit(studio, text=text, name="mine").success
    assert studio.store.get_bytes("scripts/mine.md").decode() == text
    assert load_script(studio.store, "mine").script.title == "Its own title"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"text": ""}, "there is no text"),
        ({"text": " \n\n"}, "there is no text"),
        ({"title": " "}, "there is no title"),
        ({"title": "🎉"}, "cannot name a narration"),
        ({"name": "My Story"}, "'My Story' cannot name a narration"),
        ({"name": "../x"}, "Call it 'x'"),
        ({"language": "not a language"}, "language"),
        ({"priority": 10}, "priority 10 is out of bounds. Use -9 to 9"),
        ({"priority": -10}, "priority -10 is out of bounds"),
        ({"text": "---\nspeed: fast\n---\nWords."}, "speed"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_told_at_once_and_nothing_is_kept(studio, config, told):
    assert told in why(submit(studio, **config))
    assert list(studio.store.list("scripts/")) == []


def test_an_unknown_voice_is_told_with_those_there_are(studio):
    told = why(submit(studio, voice="adda"))
    assert "adda" in told and "ada" in told
    assert list(studio.store.list("scripts/")) == []


@pytest.mark.parametrize("voice", ["", " ", None])
def test_a_submission_without_a_voice_is_told_where_to_write_it(studio, voice):
    add_voice(studio.store, "ben", EXAMPLES / "voices" / "ben.ogg")
    told = why(submit(studio, text="One line.\n\nAnd more.", voice=voice))
    assert "`voice:` in the configuration" in told and "text" in told and "--voice" not in told
    assert "/tmp" not in told, "the file that the text passes through is nobody's business"


def test_a_place_in_the_text_is_a_line_of_the_text(studio):
    told = why(submit(studio, text="One line.\n\n[adda] And more."))
    assert "text, line 3" in told or "text:3" in told


def test_a_field_that_is_none_is_refused_by_dagster(studio):
    with pytest.raises(dg.DagsterInvalidConfigError):
        submit(studio, engine="festival")


def test_a_narration_that_exists_is_replaced_only_where_that_is_said(studio):
    assert submit(studio, text="The first.").success
    assert "there is a narration 'a-story' already" in why(submit(studio, text="The second."))
    assert b"The first." in studio.store.get_bytes("scripts/a-story.md")
    assert submit(studio, text="The second.", replace=True).success
    assert b"The second." in studio.store.get_bytes("scripts/a-story.md")


def test_one_of_another_kind_is_not_replaced(studio):
    studio.put("a-story.txt", "Words.")
    assert "from another kind of script (.txt)" in why(submit(studio, replace=True))
    assert not studio.store.exists("scripts/a-story.md")


@pytest.mark.parametrize(("job", "op"), [(submit_script, "submit"), (take_in_voice, "take_in")])
def test_every_field_of_the_launchpad_is_described(job, op):
    fields = job.get_node_named(op).definition.config_schema.config_type.fields
    assert fields and all(field.description for field in fields.values())


def test_an_untouched_launchpad_is_refused_with_the_mend(studio):
    result = submit_script.execute_in_process(
        instance=studio.instance, resources={"store": StoreResource(url=studio.store.url)}, raise_on_error=False
    )
    assert "there is no t" in why(result)


def take_in(box: Inbox, name: str, transcript: str | bytes) -> dg.ExecuteInProcessResult:
    """Drop a recording of the examples, and do what the in-box asks for."""
    box.put(f"voices/{name}.ogg", (EXAMPLES / "voices" / "ben.ogg").read_bytes())
    box.put(f"voices/{name}.srt", transcript)
    (request,) = [one for one in box.tick() if one.job_name == "take_in_voice"]
    return execute(box, take_in_voice, "take_in", request.run_config["ops"]["take_in"]["config"])


def test_a_recording_that_is_dropped_becomes_a_voice(box):
    assert take_in(box, "cyd", (EXAMPLES / "voices" / "ben.srt").read_bytes()).success
    voice = find_voice(box.store, "cyd")
    assert voice and voice.recording.name == "cyd.ogg" and voice.transcript and voice.transcript.name == "cyd.srt"
    assert box.store.exists(voice.recording.key) and box.store.exists(voice.transcript.key)
    assert box.instance.get_dynamic_partitions("voices") == ["cyd"]
    assert [one.job_name for one in box.tick() if one.partition_key == "cyd"] == ["prepare_voice"]


@pytest.mark.parametrize(
    ("transcript", "told"),
    [("This is no SRT file.", "no time line of the form"), ("", "the transcript is empty")],
)
def test_a_transcript_that_cannot_be_used_is_told_and_nothing_is_kept(box, transcript, told):
    reason = why(take_in(box, "cyd", transcript))
    assert told in reason and "cyd.srt" in reason
    assert find_voice(box.store, "cyd") is None
    assert [one.key for one in box.store.list("voices/")] == ["voices/cyd.ogg", "voices/cyd.srt"]
    assert box.instance.get_dynamic_partitions("voices") == []

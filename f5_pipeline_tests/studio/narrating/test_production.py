"""From takes to what is delivered, and whether its timings hold."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from f5_pipeline.errors import InputError, StoreError
from f5_pipeline.gateway.deliveries import Deliveries
from f5_pipeline.orchestration.assets.narration_audio import _judged
from f5_pipeline.settings import get_settings
from f5_pipeline.speech.audio.cover import drawn_cover
from f5_pipeline.speech.timeline import TimedWord
from f5_pipeline.store import layout
from f5_pipeline.store.records import put_lines, read_lines
from f5_pipeline.studio.links.making import read_manifest
from f5_pipeline.studio.narrating.production import assembly_settings, make_audio, make_timings, revision_of
from f5_pipeline.studio.narrating.timing_check import check_timings
from f5_pipeline.studio.narrating.waveforms import read_waveform
from f5_pipeline.studio.records import PlannedChunk
from f5_pipeline_tests.support.ffmpeg import chapters_of
from f5_pipeline_tests.support.small_studio import levels
from f5_pipeline_tests.support.some import some

TEXT = "# One\n\nThe first sentence is here. A second one follows.\n\n# Two\n\nThe end.\n"


def story(**header) -> str:
    return f"---\n{json.dumps({'title': 'Story', **header})}\n---\n{TEXT}"


def content(studio) -> dict[str, tuple[int, float]]:
    """Everything that is delivered, and when it was written."""
    return {one.key: (one.size, one.modified) for one in studio.store.list("narrations/")}


def test_made_again_nothing_changes(studio):
    plan = studio.plan(story(), "story.md")
    takes, audio, timings = studio.produce(plan)
    before = content(studio)
    assert make_audio(studio.store, plan, takes, **levels()) == audio
    assert make_timings(studio.store, audio) == timings
    assert content(studio) == before


def test_the_waveform_is_kept_and_made_again_where_it_is_not(studio):
    plan = studio.plan(story(), "story.md")
    _, audio, _ = studio.produce(plan)
    key = layout.waveform("story", audio.revision)
    kept = studio.store.get_bytes(key)
    assert some(read_waveform(studio.store, audio)).seconds == audio.seconds
    for change in (lambda: studio.store.delete(key), lambda: studio.store.put_bytes(key, b"1")):
        change()
        read_waveform(studio.store, audio)
        assert studio.store.get_bytes(key) == kept


def test_pauses_of_the_script_are_heard_and_counted(studio):
    plain = studio.plan("I wait for you here. Then we go on.\n\nIt ends so.", "plain.txt")
    text = "[pause 2s]\n\nI wait for you here. [pause 3s] Then we go on.\n\nIt ends so. [pause 4s]"
    plan = studio.plan(text, "paused.txt")
    assert plan.expected_seconds == pytest.approx(plain.expected_seconds + 2 + (3 - 0.35) + 4, abs=0.2)
    _, audio, _ = studio.produce(plan)
    words = list(read_lines(studio.store, audio.timeline_key, TimedWord))
    speech = {word.text: word for word in words}
    assert words[0].start == pytest.approx(2, abs=0.05)
    assert speech["Then"].start - speech["here."].end == pytest.approx(3, abs=0.2)
    assert speech["here."].paragraph == speech["Then"].paragraph and speech["here."].space == " "
    assert audio.seconds - words[-1].end == pytest.approx(4, abs=0.2)


def test_two_fresh_stores_deliver_the_same_bytes(studio, make_studio):
    other = make_studio()
    (_, first, timed), (_, second, also) = (one.produce(one.plan(story(), "story.md")) for one in (studio, other))
    assert first.revision == second.revision
    assert [(file.name, file.sha256) for file in (*first.files, *timed.files)] == [
        (file.name, file.sha256) for file in (*second.files, *also.files)
    ]
    assert studio.store.get_bytes(first.timeline_key) == other.store.get_bytes(second.timeline_key)


def test_the_manifest_names_every_input_and_every_file_by_hash(studio):
    plan = studio.plan(story(), "story.md")
    takes, audio, timings = studio.produce(plan)
    manifest = read_manifest(studio.store, "story", audio.revision)
    assert manifest.audio.plan == plan and manifest.audio.takes == takes.digest
    script = studio.store.get_bytes(plan.script.key)
    assert manifest.audio.plan.script.sha256 == sha256(script).hexdigest()
    assert manifest.audio.plan.references["ada"] and manifest.audio.plan.weights.sha256
    assert [file.name for file in manifest.files] == [file.name for file in (*audio.files, *timings.files)]
    for file in manifest.files:
        data = studio.store.get_bytes(file.key)
        assert (len(data), sha256(data).hexdigest()) == (file.size, file.sha256)
    assert {file.name for file in Deliveries(studio.store).files_of("story", audio.revision)} == {
        file.name for file in manifest.files
    }
    facts = Deliveries(studio.store).page_facts("story", audio.revision)
    assert facts.title == "Story" and [chapter.title for chapter in facts.chapters] == ["One", "Two"]


def test_a_lost_file_is_made_again_with_the_same_content(studio):
    plan = studio.plan(story(), "story.md")
    takes, audio, timings = studio.produce(plan)
    whole = studio.store.get_bytes(audio.files[0].key)
    studio.store.delete(audio.files[0].key)
    studio.store.delete(timings.files[0].key)
    assert make_audio(studio.store, plan, takes, **levels()) == audio
    assert studio.store.get_bytes(audio.files[0].key) == whole
    assert make_timings(studio.store, audio) == timings
    assert studio.store.exists(timings.files[0].key)


def test_a_file_that_rotted_at_its_size_is_made_again(studio):
    plan = studio.plan(story(), "story.md")
    takes, audio, timings = studio.produce(plan)
    whole = {file.key: studio.store.get_bytes(file.key) for file in (*audio.files, *timings.files)}
    for key, data in whole.items():
        studio.store.put_bytes(key, data[:-9] + b"rot" + data[-6:])
    assert make_audio(studio.store, plan, takes, **levels()) == audio
    assert make_timings(studio.store, audio) == timings
    assert {key: studio.store.get_bytes(key) for key in whole} == whole


def test_a_revision_without_a_choice_of_captions_stays(studio, monkeypatch):
    """What is usual is no part of the plan, by whatever way it is asked for; another choice makes another revision."""
    plain = studio.plan(story(), "story.md")
    asked = [
        studio.plan(story(captions={"formats": ["vtt", "srt"], "words_per_cue": 0, "speakers": False}), "story.md"),
        studio.plan(story(), "story.md", captions="srt vtt csv"),
    ]
    assert {plan.digest for plan in asked} == {plain.digest}
    assert set(plain.captions.model_dump()) == {"max_lines", "max_chars", "max_seconds", "min_seconds"}

    _, audio, timings = studio.produce(studio.plan(story(), "story.md", captions="ass", words_per_cue=2))
    assert audio.plan.digest != plain.digest
    assert [file.name for file in timings.files] == ["story.words.csv", "story.words.json", "story.ass"]
    monkeypatch.setenv("F5_CAPTIONS", "ass")
    monkeypatch.setenv("F5_WORDS_PER_CUE", "2")
    get_settings.cache_clear()
    fresh = {"captions": "", "words_per_cue": None}
    assert studio.plan(story(), "story.md", **fresh).digest == audio.plan.digest
    own = story(captions={"formats": ["srt", "vtt"], "words_per_cue": 0})
    assert studio.plan(own, "story.md", **fresh).digest == plain.digest


def test_a_format_that_needs_a_package_says_so(studio, monkeypatch):
    monkeypatch.setattr("f5_pipeline.speech.captions.formats.find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs the package pyarrow") as told:
        studio.plan(story(captions={"formats": "parquet"}), "story.md")
    assert told.value.hint and "f5-pipeline[tables]" in told.value.hint


def test_a_manifest_without_later_fields_opens(studio):
    """As it was written before captions could be chosen."""
    _, audio, _ = studio.produce(studio.plan(story(), "story.md"))
    key = layout.manifest("story", audio.revision)
    written = json.loads(studio.store.get_bytes(key))
    for later in ("captions", "words_per_cue"):
        del written["audio"]["plan"]["options"][later]
    studio.store.put_bytes(key, json.dumps(written).encode())
    assert read_manifest(studio.store, "story", audio.revision).audio.plan.captions == audio.plan.captions


def test_a_lost_timeline_is_made_again(studio):
    plan = studio.plan(story(), "story.md")
    takes, audio, timings = studio.produce(plan)
    studio.store.delete(audio.timeline_key)
    studio.store.delete(timings.files[0].key)
    assert make_timings(studio.store, make_audio(studio.store, plan, takes, **levels())) == timings


def test_the_manifest_has_the_files_that_another_encoder_made_again(studio):
    plan = studio.plan(story(), "story.md")
    _, audio, _ = studio.produce(plan)
    again = audio.model_copy(update={"files": [audio.files[0].model_copy(update={"sha256": "0" * 64}), audio.files[1]]})
    make_timings(studio.store, again)
    assert read_manifest(studio.store, "story", audio.revision).audio == again


def test_a_lost_or_damaged_take_is_told_with_its_mend(studio):
    plan = studio.plan(story(), "story.md")
    takes = studio.takes(plan)
    key = next(read_lines(studio.store, plan.chunks_key, PlannedChunk)).key
    whole = studio.store.get_bytes(layout.take_audio(key))
    for damaged in (whole[:-100], whole[:-10] + bytes(10), b"", None):
        if damaged is None:
            studio.store.delete(layout.take_audio(key))
        else:
            studio.store.put_bytes(layout.take_audio(key), damaged)
        with pytest.raises(StoreError) as told:
            make_audio(studio.store, plan, takes, **levels())
        assert layout.take_audio(key) in str(told.value) and told.value.hint
        revision = revision_of(plan, takes, assembly_settings(plan, **levels()))
        assert not list(studio.store.list(f"narrations/story/{revision}/")), "nothing is delivered of it"
    studio.store.put_bytes(layout.take_audio(key), whole)
    make_audio(studio.store, plan, takes, **levels())


def test_a_revision_changes_with_what_is_delivered_and_with_nothing_else(studio, monkeypatch):
    def revision(**header) -> str:
        plan = studio.plan(story(**header), "story.md")
        return revision_of(plan, studio.takes(plan), assembly_settings(plan, **levels()))

    plain = revision()
    assert revision() == plain
    others = [
        revision(pauses={"sentence": 1.0}),
        revision(captions={"max_chars": 30}),
        revision(title="Another"),
        revision(author="Somebody"),
        revision(formats=["flac"]),
        revision(speed=0.9),
    ]
    for name, value in (("F5_LOUDNESS", "-16"), ("F5_PEAK", "-2")):
        monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        others.append(revision())
    assert len({plain, *others}) == 1 + len(others)
    for name, value in (("F5_WORKERS", "1"), ("F5_SHARDS", "2"), ("F5_PORT", "4000"), ("F5_LINK_SECONDS", "60")):
        monkeypatch.delenv("F5_LOUDNESS", raising=False)
        monkeypatch.delenv("F5_PEAK", raising=False)
        monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        assert revision() == plain, f"{name} changes nothing that is heard"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("he", 'הבית היה שקט בבוקר. אמא אמרה: "בוקר טוב", וחייכה.\n\nבשנת 2024 קנה דוד 3 ספרים.'),
        ("hi", "सुबह घर शांत था। माँ ने कहा, “नमस्ते”।"),
        ("ja", "朝、家は静かでした。母は「おはよう」と言いました。"),
        ("ru", "Утром в доме было тихо. В 2024 году Анна купила 3 книги за 5,20 евро."),
    ],
)
def test_timings_hold_in_other_writings(studio, language, text):
    plan = studio.plan(text, language=language)
    _, audio, timings = studio.produce(plan)
    check = check_timings(studio.store, plan, audio)
    assert check.fault is None
    assert check.words == plan.words == timings.words > 5
    # espeak tells where a Japanese phrase begins; its characters divide its time, and say so.
    assert set(check.methods) == ({"engine", "interpolated"} if language == "ja" else {"engine"})


def tampered(studio, audio, change):
    words = list(read_lines(studio.store, audio.timeline_key, TimedWord))
    change(words)
    key, _ = put_lines(studio.store, lambda digest: f"narrations/story/tampered/{digest}.jsonl", words)
    return audio.model_copy(update={"timeline_key": key})


def swap(words):
    words[2].text, words[3].text = words[3].text, words[2].text


def overlap(words):
    words[2].start = words[1].end - 0.1


def backwards(words):
    words[2].end = words[2].start


def beyond(words):
    words[-1].end += 60


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (swap, "word 3 is 'sentence' in the script and 'is' in the timings"),
        (overlap, "word 3, 'sentence', is heard from"),
        (backwards, "word 3, 'sentence', is heard from"),
        (beyond, "is heard from"),
        (lambda words: words.pop(2), "word 3 is 'sentence' in the script and 'is' in the timings"),
        (lambda words: words.pop(), "and None in the timings"),
        (lambda words: words.append(words[-1]), "is None in the script"),
    ],
)
def test_a_fault_in_the_timings_is_found(studio, change, told):
    plan = studio.plan("The first sentence is here. A second one follows.")
    _, audio, _ = studio.produce(plan)
    assert check_timings(studio.store, plan, audio).fault is None
    fault = check_timings(studio.store, plan, tampered(studio, audio, change)).fault
    assert fault is not None and told in fault


def test_files_by_chapter_with_a_cover_and_a_master(studio):
    (studio.store.root.parent / "cover.png").write_bytes(drawn_cover("Given", None))
    header = {"formats": ["flac", "mp3", "m4b"], "master": "acx", "cover": "cover.png", "description": "D"}
    plan = studio.plan(story(**header), "story.md")
    _, audio, _ = studio.produce(plan)
    assert [(file.name, file.chapter) for file in audio.files] == [
        ("story.flac", None),
        ("story.m4b", None),
        ("story-01-one.mp3", 1),
        ("story-02-two.mp3", 2),
        ("story.cover.jpg", None),
    ]
    assert plan.cover_key and studio.store.get_bytes(audio.files[-1].key) == drawn_cover("Given", None)
    judged = _judged(audio)
    assert {name for name, _ in judged} == {file.name for file in audio.files[:-1]}
    failed = [(name, line.what) for name, line in judged if not line.passed]
    assert failed == [("story-02-two.mp3", "RMS")], "two words, and more silence than speech"
    with studio.store.fetch(audio.files[0].key) as path:
        assert [title for title, _ in chapters_of(path)] == ["One", "Two"]


def test_a_cover_that_is_not_there_is_told_with_its_line(studio):
    with pytest.raises(InputError, match=r"none\.jpg") as caught:
        studio.plan(f"---\ntitle: A\ncover: none.jpg\n---\n{TEXT}", "story.md")
    assert "story.md" in str(caught.value)
    assert not studio.store.exists(layout.script("story", ".md"))


def test_a_format_without_its_program_is_refused_with_its_line(studio, monkeypatch):
    monkeypatch.setattr("f5_pipeline.studio.narrating.delivery.find_ffmpeg", lambda: None)
    with pytest.raises(InputError, match="m4b files are made by ffmpeg") as caught:
        studio.plan(f"---\ntitle: A\nformats: [m4b]\n---\n{TEXT}", "story.md")
    assert caught.value.place == 3 and "f5-pipeline[media]" in str(caught.value)


def test_what_is_delivered_decides_the_revision_and_no_take(studio):
    plans = [studio.plan(story(**header), "story.md") for header in ({}, {"master": "ebu"}, {"chapter_files": True})]
    assert len({plan.digest for plan in plans}) == 1
    takes = studio.takes(plans[0])
    settings = assembly_settings(plans[0], **levels())
    assert len({revision_of(plan, takes, settings) for plan in plans}) == 3

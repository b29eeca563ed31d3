"""Voices in the store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import soundfile

from f5_pipeline.errors import InputError, StoreError
from f5_pipeline.store import layout
from f5_pipeline.store.local import LocalStore
from f5_pipeline.store.records import read_record, write_record
from f5_pipeline.studio.narrating.engines import references_of
from f5_pipeline.studio.records import ReferenceClip, Tuning, Voice
from f5_pipeline.studio.voices import (
    add_voice,
    find_reference,
    find_voice,
    is_current,
    list_voices,
    make_reference,
    needs_reference,
)
from f5_pipeline_tests.support.installation import EXAMPLES
from f5_pipeline_tests.support.some import some

ADA, BEN = EXAMPLES / "voices" / "ada.flac", EXAMPLES / "voices" / "ben.ogg"


@pytest.fixture
def store(tmp_path) -> LocalStore:
    return LocalStore(tmp_path / "studio")


def test_a_voice_is_kept_as_it_was_given(store):
    voice = add_voice(store, "ada", ADA)
    assert voice.language == "en" and voice.transcript and voice.transcript.name == "ada.txt"
    assert store.get_bytes(voice.recording.key) == ADA.read_bytes()
    assert store.get_bytes(voice.transcript.key) == ADA.with_suffix(".txt").read_bytes()
    assert find_voice(store, "ada") == voice == read_record(store, layout.voice("ada"), Voice)
    assert needs_reference(store, "ada")


def test_adding_the_same_again_changes_nothing(store):
    first = add_voice(store, "ada", ADA)
    before = {one.key: one.modified for one in store.list()}
    assert add_voice(store, "ada", ADA) == first
    assert add_voice(store, "ada", ADA, language="en") == first
    assert {one.key: one.modified for one in store.list()} == before


@pytest.mark.parametrize("tag", ["xx", "english"])
def test_a_language_that_nobody_speaks_is_told(store, tag):
    with pytest.raises(InputError, match=f"--language {tag}: there is no language '{tag}'"):
        add_voice(store, "ada", ADA, language=tag)
    assert not list(store.list())


def test_another_language_or_transcript_makes_it_new(store, tmp_path):
    first = add_voice(store, "ada", ADA)
    said = tmp_path / "said.txt"
    said.write_text(ADA.with_suffix(".txt").read_text().replace("early", "cold"))
    other = add_voice(store, "ada", ADA, said)
    assert other.transcript != first.transcript and other.recording == first.recording
    assert add_voice(store, "ada", ADA, language="en-us").language == "en-us"
    assert add_voice(store, "ada", ADA).language == "en-us", "what was said of the voice stands"


def test_a_tuning_stays_with_what_it_was_measured_on(store, tmp_path):
    voice = add_voice(store, "ada", ADA)
    plain, _ = make_reference(store, "ada")
    tuned = voice.model_copy(update={"tunings": [Tuning(speed=0.9, made="2026-11-01", by="f5", why="")]})
    write_record(store, layout.voice("ada"), tuned)
    assert add_voice(store, "ada", ADA).tunings == tuned.tunings
    clip, _ = make_reference(store, "ada")
    assert clip.sha256 == plain.sha256 and clip.version != plain.version and not is_current(plain, tuned)
    write_record(store, layout.reference("ada"), clip)
    assert references_of(store, ["ada"])["ada"].speed == 0.9
    said = tmp_path / "said.txt"
    said.write_text(ADA.with_suffix(".txt").read_text().replace("early", "cold"))
    assert not add_voice(store, "ada", ADA, said).tunings


def test_what_was_said_of_the_rights_stands_until_it_is_said_anew(store):
    assert add_voice(store, "ada", ADA).commercial_use == "unknown"
    allowed = add_voice(store, "ada", ADA, licence="CC BY 4.0", commercial_use="yes")
    assert (allowed.licence, allowed.commercial_use) == ("CC BY 4.0", "yes")
    assert add_voice(store, "ada", ADA) == allowed == find_voice(store, "ada")
    forbidden = add_voice(store, "ada", ADA, commercial_use="no")
    assert (forbidden.licence, forbidden.commercial_use) == ("CC BY 4.0", "no")


def test_the_reference_is_mono_24_khz_and_says_its_text(store):
    add_voice(store, "ada", ADA)
    clip, reference = make_reference(store, "ada")
    with store.fetch(clip.audio) as path:
        found = soundfile.info(path)
    assert (found.samplerate, found.channels, found.format) == (24_000, 1, "FLAC")
    assert found.duration == pytest.approx(clip.seconds, abs=0.01)
    assert clip.text.startswith("I like to read") and clip.sha256 == reference.sha256
    assert ReferenceClip.model_validate(clip.model_dump()) == clip
    again, _ = make_reference(store, "ada")
    assert again == clip


def test_a_transcript_is_found_whatever_the_case_of_its_ending(store, tmp_path):
    shutil.copy(ADA, tmp_path / "a.FLAC")
    shutil.copy(ADA.with_suffix(".txt"), tmp_path / "a.TXT")
    assert some(add_voice(store, "a", tmp_path / "a.FLAC").transcript).name == "a.TXT"


@pytest.mark.parametrize("suffixes", [(".txt", ".srt"), (".csv", ".json", ".vtt")])
def test_several_transcripts_beside_a_recording_are_not_guessed_from(store, tmp_path, suffixes):
    recording = tmp_path / "a.flac"
    shutil.copy(ADA, recording)
    for suffix in suffixes:
        recording.with_suffix(suffix).write_text("x")
    with pytest.raises(InputError, match="several transcripts stand beside") as told:
        add_voice(store, "a", recording)
    assert "--transcript" in str(told.value)
    assert all(f"a{suffix}" in str(told.value) for suffix in suffixes)
    assert list(store.list()) == []


def test_nothing_is_kept_of_what_cannot_be_used(store, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    broken.with_suffix(".txt").write_text("Hello.")
    for call in (
        lambda: add_voice(store, "x", broken),
        lambda: add_voice(store, "X", ADA),
        lambda: add_voice(store, "x", tmp_path),
        lambda: add_voice(store, "x", ADA, Path("nowhere.srt")),
        lambda: add_voice(store, "x", BEN, ADA.with_suffix(".txt")),
        lambda: add_voice(store, "x", ADA, language="q1!"),
    ):
        with pytest.raises(InputError):
            call()
    assert list(store.list()) == []


def test_voices_are_listed_by_name(store):
    for name in ("zoe", "ada"):
        add_voice(store, name, ADA)
    store.put_bytes("voices/README.txt", b"x")
    assert [voice.name for voice in list_voices(store)] == ["ada", "zoe"]
    with pytest.raises(InputError, match="Did you mean zoe"):
        find_reference(store, "zoee")
    with pytest.raises(InputError, match="Known voices: ada, zoe"):
        make_reference(store, "something")


def test_a_damaged_voice_is_told(store):
    add_voice(store, "ada", ADA)
    store.put_bytes(layout.voice("ada"), b'{"name": "ada"}')
    with pytest.raises(StoreError, match="not a Voice record of this version") as told:
        find_voice(store, "ada")
    assert told.value.file == "voices/ada/voice.json"

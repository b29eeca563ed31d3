"""Nothing is delivered of a plan or a take that is not what was written, and the hint of the error mends it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from f5_pipeline.errors import DamagedError, PipelineError, StoreError
from f5_pipeline.store import layout
from f5_pipeline.store.local import LocalStore
from f5_pipeline.store.records import put_lines, read_lines, write_record
from f5_pipeline.studio.narrating.gathering import gather_takes
from f5_pipeline.studio.narrating.planning import missing_takes
from f5_pipeline.studio.narrating.production import make_audio
from f5_pipeline.studio.records import ChosenTake, PlannedChunk
from f5_pipeline.studio.voices import add_voice, find_reference, make_reference, read_reference
from f5_pipeline_tests.support.installation import EXAMPLES

TEXT = "The first sentence is here.\n\nA second one follows it.\n\nThe third one ends it.\n"

LINES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a line is lost": lambda lines: [lines[0], *lines[2:]],
    "the last line is lost": lambda lines: lines[:-1],
    "the last line is cut": lambda lines: [*lines[:-1], lines[-1][:40]],
    "two lines are swapped": lambda lines: [lines[1], lines[0], *lines[2:]],
    "a line stands twice": lambda lines: [*lines, lines[-1]],
    "a word is another one": lambda lines: [lines[0].replace(b"first", b"fresh"), *lines[1:]],
    "nothing is left": lambda lines: [],
}


def damage(store: LocalStore, key: str, change: Callable[[list[bytes]], list[bytes]]) -> None:
    store.put_bytes(key, b"".join(change(store.get_bytes(key).splitlines(keepends=True))))


@pytest.mark.parametrize("what", LINES)
def test_a_damaged_plan_delivers_nothing_and_planning_again_mends_it(studio, what):
    plan = studio.plan(TEXT)
    takes, audio, _ = studio.produce(plan)
    damage(studio.store, plan.chunks_key, LINES[what])
    for step in (
        lambda: list(missing_takes(studio.store, plan, studio.options)),
        lambda: gather_takes(studio.store, plan, studio.options),
        lambda: make_audio(studio.store, plan.model_copy(update={"digest": "another"}), takes, loudness=-19, peak=-1),
    ):
        with pytest.raises(DamagedError) as caught:
            step()
        assert caught.value.file == plan.chunks_key
        assert caught.value.hint == "Plan it again: f5-pipeline narrate story."
    again = studio.plan(TEXT)
    assert again == plan and studio.produce(again)[1].revision == audio.revision
    assert len(list(read_lines(studio.store, plan.chunks_key, PlannedChunk))) == 3


@pytest.mark.parametrize("what", LINES)
def test_a_damaged_list_of_takes_delivers_nothing_and_gathering_again_mends_it(studio, what):
    plan = studio.plan(TEXT)
    takes = studio.takes(plan)
    damage(studio.store, takes.takes_key, LINES[what])
    with pytest.raises(DamagedError) as caught:
        make_audio(studio.store, plan, takes, loudness=-19, peak=-1)
    assert caught.value.file == takes.takes_key and "f5-pipeline narrate story" in str(caught.value)
    assert studio.takes(plan).takes_key == takes.takes_key
    make_audio(studio.store, plan, takes, loudness=-19, peak=-1)


def test_a_plan_whose_counts_are_others_is_refused(studio):
    """As it is where a store made by an older version lost lines and was planned again."""
    plan = studio.plan(TEXT)
    takes = studio.takes(plan)
    chunks = list(read_lines(studio.store, plan.chunks_key, PlannedChunk))[:2]
    key, _ = put_lines(studio.store, lambda digest: layout.plan_chunks("story", digest), chunks)
    short = plan.model_copy(update={"chunks_key": key})
    with pytest.raises(DamagedError, match="it holds 2 chunks, and 3 are planned"):
        gather_takes(studio.store, short, studio.options)
    kept = list(read_lines(studio.store, takes.takes_key, ChosenTake))[:2]
    takes_key, _ = put_lines(studio.store, lambda digest: layout.narration_takes("story", digest), kept)
    with pytest.raises(DamagedError, match="words, and 15 are planned"):
        make_audio(studio.store, short, takes.model_copy(update={"takes_key": takes_key}), loudness=-19, peak=-1)
    with pytest.raises(StoreError, match="do not belong together"):
        make_audio(studio.store, plan, takes.model_copy(update={"takes_key": takes_key}), loudness=-19, peak=-1)


def test_what_lies_damaged_under_its_name_is_replaced(studio):
    """Recordings, transcripts and references too."""
    voice = add_voice(studio.store, "ada", EXAMPLES / "voices" / "ada.flac")
    assert voice.transcript
    clip = find_reference(studio.store, "ada")
    for key in (voice.recording.key, voice.transcript.key, clip.audio):
        whole = studio.store.get_bytes(key)
        studio.store.put_bytes(key, whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(DamagedError) as caught:
            if key == clip.audio:
                read_reference(studio.store, clip)
            else:
                make_reference(studio.store, "ada")
        assert caught.value.file == key and "f5-pipeline voices" in (caught.value.hint or "")
        add_voice(studio.store, "ada", EXAMPLES / "voices" / "ada.flac")
        write_record(studio.store, layout.reference("ada"), make_reference(studio.store, "ada")[0])
        assert studio.store.get_bytes(key) == whole
    assert read_reference(studio.store, clip).size


Record = dict[str, Any]


def _tokens(change: Callable[[list[list[Any]]], Any]) -> Callable[[Record], Record]:
    return lambda record: {**record, "tokens": change([list(token) for token in record["tokens"]])}


def _set(**values: Any) -> Callable[[Record], Record]:
    return lambda record: {**record, **values}


def _less(*names: str) -> Callable[[Record], Record]:
    return lambda record: {name: value for name, value in record.items() if name not in names}


ALTERATIONS: dict[str, Callable[[Record], Record]] = {
    "another key": _set(key="0" * 64),
    "another text": _set(text="Another text that nobody has spoken."),
    "no text": _set(text=""),
    "another language": _set(language="de"),
    "another voice": _set(voice="ben"),
    "another engine": _set(engine="f5"),
    "fewer samples": lambda record: {**record, "samples": record["samples"] - 1},
    "more samples": lambda record: {**record, "samples": record["samples"] + 24_000},
    "no samples": _set(samples=0),
    "negative samples": _set(samples=-1),
    "speech before the take": _set(speech_start=-1.0),
    "speech begins after its end": lambda record: {**record, "speech_start": record["speech_end"] + 0.1},
    "speech behind the take": _set(speech_end=1e9),
    "no tokens": _tokens(lambda tokens: []),
    "a token less": _tokens(lambda tokens: tokens[:-1]),
    "tokens reversed": _tokens(lambda tokens: tokens[::-1]),
    "negative times": _tokens(lambda tokens: [[a, b, s - 5, e - 5] for a, b, s, e in tokens]),
    "times behind the take": _tokens(lambda tokens: [[a, b, s + 60, e + 60] for a, b, s, e in tokens]),
    "times that stand still": _tokens(lambda tokens: [[a, b, s, s] for a, b, s, e in tokens]),
    "characters behind the text": _tokens(lambda tokens: [[a + 999, b + 999, s, e] for a, b, s, e in tokens]),
    "times a bit later": _tokens(lambda tokens: [[a, b, s + 0.001, e + 0.001] for a, b, s, e in tokens]),
    "another way of timing": _set(method="proportional"),
    "fewer confidences than tokens": _set(confidences=[0.5]),
    "another peak": _set(peak=0.1),
    "another sha256": _set(sha256="0" * 64),
    "a field is lost": _less("tokens"),
}
HARMLESS = {
    "another language", "another voice", "another engine", "another way of timing", "another peak",
    "a token less", "times a bit later",
}  # fmt: skip
"""What cannot be noticed in a record without a checksum: its times are those of a take, if not of this one."""


@pytest.mark.parametrize("checksum", [True, False], ids=["with a checksum", "as older versions wrote it"])
@pytest.mark.parametrize("what", ALTERATIONS)
def test_an_altered_take_is_not_delivered(studio, what, checksum):
    plan = studio.plan("The first sentence is here.")
    studio.takes(plan)
    key = layout.take_record(next(read_lines(studio.store, plan.chunks_key, PlannedChunk)).key)
    record = json.loads(studio.store.get_bytes(key))
    assert record["checksum"]
    if not checksum:
        del record["checksum"]
        studio.store.put_bytes(key, json.dumps(record).encode())
        assert gather_takes(studio.store, plan, studio.options).chunks == 1, "a record of an older version is valid"
        if what in HARMLESS:
            return
    studio.store.put_bytes(key, json.dumps(ALTERATIONS[what](record)).encode())
    with pytest.raises(PipelineError) as caught:
        make_audio(studio.store, plan, gather_takes(studio.store, plan, studio.options), loudness=-19, peak=-1)
    if checksum:
        assert isinstance(caught.value, StoreError) and caught.value.file == key and caught.value.hint
        studio.store.delete(key)  # as the hint says
        assert make_audio(studio.store, plan, studio.takes(plan), loudness=-19, peak=-1).words == plan.words

"""A changed entry remakes exactly the takes that hold its words."""

from __future__ import annotations

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.text.lexicon import Entry
from f5_pipeline.store import layout
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio.lexicon import check_scopes, load_lexicon, save_lexicon, with_entries, without
from f5_pipeline.studio.narrating.scripts import load_script, script_version
from f5_pipeline.studio.records import PlannedChunk
from f5_pipeline.studio.state import narration_state, write_state

TEXT = " ".join(
    f"Sentence {number} is about the sea and the wind{' and Nietzsche' if number % 5 == 0 else ''}, which we hear."
    for number in range(25)
)


def made(studio, plan) -> int:
    return sum(sum(report.made.values()) for report in studio.synthesize(plan))


def test_a_changed_entry_remakes_the_takes_that_hold_its_word(studio):
    plain = studio.plan(TEXT)
    assert made(studio, plain) == plain.chunks
    holding = {
        planned.chunk.index
        for planned in read_lines(studio.store, plain.chunks_key, PlannedChunk)
        if "Nietzsche" in planned.chunk.written
    }
    assert len(holding) == 5
    save_lexicon(studio.store, [Entry(written="absent", said="present")])
    assert studio.plan(TEXT) == plain
    save_lexicon(studio.store, [Entry(written="sea", said="see", voice="ben")])
    assert studio.plan(TEXT).digest == plain.digest

    for said in ("Neecha", "that unpronounceable philosopher of the mountains"):
        save_lexicon(studio.store, [Entry(written="Nietzsche", said=said)])
        changed = studio.plan(TEXT)
        assert changed.digest != plain.digest
        assert [used.model_dump() for used in changed.lexicon] == [{"written": "Nietzsche", "said": said, "count": 5}]
        assert made(studio, changed) == len(holding)
    save_lexicon(studio.store, [])
    again = studio.plan(TEXT)
    assert (again.digest, again.version) == (plain.digest, plain.version)
    assert made(studio, again) == 0


def test_ipa_is_narrated_by_the_draft_engine(studio):
    save_lexicon(studio.store, [Entry(written="Nietzsche", ipa="ˈniːtʃə")])
    plan = studio.plan("We read Nietzsche’s books.")
    [planned] = read_lines(studio.store, plan.chunks_key, PlannedChunk)
    assert planned.chunk.spoken == "We read [[ˈniːtʃəz]] books."
    _, audio, timings = studio.produce(plan)
    assert timings.words == 4 and audio.seconds > 1


def test_a_narration_is_edited_only_where_its_words_have_another_entry(studio):
    plan = studio.plan("We read Nietzsche.")
    write_state(studio.store, plan, "story")

    def state() -> str:
        assert script_version(studio.store, "story") == load_script(studio.store, "story").version
        return narration_state(studio.store, "story", studio.options).state

    assert state() == "planned"
    for unrelated in ({"written": "Kant"}, {"written": "Nietzsche", "narration": "other"}, {"written": "read Kant"}):
        save_lexicon(studio.store, [Entry.model_validate({"said": "count it", **unrelated})])
        assert state() == "planned", unrelated
    save_lexicon(studio.store, [Entry(written="Nietzsche", said="Neecha")])
    assert state() == "edited"
    write_state(studio.store, studio.plan("We read Nietzsche."), "story")
    assert state() == "planned"
    save_lexicon(studio.store, [Entry(written="Nietzsche", said="Neecha", note="a note changes no sound")])
    assert state() == "planned"


def test_entries_replace_others_for_the_same_words(studio):
    first, german = Entry(written="Chef", said="shef"), Entry(written="Chef", said="scheff", language="de")
    changes = with_entries([first, german], [Entry(written="chef", said="chief"), german, Entry(written="x", said="y")])
    assert (changes.added, changes.changed, changes.same) == (1, 1, 1)
    assert [entry.said for entry in changes.entries] == ["chief", "scheff", "y"]
    left, removed = without(changes.entries, "CHEF", "de", None, None)
    assert (len(left), removed) == (2, [german])
    assert len(without(changes.entries, "chef", None, None, None)[1]) == 2
    save_lexicon(studio.store, changes.entries)
    assert list(load_lexicon(studio.store)) == changes.entries


def test_a_lexicon_that_people_spoilt_names_the_line(studio):
    studio.store.replace_bytes(layout.lexicon(), b"written,said\nNietzsche,Neecha\nKant,\n")
    with pytest.raises(InputError, match="Kant") as error:
        studio.plan("We read Nietzsche.")
    assert (error.value.file, error.value.place) == ("lexicon.csv", 3)


@pytest.mark.parametrize(
    ("scope", "problem"), [({"voice": "adda"}, "adda"), ({"language": "xq"}, "xq"), ({"narration": "A b"}, "A b")]
)
def test_an_entry_for_what_is_not_there_is_refused(studio, scope, problem):
    with pytest.raises(InputError, match=problem):
        check_scopes(studio.store, [Entry.model_validate({"written": "Kant", "said": "count", **scope})])

"""Plans: from scripts to chunks with keys."""

from __future__ import annotations

import pytest

from f5_pipeline.errors import EngineError, InputError, NotFoundError
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio.narrating.planning import missing_takes, plan_narration
from f5_pipeline.studio.narrating.scripts import add_script
from f5_pipeline.studio.records import PlannedChunk, Weights
from f5_pipeline_tests.support.installation import EXAMPLES
from f5_pipeline_tests.support.small_studio import prepare_voice

TEXT = "One sentence stands here.\n\nOne sentence stands here.\n\nAnother one follows it.\n"


def keys(studio, plan) -> list[str]:
    return [planned.key for planned in read_lines(studio.store, plan.chunks_key, PlannedChunk)]


def test_a_plan_counts_what_it_needs(studio):
    plan = studio.plan(TEXT)
    assert (plan.chunks, plan.takes, plan.words) == (3, 2, 12)
    assert plan.expected_seconds > 2
    assert (plan.narration, plan.engine, plan.voices) == ("story", "draft", ["ada"])
    assert [one.planned.chunk.written for one in missing_takes(studio.store, plan, studio.options)] == [
        "One sentence stands here.",
        "Another one follows it.",
    ]
    studio.synthesize(plan)
    assert list(missing_takes(studio.store, plan, studio.options)) == []


def test_the_same_plan_again_is_the_same(studio, make_studio):
    first = studio.plan(TEXT)
    assert studio.plan(TEXT) == first
    other = make_studio().plan(TEXT)
    assert (other.digest, other.chunks_key) == (first.digest, first.chunks_key)


def test_keys_change_with_what_decides_the_sound_and_with_nothing_else(studio):
    plain = keys(studio, studio.plan(TEXT))
    header = "---\ntitle: {}\npauses: {{sentence: {}}}\ncaptions: {{max_lines: {}}}\n---\n" + TEXT
    told = [
        studio.plan(header.format(*values), "told.md")
        for values in (("A", 1, 1), ("B", 1, 1), ("A", 2, 1), ("A", 1, 2))
    ]
    assert all(keys(studio, plan) == plain for plan in told)
    assert len({plan.digest for plan in told}) == len(told)
    slower = keys(studio, studio.plan(TEXT, speed=0.8))
    german = keys(studio, studio.plan(TEXT, language="de"))
    assert not set(plain) & set(slower) and not set(plain) & set(german) and not set(slower) & set(german)


def test_another_voice_has_other_keys(studio):
    prepare_voice(studio.store, "ben", EXAMPLES / "voices" / "ben.ogg")
    assert not set(keys(studio, studio.plan(TEXT))) & set(keys(studio, studio.plan(TEXT, voice="ben")))


def test_a_voice_without_a_reference_is_told_with_the_mend(studio):
    from f5_pipeline.studio.voices import add_voice

    add_voice(studio.store, "ben", EXAMPLES / "voices" / "ben.ogg")
    with pytest.raises(InputError, match="'ben' has no reference") as told:
        studio.plan(TEXT, voice="ben")
    assert "f5-pipeline voices prepare ben" in str(told.value)


def test_a_replaced_recording_needs_a_new_reference(studio):
    from f5_pipeline.studio.voices import add_voice, needs_reference

    add_voice(studio.store, "ada", EXAMPLES / "voices" / "ben.ogg")
    assert needs_reference(studio.store, "ada")
    with pytest.raises(InputError, match="no reference of its present recording"):
        studio.plan(TEXT)


def test_an_engine_or_a_language_that_is_not_there_is_told(studio):
    with pytest.raises(EngineError, match="f5"):
        studio.plan(TEXT, engine="f5")
    with pytest.raises(InputError, match="--language xx: there is no language"):
        studio.plan(TEXT, engine="draft", language="xx")
    studio.weights = Weights(engines={}, digest="")
    with pytest.raises(EngineError, match="model_weights knows nothing of 'draft'"):
        studio.plan(TEXT, engine="draft", language="en")


def test_a_script_that_the_engine_cannot_read_is_told_with_its_line(studio, monkeypatch):
    from f5_pipeline.speech.engines.draft import reading

    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"story\.md:3: espeak-ng reads no kanji: '今'.*f5-pipeline\[ja\]"):
        studio.plan("おはよう。\n\n今日はいい天気です。\n", "story.md", language="ja")


def test_a_voice_of_another_language_is_told_where_it_is_cloned(studio):
    from f5_pipeline.studio.narrating.engines import EngineChoice, foreign_voices

    def loaded_in(language):
        path = studio.store.root.parent / "story.txt"
        path.write_text(TEXT, encoding="utf-8")
        return add_script(studio.store, path, options=ScriptOptions(voice="ada", language=language), replace=True)

    loaded = loaded_in("de-AT")
    assert foreign_voices(studio.store, loaded, EngineChoice("draft", "draft", "")) == []
    (told,) = foreign_voices(studio.store, loaded, EngineChoice("f5", "f5", ""))
    assert "ada was recorded in en and will speak de-at" in told
    assert foreign_voices(studio.store, loaded_in("en-GB"), EngineChoice("f5", "f5", "")) == []


def test_a_text_without_words_is_told(studio):
    with pytest.raises(InputError, match="nothing to speak"):
        studio.plan("* * *\n\n—\n")


def test_plans_of_narrations_that_are_not_there(studio, weights):
    with pytest.raises(InputError, match="no script for the narration 'nowhere'"):
        plan_narration(studio.store, "nowhere", weights, studio.options)
    plan = studio.plan(TEXT)
    studio.store.delete(plan.chunks_key)
    with pytest.raises(NotFoundError):
        list(missing_takes(studio.store, plan, studio.options))

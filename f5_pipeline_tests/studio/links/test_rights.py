"""The licence gate: what is marked commercial needs a model and voices that allow it, at the plan and at delivery."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import date, timedelta

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.store import layout
from f5_pipeline.store.records import read_record, write_record
from f5_pipeline.studio.links.rights import check_consent, check_delivery, check_rights
from f5_pipeline.studio.records import EngineWeights, Voice
from f5_pipeline.studio.voices import add_voice, find_voice, give_consent, withdraw_consent
from f5_pipeline_tests.support.installation import EXAMPLES
from f5_pipeline_tests.support.some import some


def allow(studio, commercial_use: str) -> Voice:
    voice = read_record(studio.store, layout.voice("ada"), Voice)
    voice = Voice.model_validate({**voice.model_dump(), "commercial_use": commercial_use})
    write_record(studio.store, layout.voice("ada"), voice)
    return voice


def model(commercial_use: str) -> EngineWeights:
    return EngineWeights(
        engine="f5", name="some model", version="1", sha256="0", size=1, licence="some licence",
        commercial_use=commercial_use, source="here",
    )  # fmt: skip


@pytest.mark.parametrize(("use", "said"), [("no", "is not allowed"), ("disputed", "is disputed")])
def test_a_model_that_does_not_allow_it_is_refused(studio, use, said):
    voice = allow(studio, "yes")
    with pytest.raises(InputError, match=f"commercial use of some model .some licence. {said}") as told:
        check_rights(model(use), [voice], "scripts/story.md")
    assert told.value.file == "scripts/story.md" and "weights list" in str(told.value.hint)
    check_rights(model("yes"), [voice], "scripts/story.md")


@pytest.mark.parametrize(("use", "said"), [("no", "does not allow it"), ("unknown", "does not say that it allows it")])
def test_a_voice_that_does_not_allow_it_is_refused(studio, use, said):
    with pytest.raises(InputError, match=f"voice 'ada' {said}"):
        check_rights(model("yes"), [allow(studio, use)], "scripts/story.md")


def test_a_commercial_narration_is_planned_and_delivered_while_its_voice_allows_it(studio):
    script = f"---\n{json.dumps({'voice': 'ada', 'commercial': True})}\n---\nThis is to be sold.\n"
    with pytest.raises(InputError, match="marked commercial"):
        studio.plan(script, "sold.md")
    allow(studio, "yes")
    plan = studio.plan(script, "sold.md")
    assert plan.commercial
    check_delivery(studio.store, plan)
    allow(studio, "no")
    with pytest.raises(InputError, match="voice 'ada' does not allow it"):
        check_delivery(studio.store, plan)
    assert find_voice(studio.store, "ada") is not None


def test_what_is_not_marked_is_never_refused(studio):
    plan = studio.plan("This is for nobody.")
    assert not plan.commercial
    check_delivery(studio.store, plan.model_copy(update={"weights": model("no")}))


DAY = date(2027, 5, 1)


@pytest.mark.parametrize(
    ("scope", "problem"),
    [
        ({}, None),
        ({"until": DAY, "narrations": ["st*"], "languages": ["en"]}, None),
        ({"until": DAY - timedelta(1)}, "the consent of its speaker ended on 2027-04-30"),
        ({"narrations": ["book-*", "poem"]}, "may be used for book-.*, poem only"),
        ({"languages": ["de", "en-us"]}, "may be used in de, en-us only, and this is en-gb"),
    ],
)
def test_what_a_speaker_has_not_agreed_to_is_refused(studio, scope, problem):
    voice = give_consent(studio.store, "ada", speaker="Ada L.", **scope)
    with pytest.raises(InputError, match=problem) if problem else nullcontext():
        check_consent([voice], "story", "en-gb", "scripts/story.md", required=True, today=DAY)


def test_a_consent_is_required_where_that_is_set_and_withdrawn_at_once(studio, tmp_path):
    ada = some(find_voice(studio.store, "ada"))
    check_consent([ada], "story", "en", "here")
    with pytest.raises(InputError, match="no recorded consent"):
        check_consent([ada], "story", "en", "here", required=True)
    letter = tmp_path / "letter.txt"
    letter.write_text("I agree.")
    voice = give_consent(studio.store, "ada", speaker="Ada L.", evidence=letter)
    assert voice.consent and voice.consent.evidence
    assert studio.store.get_bytes(voice.consent.evidence.key) == b"I agree."
    plan = studio.plan("A story.").model_copy(update={"engine": "f5"})
    check_delivery(studio.store, plan)
    withdraw_consent(studio.store, "ada")
    with pytest.raises(InputError, match="withdrew the consent"):
        check_delivery(studio.store, plan)
    studio.plan("A draft is not her voice.", engine="draft")


def test_a_consent_is_for_its_recording(studio):
    give_consent(studio.store, "ada", speaker="Ada L.")
    assert add_voice(studio.store, "ada", EXAMPLES / "voices" / "ada.flac").consent
    assert add_voice(studio.store, "ada", EXAMPLES / "voices" / "ben.ogg").consent is None


def test_evidence_that_is_not_there_is_told_and_nothing_is_kept(studio, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        give_consent(studio.store, "ada", speaker="Ada L.", evidence=tmp_path / "none")
    with pytest.raises(InputError, match="no consent is recorded"):
        withdraw_consent(studio.store, "ada")

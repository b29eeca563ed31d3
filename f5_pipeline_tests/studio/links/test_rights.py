"""The licence gate: what is marked commercial needs a model and voices that allow it, at the plan and at delivery."""

from __future__ import annotations

import json

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.store import layout
from f5_pipeline.store.records import read_record, write_record
from f5_pipeline.studio.links.rights import check_delivery, check_rights
from f5_pipeline.studio.records import EngineWeights, Voice
from f5_pipeline.studio.voices import find_voice


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

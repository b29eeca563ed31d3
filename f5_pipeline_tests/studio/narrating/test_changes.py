"""What an edit makes anew, why, and what that costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from f5_pipeline.orchestration.batch.planning import _Budget
from f5_pipeline.settings import get_settings
from f5_pipeline.speech import engines
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.studio.narrating.changes import Changes, plan_changes, script_changes
from f5_pipeline.studio.narrating.costs import ASSUMED_X_REAL_TIME, Speed, estimate
from f5_pipeline.studio.narrating.scripts import open_script
from f5_pipeline.studio.state import write_state
from f5_pipeline_tests.support.installation import EXAMPLES
from f5_pipeline_tests.support.small_studio import Studio, prepare_voice

TEXT = "\n\n".join(f"The {word} house stands by the old harbour." for word in ("red", "blue", "green", "white"))


def diff(studio: Studio, text: str, **options) -> Changes:
    path = studio.store.root.parent / "story.txt"
    path.write_text(text)
    loaded = open_script(studio.store, path, options=ScriptOptions(**{"voice": "ada", **options}), replace=True)
    return script_changes(studio.store, loaded, studio.options, 3.6)


@pytest.fixture
def narrated(studio) -> Studio:
    plan = studio.plan(TEXT)
    studio.synthesize(plan)
    write_state(studio.store, plan, plan.narration)
    return studio


def test_the_reason_of_each_take_is_what_was_changed(narrated):
    assert diff(narrated, TEXT).takes == 0
    edited = diff(narrated, TEXT.replace("blue", "yellow"))
    assert edited.reasons == {"text": 1}
    assert [(row.line, row.text) for row in edited.first] == [(3, "The yellow house stands by the old harbour.")]
    assert edited.speech_seconds == pytest.approx(edited.first[0].seconds, abs=0.01)
    assert diff(narrated, TEXT, speed=0.9).reasons == {"speed": 4}
    assert diff(narrated, TEXT, language="en-gb").reasons == {"language": 4}
    prepare_voice(narrated.store, "ben", EXAMPLES / "voices" / "ben.ogg")
    assert diff(narrated, "[ben] " + TEXT.replace("blue", "pink")).reasons == {"voice": 3, "text": 1}


def test_a_narration_of_which_there_is_nothing(studio):
    assert diff(studio, TEXT).reasons == {"new narration": 4}
    plan = studio.plan(TEXT)
    write_state(studio.store, plan, plan.narration)
    assert diff(studio, TEXT).reasons == {"not made yet": 4}


@pytest.fixture
def on_a_gpu(monkeypatch):
    """The draft as an engine whose steps hold a GPU."""
    monkeypatch.setitem(engines._specs(), "draft", replace(engines.spec_of("draft"), needs_gpu=True))


def test_cost_is_assumed_until_it_is_measured(studio, on_a_gpu):
    changes = diff(studio, TEXT)
    assert changes.gpu_seconds == pytest.approx(changes.speech_seconds / ASSUMED_X_REAL_TIME, abs=0.06)
    assert changes.cost == pytest.approx(changes.gpu_seconds / 1000, abs=1e-4)
    plan = studio.plan("\n\n".join(f"Number {number} is measured here." for number in range(12)))
    studio.synthesize(plan)
    measured = diff(studio, TEXT)
    assert measured.basis == "as measured on CPU" and measured.gpu_seconds != changes.gpu_seconds
    other = estimate(studio.store, "draft", "another", None, 60.0, studio.options)
    assert other.basis.startswith("assumed"), "each model by itself"
    write_state(studio.store, plan, plan.narration)
    assert plan_changes(studio.store, plan, studio.options, 3.6).cost == 0


def test_a_batch_takes_what_its_budget_allows(studio, on_a_gpu, monkeypatch):
    monkeypatch.setenv("F5_GPU_HOUR_COST", "3.6")
    get_settings.cache_clear()
    dear, cheap = studio.plan(TEXT, "dear.txt"), studio.plan("One house stands here.", "cheap.txt")
    costs = [plan_changes(studio.store, plan, studio.options, 3.6).cost or 0.0 for plan in (dear, cheap)]
    assert costs[0] > costs[1] > 0
    budget = _Budget(studio.store, studio.options, sum(costs) - 1e-5)
    assert budget.refusal(dear) is None
    assert "more than the" in str(budget.refusal(cheap))
    budget = _Budget(studio.store, studio.options, costs[1])
    assert budget.refusal(dear) is not None and budget.refusal(cheap) is None, "what is too dear lets others pass"


def test_loading_is_told_from_pace():
    speed = Speed(card="a card", samples=[(100.0, 12.0), (200.0, 14.0), (400.0, 18.0)])
    assert speed.seconds(1000.0) == pytest.approx(30.0)
    assert Speed(card="a card", samples=[(100.0, 5.0)]).seconds(200.0) == pytest.approx(10.0)
    falling = Speed(card="a card", samples=[(100.0, 20.0), (200.0, 10.0)])
    assert falling.seconds(300.0) == pytest.approx(30.0), "noise: no pace is below nothing"


def test_a_draft_costs_nothing(studio):
    assert (diff(studio, TEXT).cost, diff(studio, TEXT).basis) == (0.0, "draft needs no GPU")

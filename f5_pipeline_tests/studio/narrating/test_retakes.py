"""The attempts at a chunk: asked for, picked, locked, taken back."""

from __future__ import annotations

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech import engines
from f5_pipeline.store import layout
from f5_pipeline.studio.narrating.choices import MAX_HISTORY, find_choices
from f5_pipeline.studio.narrating.planning import missing_takes
from f5_pipeline.studio.narrating.retakes import RetakeDesk
from f5_pipeline.studio.records import EngineWeights
from f5_pipeline.studio.state import narration_state, write_state
from f5_pipeline.studio.upkeep.inventory import Inventory
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.toy_engine import TOY

TEXT = "The first sentence stays as it is.\n\nThe second one is heard again."


@pytest.fixture
def toy(studio, monkeypatch):
    """A studio whose engine has attempts that differ."""
    specs = {**engines._specs(), "toy": TOY}
    monkeypatch.setattr(engines, "_specs", lambda: specs)
    facts = some(TOY.facts)()
    weights = EngineWeights.model_validate(studio.weights.engines["draft"].model_dump() | {"name": facts.name})
    studio.weights = studio.weights.model_copy(update={"engines": {"toy": weights}})
    return studio


def narrate(studio, text: str = TEXT, **options):
    """A narration of the toy engine, and the desk of its second chunk."""
    plan = studio.plan(text, engine="toy", **options)
    write_state(studio.store, plan, "story")
    takes, audio, _ = studio.produce(plan)
    return takes, audio, desk_of(studio)


def desk_of(studio, chunk: int = 1) -> RetakeDesk:
    return RetakeDesk(studio.store, "story", chunk, studio.options)


def used(desk: RetakeDesk) -> tuple[int, ...]:
    return tuple(attempt.attempt for attempt in desk.attempts() if attempt.used)


def test_an_attempt_that_is_asked_for_is_made_and_changes_nothing(toy):
    takes, audio, desk = narrate(toy)
    assert desk.ask(2) == [3, 4] and desk.ask(seeds=[2]) == [2]
    again, same, desk = narrate(toy)
    assert again.synthesized == 3 and again.digest == takes.digest and same.revision == audio.revision
    made = [(attempt.letter, attempt.attempt, attempt.made) for attempt in desk.attempts()]
    assert made == [("A", 0, True), ("B", 2, True), ("C", 3, True), ("D", 4, True)] and used(desk) == (0,)


def test_the_one_that_is_picked_is_used_until_it_is_released(toy):
    takes, audio, desk = narrate(toy)
    desk.ask(1)
    _, _, desk = narrate(toy)
    desk.pick("b")
    assert narration_state(toy.store, "story", toy.options).state == "edited"
    picked, other, desk = narrate(toy)
    assert (picked.picked, picked.synthesized, used(desk)) == (1, 0, (3,)) and other.revision != audio.revision
    assert other.plan.choices, "what is delivered names the choice"
    desk.release()
    released, same, desk = narrate(toy)
    assert released.digest == takes.digest and same.revision == audio.revision
    desk.roll_back()
    assert used(desk) == (3,)
    desk.roll_back()
    assert used(desk) == (0,)
    with pytest.raises(InputError, match="nothing was chosen before"):
        desk.roll_back()


def test_a_pick_stays_where_the_text_changes_elsewhere_and_rests_where_its_own_does(toy):
    _, _, desk = narrate(toy)
    desk.ask(1)
    _, _, desk = narrate(toy)
    desk.pick("B")
    narrate(toy, "Another beginning.\n\nThe second one is heard again.")
    assert used(desk_of(toy)) == (3,)
    narrate(toy, "Another beginning.\n\nThe second one was heard again.")
    assert used(desk_of(toy)) == (0,)


def test_a_locked_pick_stays_under_another_sound(toy, monkeypatch):
    _, _, desk = narrate(toy)
    desk.ask(1)
    _, _, desk = narrate(toy)
    key = desk.pick("B", lock=True).key
    monkeypatch.setattr("f5_pipeline_tests.support.toy_engine.ToyEngine.sound", lambda self, voice: {"hertz": 300})
    takes, _, desk = narrate(toy)
    assert takes.picked == 1 and [attempt.key for attempt in desk.attempts() if attempt.used] == [key]
    desk.pick("B" if desk.attempts()[1].key == key else "A")
    assert not desk.choice.locked


def test_another_speed_makes_one_take(toy):
    _, audio, desk = narrate(toy)
    desk.set_speed(0.5)
    slow, other, desk = narrate(toy)
    assert slow.synthesized == 1 and other.seconds > audio.seconds + 0.5
    assert desk.planned.chunk.speed == 0.5
    with pytest.raises(InputError, match=r"0\.1 is no speed"):
        desk.set_speed(0.1)


def test_what_cannot_be_asked_for_is_told_and_nothing_is_kept(toy):
    _, _, desk = narrate(toy)
    for ask, problem in (
        (lambda: desk.ask(51), "51 attempts at one chunk"),
        (lambda: desk.ask(seeds=[-1]), "-1 is no number"),
        (lambda: desk.pick("Q"), "no attempt 'Q'; there is A"),
        (lambda: desk_of(toy, 9), "no chunk 9; it has 0 to 1"),
        (lambda: RetakeDesk(toy.store, "nothing", 0, toy.options), "not planned yet"),
    ):
        with pytest.raises(InputError, match=problem):
            ask()
    assert not toy.store.exists(layout.script_choices("story"))


def test_a_draft_sounds_alike_at_every_attempt(studio):
    write_state(studio.store, studio.plan(TEXT, engine="draft"), "story")
    with pytest.raises(InputError, match="every attempt of the draft voice"):
        desk_of(studio).ask(1)


def test_what_was_chosen_is_not_collected_and_history_is_bounded(toy):
    _, _, desk = narrate(toy)
    desk.ask(seeds=[1000])
    _, _, desk = narrate(toy)
    for n in range(MAX_HISTORY + 5):
        desk.set_speed(1 + n / 100)
    (choice,) = find_choices(toy.store, "story").chunks.values()
    assert len(choice.history) == MAX_HISTORY
    inventory = Inventory(toy.store, alive=lambda run: False, grace=-10)
    unused = {key for entry in inventory.unused() for key in entry.keys}
    kept = choice.attempts[1000]
    assert layout.take_record(kept) not in unused
    assert not list(missing_takes(toy.store, desk.plan, toy.options))

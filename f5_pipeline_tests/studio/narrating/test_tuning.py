"""A voice whose present part of the recording makes an engine leave words out: another part is measured better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.settings import get_settings
from f5_pipeline.speech import engines
from f5_pipeline.speech.engines import Configuration, EngineSpec
from f5_pipeline.store import layout
from f5_pipeline.studio.narrating.comparison import ERRORS, Scores
from f5_pipeline.studio.narrating.tuning import (
    CRITERIA,
    _Candidate,
    _trial,
    _Tried,
    keep_tuning,
    narrations_with,
    tune,
    undo_tuning,
)
from f5_pipeline.studio.records import ReferenceSetting
from f5_pipeline.studio.state import write_state
from f5_pipeline.studio.voices import find_reference, find_voice, is_current, make_reference, needs_reference
from f5_pipeline_tests.studio.narrating.test_comparison import SENTENCES, Reader
from f5_pipeline_tests.support.installation import EXAMPLES, Ended, Installation, bring_engine
from f5_pipeline_tests.support.small_studio import Studio, prepare_voice
from f5_pipeline_tests.support.some import some

EIGHT = [*SENTENCES, "He shrugged and walked out into the rain.", "Come back at half past seven."]
PRESENT = "The bees never seemed"
"""How the part begins that the preparation chooses from ben's recording."""


CLONER = EngineSpec(
    "cloner",
    "a cloner",
    make=lambda context: Reader(context.model, context.references(), hasty_from=PRESENT),
    retakes=True,
    clones=True,
    configure=lambda options, model, preset: Configuration(model=model, preset=preset),
)


@pytest.fixture
def cloner(monkeypatch) -> None:
    monkeypatch.setitem(engines._specs(), "cloner", CLONER)
    monkeypatch.setenv("F5_ENGINE", "cloner")
    monkeypatch.setenv("F5_LISTEN", "off")
    get_settings.cache_clear()


@pytest.fixture
def ben(studio: Studio) -> Studio:
    prepare_voice(studio.store, "ben", EXAMPLES / "voices" / "ben.ogg")
    assert find_reference(studio.store, "ben").text.startswith(PRESENT)
    return studio


def takes_of(studio: Studio) -> set[str]:
    return {stat.key for stat in studio.store.list("takes/")}


@pytest.mark.slow
def test_the_better_part_is_heard_kept_and_taken_back(ben, cloner, tiny, monkeypatch):
    monkeypatch.setenv("F5_LISTEN", "all")
    monkeypatch.setenv("F5_ASR_MODEL", str(tiny))
    get_settings.cache_clear()
    before = ben.store.get_bytes(layout.voice("ben"))
    voice, tuned = tune(ben.store, "ben", ben.options, windows=2, speeds=(), sentences=EIGHT)
    (part,) = tuned.trials
    errors = next(figure for figure in part.figures if figure.name == ERRORS)
    assert tuned.heard and some(errors.first) > 30 > some(errors.second)
    assert part.better and part.setting == tuned.chosen
    assert ben.store.get_bytes(layout.voice("ben")) == before, "it was only tried"

    kept = keep_tuning(ben.store, voice, tuned)
    assert needs_reference(ben.store, "ben") and kept.setting == tuned.chosen
    clip, _ = make_reference(ben.store, "ben")
    assert is_current(clip, kept) and clip.text.split() == some(some(kept.setting).window).text.split()
    write_state(ben.store, clip, "ben")
    made = takes_of(ben)
    _, again = tune(ben.store, "ben", ben.options, windows=1, speeds=(), sentences=EIGHT)
    assert again.chosen is None and takes_of(ben) == made, "what was spoken for the trial is what it speaks now"
    with pytest.raises(InputError, match="has changed while"):
        keep_tuning(ben.store, voice, tuned)
    second = keep_tuning(ben.store, kept, tuned.model_copy(update={"chosen": ReferenceSetting(speed=0.9)}))
    back, undone = undo_tuning(ben.store, "ben")
    assert undone == second.tunings[-1] and back == kept
    assert undo_tuning(ben.store, "ben")[0] == voice
    with pytest.raises(InputError, match="not tuned"):
        undo_tuning(ben.store, "ben")


@pytest.mark.slow
def test_nothing_is_kept_that_may_be_chance(ben, cloner):
    """All parts that are tried now say every word."""
    _, tuned = tune(ben.store, "ben", ben.options, windows=2, speeds=(), sentences=EIGHT)
    assert tuned.chosen and not tuned.heard, "the measures alone tell"
    voice = keep_tuning(ben.store, some(find_voice(ben.store, "ben")), tuned)
    _, again = tune(ben.store, "ben", ben.options, windows=3, speeds=(0.95,), sentences=EIGHT)
    assert len(again.trials) == 3 and again.present == voice.setting and again.chosen is None
    assert ReferenceSetting() in [trial.setting for trial in again.trials], "the part chosen by itself is tried too"
    assert "stays" in again.verdict()


@pytest.mark.slow
def test_the_command_tells_keeps_and_undoes(here, ben, cloner):
    # In processes of their own: a run's definitions read their settings once.
    engine = {"F5_ENGINE": "cloner", "F5_LISTEN": "off", **bring_engine(here.root, "cloner", f"{__name__}:CLONER")}
    made = Installation(here.root, {"F5_STORE": ben.store.url, **engine})
    engines_known = ben.weights.engines | {"cloner": ben.weights.engines["draft"]}
    studio = replace(ben, weights=ben.weights.model_copy(update={"engines": engines_known}))
    write_state(ben.store, studio.plan("The bell rang twice.", voice="ben"), "story")
    assert narrations_with(ben.store, "ben") == ["story"] and narrations_with(ben.store, "ada") == []
    sentences = here.write("sentences.txt", "\n".join(EIGHT))

    def command(*options: object) -> Ended:
        return made.run("voices", "tune", "ben", *options)

    tried = ("--windows", 2, "--speed", 1.1, "--sentences", sentences)
    dry = command(*tried, "--dry-run", "--json").object
    part, pace = dry["trials"]
    assert part["better"] and pace["against"] == part["setting"] == dry["chosen"] and not pace["better"]
    spoken = takes_of(ben)
    assert dry["chosen"] and not dry["kept"] and not some(find_voice(ben.store, "ben")).tunings
    kept = command(*tried)
    assert "made anew where these are narrated next: story" in kept.err and "better" in kept.out
    assert takes_of(ben) == spoken, "what was spoken is not spoken again"
    assert not find_reference(ben.store, "ben").text.startswith(PRESENT), "its reference is made already"
    assert "tuned" in made.run("voices", "show", "ben").out
    undone = command("--undo")
    assert "is taken back" in undone.err and "not tuned" in undone.err
    assert find_reference(ben.store, "ben").text.startswith(PRESENT)


def test_a_draft_is_nothing_to_tune(studio, cloner, tmp_path: Path):
    drafts = studio.options.model_copy(update={"engine": "draft"})
    with pytest.raises(InputError, match="nothing to tune"):
        tune(studio.store, "ada", drafts)
    with pytest.raises(InputError, match="too few"):
        tune(studio.store, "ada", studio.options, sentences=EIGHT[:3])


def chosen_by_chance(voices: int, faulty: float) -> int:
    """How many voices get another setting, of those whose takes are faulty so often, where all that is tried has a
    fifth of faulty takes."""
    random = np.random.default_rng(1)

    def tried(share: float) -> _Tried:
        heard = {}
        for index, is_faulty in enumerate(random.random(16) < share):
            errors = int(random.poisson(0.4)) + int(is_faulty) * int(random.integers(2, 6))
            fault = 0.9 if is_faulty else float(random.beta(1, 20))
            similarity = float(random.normal(0.8, 0.03))
            scores = Scores(
                take="", words=12, errors=errors, similarity=similarity, faulty=bool(is_faulty), fault=fault
            )
            heard[index] = Mock(line=1, written=""), scores
        return _Tried(_Candidate(ReferenceSetting(), Mock()), heard)

    tests = 5 * len(CRITERIA)
    found = 0
    for _ in range(voices):
        present = tried(faulty)
        found += any(_trial(present, tried(0.2), tests).better for _ in range(5))
    return found


@pytest.mark.slow
def test_a_setting_is_rarely_left_for_none_that_is_better():
    assert chosen_by_chance(40, faulty=0.2) <= 4, "one in twenty is expected"
    assert chosen_by_chance(10, faulty=0.7) >= 5

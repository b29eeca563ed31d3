"""The verdict on takes that were listened to."""

from __future__ import annotations

import math

import pytest

from f5_pipeline.speech.listening.listener import Hearing
from f5_pipeline.speech.listening.words import compare
from f5_pipeline.speech.quality.gate import MAX_SCORE, PRIOR, in_doubt, judge
from f5_pipeline.speech.quality.measures import Measures
from f5_pipeline.speech.quality.verdict import FAULTY, Logistic, NoisyOr

TEXT = "The lights flickered twice and then the whole street went dark."
GOOD = Measures(
    words=11, seconds=4, cost=0.62, margin=0.21, doubt=0.2, stretch=0.2, extra=0.2, missing=0.1, pace=0.0, pause=0.0,
    head=0.1, tail=0.1, clipped=0, level=-21, step=2, floor=-50, flatness=-28, leak=0.0
)  # fmt: skip


_OTHERWISE = {"weakest": -13.0, "unheard": -5.0}


def hearing(heard: str, gain: float = 12.0, **more: float) -> Hearing:
    differences = compare(TEXT, heard, "en")
    gains = dict.fromkeys([kind for kind, *_ in differences.texts], gain)
    likely = differences.errors == 0 or gain < 0
    heard_as_written = {"weakest": -3.0, "unheard": 3.0} if likely else _OTHERWISE
    values = {"certainty": -0.15, "doubled": -9.0, **heard_as_written, **more}
    return Hearing(by="test", text=heard, gains=gains, differences=differences, **values)  # type: ignore[arg-type]


def test_a_take_that_is_heard_as_it_should_be_passes():
    verdict = judge(GOOD, PRIOR, hearing(TEXT))
    assert verdict.passed and verdict.reasons == [] and verdict.score < MAX_SCORE


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        (TEXT.replace("flickered ", ""), "“flickered” is missing."),
        (TEXT.replace("twice", "twice twice"), "“twice” is heard twice."),
    ],
)
def test_a_word_that_is_surely_heard_otherwise_fails_a_take_that_measures_well(heard: str, reason: str):
    verdict = judge(GOOD, PRIOR, hearing(heard, doubled=2.0 if "twice twice" in heard else -9.0))
    assert not verdict.passed and verdict.reasons[0] == reason and verdict.score > MAX_SCORE


def test_a_word_that_whisper_writes_though_it_is_not_said_fails_a_take_and_is_named():
    verdict = judge(GOOD, PRIOR, hearing(TEXT, **_OTHERWISE, unheard_word="street"))  # type: ignore[arg-type]
    assert not verdict.passed and verdict.reasons[0] == "Something else is heard near “street”."


def test_a_slip_of_the_listener_fails_nothing():
    assert judge(GOOD, PRIOR, hearing(TEXT.replace("flickered", "flick erred"), gain=-1.0)).passed


def test_another_speaker_fails_a_take():
    verdict = judge(GOOD, PRIOR, hearing(TEXT, similarity=0.45))
    assert not verdict.passed and "another speaker: likeness 0.45" in verdict.reasons[0]
    assert judge(GOOD, PRIOR, hearing(TEXT, similarity=0.85)).passed


def test_the_attempt_that_is_heard_better_has_the_lower_score():
    one = judge(GOOD, PRIOR, hearing(TEXT.replace("flickered ", ""))).score
    three = judge(GOOD, PRIOR, hearing(TEXT.replace("flickered twice and ", ""))).score
    assert judge(GOOD, PRIOR, hearing(TEXT)).score < one < three


def test_a_broken_limit_fails_a_take_whatever_is_heard():
    silent = GOOD.model_copy(update={"tail": 3.0})
    assert not judge(silent, PRIOR, hearing(TEXT)).passed


def test_takes_that_measure_well_are_not_in_doubt():
    assert not in_doubt(GOOD) and in_doubt(GOOD.model_copy(update={"extra": 1.5, "stretch": 1.2, "cost": 0.7}))


def test_a_cause_that_says_nothing_leaves_the_verdict_to_the_other():
    sound, words = Logistic(intercept=-4.0, weights={"pace": 2.0}), Logistic(intercept=-5.0, weights={"missing": 3.0})
    alone, both = NoisyOr(causes={"sound": sound}), NoisyOr(causes={"sound": sound, "words": words})
    prior = math.log(FAULTY / (1 - FAULTY))
    assert alone.log_odds({"pace": 3.0}) == pytest.approx(sound.log_odds({"pace": 3.0}) + prior)
    assert both.log_odds({"pace": 3.0}) == pytest.approx(alone.log_odds({"pace": 3.0}), abs=0.05)
    assert both.log_odds({"pace": 1.0, "missing": 3.0}) == pytest.approx(both.log_odds({"missing": 3.0}), abs=0.2)
    assert both.shares({"missing": 3.0})["words"] > 0.99 > 0.01 > both.shares({"pace": 4.0})["words"]

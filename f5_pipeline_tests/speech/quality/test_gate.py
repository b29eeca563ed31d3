"""The quality gate on speech whose truth is known: draft voices, whole and broken (see `benchmarks.faults`)."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pytest

from benchmarks.faults import FAULTS, Corpus, Spoken
from f5_pipeline.speech.alignment.forced import AlignmentError, align
from f5_pipeline.speech.alignment.renderings import Drafts, articulation_seconds
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.engines.draft.engine import DraftEngine
from f5_pipeline.speech.quality.gate import (
    KINDS,
    MAX_DEVIATION,
    PRIOR,
    Band,
    Measures,
    ReferenceTail,
    band_of,
    judge,
    measure,
)
from f5_pipeline_tests.support.some import some

pytestmark = pytest.mark.slow

VOICES = ("en-0", "zh-0")
LINES = 12
SENTENCES = (4, 8, 11)  # places of longer lines
# fmt: off
ALWAYS_CAUGHT = (
    "silence", "hole", "only_noise", "buzz", "noise_0", "noise_10", "clipped", "wrong_text", "other_language",
    "garbled", "shuffled_words", "swapped_halves", "cut_end", "lost_3", "repeated_3", "leak_0.8",
)
# fmt: on


@dataclass
class Gate:
    """Measures takes of the corpus as a run does."""

    corpus: Corpus
    drafts: Drafts

    def measure(self, samples: np.ndarray, text: str, language: str, voice: str) -> Measures:
        reference = self.corpus.reference(voice)
        rate = articulation_seconds(reference.samples)
        rate /= self.drafts.template(reference.text, reference.language).articulation
        template = self.drafts.template(text, language)
        try:
            alignment = align(samples, template)
        except AlignmentError as error:
            alignment = error
        tail = ReferenceTail.of(reference.samples)
        return measure(samples, template, alignment, expected_seconds=rate * template.seconds, reference=tail)

    def good(self, voice: str, line: int) -> Measures:
        take = self.corpus.good(voice, line)
        return self.measure(take.samples, take.text, take.language, voice)

    def faulty(self, voice: str, line: int, fault: str) -> Measures:
        take = self.corpus.good(voice, line)
        samples = some(self.corpus.faulty(voice, line, fault))
        return self.measure(samples, take.text, take.language, voice)


@pytest.fixture(scope="module")
def gate():
    engine, drafts = DraftEngine(workers=2), Drafts(workers=2)
    try:
        yield Gate(Corpus(engine, ["en", "zh"], 1, LINES), drafts)
    finally:
        engine.close()
        drafts.close()


@pytest.fixture(scope="module")
def good(gate) -> dict[str, list[Measures]]:
    return {voice: [gate.good(voice, line) for line in range(LINES)] for voice in VOICES}


@pytest.fixture(scope="module")
def bands(good) -> dict[str, Band]:
    return {voice: band_of(takes) for voice, takes in good.items()}


def usual(words: int = 10, **other: float | str | None) -> Measures:
    """A take in the middle of the prior, but for what is given."""
    middle = {name: kind.back(kind.middle) for name, kind in KINDS.items()}
    rest = {"words": words, "seconds": 3.0, "head": 0.1, "tail": 0.1, "clipped": 0.0}
    return Measures.model_validate({**middle, **rest, **other})


# --- good takes and faults --------------------------------------------------------------------------------------------


def test_good_takes_pass(good, bands):
    """About one in a hundred fails: of 24, one at most."""
    failed = [judge(take, bands[voice]) for voice, takes in good.items() for take in takes]
    failed = [verdict for verdict in failed if not verdict.passed]
    assert len(failed) <= 1, failed


def test_good_takes_pass_with_the_prior_alone(good):
    failed = [verdict for takes in good.values() for take in takes if not (verdict := judge(take, PRIOR)).passed]
    assert len(failed) <= 1, failed


@pytest.mark.parametrize("fault", ALWAYS_CAUGHT)
def test_a_fault_is_caught_and_scores_worse(gate, good, bands, fault):
    for voice in VOICES:
        for line in SENTENCES:
            verdict = judge(gate.faulty(voice, line, fault), bands[voice])
            assert not verdict.passed, (voice, line, verdict)
            assert verdict.reasons
            assert verdict.score > judge(good[voice][line], bands[voice]).score


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - set(ALWAYS_CAUGHT)))
def test_a_lesser_fault_scores_worse_than_the_good_take(gate, good, bands, fault):
    worse = [
        judge(gate.faulty(voice, line, fault), bands[voice]).score > judge(good[voice][line], bands[voice]).score
        for voice in VOICES
        for line in SENTENCES
    ]
    assert sum(worse) >= len(worse) * 2 / 3


def test_faulty_takes_in_the_round_do_not_hide(gate, good):
    """A fifth of a voice's takes is faulty: the band stays, the faulty ones are found, the good ones pass."""
    for voice in VOICES:
        broken = [gate.faulty(voice, 4, "shuffled_words"), gate.faulty(voice, 8, "cut_end")]
        broken.append(gate.faulty(voice, 11, "noise_10"))
        whole = [take for line, take in enumerate(good[voice]) if line not in (4, 8, 11)]
        band = band_of([*whole, *broken])
        assert not any(judge(take, band).passed for take in broken)
        assert sum(not judge(take, band).passed for take in whole) <= 1


def test_the_leak_is_named(gate, bands):
    verdicts = [judge(gate.faulty(voice, line, "leak_0.4"), bands[voice]) for voice in VOICES for line in SENTENCES]
    named = [any("end of the reference" in reason for reason in verdict.reasons) for verdict in verdicts]
    assert sum(named) >= len(named) / 2


# --- what an engine may give ------------------------------------------------------------------------------------------


def untrained(seed: int) -> np.ndarray:
    """What a vocoder makes of random mel frames: noise whose colour and level wander."""
    chance = np.random.default_rng(seed)
    noise = chance.standard_normal(3 * SAMPLE_RATE)
    envelope = np.interp(np.arange(len(noise)), np.arange(0, len(noise), 2400), chance.uniform(0.02, 0.3, 30))
    return np.clip(noise * envelope, -1, 1).astype(np.float32)


TIME = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
ODD: dict[str, Callable[[], np.ndarray]] = {
    "untrained 1": lambda: untrained(1),
    "untrained 2": lambda: untrained(2),
    "nothing": lambda: np.zeros(0),
    "one sample": lambda: np.ones(1),
    "one frame": lambda: 0.5 * np.ones(240),
    "silence": lambda: np.zeros(SAMPLE_RATE),
    "direct current": lambda: 0.5 * np.ones(SAMPLE_RATE),
    "square wave": lambda: np.sign(np.sin(2 * np.pi * 200 * TIME)),
    "sine": lambda: 0.3 * np.sin(2 * np.pi * 200 * TIME),
    "click": lambda: np.eye(1, SAMPLE_RATE, 9000)[0],
    "no numbers": lambda: np.full(SAMPLE_RATE, np.nan),
    "one is no number": lambda: np.where(np.arange(SAMPLE_RATE) == 9, np.inf, 0.1 * np.sin(np.arange(SAMPLE_RATE))),
    "short burst": lambda: np.concatenate([np.zeros(SAMPLE_RATE), untrained(3)[:1500], np.zeros(SAMPLE_RATE)]),
}


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("text", ["By noon, every page has found its voice.", "Yes."])
def test_what_is_no_speech_fails_and_nothing_breaks(gate, what, text):
    measures = gate.measure(ODD[what]().astype(np.float32), text, "en", "en-0")
    verdict = judge(measures)
    assert not verdict.passed
    assert all(math.isfinite(value) for value in measures.model_dump().values() if isinstance(value, float))


def test_a_take_that_cannot_be_aligned_is_measured_and_fails(gate):
    take = gate.corpus.good("en-0", 8)
    template = gate.drafts.template(take.text, "en")
    measures = measure(take.samples, template, AlignmentError("the take does not fit"), expected_seconds=3.0)
    assert measures.cost is None
    assert measures.level == pytest.approx(-22, abs=4)
    verdict = judge(measures)
    assert not verdict.passed
    assert verdict.reasons == ["The take cannot be aligned with its text: the take does not fit."]
    assert verdict.score > judge(usual(level=-40.0)).score


def test_a_draft_without_words(gate):
    take = gate.corpus.good("en-0", 8)
    template = replace(gate.drafts.template(take.text, "en"), tokens=())
    with pytest.raises(AlignmentError) as failure:
        align(take.samples, template)
    measures = measure(take.samples, template, failure.value)
    assert measures.words == 0
    assert not judge(measures).passed


def test_threads_measure_the_same(gate):
    takes: list[Spoken] = [gate.corpus.good("en-0", line) for line in range(5)]

    def one(take: Spoken) -> Measures:
        return gate.measure(take.samples, take.text, take.language, "en-0")

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(one, takes)) == [one(take) for take in takes]


def test_measures_are_small_in_a_record(good):
    for take in good["en-0"]:
        kept = take.model_dump_json()
        assert len(kept) < 500
        assert Measures.model_validate_json(kept) == take
    kept = band_of(good["en-0"]).model_dump_json()
    assert Band.model_validate(json.loads(kept)) == band_of(good["en-0"])


# --- bands and verdicts -----------------------------------------------------------------------------------------------


def test_the_band_moves_from_the_prior_to_the_voice():
    assert band_of([]).usual == PRIOR.usual
    takes = [usual(cost=0.7 + 0.01 * (n % 3 - 1)) for n in range(40)]
    found = [band_of(takes[:n]).usual["cost"] for n in (0, 1, 3, 9, 40)]
    middles = [one.middle for one in found]
    assert middles == sorted(middles)
    assert middles[-1] == pytest.approx(0.7, abs=0.005)
    doubts = [one.doubt for one in found]
    assert doubts == sorted(doubts, reverse=True)
    assert doubts[-1] < 0.2 * doubts[0]
    assert found[-1].spread < found[0].spread


def test_a_voice_is_judged_by_its_own_takes():
    far = usual(flatness=-14.0)
    assert judge(far, band_of([usual(flatness=-15.0 + 0.2 * (n % 5)) for n in range(20)])).passed
    assert not judge(far, band_of([usual(flatness=-30.0 + 0.2 * (n % 5)) for n in range(20)])).passed


def test_the_reference_tells_how_well_the_voice_can_be_aligned():
    reference = usual(cost=0.75, pace=0.3, level=-40.0)
    band = band_of([], reference=reference)
    assert band.usual["cost"].middle > PRIOR.usual["cost"].middle
    assert band.usual["level"] == PRIOR.usual["level"]
    assert band.usual["pace"] == PRIOR.usual["pace"]


def test_a_band_kept_before_a_measure_was_made_judges_it_by_the_prior():
    old = Band(usual={name: one for name, one in PRIOR.usual.items() if name != "leak"}, takes=20)
    assert judge(usual(leak=3.0), old) == judge(usual(leak=3.0), PRIOR)
    assert band_of([], old).usual == PRIOR.usual


def test_takes_that_are_not_aligned_teach_nothing():
    failed = usual(failure="the sound is silent", cost=None, level=-120.0)
    takes = [usual() for _ in range(5)]
    assert band_of([*takes, failed]) == band_of(takes)


def test_short_takes_may_scatter_more():
    long, short = (judge(usual(words=words, cost=0.80)) for words in (12, 1))
    assert not long.passed
    assert short.passed
    assert short.score < long.score
    takes = [usual(cost=0.6), usual(words=1, cost=0.9)]
    assert band_of(takes).usual["cost"].middle < 0.63


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"clipped": 0.03}, "3.0 % of the samples are clipped."),
        ({"pause": 1.8}, "There are 1.8 s of silence inside the speech."),
        ({"head": 2.0}, "There are 2.0 s of silence before the speech."),
        ({"tail": 2.0}, "There are 2.0 s of silence after the speech."),
        ({"pace": math.log(2.5)}, "The speech lasts 2.50 times as long as expected."),
        ({"pace": -math.log(2.5)}, "The speech lasts 0.40 times as long as expected."),
        ({"margin": 0.01}, "It is not this text: the sound fits it 1 % better than any other."),
        ({"floor": -3.0}, "It is noise: -3 dB from the speech, flatness -28 dB."),
        ({"failure": "the sound is silent"}, "The take cannot be aligned with its text: the sound is silent."),
    ],
)
def test_some_limits_hold_in_any_voice(wrong, told):
    lax = Band(
        usual={name: one.model_copy(update={"spread": 1e6}) for name, one in PRIOR.usual.items()},
        takes=0,
    )
    verdict = judge(usual(**wrong), lax)
    assert verdict.reasons == [told]
    assert verdict.score >= 100


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"level": -50.0}, "The level is -50.0 dBFS (this voice: from -3"),
        ({"level": 0.0}, "The level is 0.0 dBFS (this voice: up to -"),
        ({"pace": math.log(1.6)}, "The speech lasts 1.60 times as long as expected (this voice: up to 1.3"),
        ({"missing": 2.0}, "There is 2.00 s of sound too little in one place (this voice: up to 0."),
    ],
)
def test_reasons_name_value_and_bound(wrong, told):
    verdict = judge(usual(**wrong))
    assert not verdict.passed
    assert verdict.reasons[0].startswith(told)


def test_many_small_oddities_together_fail():
    def off(count: int) -> Measures:
        beyond = {}
        for name in list(KINDS)[:count]:
            kind, one = KINDS[name], PRIOR.usual[name]
            side = -1 if kind.side == "low" else 1
            width = math.hypot(one.spread * math.hypot(1, kind.short / 10), one.doubt)
            beyond[name] = kind.back(one.middle + side * 0.8 * MAX_DEVIATION * width)
        return usual(**beyond)

    assert judge(off(1)).passed
    (reason,) = judge(off(6)).reasons
    assert reason.startswith("Nothing is out of bounds alone")


def test_what_is_better_than_usual_is_no_fault():
    assert judge(usual(cost=0.1, doubt=0.0, stretch=0.0, extra=0.0, missing=0.0, margin=0.9, floor=-90.0)).score == 0


def test_judging_needs_no_heavy_package():
    heavy = "{'numba', 'scipy', 'torch', 'numpy'}"
    program = f"import sys, f5_pipeline.speech.quality.gate; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)

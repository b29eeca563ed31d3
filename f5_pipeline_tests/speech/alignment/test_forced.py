"""Forced alignment against exact times: other voices, pauses, noise; and what is not speech or another text."""

from __future__ import annotations

import math
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from f5_pipeline.speech.alignment.forced import Alignment, AlignmentError, align, proportional
from f5_pipeline.speech.alignment.renderings import Template
from f5_pipeline.speech.engine import SAMPLE_RATE, Token
from f5_pipeline.speech.engines.draft.times import spoken_units
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.spoken import SENTENCES, VOICES, say, with_noise, with_pauses


def errors(found: Alignment, exact: list[Token]) -> tuple[np.ndarray, np.ndarray]:
    """Absolute errors of starts and ends, ms."""
    pairs = list(zip(found.tokens, exact, strict=True))
    assert all((one.start_char, one.end_char) == (other.start_char, other.end_char) for one, other in pairs)
    starts = np.array([abs(one.start - other.start) for one, other in pairs])
    return starts * 1000, np.array([abs(one.end - other.end) for one, other in pairs]) * 1000


def check_sound(found: Alignment, samples: np.ndarray) -> None:
    """What holds of every alignment, whatever was aligned."""
    last = 0.0
    for token in found.tokens:
        assert last <= token.start <= token.end
        last = token.end
    assert last <= len(samples) / SAMPLE_RATE + 1e-9
    first, end = found.speech
    assert 0 <= first < end <= len(samples) / SAMPLE_RATE + 1e-9
    assert first <= found.tokens[0].start and found.tokens[-1].end <= end
    assert len(found.tokens) == len(found.confidence) == len(found.stretch)
    assert all(0 <= one <= 1 for one in found.confidence)
    assert all(math.isfinite(one) for one in [*found.stretch, found.cost, found.margin])


@pytest.mark.parametrize("language", [language for language in SENTENCES if language != "ja"])
def test_times_are_those_of_another_voice(engine, drafts, language):
    template = drafts.template(SENTENCES[language], language)
    every = []
    for voice in VOICES:
        speech = say(engine, SENTENCES[language], language, voice)
        found = align(speech.samples, template)
        check_sound(found, speech.samples)
        every += errors(found, some(speech.tokens))
        assert np.mean(found.confidence) > 0.85
    assert np.median(np.concatenate(every)) < 10
    assert np.percentile(np.concatenate(every), 95) < 40


def test_each_character_of_chinese_and_japanese_has_a_time(engine, drafts):
    for language in ("zh", "ja"):
        text = SENTENCES[language]
        speech = say(engine, text, language)
        found = align(speech.samples, drafts.template(text, language))
        check_sound(found, speech.samples)
        assert [(token.start_char, token.end_char) for token in found.tokens] == spoken_units(text)
        assert len(found.tokens) > 20 and all(token.end > token.start for token in found.tokens)
    # The words of a run of Japanese have no events of their own: either side interpolates.
    assert np.median(np.concatenate(errors(found, some(speech.tokens)))) < 40


@pytest.mark.parametrize("language", ["en", "ru", "zh"])
def test_pauses_that_only_the_take_makes_smear_nothing(engine, drafts, language):
    rng = np.random.default_rng(1)
    every = []
    for voice in ("slow", "fast"):
        speech = say(engine, SENTENCES[language], language, voice)
        samples, tokens = with_pauses(speech.samples, some(speech.tokens), rng)
        found = align(samples, drafts.template(SENTENCES[language], language))
        check_sound(found, samples)
        every += errors(found, tokens)
    assert np.median(np.concatenate(every)) < 10
    assert np.percentile(np.concatenate(every), 95) < 45


@pytest.mark.parametrize(("decibels", "median", "most"), [(20, 12, 45), (10, 15, 80)])
def test_noise_costs_little(engine, drafts, decibels, median, most):
    rng = np.random.default_rng(2)
    edges = np.zeros(SAMPLE_RATE // 2, np.float32)
    every = []
    for language in ("en", "fr", "hi"):
        speech = say(engine, SENTENCES[language], language, "fast")
        samples = with_noise(np.concatenate([edges, speech.samples, edges]), rng, decibels)
        found = align(samples, drafts.template(SENTENCES[language], language))
        check_sound(found, samples)
        tokens = [Token(one.start_char, one.end_char, one.start + 0.5, one.end + 0.5) for one in some(speech.tokens)]
        every += errors(found, tokens)
    assert np.median(np.concatenate(every)) < median
    assert np.percentile(np.concatenate(every), 95) < most


def test_level_and_edges_do_not_matter(engine, drafts):
    speech = say(engine, SENTENCES["en"])
    template = drafts.template(SENTENCES["en"], "en")
    plain = align(speech.samples, template)
    edge = np.zeros(SAMPLE_RATE, np.float32)
    quiet = align(np.concatenate([edge, speech.samples * 0.05, edge]), template)
    for one, other in zip(plain.tokens, quiet.tokens, strict=True):
        assert other.start - 1 == pytest.approx(one.start, abs=0.015)
        assert other.end - 1 == pytest.approx(one.end, abs=0.015)
    assert quiet.speech[0] == pytest.approx(plain.speech[0] + 1, abs=0.02)


def test_a_template_aligned_with_its_own_sound_is_exact(drafts):
    speech = drafts.speech(SENTENCES["en"], "en")
    found = align(speech.samples, drafts.template(SENTENCES["en"], "en"))
    assert max(map(np.max, errors(found, some(speech.tokens)))) < 60  # the sound dies away after the event
    assert np.median(np.concatenate(errors(found, some(speech.tokens)))) < 6
    assert found.cost < 0.05 and found.margin > 0.9
    assert max(map(abs, found.stretch)) < 0.35
    assert min(found.confidence) > 0.9


def test_confidence_and_margin_tell_another_text(engine, drafts):
    rng = np.random.default_rng(3)
    speech = say(engine, SENTENCES["en"], voice="fast")
    words = SENTENCES["en"].split()
    other = "The price of coal went up again in nineteen twelve; the magistrates blamed the railway and the war."
    right = align(speech.samples, drafts.template(SENTENCES["en"], "en"))
    noisy = align(with_noise(speech.samples, rng, 10), drafts.template(SENTENCES["en"], "en"))
    wrong = align(speech.samples, drafts.template(other, "en"))
    shuffled = align(speech.samples, drafts.template(" ".join(rng.permutation(words)), "en"))
    assert right.margin > noisy.margin > 0.13 > max(wrong.margin, shuffled.margin)
    assert min(right.confidence) > 0.7 and np.median(noisy.confidence) > 0.7
    assert np.median(wrong.confidence) < 0.3
    assert np.median(wrong.confidence) < np.median(noisy.confidence) < np.median(right.confidence)
    assert wrong.cost > right.cost + 0.1


def test_confidence_falls_where_a_word_is_not_said(engine, drafts):
    words = SENTENCES["en"].split()
    speech = say(engine, " ".join(words[:8] + words[11:]), voice="fast")
    found = align(speech.samples, drafts.template(SENTENCES["en"], "en"))
    check_sound(found, speech.samples)
    assert max(found.confidence[8:11]) < 0.5 < min(found.confidence[:6] + found.confidence[13:])
    assert min(found.stretch[8:11]) < -0.7


def noises() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    seconds = np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE
    return {
        "white": rng.standard_normal(5 * SAMPLE_RATE).astype(np.float32) * 0.1,
        "tone": (0.3 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32),
        "square": np.sign(np.sin(2 * np.pi * 100 * seconds)).astype(np.float32),
        "bursts": (rng.standard_normal(5 * SAMPLE_RATE) * (np.sin(5 * seconds) > 0)).astype(np.float32),
        "direct current": np.full(5 * SAMPLE_RATE, 0.5, np.float32),
        "click": np.eye(1, 5 * SAMPLE_RATE, 60_000, dtype=np.float32)[0],
        "a hundredth": rng.standard_normal(240).astype(np.float32) * 0.1,
        "two frames": rng.standard_normal(480).astype(np.float32) * 0.1,
        "long": rng.standard_normal(90 * SAMPLE_RATE).astype(np.float32) * 0.1,
    }


@pytest.mark.parametrize("name", noises())
@pytest.mark.parametrize(
    "text", ["No.", SENTENCES["en"], " ".join([SENTENCES["en"]] * 6)], ids=["short", "usual", "long"]
)
def test_noise_is_given_low_confidence_or_refused(drafts, name, text):
    samples = noises()[name]
    try:
        found = align(samples, drafts.template(text, "en"))
    except AlignmentError as error:
        assert name in ("direct current", "click", "a hundredth", "two frames"), error
        return
    check_sound(found, samples)
    assert np.median(found.confidence) < 0.6


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros(0, np.float32), "silent"),
        (np.zeros(SAMPLE_RATE, np.float32), "silent"),
        (np.full(SAMPLE_RATE, np.nan, np.float32), "not numbers"),
    ],
)
def test_silence_and_broken_samples_are_told(drafts, samples, said):
    with pytest.raises(AlignmentError, match=said):
        align(samples, drafts.template("Hello.", "en"))
    with pytest.raises(AlignmentError, match=said):
        proportional("Hello.", samples, "en")


def test_a_draft_without_words_is_told(engine):
    bare = Template(np.zeros((50, 40), np.float32), (), 0.5, 0.5)
    with pytest.raises(AlignmentError, match="no word"):
        align(say(engine, "Hello.").samples, bare)


def test_one_word_and_one_minute(engine, drafts):
    word = say(engine, "Yes.")
    found = align(word.samples, drafts.template("Yes.", "en"))
    check_sound(found, word.samples)
    assert len(found.tokens) == 1 and errors(found, some(word.tokens))[0] < 30
    text = " ".join(
        [SENTENCES["en"], "It was the third day of rain, and nobody had seen the ferryman since Sunday."] * 6
    )
    minute = say(engine, text, voice="slow")
    assert len(minute.samples) > 60 * SAMPLE_RATE
    template = drafts.template(text, "en")
    tracemalloc.start()
    try:
        found = align(minute.samples, template)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.percentile(np.concatenate(errors(found, some(minute.tokens))), 95) < 40
    assert peak < 12e6


def test_threads_give_the_same_as_one(engine, drafts):
    speech = [say(engine, SENTENCES["en"], voice=voice) for voice in VOICES]
    template = drafts.template(SENTENCES["en"], "en")
    alone = [align(one.samples, template) for one in speech]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda one: align(one.samples, template), speech * 4))
    assert together == alone * 4


def test_proportional_is_told_from_measured(engine):
    speech = say(engine, SENTENCES["en"])
    found = proportional(SENTENCES["en"], speech.samples, "en")
    check_sound(found, speech.samples)
    assert found.method == "proportional" and max(found.confidence) <= 0.2
    assert [(token.start_char, token.end_char) for token in found.tokens] == spoken_units(SENTENCES["en"])
    assert np.median(errors(found, some(speech.tokens))[0]) < 400
    with pytest.raises(AlignmentError, match="no word"):
        proportional("…", speech.samples, "en")

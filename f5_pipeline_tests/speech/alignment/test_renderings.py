"""Templates: exact, the same each time, rendered once however many ask, and never more memory than allowed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from f5_pipeline.speech.alignment import renderings as drafts
from f5_pipeline.speech.alignment.renderings import Drafts, NoDraft, articulation_seconds, template_of
from f5_pipeline.speech.audio import features
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.engine import SAMPLE_RATE, Speech
from f5_pipeline.speech.engines.draft.times import spoken_units
from f5_pipeline_tests.support.some import some

SENTENCE = "She opened the ledger, counted twice, and left. Nobody saw her."


@pytest.fixture(scope="module")
def shared():
    made = Drafts(workers=2)
    yield made
    made.close()


class Counted(Drafts):
    """Counts its renderings, and may hold them up."""

    def __init__(self, **options) -> None:
        super().__init__(workers=2, **options)
        self.rendered: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def speech(self, text: str, language: str) -> Speech:
        self.rendered.append(text)
        assert self.gate.wait(30)
        return super().speech(text, language)


@pytest.fixture
def counted():
    made = Counted()
    yield made
    made.close()


def test_template_is_the_speech_from_its_first_sound_to_its_last(shared):
    speech = shared.speech(SENTENCE, "en")
    template = shared.template(SENTENCE, "en")
    start, end = some(audio.speech_bounds(speech.samples))
    assert template.seconds == pytest.approx(end - start, abs=1e-6)
    assert template.features.shape == (features.frame_count(round(template.seconds * SAMPLE_RATE)), features.BANDS)
    assert template.features.dtype == np.float32
    assert [(token.start_char, token.end_char) for token in template.tokens] == spoken_units(SENTENCE)
    for token, spoken in zip(template.tokens[1:-1], speech.tokens[1:-1], strict=True):
        assert token.start == pytest.approx(spoken.start - start, abs=1e-6)
    assert all(0 <= token.start <= token.end <= template.seconds for token in template.tokens)


def test_template_is_the_same_each_time(shared):
    other = Drafts(workers=1)
    try:
        first, again = shared.template(SENTENCE, "en"), other.template(SENTENCE, "en")
    finally:
        other.close()
    assert first.tokens == again.tokens
    assert first.features.tobytes() == again.features.tobytes()
    # As kept: in half precision.
    exact = template_of(shared.speech(SENTENCE, "en"))
    assert np.abs(first.features - exact.features).max() < 0.01


def test_rendering_names_the_voice_that_decides_a_template(monkeypatch):
    before = drafts.rendering()
    monkeypatch.setitem(drafts._VOICE, "pitch", 40)
    assert drafts.rendering() != before


def test_what_is_kept_is_not_rendered_again(counted):
    first = counted.template(SENTENCE, "en")
    assert counted.template(SENTENCE, "en").tokens == first.tokens
    counted.template(SENTENCE, "de")
    assert counted.rendered == [SENTENCE, SENTENCE]
    # What was handed out is the caller's own.
    first.features[:] = 0
    assert counted.template(SENTENCE, "en").features.any()


def test_the_least_recently_used_go_when_memory_is_full():
    size = drafts._size(("Number 10.", "en"), drafts._narrowed(template_of(_spoken("Number 10."))))
    small = Counted(cache_bytes=4 * size)
    try:
        for number in range(10, 20):
            small.template(f"Number {number}.", "en")
            small.template("Number 10.", "en")
            assert small._bytes <= small._max_bytes
        assert small.rendered.count("Number 10.") == 1
        small.template("Number 11.", "en")
        assert small.rendered.count("Number 11.") == 2
        assert small._bytes == sum(drafts._size(*item) for item in small._kept.items())
    finally:
        small.close()
    assert small._bytes == 0


def _spoken(text: str) -> Speech:
    made = Drafts(workers=1)
    try:
        return made.speech(text, "en")
    finally:
        made.close()


def test_threads_that_ask_for_the_same_wait_for_one_rendering(counted):
    counted.gate.clear()
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(counted.template, SENTENCE, "en") for _ in range(8)]
        counted.gate.set()
        made = [one.result() for one in asked]
    assert counted.rendered == [SENTENCE]
    assert all(one.tokens == made[0].tokens for one in made)


def test_many_texts_from_many_threads(counted):
    texts = [f"Sentence number {number} of the tale." for number in range(24)]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda text: counted.template(text, "en"), texts * 2))
    assert sorted(counted.rendered) == sorted(texts)
    for text, one, again in zip(texts, together[:24], together[24:], strict=True):
        assert one.tokens == again.tokens and one.tokens[-1].end_char == len(text)


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [("Hello.", "tlh", "Unknown language"), ("…!", "en", "nothing to speak"), ("", "en", "nothing to speak")],
)
def test_what_cannot_be_drafted_is_told_each_time(counted, text, language, said):
    for _ in range(2):
        with pytest.raises(NoDraft, match=said):
            counted.template(text, language)
    assert not counted._making and not counted._kept


def test_a_rendering_that_fails_fails_for_all_who_wait(counted, monkeypatch):
    counted.gate.clear()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(counted.template, "…", "en") for _ in range(4)]
        counted.gate.set()
        for one in asked:
            with pytest.raises(NoDraft):
                one.result()


def test_articulation_leaves_pauses_out(shared):
    samples = shared.speech("Nobody had seen the ferryman.", "en").samples
    start, end = some(audio.speech_bounds(samples))
    whole = end - start
    assert articulation_seconds(samples) == pytest.approx(whole, abs=0.02)
    edges = np.zeros(SAMPLE_RATE, np.float32)
    apart = np.concatenate([edges, samples, edges, samples, edges])
    assert articulation_seconds(apart) == pytest.approx(2 * whole, abs=0.05)
    assert articulation_seconds(edges) == 0
    template = shared.template(SENTENCE, "en")
    gaps = [right.start - left.end for left, right in pairwise(template.tokens)]
    pauses = [gap for gap in gaps if gap > 0.15]
    assert len(pauses) == 3
    # The sound dies away for some 0.05 s after the event that ends a word.
    assert template.articulation == pytest.approx(template.seconds - sum(pauses) + 0.15, abs=0.1)


def test_log_mel_is_the_same_in_blocks_and_knows_its_scale():
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(20 * SAMPLE_RATE).astype(np.float32) * 0.1
    whole = features.log_mel(noise)
    assert whole.shape == (2000, features.BANDS)
    # Frames away from the cuts do not depend on how much is looked at.
    part = features.log_mel(noise[5 * SAMPLE_RATE : 12 * SAMPLE_RATE])
    np.testing.assert_allclose(part[2:-2], whole[502:1198], atol=1e-4)
    np.testing.assert_allclose(features.log_mel(noise * 0.5), whole + 2 * np.log(0.5), atol=1e-3)
    assert np.isfinite(features.log_mel(np.zeros(1000, np.float32))).all()
    assert features.log_mel(np.zeros(0, np.float32)).shape == (0, features.BANDS)
    tone = np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    loudest = features.log_mel(tone)[50].argmax()
    octave = np.sin(2 * np.pi * 2000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    assert features.log_mel(octave)[50].argmax() > loudest + 5

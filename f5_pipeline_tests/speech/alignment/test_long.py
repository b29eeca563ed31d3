"""Recordings of minutes with a transcript without times: words found exactly, and texts that do not belong refused."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest

from benchmarks.prose import paragraphs
from f5_pipeline.speech.alignment import long as long_alignment
from f5_pipeline.speech.alignment.forced import AlignmentError
from f5_pipeline.speech.alignment.long import align_long, align_pieces
from f5_pipeline.speech.alignment.renderings import Drafts, NoDraft
from f5_pipeline.speech.engine import SAMPLE_RATE, Token
from f5_pipeline.speech.engines.draft.times import spoken_units
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.spoken import SENTENCES, say, speakers


@pytest.fixture(scope="module")
def drafts():
    made = Drafts(workers=2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def read():
    """(samples, text, tokens) of 1.5 min, read by another voice sentence by sentence, with pauses of 0.2 to 1.2 s."""
    engine = speakers()
    rng = np.random.default_rng(6)
    text = "\n".join(piece.lstrip("# ") for piece in paragraphs(220, 11))
    parts, tokens, length = [], [], 0
    for begin, end in long_alignment._parts(text, "en"):
        speech = say(engine, text[begin:end], voice="fast")
        for one in some(speech.tokens):
            moment = length / SAMPLE_RATE
            tokens.append(Token(one.start_char + begin, one.end_char + begin, one.start + moment, one.end + moment))
        parts += [speech.samples, np.zeros(round(rng.uniform(0.2, 1.2) * SAMPLE_RATE), np.float32)]
        length += len(parts[-1]) + len(parts[-2])
    engine.close()
    samples = np.concatenate(parts)
    return (samples + 1e-3 * rng.standard_normal(len(samples))).astype(np.float32), text, tokens


def errors(found: list[Token], exact: list[Token]) -> np.ndarray:
    """Of starts and ends, ms."""
    assert [(one.start_char, one.end_char) for one in found] == [(one.start_char, one.end_char) for one in exact]
    pairs = list(zip(found, exact, strict=True))
    return 1000 * np.array([abs(one.start - two.start) for one, two in pairs] + [abs(a.end - b.end) for a, b in pairs])


def test_every_word_of_a_long_recording_is_found(read, drafts):
    samples, text, tokens = read
    found = align_pieces(samples, text, "en", drafts)
    assert len(found) > 1
    words = [token for piece in found for token in piece.tokens]
    assert np.median(errors(words, tokens)) < 10
    assert np.percentile(errors(words, tokens), 95) < 50
    assert errors(words, tokens).max() < 200
    last = 0.0
    for token in words:
        assert last <= token.start <= token.end
        last = token.end
    assert last <= len(samples) / SAMPLE_RATE
    assert np.mean([one for piece in found for one in piece.confidence]) > 0.85
    assert align_long(samples, text, "en", drafts) == words


def test_a_recording_can_be_read_from_disk(read, drafts, tmp_path):
    samples, text, _ = read
    samples.tofile(tmp_path / "samples")
    mapped = np.memmap(tmp_path / "samples", np.float32, "r")
    whole = align_long(samples, text, "en", drafts)
    tracemalloc.start()
    try:
        assert align_long(mapped, text, "en", drafts) == whole
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 15e6 < 2 * samples.nbytes


def test_silence_of_minutes_between_two_readings(read, drafts):
    samples, text, tokens = read
    part = text[: tokens[60].start_char]
    heard = samples[: round(tokens[60].start * SAMPLE_RATE)]
    later = (len(heard) + 120 * SAMPLE_RATE) / SAMPLE_RATE
    both = np.concatenate([heard, np.zeros(120 * SAMPLE_RATE, np.float32), heard])
    found = align_long(both, part + part, "en", drafts)
    again = [
        Token(a.start_char + len(part), a.end_char + len(part), a.start + later, a.end + later) for a in tokens[:60]
    ]
    assert np.percentile(errors(found, tokens[:60] + again), 95) < 60


def test_uneven_reading_goes_nowhere_else(read, drafts):
    # Every tenth word is followed by half a second of hum: the sound heard so far says little about the place.
    samples, text, tokens = read
    hum = (0.05 * np.sin(2 * np.pi * 120 * np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE)).astype(np.float32)
    parts, exact, done = [], [], 0
    for number, token in enumerate(tokens):
        moved = (len(hum) / SAMPLE_RATE) * (number // 10)
        exact.append(Token(token.start_char, token.end_char, token.start + moved, token.end + moved))
        if number % 10 == 9:
            end = round(token.end * SAMPLE_RATE)
            parts += [samples[done:end], hum]
            done = end
    found = align_long(np.concatenate([*parts, samples[done:]]), text, "en", drafts)
    starts = errors(found, exact)[: len(exact)]
    assert np.median(starts) < 20 and np.percentile(starts, 90) < 700


def test_text_without_a_single_mark(read, drafts):
    samples, text, tokens = read
    bare = " ".join(re.sub(r"\s|[.,;:!?“”()]", " ", text).split()).lower()
    parts = [bare[begin:end] for begin, end in long_alignment._parts(bare, "en")]
    assert max(map(len, parts)) <= 240 and len(parts) > 4
    assert " ".join(parts) == bare
    found = align_long(samples, bare, "en", drafts)
    # The draft pauses nowhere and reads some numbers otherwise, yet the words lie where they are said.
    spoken = [token for token in tokens if bare.count(text[token.start_char : token.end_char].lower()) == 1]
    starts = {bare[token.start_char : token.end_char]: token.start for token in found}
    apart = [abs(starts[word] - one.start) for one in spoken if (word := text[one.start_char : one.end_char]) in starts]
    assert len(apart) > 10 and np.median(apart) < 0.03


def test_languages_without_blanks(drafts):
    engine = speakers()
    speech = say(engine, SENTENCES["zh"] * 8, "zh", "slow")
    engine.close()
    assert len(speech.samples) > 45 * SAMPLE_RATE
    found = align_long(speech.samples, SENTENCES["zh"] * 8, "zh", drafts)
    assert [(token.start_char, token.end_char) for token in found] == spoken_units(SENTENCES["zh"] * 8)
    assert np.percentile(errors(found, some(speech.tokens)), 95) < 60


def other(words: int) -> str:
    return " ".join(piece.lstrip("# ") for piece in paragraphs(words, 77))


def sentences(text: str) -> list[str]:
    return long_alignment.sentences(text.replace("\n", " "), "en")


def test_another_text_is_refused(read, drafts):
    samples, text, _ = read
    with pytest.raises(AlignmentError, match="something else") as caught:
        align_long(samples, other(220), "en", drafts)
    assert caught.value.hint
    half = len(sentences(text)) // 2
    with pytest.raises(AlignmentError):
        align_long(samples, "".join(sentences(text)[half:] + sentences(text)[:half]), "en", drafts)


def seconds(place: str | int | None) -> float:
    minutes, _, rest = str(place).partition(":")
    return 60 * int(minutes) + float(rest)


def test_what_the_text_leaves_out_is_told_with_its_place(read, drafts):
    samples, text, tokens = read
    spoken = sentences(text)
    at = len(spoken) // 2
    left_out = len("".join(spoken[:at])), len("".join(spoken[: at + 3]))
    begin, end = (min(one.start for one in tokens if one.start_char >= place) for place in left_out)
    assert end - begin > 4
    with pytest.raises(AlignmentError, match="recording says") as caught:
        align_long(samples, "".join(spoken[:at] + spoken[at + 3 :]), "en", drafts)
    assert begin - 10 < seconds(caught.value.place) < end + 10


def test_what_the_recording_leaves_out_is_told_with_its_place(read, drafts):
    samples, text, tokens = read
    spoken = sentences(text)
    at = len(spoken) // 2
    begin = min(one.start for one in tokens if one.start_char >= len("".join(spoken[:at])))
    more = "The inspector wrote a letter about the missing lantern and the restless tides of that winter. "
    with pytest.raises(AlignmentError, match="text says more than the recording") as caught:
        align_long(samples, "".join([*spoken[:at], more, *spoken[at:]]), "en", drafts)
    assert abs(seconds(caught.value.place) - begin) < 10


def test_sound_that_is_not_in_the_text_is_told(read, drafts):
    samples, text, _ = read
    rng = np.random.default_rng(8)
    music = (0.1 * rng.standard_normal(10 * SAMPLE_RATE)).astype(np.float32)
    with pytest.raises(AlignmentError) as caught:
        align_long(np.concatenate([music, samples]), text, "en", drafts)
    assert seconds(caught.value.place) < 15


def test_nothing_to_align(read, drafts):
    samples, text, _ = read
    with pytest.raises(AlignmentError, match="no word"):
        align_long(samples, " … \n", "en", drafts)
    with pytest.raises(AlignmentError, match="silent"):
        align_long(np.zeros(60 * SAMPLE_RATE, np.float32), text, "en", drafts)
    with pytest.raises(NoDraft, match="Unknown language"):
        align_long(samples, text, "tlh", drafts)

"""Keys, records and audio of takes; times of words from tokens, under random stress."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from typing import Any

import numpy as np
import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.chunks import Word
from f5_pipeline.speech.engine import SAMPLE_RATE, Request, Speech, Token
from f5_pipeline.speech.engines.draft.engine import DraftEngine
from f5_pipeline.speech.takes import Take, make_take, read_take_audio, seed_of, take_key, word_methods, word_times

KEY = {"text": "Hello.", "language": "en", "sound": {"engine": "draft", "pitch": 50}, "speed": 1.0, "attempt": 0}


def key(**changes: Any) -> str:
    return take_key(**{**KEY, **changes})


def request(text: str = "one two") -> Request:
    return Request(key="k" * 64, text=text, language="en", voice="ada")


def tone(*parts: tuple[float, float]) -> np.ndarray:
    """Seconds and amplitude, one after the other."""
    pieces = [
        amplitude * np.sin(2 * np.pi * 220 * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)
        for seconds, amplitude in parts
    ]
    return np.concatenate(pieces).astype(np.float32)


def test_words_that_share_one_time_say_so():
    sound = tone((0.2, 0.0), (1.5, 0.5), (0.2, 0.0))
    tokens = [Token(0, 3, 0.2, 0.8), Token(4, 7, 0.8, 1.2, divided=True), Token(8, 13, 1.2, 1.6, divided=True)]
    take, _ = make_take(request("one two three"), Speech("k", sound, tokens), "draft")
    words = spans((0, 3), (4, 7), (8, 13))
    assert take.divided == [1, 2]
    assert word_methods(words, take) == [("engine", 1.0), ("interpolated", 0.5), ("interpolated", 0.5)]


# --- keys ----------------------------------------------------------------------------------------------------------


def test_a_key_is_the_same_everywhere_and_always():
    # Written down: a change here makes every take that people have useless.
    assert key() == "50ad8e01f7cd112e3260ffdf8a8eb23cfd419160d11a01cf01c3639cbfe4a434"
    assert key(speed=1, language="EN", sound={"pitch": 50, "engine": "draft"}) == key()
    assert key(room=None) == key()


@pytest.mark.parametrize(
    "change",
    [
        {"text": "Hello!"},
        {"text": "Hello. "},
        {"language": "de"},
        {"sound": {"engine": "draft", "pitch": 51}},
        {"speed": 1.01},
        {"attempt": 1},
        {"room": 1.5},
    ],
)
def test_everything_that_decides_the_sound_is_in_the_key(change):
    assert key(**change) != key()


def test_keys_of_odd_text_and_of_what_cannot_be_a_key():
    odd = ["", "\0", "é", "e\u0301", "\ud800", "🙂", 'a","b', "a" * 100_000]
    assert len({key(text=text) for text in odd}) == len(odd)
    with pytest.raises(ValueError):
        key(speed=float("nan"))
    with pytest.raises(TypeError):
        key(sound={"path": object()})


def test_seeds():
    seeds = [seed_of(key(attempt=attempt)) for attempt in range(500)]
    assert len(set(seeds)) == 500
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62
    assert seed_of("a") == seed_of("a")


# --- records and audio ----------------------------------------------------------------------------------------------


def test_a_take_of_the_draft_engine():
    engine = DraftEngine(workers=1)
    asked = Request(key="k", text="Stop, then go on.", language="en", voice="ben", speed=1.1, attempt=2)
    (speech,) = engine.speak([asked])
    engine.close()
    assert isinstance(speech, Speech) and speech.tokens
    take, audio = make_take(asked, speech, "draft")
    assert make_take(asked, speech, "draft") == (take, audio)
    assert take.sha256 == hashlib.sha256(audio).hexdigest()
    assert (take.key, take.voice, take.engine, take.method) == ("k", "ben", "draft", "engine")
    assert take.details["attempt"] == 2 and take.details["speed"] == 1.1 and "espeak" in take.details
    assert len(take.tokens) == 4
    # espeak ends with a pause of 0.3 s; speech is cut to what sounds, but never into a word.
    assert 0 <= take.speech_start <= take.tokens[0][2] < 0.1
    assert take.tokens[-1][3] <= take.speech_end < take.samples / SAMPLE_RATE - 0.15
    assert -35 < take.rms_dbfs < -10
    heard = read_take_audio(audio)
    assert heard.dtype == np.float32 and heard.shape == (take.samples,)
    assert np.abs(heard - speech.samples).max() <= 1 / 32768
    assert Take.model_validate_json(take.model_dump_json()) == take
    json.dumps(take.model_dump(), allow_nan=False)


def test_bounds_and_levels_of_a_known_signal():
    speech = Speech("k", tone((0.5, 0.0), (1.0, 0.5), (0.7, 0.0)))
    take, _ = make_take(request(), speech, "f5")
    assert take.tokens == [] and take.method == "none"
    assert take.speech_start == pytest.approx(0.5, abs=0.03) and take.speech_start < 0.5
    assert take.speech_end == pytest.approx(1.5, abs=0.05) and take.speech_end > 1.5
    assert take.peak == pytest.approx(0.5, abs=1e-3)
    assert take.rms_dbfs == pytest.approx(-9.03, abs=0.3)


def test_bounds_in_room_noise():
    noise = np.random.default_rng(1).normal(0, 0.004, 60_000).astype(np.float32)  # 39 dB below the speech
    signal = tone((0.8, 0.0), (1.0, 0.5), (0.7, 0.0))
    take, _ = make_take(request(), Speech("k", signal + noise[: signal.size]), "f5")
    assert take.speech_start == pytest.approx(0.8, abs=0.04)
    assert take.speech_end == pytest.approx(1.8, abs=0.06)


def test_bounds_never_cut_into_a_word():
    speech = Speech("k", tone((0.5, 0.0), (1.0, 0.5), (0.7, 0.0)), [Token(0, 3, 0.2, 0.9), Token(4, 7, 0.9, 1.9)])
    take, _ = make_take(request(), speech, "f5")
    assert take.speech_start == 0.2 and take.speech_end == 1.9


def test_full_scale_survives():
    samples = tone((0.5, 0.5))
    samples[100], samples[200] = 1.0, -1.0
    take, audio = make_take(request(), Speech("k", samples), "f5")
    assert take.peak == 1.0
    assert read_take_audio(audio)[100] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(0, np.float32), "no audio"),
        (np.zeros(24_000, np.float32), "silence"),
        (np.full(24_000, 1e-6, np.float32), "silence"),
        (np.array([0.1, np.nan] * 1000, np.float32), "not numbers"),
        (np.array([0.1, np.inf] * 1000, np.float32), "not numbers"),
        (np.array([0.1, 1.5] * 1000, np.float32), "out of range"),
        (np.clip(tone((1.0, 3.0)), -1, 1), "clipped"),
        (np.zeros((2, 1000), np.float32), "mono"),
        (np.ones(1000, np.int16), "mono"),
    ],
)
def test_audio_that_cannot_be_used(samples, reason):
    with pytest.raises(InputError, match=reason):
        make_take(request(), Speech("k", samples), "f5")


@pytest.mark.parametrize(
    "tokens",
    [
        [Token(0, 3, 0.0, 1.2)],  # after the audio
        [Token(0, 3, 0.5, 0.5)],
        [Token(0, 3, -0.1, 0.5)],
        [Token(0, 8, 0.0, 0.5)],  # after the text
        [Token(4, 7, 0.0, 0.5), Token(0, 3, 0.5, 0.6)],
        [Token(0, 3, 0.0, 0.5), Token(4, 7, 0.4, 0.6)],
        [Token(0, 3, float("nan"), 0.5)],
    ],
)
def test_times_that_cannot_be(tokens):
    with pytest.raises(InputError, match="out of order"):
        make_take(request(), Speech("k", tone((1.0, 0.5)), tokens), "f5")


def test_audio_that_cannot_be_read(tmp_path):
    _, audio = make_take(request(), Speech("k", tone((1.0, 0.5))), "f5")
    path = tmp_path / "take.flac"
    path.write_bytes(audio)
    assert (read_take_audio(path) == read_take_audio(audio)).all()
    for bad in (b"", b"RIFF", audio[:40]):
        with pytest.raises(InputError):
            read_take_audio(bad)
    with pytest.raises(InputError, match=r"none\.flac"):
        read_take_audio(tmp_path / "none.flac")


# --- word times ------------------------------------------------------------------------------------------------------


def take_of(text: str, tokens: list[tuple[int, int, float, float]], seconds: float = 4.0) -> Take:
    return Take(
        key="k", text=text, language="en", voice="ada", engine="f5", samples=round(seconds * SAMPLE_RATE),
        speech_start=min(0.1, seconds / 4), speech_end=seconds - min(0.1, seconds / 4), tokens=tokens, method="engine",
        peak=0.5, rms_dbfs=-20, sha256="",
    )  # fmt: skip


def spans(*pairs: tuple[int, int]) -> list[Word]:
    return [Word(text="w" * max(1, end - start), spoken=(start, end)) for start, end in pairs]


def approx(*times: tuple[float, float]):
    return [pytest.approx(time, abs=1e-6) for time in times]


def test_word_over_one_token_and_over_several():
    # "25" was written, "twenty five" is spoken.
    take = take_of("twenty five cats", [(0, 6, 0.2, 0.6), (7, 11, 0.7, 1.0), (12, 16, 1.1, 1.5)])
    assert word_times(spans((0, 11), (12, 16)), take) == approx((0.2, 1.0), (1.1, 1.5))


def test_punctuation_in_a_token_takes_no_time_from_its_word():
    take = take_of("“Well,” he", [(0, 7, 0.2, 0.8), (8, 10, 0.9, 1.0)])
    assert word_times(spans((1, 5), (8, 10)), take) == approx((0.2, 0.8), (0.9, 1.0))


def test_words_that_share_a_token_share_its_time():
    take = take_of("wellknown", [(0, 9, 1.0, 1.9)])
    assert word_times(spans((0, 4), (4, 9)), take) == approx((1.0, 1.4), (1.4, 1.9))


def test_words_without_a_token_go_between_their_neighbours():
    take = take_of("one two", [(0, 3, 0.2, 0.6), (4, 7, 1.0, 1.4)])
    words = [
        Word(text="one", spoken=(0, 3)),
        Word(text="🙂", spoken=(3, 3)),
        Word(text="—", spoken=(3, 3)),
        Word(text="two", spoken=(4, 7)),
    ]
    assert word_times(words, take) == approx((0.2, 0.6), (0.6, 0.8), (0.8, 1.0), (1.0, 1.4))


def test_words_without_a_token_and_without_room():
    take = take_of("one two", [(0, 3, 0.2, 0.6), (4, 7, 0.6, 1.4)])
    words = [Word(text="one", spoken=(0, 3)), Word(text="—", spoken=(3, 3)), Word(text="two", spoken=(4, 7))]
    assert word_times(words, take) == approx((0.2, 0.5), (0.5, 0.6), (0.6, 1.4))
    ends = take_of("one", [(0, 3, 0.0, 4.0)])
    ends.speech_start, ends.speech_end = 0.0, 4.0
    words = [Word(text="(", spoken=(0, 0)), Word(text="one", spoken=(0, 3)), Word(text=")", spoken=(3, 3))]
    times = word_times(words, ends)
    check(times, 4.0)
    assert times[1][1] - times[1][0] > 1.5


def test_a_take_that_is_not_timed_yet_gives_proportional_times():
    assert word_times(spans((0, 3), (4, 5)), take_of("one a", [], 4.2)) == approx((0.1, 3.1), (3.1, 4.1))


def test_no_words():
    assert word_times([], take_of("", [])) == []


def check(times: list[tuple[float, float]], seconds: float) -> None:
    assert times[0][0] >= 0 and times[-1][1] <= seconds
    assert all(start < end for start, end in times)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))


@pytest.mark.parametrize("seed", range(300))
def test_order_under_random_stress(seed):
    """Tokens and words of any size, in any relation to each other: gaps, crowds, shared and missing ones."""
    pick = random.Random(seed)
    characters = pick.randint(1, 200)
    seconds = pick.choice([0.001, 0.02, 0.5, 3.0, 30.0])

    def cuts(count: int) -> list[int]:
        return sorted(pick.choices(range(characters + 1), k=count))

    edges = sorted({*cuts(pick.randint(0, 60))})
    times = sorted(pick.uniform(0, seconds) for _ in range(len(edges) * 2))
    tokens = [
        (first, last, times[2 * n], times[2 * n + 1 + pick.randint(0, 1)])
        for n, (first, last) in enumerate(itertools.pairwise(edges))
        if pick.random() < 0.8 and times[2 * n] < times[2 * n + 1]
    ]
    tokens = [token for token in tokens if token[2] < token[3]]
    words = spans(*itertools.pairwise(cuts(pick.randint(2, 80))))
    take = take_of("x" * characters, tokens, seconds)
    times_of_words = word_times(words, take)
    assert len(times_of_words) == len(words)
    check(times_of_words, take.samples / SAMPLE_RATE)


def test_words_that_tokens_cover_keep_their_times():
    """No repair touches what was already in order."""
    pick = random.Random(7)
    for _ in range(50):
        lengths = [pick.randint(1, 9) for _ in range(30)]
        starts = [sum(lengths[:n]) + n for n in range(30)]
        marks = sorted(pick.uniform(0, 30) for _ in range(60))
        if min(end - start for start, end in itertools.pairwise(marks)) < 0.002:
            continue
        tokens = [(starts[n], starts[n] + lengths[n], marks[2 * n], marks[2 * n + 1]) for n in range(30)]
        times = word_times(spans(*((first, last) for first, last, _, _ in tokens)), take_of("x" * 400, tokens, 30))
        assert times == approx(*((start, end) for _, _, start, end in tokens))

"""Takes that are timed, measured, judged and made again, by an engine that speaks well except where it is told not to.

It is the draft engine in the voice's own variant, its times hidden, so that what is right is known.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from f5_pipeline.settings import get_settings
from f5_pipeline.speech.engine import SAMPLE_RATE, Failed, Request, Speech
from f5_pipeline.speech.engines.draft.engine import DraftEngine
from f5_pipeline.speech.listening.listener import Hearing, Piece
from f5_pipeline.speech.listening.words import Kind, compare
from f5_pipeline.studio.narrating import listening
from f5_pipeline.studio.narrating.gate import MIN_BAND_TAKES, Bands
from f5_pipeline.studio.narrating.gathering import gather_takes, read_takes
from f5_pipeline.studio.narrating.planning import missing_takes
from f5_pipeline.studio.narrating.shards import plan_shards
from f5_pipeline.studio.narrating.synthesis import synthesize_shard
from f5_pipeline.studio.records import Plan

SENTENCES = (
    "The harbour was quiet when the first boats came home.",
    "Nobody had seen the captain since the storm on Tuesday.",
    "A letter lay on the table, and it was not addressed to him.",
    "She closed the window and listened to the rain for a while.",
)
FAULTY = SENTENCES[1]

Damage = Callable[[np.ndarray], np.ndarray]


def cut(samples: np.ndarray) -> np.ndarray:
    return samples[: len(samples) // 2]


def silence(samples: np.ndarray) -> np.ndarray:
    return np.zeros_like(samples)


class Uneven(DraftEngine):
    """Speaks some texts badly in their first attempts.

    Attributes:
        faults: by text: what is done to it, and in how many attempts.
        spoken: what it was asked for: text and attempt.
    """

    name = "f5"

    def __init__(self, faults: dict[str, tuple[Damage, int]]) -> None:
        super().__init__(workers=2)
        self.faults = faults
        self.spoken: list[tuple[str, int]] = []
        self.exact: dict[str, list] = {}

    def sound(self, voice: str) -> dict[str, Any]:
        return {**super().sound(voice), "engine": "draft"}  # as the plan was made

    def speak(
        self, requests: Iterable[Request], *, cancelled: Callable[[], bool] = lambda: False
    ) -> Generator[Speech | Failed, None, None]:
        asked: dict[str, Request] = {}

        def told() -> Iterator[Request]:
            for request in requests:
                assert request.speech_seconds and 0.3 < request.speech_seconds / request.expected_seconds < 3
                asked[request.key] = request
                self.spoken.append((request.text, request.attempt))
                yield request

        for result in super().speak(told(), cancelled=cancelled):
            if isinstance(result, Speech):
                request = asked[result.key]
                self.exact[request.key] = list(result.tokens or ())
                damage, attempts = self.faults.get(request.text, (None, 0))
                samples = damage(result.samples) if damage and request.attempt < attempts else result.samples
                result = Speech(result.key, samples, None, "none", result.details)
            yield result


@pytest.fixture
def f5_plan(studio) -> Callable[..., Plan]:
    def make(sentences: Iterable[str] = SENTENCES) -> Plan:
        plan = studio.plan("\n\n".join(sentences))
        return plan.model_copy(update={"engine": "f5", "model": "tiny", "sampler": {}})

    return make


@pytest.fixture
def retakes(monkeypatch) -> Iterator[Callable[[int], None]]:
    def allow(count: int) -> None:
        monkeypatch.setenv("F5_RETAKES", str(count))
        get_settings.cache_clear()

    yield allow
    monkeypatch.undo()
    get_settings.cache_clear()


def speak(studio, plan: Plan, faults: dict[str, tuple[Damage, int]], run: str = "run") -> tuple[Uneven, Any, Any]:
    engine = Uneven(faults)
    try:
        shards = plan_shards(studio.store, [plan], run, studio.options)
        reports = [synthesize_shard(studio.store, shard, studio.options, engine=engine) for shard in shards]
    finally:
        engine.close()
    return engine, reports, gather_takes(studio.store, plan, studio.options, reports)


def test_good_takes_are_made_once_and_timed(studio, f5_plan, retakes):
    retakes(2)
    plan = f5_plan()
    engine, (report,), takes = speak(studio, plan, {})
    assert sorted(engine.spoken) == sorted((text, 0) for text in SENTENCES)
    assert (takes.measured, takes.retaken, takes.doubtful, report.retakes) == (4, 0, 0, 0)
    errors = []
    for _, chosen in read_takes(studio.store, plan, takes):
        assert chosen.take.method == "dtw" and len(chosen.take.confidences) == len(chosen.take.tokens)
        exact = {(token.start_char, token.end_char): token.start for token in engine.exact[chosen.take.key]}
        errors += [abs(start - exact[first, last]) for first, last, start, _ in chosen.take.tokens]
    assert np.median(errors) < 0.015 and np.percentile(errors, 95) < 0.08


def test_a_faulty_take_is_made_again(studio, f5_plan, retakes):
    retakes(2)
    plan = f5_plan()
    engine, (report,), takes = speak(studio, plan, {FAULTY: (cut, 1)})
    assert [attempt for text, attempt in engine.spoken if text == FAULTY] == [0, 1]
    assert (takes.retaken, takes.doubtful, report.retakes) == (1, 0, 1)
    used = {chosen.take.text: chosen for _, chosen in read_takes(studio.store, plan, takes)}
    assert used[FAULTY].take.details["attempt"] == 1 and used[FAULTY].attempts == 2
    assert list(missing_takes(studio.store, plan, studio.options)) == []
    again, reports, same = speak(studio, plan, {}, "again")
    assert again.spoken == [] and reports == [] and same.digest == takes.digest


def test_the_best_of_bad_takes_is_kept_and_told(studio, f5_plan, retakes):
    retakes(1)
    plan = f5_plan()
    engine, _, takes = speak(studio, plan, {FAULTY: (cut, 9)})
    assert [attempt for text, attempt in engine.spoken if text == FAULTY] == [0, 1]
    assert (takes.doubtful, takes.retaken) == (1, 0)
    (doubt,) = takes.doubts
    assert (doubt.line, doubt.text, doubt.attempts) == (3, FAULTY, 2)
    assert doubt.reasons and doubt.score > 0
    assert list(missing_takes(studio.store, plan, studio.options)) == [], "all attempts are made"
    retakes(2)
    (missing,) = missing_takes(studio.store, plan, studio.options)
    assert missing.attempt == 2, "one more is allowed now"
    _, _, takes = speak(studio, plan, {FAULTY: (cut, 2)}, "more")
    assert (takes.doubtful, takes.retaken) == (0, 1)


def test_a_silent_take_is_made_again(studio, f5_plan, retakes):
    retakes(2)
    plan = f5_plan()
    _, (report,), takes = speak(studio, plan, {FAULTY: (silence, 1)})
    assert report.problems == [] and report.made == {"story": 4}
    assert (takes.chunks, takes.doubtful) == (4, 0)
    assert list(missing_takes(studio.store, plan, studio.options)) == []


def test_a_chunk_that_is_silent_in_every_attempt_is_a_problem(studio, f5_plan, retakes):
    retakes(1)
    plan = f5_plan()
    engine = Uneven({FAULTY: (silence, 9)})
    (shard,) = plan_shards(studio.store, [plan], "run", studio.options)
    report = synthesize_shard(studio.store, shard, studio.options, engine=engine)
    engine.close()
    (problem,) = report.problems
    assert problem.text == FAULTY and report.made == {"story": 3}


def test_without_retakes_a_faulty_take_is_told_at_once(studio, f5_plan, retakes):
    retakes(0)
    plan = f5_plan()
    _, (report,), takes = speak(studio, plan, {FAULTY: (cut, 1)})
    assert (report.retakes, takes.doubtful) == (0, 1)


def test_a_take_that_was_doubted_by_a_run_that_died_is_made_again_by_the_next(studio, f5_plan, retakes):
    retakes(0)
    plan = f5_plan()
    speak(studio, plan, {FAULTY: (cut, 1)})
    retakes(2)
    engine, _, takes = speak(studio, plan, {FAULTY: (cut, 1)}, "next")
    assert engine.spoken == [(FAULTY, 1)] and takes.doubtful == 0


def test_the_band_of_a_voice_is_learnt_once(studio, f5_plan, retakes):
    retakes(1)
    texts = [f"{name} tells of a ship that sailed at dawn." for name in NAMES[:MIN_BAND_TAKES]]
    plan = f5_plan(texts)
    (voice,) = plan.voices
    speak(studio, plan, {})
    (kept,) = studio.store.list(f"voices/{voice}/bands/")
    band = Bands(studio.store).of(voice, plan.sounds[voice])
    assert band.takes == MIN_BAND_TAKES
    speak(studio, f5_plan([*texts, *SENTENCES]), {}, "more")
    assert list(studio.store.list(f"voices/{voice}/bands/")) == [kept], "what was chosen stays chosen"


NAMES = [
    f"The {what} of {who}"
    for what in ("story", "letter", "song", "diary")
    for who in ("Ann", "Bob", "Eve", "Max", "Tom")
]


def test_a_voice_that_has_changed_since_the_plan_is_told(studio, f5_plan, retakes):
    retakes(1)
    plan = f5_plan()
    engine = Uneven({})
    engine.sound = lambda voice: {"engine": "f5", "reference": "another"}  # type: ignore[method-assign]
    (shard,) = plan_shards(studio.store, [plan], "run", studio.options)
    report = synthesize_shard(studio.store, shard, studio.options, engine=engine)
    engine.close()
    assert engine.spoken == [] and len(report.problems) == 4
    assert "has changed since: plan the narration again" in report.problems[0].reason


def test_a_take_longer_than_its_words_says_where_its_speech_is(studio, f5_plan, retakes):
    retakes(0)
    plan = f5_plan(SENTENCES[:1])

    def late(samples: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros(SAMPLE_RATE // 2, np.float32), samples, np.zeros(SAMPLE_RATE // 2, np.float32)])

    _, _, takes = speak(studio, plan, {SENTENCES[0]: (late, 9)})
    ((_, chosen),) = read_takes(studio.store, plan, takes)
    assert 0.4 < chosen.take.speech_start < 0.6 and chosen.take.tokens[0][2] > 0.45


class Ears:
    """A listener that hears what it is told to hear in certain texts, and else what was to be said.

    Attributes:
        hears: by text, what is heard in it, by attempt; the last one stays.
        pieces: texts that it listened to.
    """

    def __init__(self, heard: dict[str, list[str]]) -> None:
        self.heard = {text: list(lines) for text, lines in heard.items()}
        self.pieces: list[str] = []

    def hears(self, language: str) -> bool:
        return language == "en"

    def listen(self, pieces: Sequence[Piece]) -> list[Hearing]:
        hearings = []
        for piece in pieces:
            self.pieces.append(piece.text)
            lines = self.heard.get(piece.text, [piece.text])
            text = lines.pop(0) if len(lines) > 1 else lines[0]
            differences = compare(piece.text, text, "en")
            gains: dict[Kind, float] = {kind: 12.0 for kind, *_ in differences.texts}
            weakest, unheard = (-12.0, -4.0) if differences.errors else (-3.0, 3.0)
            hearings.append(
                Hearing(
                    by="ears",
                    text=text,
                    certainty=-0.1,
                    gains=gains,
                    doubled=-9,
                    weakest=weakest,
                    unheard=unheard,
                    differences=differences,
                )
            )
        return hearings

    def likeness(self, first: np.ndarray, second: np.ndarray) -> float | None:
        return None


@pytest.fixture
def listen(monkeypatch) -> Callable[..., Ears]:
    def use(mode: str, heard: dict[str, list[str]]) -> Ears:
        ears = Ears(heard)
        monkeypatch.setenv("F5_LISTEN", mode)
        get_settings.cache_clear()
        monkeypatch.setattr(listening, "open_listener", lambda *_, **__: nullcontext(ears))
        return ears

    return use


LOST = FAULTY.replace("captain ", "")


def test_a_take_in_which_a_word_is_not_heard_is_made_again(studio, f5_plan, retakes, listen):
    retakes(2)
    ears = listen("all", {FAULTY: [LOST, FAULTY]})
    plan = f5_plan()
    engine, _, takes = speak(studio, plan, {})
    assert [attempt for text, attempt in engine.spoken if text == FAULTY] == [0, 1]
    assert (takes.retaken, takes.doubtful, takes.heard) == (1, 0, 4)
    assert sorted(ears.pieces) == sorted([*SENTENCES, FAULTY])
    speak(studio, plan, {}, "again")
    assert len(ears.pieces) == 5, "what was heard is kept with the take"
    ears = listen("off", {})
    assert speak(studio, plan, {}, "off")[2].digest == takes.digest, "and counts where nobody listens"


def test_what_is_heard_twice_alike_is_not_made_a_third_time(studio, f5_plan, retakes, listen):
    retakes(5)
    listen("all", {FAULTY: [LOST]})
    plan = f5_plan()
    engine, _, takes = speak(studio, plan, {})
    assert [attempt for text, attempt in engine.spoken if text == FAULTY] == [0, 1]
    (doubt,) = takes.doubts
    assert doubt.reasons[0] == "“captain” is missing."
    assert list(missing_takes(studio.store, plan, studio.options)) == []


def test_in_doubt_only_what_the_measures_doubt_is_listened_to(studio, f5_plan, retakes, listen):
    retakes(1)
    ears = listen("doubt", {FAULTY: [" ".join(FAULTY.split()[:5]), FAULTY]})
    _, _, takes = speak(studio, f5_plan(), {FAULTY: (cut, 1)})
    assert FAULTY in ears.pieces and set(ears.pieces) != set(SENTENCES)
    assert (takes.retaken, takes.doubtful) == (1, 0)


def test_a_listener_that_fails_leaves_the_takes_to_their_measures(studio, f5_plan, retakes, listen, monkeypatch):
    retakes(1)
    ears = listen("all", {})
    monkeypatch.setattr(ears, "listen", lambda pieces: 1 / 0)
    _, _, takes = speak(studio, f5_plan(), {FAULTY: (cut, 1)})
    assert (takes.heard, takes.retaken, takes.doubtful) == (0, 1, 0)

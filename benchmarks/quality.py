"""What the quality gate catches and what it lets through, on speech whose truth is known.

    python -m benchmarks.quality [--voices N] [--human FOLDER] [--fit]

Good takes are draft voices of several languages made irregular, measured against the fixed draft voice; each fault is
put into all of them (see `benchmarks.faults`). Every voice's band is made, as in a run, from its own first attempts,
one in ten of which is faulty. FOLDER holds recordings of people and what they say: lines.json, a list of {"file",
"voice", "language", "text"}.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from benchmarks import faults
from benchmarks.faults import FAULTS, Context, Corpus, Spoken
from benchmarks.measure import in_words, machine, table, write_results
from f5_pipeline.speech.alignment.forced import AlignmentError, align
from f5_pipeline.speech.alignment.renderings import Drafts, articulation_seconds
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.engines.draft.engine import DraftEngine
from f5_pipeline.speech.quality.gate import KINDS, PRIOR, Band, band_of, deviations, judge
from f5_pipeline.speech.quality.measures import Measures, ReferenceTail, measure

LINES = 16
SHARE_FAULTY = 0.1
MAX_FALSE_ALARMS = 0.02
SHORT = 2
"""Words up to which a take counts as short in the tables."""


@dataclass(frozen=True)
class Row:
    """One take, measured. `fault`: key of FAULTS, "" for a good take, "reference" for the voice's reference."""

    voice: str
    fault: str
    text: str
    measures: Measures


@dataclass
class Clock:
    audio: float = 0.0
    wall: float = 0.0


def measured(
    samples: np.ndarray, text: str, language: str, drafts: Drafts, rate: float, tail: ReferenceTail | None
) -> Measures:
    template = drafts.template(text, language)
    try:
        alignment = align(samples, template)
    except AlignmentError as error:
        alignment = error
    return measure(samples, template, alignment, expected_seconds=rate * template.seconds, reference=tail)


def rows_of_voice(corpus: Corpus, voice: str, drafts: Drafts, clock: Clock, faulty: bool) -> Iterator[Row]:
    reference = corpus.reference(voice)
    rate = articulation_seconds(reference.samples)
    rate /= drafts.template(reference.text, reference.language).articulation
    tail = ReferenceTail.of(reference.samples)
    jobs = [("reference", reference.samples, reference.text, reference.language)]
    for line in range(corpus.lines):
        take = corpus.good(voice, line)
        jobs.append(("", take.samples, take.text, take.language))
        for fault in FAULTS if faulty else ():
            samples = corpus.faulty(voice, line, fault)
            if samples is not None:
                jobs.append((fault, samples, take.text, take.language))
    yield from _measured(voice, jobs, drafts, rate, tail, clock)


def _measured(voice: str, jobs: list, drafts: Drafts, rate: float, tail: ReferenceTail, clock: Clock) -> Iterator[Row]:
    for _, _, text, language in jobs:
        drafts.template(text, language)
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        found = list(threads.map(lambda job: measured(job[1], job[2], job[3], drafts, rate, tail), jobs))
    clock.wall += time.perf_counter() - started
    clock.audio += sum(len(job[1]) for job in jobs) / SAMPLE_RATE
    for (fault, _, text, _), one in zip(jobs, found, strict=True):
        yield Row(voice, fault, text, one)


def human_rows(folder: Path, drafts: Drafts, clock: Clock) -> Iterator[Row]:
    """Recordings of people, whole and broken; voices are named "human-…". A voice's rate is the median of its lines."""
    voices: dict[str, list[Spoken]] = defaultdict(list)
    for line in json.loads((folder / "lines.json").read_text(encoding="utf-8")):
        samples, rate = soundfile.read(folder / line["file"], dtype="float32", always_2d=True)
        samples = np.clip(soxr.resample(samples.mean(1), rate, SAMPLE_RATE), -1, 1).astype(np.float32)
        template = drafts.template(line["text"], line["language"])
        tokens = tuple(align(samples, template).tokens)
        voices[line["voice"]].append(Spoken(line["text"], line["language"], samples, tokens))
    everyone = [take for takes in voices.values() for take in takes]
    for voice, takes in voices.items():
        rate = math.exp(np.median([math.log(_rate(take, drafts)) for take in takes]))
        strangers = [take for take in everyone if take not in takes]
        for index, take in enumerate(takes):
            others = [other for other in takes if other.text not in take.text and take.text not in other.text]
            other = (others or strangers)[index % len(others or strangers)]
            context = Context(other, strangers[index % len(strangers)], other, take, take)
            jobs = [("", take.samples, take.text, take.language)]
            for fault, (_, least, broken) in FAULTS.items():
                if len(take.tokens) >= least and fault not in ("too_fast", "too_slow"):
                    samples = broken(take, context, np.random.default_rng(index))
                    jobs.append((fault, np.asarray(samples, np.float32), take.text, take.language))
            tail = ReferenceTail.of(other.samples)
            yield from _measured(f"human-{voice}", jobs, drafts, rate, tail, clock)


def _rate(take: Spoken, drafts: Drafts) -> float:
    return articulation_seconds(take.samples) / drafts.template(take.text, take.language).articulation


# --- figures ----------------------------------------------------------------------------------------------------------


def bands(rows: Sequence[Row], takes: int | None) -> dict[str, Band]:
    """Each voice's band from its good takes, one in ten replaced by a faulty one; from `takes` of them where given."""
    made = {}
    for voice in dict.fromkeys(row.voice for row in rows):
        own = [row for row in rows if row.voice == voice]
        good = [row for row in own if not row.fault]
        broken = [row for row in own if row.fault not in ("", "reference", "silence")]
        chance = np.random.default_rng(list(voice.encode()))
        count = len(good) if takes is None else min(takes, len(good))
        chosen = [good[n] for n in chance.permutation(len(good))[:count]]
        for n in range(round(SHARE_FAULTY * count) if broken else 0):
            chosen[n] = broken[int(chance.integers(len(broken)))]
        reference = next((row.measures for row in own if row.fault == "reference"), None)
        made[voice] = band_of([row.measures for row in chosen], PRIOR, reference=reference) if takes != 0 else PRIOR
    return made


def share(rows: Sequence[Row], made: dict[str, Band]) -> float | None:
    """How many of the takes fail, 0 to 1."""
    return sum(not judge(row.measures, made[row.voice]).passed for row in rows) / len(rows) if rows else None


def strongest(rows: Sequence[Row], made: dict[str, Band]) -> str:
    """The measures that are beyond the limit most often, in order, up to three."""
    count: dict[str, int] = defaultdict(int)
    for row in rows:
        found = deviations(row.measures, made[row.voice])
        if row.measures.failure:
            count["failure"] += 1
        elif found and max(found.values()) > 0:
            count[max(found, key=lambda name: found[name])] += 1
    return ", ".join(name for name, n in sorted(count.items(), key=lambda one: -one[1])[:3] if n >= 0.1 * len(rows))


def auc(good: Sequence[float], bad: Sequence[float]) -> float:
    """How often a faulty take has the greater deviation than a good one: 0.5 tells nothing, 1 all."""
    a, b = np.array(good)[None], np.array(bad)[:, None]
    return float((b > a).mean() + 0.5 * (b == a).mean())


def aucs(rows: Sequence[Row], made: dict[str, Band]) -> dict[str, dict[str, float]]:
    def values(chosen: list[Row], name: str) -> list[float]:
        far = 100.0
        return [deviations(row.measures, made[row.voice]).get(name, far) for row in chosen]

    good = [row for row in rows if not row.fault]
    found = {}
    for fault in FAULTS:
        bad = [row for row in rows if row.fault == fault]
        if bad:
            found[fault] = {name: round(auc(values(good, name), values(bad, name)), 2) for name in KINDS}
    return found


def fit(rows: Sequence[Row]) -> None:
    """Print what PRIOR should hold, from good takes."""
    good = [row for row in rows if not row.fault]
    for name, kind in KINDS.items():
        centres, residuals = [], []
        for voice in dict.fromkeys(row.voice for row in good):
            own = [row for row in good if row.voice == voice and getattr(row.measures, name) is not None]
            if not own:
                continue
            values = np.array([kind.of(getattr(row.measures, name)) for row in own])
            scatter = np.array([math.hypot(1, kind.short / max(row.measures.words, 1)) for row in own])
            centre = float(np.median(np.repeat(values, np.maximum(1, np.rint(20 / scatter**2)).astype(int))))
            centres.append((centre, voice))
            side = {"high": 1, "low": -1, "both": 1}[kind.side]
            off = side * (values - centre) / scatter
            residuals += [(abs(x) if kind.side == "both" else x, voice, row) for x, row in zip(off, own, strict=True)]
        for group in ("human", ""):
            c = np.array([x for x, v in centres if v.startswith("human") == bool(group)])
            r = np.array([x for x, v, _ in residuals if v.startswith("human") == bool(group)])
            if len(c):
                q = [float(np.percentile(r, p)) for p in (50, 68 if kind.side == "both" else 84, 98, 99.5, 100)]
                print(
                    f"{name:9} {group or 'draft':6} middle {np.median(c):8.3f} between {c.std():7.3f}  residual "
                    f"84 % {q[1]:7.3f}  98 %/2.05 {q[2] / 2.05:7.3f}  99.5 %/2.58 {q[3] / 2.58:7.3f} most {q[4]:7.3f}"
                )
        short = {
            w: [x for x, v, row in residuals if lo <= row.measures.words <= w]
            for lo, w in ((1, 1), (2, 2), (3, 4), (5, 8), (9, 13), (14, 99))
        }
        print("          98 % by words:", {w: round(float(np.percentile(x, 98)), 3) for w, x in short.items() if x})


def report(rows: list[Row]) -> dict[str, Any]:
    made = bands(rows, None)
    prior, few = bands(rows, 0), bands(rows, 4)
    good = [row for row in rows if not row.fault]

    def line(name: str, chosen: list[Row]) -> dict[str, Any]:
        long = [row for row in chosen if row.measures.words > SHORT]
        brief = [row for row in chosen if row.measures.words <= SHORT]
        return {
            "what": name,
            "takes": len(chosen),
            "made_again": share(long, made),
            "made_again_short": share(brief, made),
            "made_again_4_takes": share(long, few),
            "made_again_prior": share(long, prior),
            "by": strongest(long, made),
        }

    found = {"good": line("good takes", good)}
    for fault, (name, _, _) in FAULTS.items():
        chosen = [row for row in rows if row.fault == fault]
        if chosen:
            found[fault] = line(name, chosen)
    return {"voices": len(made), "faults": found, "auc": aucs(rows, made)}


def shown(results: dict[str, Any]) -> str:
    def percent(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.1f} %" if 0 < value < 0.1 else f"{100 * value:.0f} %"

    rows = [
        (one["what"], one["takes"], percent(one["made_again"]), percent(one["made_again_short"]),
         percent(one["made_again_4_takes"]), percent(one["made_again_prior"]), one["by"])
        for one in results["faults"].values()
    ]  # fmt: skip
    columns = ("take", "n", "made again", "1 or 2 words", "band of 4 takes", "prior alone", "by")
    measures = list(KINDS)
    names = [(FAULTS[fault][0], *(f"{one[name]:.2f}" for name in measures)) for fault, one in results["auc"].items()]
    return f"{table(columns, rows)}\n\n{table(('AUC', *measures), names)}"


def main() -> int:
    parser = argparse.ArgumentParser(description="What the quality gate catches.")
    parser.add_argument("--voices", type=int, default=3, help="draft voices a language")
    parser.add_argument("--human", type=Path, help="folder with recordings of people and lines.json")
    parser.add_argument("--fit", action="store_true", help="print the figures of PRIOR, from good takes only")
    parser.add_argument("--output", default="quality", help="name of the results")
    options = parser.parse_args()
    engine, drafts, clock = DraftEngine(), Drafts(), Clock()
    try:
        rows: list[Row] = []
        for language in faults.TEXTS:
            corpus = Corpus(engine, [language], options.voices, LINES)
            for voice in corpus.voices:
                rows += rows_of_voice(corpus, voice, drafts, clock, not options.fit)
        human = list(human_rows(options.human, drafts, clock)) if options.human else []
    finally:
        engine.close()
        drafts.close()
    if options.fit:
        fit(rows + human)
        return 0
    results: dict[str, Any] = {"draft": report(rows), "human": report(human) if human else None}
    results["seconds_measured_a_second"] = round(clock.audio / clock.wall, 1)
    results["audio_seconds"] = round(clock.audio)
    results["lines_a_voice"], results["faulty_in_band"] = LINES, SHARE_FAULTY
    print(in_words(machine()))
    for name, one in results.items():
        if name in ("draft", "human") and one:
            print(f"\n## {name} voices: {one['voices']}\n\n{shown(one)}")
    seconds, pace = results["audio_seconds"], results["seconds_measured_a_second"]
    print(f"\n{seconds} s of takes aligned and measured at {pace} x real time")
    write_results(options.output, results)
    alarms = results["draft"]["faults"]["good"]["made_again"]
    if alarms > MAX_FALSE_ALARMS:
        print(f"{100 * alarms:.1f} % of the good takes are made again; {100 * MAX_FALSE_ALARMS:.0f} % are the limit")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

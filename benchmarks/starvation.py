"""Whether a GPU waits for its takes to be kept: an engine that takes as long as a GPU of a given speed would.

    python -m benchmarks.starvation
    python -m benchmarks.starvation --minutes 60 --speeds 30 120 500

The engine returns real speech, spoken beforehand by draft voices with noise, and sleeps with the interpreter's lock
released. All else is as in a run: drafts ahead of the engine, alignment, measures, FLAC, a store in a folder. "busy" is
the share of the time, from the first batch to the end of the last, in which the engine slept; "first batch" is the time
before it, for its drafts. CPU seconds are those of synthesize_shard and its espeak processes, without imports; "cores"
is what the speed asks for at that cost. Takes are not made again. "at most busy" is a model: what so many cores could
do at that cost if no thread ever waited for the interpreter's lock, and nothing else ran; the real run's "busy" is held
against that of its own cores.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.book import _read_list, _store
from benchmarks.measure import EXAMPLES, environment, in_words, machine, run_alone, table, tell, write_results
from f5_pipeline.speech.engine import SAMPLE_RATE, Cancelled, Request, Speech
from f5_pipeline.speech.engines import EngineSpec, register
from f5_pipeline.speech.engines.f5.batching import WINDOW, batches
from f5_pipeline.studio.options import StudioOptions

SPEEDS = (30.0, 120.0, 500.0)
BATCH_FRAMES = 12_000
"""Of 10 ms, in a batch: about 16 chunks."""
NAME = "sleeper"
OPTIONS = StudioOptions(engine=NAME, retakes=0)
MAX_CPU = 45.0
"""CPU seconds for an hour of speech that takes may cost."""
MIN_BUSY = 0.95
"""Share of the time that a GPU is to be busy where the cores suffice."""
WORDS_A_MINUTE = 150
MODELLED_CORES = (2, 4, 8, 16)


class Sleeper:
    """An engine that sleeps its speech's seconds divided by its speed, by the batch, and returns what is prepared."""

    name = NAME

    def __init__(self, speech: Mapping[str, Any] | None = None, speed: float = 1.0, window: int = WINDOW) -> None:
        self._speech, self._speed, self._window = speech or {}, speed, window
        self.asked = self.began = self.ended = self.slept = 0.0

    def sound(self, voice: str) -> dict[str, Any]:
        return {"engine": NAME}

    def check_language(self, language: str) -> None:
        pass

    def close(self) -> None:
        pass

    def speak(self, requests: Iterable[Request], *, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Speech]:
        import numpy as np

        def frames(request: Request) -> int:
            return len(self._speech[request.key]) * 100 // SAMPLE_RATE

        self.asked = time.perf_counter()
        for batch in batches(requests, frames, lambda: BATCH_FRAMES, window=self._window):
            speeches = [self._speech[request.key].astype(np.float32) / 32768 for request in batch]
            started = time.perf_counter()
            self.began = self.began or started
            time.sleep(sum(map(len, speeches)) / SAMPLE_RATE / self._speed)
            self.ended = time.perf_counter()
            self.slept += self.ended - started
            if cancelled():
                raise Cancelled
            for request, samples in zip(batch, speeches, strict=True):
                yield Speech(request.key, samples)


def prepare(root: Path, minutes: float) -> Mapping[str, Any]:
    """A voice, a plan, its shard, and the speech of every take: another draft voice, with noise 40 dB below."""
    import numpy as np

    from benchmarks.prose import book
    from f5_pipeline.speech.engines.draft.engine import DraftEngine
    from f5_pipeline.store import layout
    from f5_pipeline.store.records import read_lines, write_record
    from f5_pipeline.studio.narrating.planning import make_plan
    from f5_pipeline.studio.narrating.scripts import add_script
    from f5_pipeline.studio.narrating.shards import ShardLine, plan_shards
    from f5_pipeline.studio.records import EngineWeights, Weights
    from f5_pipeline.studio.voices import add_voice, make_reference

    store = _store(root)
    add_voice(store, "ada", EXAMPLES / "voices" / "ada.flac")
    write_record(store, layout.reference("ada"), make_reference(store, "ada")[0])
    (root / "book.md").write_text("".join(book(round(minutes * WORDS_A_MINUTE))), encoding="utf-8")
    facts = EngineWeights(
        engine=NAME, name=NAME, version="1", sha256="0" * 64, size=0, licence="", commercial_use="yes", source=""
    )
    plan = make_plan(store, add_script(store, root / "book.md"), Weights(engines={NAME: facts}, digest="1"), OPTIONS)
    (shard,) = plan_shards(store, [plan], "benchmark", OPTIONS)
    store.put_bytes(layout.run_value("benchmark", "shards.jsonl"), f"{shard.model_dump_json()}\n".encode())
    requests = [line.request for line in read_lines(store, shard.requests_key, ShardLine)]
    chance, engine, spoken = np.random.default_rng(1), DraftEngine(), {}
    for speech in engine.speak(requests):
        assert isinstance(speech, Speech), speech
        noise = 0.01 * np.sqrt(np.square(speech.samples).mean()) * chance.standard_normal(len(speech.samples))
        spoken[speech.key] = np.rint((0.9 * speech.samples + noise).clip(-1, 1) * 32767).astype(np.int16)
    engine.close()
    np.savez(root / "speech.npz", **spoken)
    return {"takes": len(spoken), "audio_seconds": sum(map(len, spoken.values())) / SAMPLE_RATE}


def takes(root: Path, speed: float, window: int) -> Callable[[], Mapping[str, Any]]:
    """The work of keeping every take, with what it needs loaded."""
    import numpy as np

    from f5_pipeline.speech.alignment import dtw  # noqa: F401 (imported here, so that it is not counted)
    from f5_pipeline.studio.narrating.synthesis import synthesize_shard
    from f5_pipeline.studio.records import Shard

    store = _store(root)
    (shard,) = _read_list(store, "shards", Shard)
    with np.load(root / "speech.npz") as file:
        engine = Sleeper(dict(file), speed, window)

    def work() -> Mapping[str, Any]:
        report = synthesize_shard(store, shard, OPTIONS, engine=engine)
        assert report.made["book"] == shard.requests, report.problems
        return {
            "audio_seconds": report.audio_seconds,
            "busy": engine.slept / (engine.ended - engine.began),
            "first_batch": engine.began - engine.asked,
        }

    return work


def row(speed: float, found: Mapping[str, Any]) -> dict[str, Any]:
    cpu = found["cpu_seconds"] / found["audio_seconds"] * 3600
    return {
        "speed": speed,
        "busy": round(found["busy"], 3),
        "first_batch_seconds": round(found["first_batch"], 2),
        "seconds": round(found["seconds"], 1),
        "realised": round(found["audio_seconds"] / found["seconds"], 1),
        "cpu_seconds_an_hour": round(cpu, 1),
        "cores": round(cpu * speed / 3600, 2),
        "peak_mb": found["peak_mb"],
        **{f"at_most_busy_{cores}": at_most_busy(cores, speed, cpu) for cores in MODELLED_CORES},
    }


def at_most_busy(cores: int, speed: float, cpu: float) -> float:
    """The share of the time that a GPU can be busy where an hour of speech costs `cpu` CPU seconds beside it."""
    return round(min(1.0, cores / (cpu * speed / 3600)), 2)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20, help="of speech")
    parser.add_argument("--speeds", type=float, nargs="+", default=SPEEDS, help="of the engine, times real time")
    parser.add_argument("--window", type=int, default=WINDOW, help="requests that the engine pulls at a time")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    register(EngineSpec(NAME, "sleeps as long as a GPU works", make=lambda context: Sleeper()))
    if given.stage:
        stage = given.stage
        tell((lambda: prepare(given.root, given.minutes)) if stage == "prepare" else takes(given.root, *_of(given)))
        return 0
    options = ["--minutes", str(given.minutes), "--window", str(given.window)]
    with tempfile.TemporaryDirectory(prefix="f5-starvation-") as folder:
        root = Path(folder) / "prepared"
        root.mkdir()
        made = run_alone(__spec__.name, "--stage", "prepare", "--root", str(root), *options, env=environment())
        rows = []
        for speed in given.speeds:
            copy = shutil.copytree(root, Path(folder) / "copy")
            more = ["--stage", "takes", "--root", str(copy), "--speeds", str(speed)]
            rows.append(row(speed, run_alone(__spec__.name, *more, *options, env=environment())))
            shutil.rmtree(copy)
    print(in_words(machine()), f"{made['takes']} takes, {made['audio_seconds']:.0f} s of speech", sep="; ", end="\n\n")
    print(
        table(
            ["x real time", "busy", "first batch, s", "s", "realised", "CPU s/h", "cores", "peak MB"]
            + [f"at most busy, {cores} cores" for cores in MODELLED_CORES],
            [[*one.values()] for one in rows],
        )
    )
    write_results(
        "starvation",
        {**{name: made[name] for name in ("takes", "audio_seconds")}, "window": given.window, "runs": rows},
    )
    cores = machine()["cores"]
    starved = [one for one in rows if one["cores"] < 0.7 * cores and one["busy"] < MIN_BUSY]
    return int(bool(starved) or min(one["cpu_seconds_an_hour"] for one in rows) > MAX_CPU)


def _of(given: argparse.Namespace) -> tuple[float, int]:
    return given.speeds[0], given.window


if __name__ == "__main__":
    sys.exit(main())

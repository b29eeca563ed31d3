"""How long small work takes: commands that only look, one sentence narrated, the demo.

    python -m benchmarks.small

Each command is a fresh process, as a user starts it. CPU seconds are those of the command and of all processes that it
started; the least of several runs is what the command costs, the median what it took on this machine at that time.
"up" is the command while `up` runs, whose process for commands does the work: its forks count.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import psutil

from benchmarks.measure import EXAMPLES, environment, in_words, machine, table, write_results
from f5_pipeline_tests.support.ready import ready_process

SENTENCE = "The lighthouse stood on its rock for a hundred years, and run {} saw it."
"""A new one for each run: a take is never made twice."""


def settings(folder: Path) -> dict[str, str]:
    places = {"DAGSTER_HOME": str(folder / "home"), "F5_STORE": f"file:{folder / 'studio'}"}
    return environment(**places, F5_CACHE=str(folder / "cache"))


def cost(folder: Path, *arguments: str, ready: psutil.Process | None = None) -> tuple[float, float]:
    """CPU seconds and wall seconds of `f5-pipeline …` on the installation in a folder."""
    before, started = cpu_seconds(ready), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "f5_pipeline.cli", *arguments],
        cwd=folder,
        env=settings(folder),
        check=True,
        capture_output=True,
    )
    wall = time.perf_counter() - started
    while ready and ready.children():
        time.sleep(0.01)
    return cpu_seconds(ready) - before, wall


def cpu_seconds(ready: psutil.Process | None) -> float:
    """Of all processes that have ended, of this one and of another."""
    ours = getrusage(RUSAGE_CHILDREN)
    theirs = ready.cpu_times() if ready else None
    return ours.ru_utime + ours.ru_stime + (sum(theirs[:4]) if theirs else 0.0)


def new_folder(root: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=root))


def narrate(folder: Path, ready: psutil.Process | None = None) -> tuple[float, float]:
    """The cost of one sentence, narrated by the draft engine in a voice that is there."""
    script = folder / "sentence.txt"
    script.write_text(SENTENCE.format(time.time_ns()), encoding="utf-8")
    return cost(folder, "narrate", str(script), "--voice", "ada", "--engine", "draft", ready=ready)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each command")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="f5-small-") as root:
        warm = new_folder(Path(root))
        cost(warm, "voices", "add", "ada", str(EXAMPLES / "voices" / "ada.flac"))
        narrate(warm)
        commands: dict[str, Callable[[], tuple[float, float]]] = {
            "--help": lambda: cost(warm, "--help"),
            "voices list": lambda: cost(warm, "voices", "list"),
            "status": lambda: cost(warm, "status"),
            "narrate": lambda: narrate(warm),
            "demo, new home": lambda: cost(new_folder(Path(root)), "demo"),
        }

        def with_ready(name: str) -> tuple[float, float]:
            with ready_process(settings(warm), warm) as (process, _):
                ready = psutil.Process(process.pid)
                return narrate(warm, ready) if name == "narrate" else cost(warm, *name.split(), ready=ready)

        for name in ("voices list", "status", "narrate"):
            commands[f"up: {name}"] = partial(with_ready, name)
        # In turns, so that each command has its share of what else the machine does.
        runs = [{name: command() for name, command in commands.items()} for _ in range(given.runs)]
    results = {}
    for name in commands:
        cpu, wall = zip(*(run[name] for run in runs), strict=True)
        results[name] = {
            "cpu_seconds": round(min(cpu), 3),
            "cpu_median": round(statistics.median(cpu), 3),
            "wall_seconds": round(min(wall), 3),
            "wall_median": round(statistics.median(wall), 3),
        }
    columns = ["command", "CPU s", "median", "wall s", "median"]
    print(in_words(machine()), end="\n\n")
    print(table(columns, [[name, *result.values()] for name, result in results.items()]))
    print(f"\nWritten: {write_results('small', {'commands': results}).name}")


if __name__ == "__main__":
    main()

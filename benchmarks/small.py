"""How long small work takes: commands that only look, one sentence narrated, the demo.

    python -m benchmarks.small

Each command is a fresh process, as a user starts it. CPU seconds are those of the command and of all processes that it
started; the least of several runs is what the command costs, the median what it took on this machine at that time.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from benchmarks.measure import EXAMPLES, environment, in_words, machine, table, write_results

SENTENCE = "The lighthouse stood on its rock for a hundred years, and run {} saw it."
"""A new one for each run: a take is never made twice."""


def cost(folder: Path, *arguments: str) -> tuple[float, float]:
    """CPU seconds and wall seconds of `f5-pipeline …` on the installation in a folder."""
    env = environment(
        DAGSTER_HOME=str(folder / "home"), F5_STORE=f"file:{folder / 'studio'}", F5_CACHE=str(folder / "cache")
    )
    before, started = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "f5_pipeline.cli", *arguments], cwd=folder, env=env, check=True, capture_output=True
    )
    wall, after = time.perf_counter() - started, getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def new_folder(root: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=root))


def narrate(folder: Path) -> tuple[float, float]:
    """The cost of one sentence, narrated by the draft engine in a voice that is there."""
    script = folder / "sentence.txt"
    script.write_text(SENTENCE.format(time.time_ns()), encoding="utf-8")
    return cost(folder, "narrate", str(script), "--voice", "ada", "--engine", "draft")


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

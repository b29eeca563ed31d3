"""How long the code location takes to import, and what it pulls in.

    python -m benchmarks.imports

Each import runs in a fresh interpreter, in turn with a bare `import dagster`, below which it cannot fall. Cold: the
files of the modules are dropped from the page cache first (Linux; files that other processes have mapped stay).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.measure import REPOSITORY, environment, in_words, machine, table, write_results

MODULE = "f5_pipeline.definitions"
BASE = "dagster"
LIMIT_SECONDS = 3.0
HEAVY = (
    "torch", "torchaudio", "f5_tts", "numpy", "scipy", "matplotlib", "pandas", "numba", "llvmlite", "soundfile", "soxr",
    "PIL", "num2words2", "sentencex", "pysbd", "espeakng_loader", "boto3", "botocore", "transformers",
    "huggingface_hub", "uvicorn", "starlette", "dagster_webserver", "dagster_graphql",
)  # fmt: skip

_PROGRAM = """
import json, sys, time
before = time.perf_counter()
import {module}
seconds = time.perf_counter() - before
files = [getattr(one, name, None) for one in list(sys.modules.values()) for name in ("__file__", "__cached__")]
print(json.dumps({{"seconds": seconds, "modules": sorted(sys.modules), "files": list(filter(None, files))}}))
"""
_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|\s*(\S+)")


def import_once(module: str, home: str) -> dict[str, Any]:
    """Import a module in a fresh interpreter: seconds of the import, the modules that are there then, their files."""
    return json.loads(_python("-c", _PROGRAM.format(module=module), home=home).stdout)


def _python(*arguments: str, home: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=environment(DAGSTER_HOME=home, F5_STORE=f"file:{home}/studio"),
        capture_output=True,
        text=True,
        check=True,
    )


def forget(files: list[str]) -> None:
    """Drop files from the page cache."""
    for file in files:
        with contextlib.suppress(OSError, AttributeError):
            handle = os.open(file, os.O_RDONLY)
            try:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)


def slowest(home: str) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Our own modules by their own milliseconds, and the packages that only we import, by the sum of theirs."""
    base = {name.partition(".")[0] for name in import_once(BASE, home)["modules"]}
    own: dict[str, float] = {}
    packages: dict[str, float] = {}
    for line in _python("-X", "importtime", "-c", f"import {MODULE}", home=home).stderr.splitlines():
        if (match := _LINE.match(line)) is None:
            continue
        milliseconds, name = int(match[1]) / 1000, match[3]
        package = name.partition(".")[0]
        if package == "f5_pipeline":
            own[name] = milliseconds
        elif package not in base:
            packages[package] = packages.get(package, 0.0) + milliseconds

    def most(found: dict[str, float]) -> list[tuple[str, float]]:
        return sorted(found.items(), key=lambda one: -one[1])[:8]

    return most(own), most(packages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="warm runs, of which the median is told")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="f5-imports-") as home:
        first = {module: import_once(module, home) for module in (BASE, MODULE)}
        cold = {}
        for module in (BASE, MODULE):
            forget(first[MODULE]["files"])
            cold[module] = import_once(module, home)["seconds"]
        warm: dict[str, list[float]] = {BASE: [], MODULE: []}
        for _ in range(given.runs):
            for module, seconds in warm.items():
                seconds.append(import_once(module, home)["seconds"])
        own, packages = slowest(home)
    median = {module: statistics.median(seconds) for module, seconds in warm.items()}
    loaded = set(first[MODULE]["modules"]) - set(first[BASE]["modules"])
    heavy = sorted(name for name in HEAVY if name in loaded)

    print(in_words(machine()), end="\n\n")
    rows = [
        [module, cold[module], median[module], max(warm[module]), len(first[module]["modules"])]
        for module in (BASE, MODULE)
    ]
    print(table(["import", "s cold", "s warm", "s slowest warm", "modules"], rows))
    print(f"\nAgainst bare {BASE}, warm: {median[MODULE] / median[BASE]:.2f}. Allowed: {LIMIT_SECONDS:g} s warm.")
    print(f"Heavy modules: {', '.join(heavy) or 'none'}.\n")
    print(table(["our slowest modules", "ms of their own"], own), end="\n\n")
    print(table(["packages that only we import", "ms"], packages))
    results = {
        "cold_seconds": cold,
        "warm_seconds": median,
        "ratio": round(median[MODULE] / median[BASE], 3),
        "heavy": heavy,
        "own_ms": dict(own),
        "packages_ms": dict(packages),
    }
    print(f"\nWritten: {write_results('imports', results).name}")
    if heavy or median[MODULE] > LIMIT_SECONDS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

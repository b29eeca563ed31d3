"""What the measurements share: a stage in a process of its own, the machine in words, tables."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
EXAMPLES = REPOSITORY / "examples"
MB = 1e6
SAMPLE_EVERY = 0.1
"""Seconds between two looks at the memory of a stage's processes."""

_MARK = "measured: "


def environment(**more: str) -> dict[str, str]:
    """The environment of a fresh installation: nothing that the machine has set for the pipeline or for Dagster.

    Bytecode is kept, as it is for users: without it every process compiles our modules anew.
    """
    dropped = ("F5_", "DAGSTER_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    path = os.pathsep.join(filter(None, [str(REPOSITORY), kept.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, "NO_COLOR": "1", **more}


def run_alone(module: str, *arguments: str, env: Mapping[str, str]) -> dict[str, Any]:
    """Run a stage, `python -m module arguments`, in a fresh process; return what it `tell`s and what was seen of it.

    Adds `process_seconds` (from start to end) and `tree_mb`: the most memory that the process and its descendants held
    together, looked at every SAMPLE_EVERY s, where pages that several share are counted once. Linux only; else 0.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=REPOSITORY, env=env, stdout=subprocess.PIPE, text=True
    )
    most = 0.0
    ended = threading.Event()

    def look() -> None:
        nonlocal most
        while not ended.wait(SAMPLE_EVERY):
            most = max(most, sum(map(_proportional, _tree(process.pid))))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        out, _ = process.communicate()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        ended.set()
        watcher.join()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} ended with {process.returncode}")
    told = next(line for line in reversed(out.splitlines()) if line.startswith(_MARK))
    return {**json.loads(told.removeprefix(_MARK)), "process_seconds": round(seconds, 3), "tree_mb": round(most / MB)}


def tell(work: Callable[[], Mapping[str, Any]]) -> None:
    """In the stage's process: do the work and print its facts with seconds and memory, for `run_alone`.

    `peak_mb` is the most that the process held, `children_mb` the most that one of its children did; `rest_mb` is what
    it held before the work. A child is counted from its fork on, with what it shares with its parent.
    """
    before = _peak(resource.RUSAGE_SELF)
    cpu = _cpu()
    started = time.perf_counter()
    facts = work()
    seconds = time.perf_counter() - started
    measured = {
        **facts,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(_cpu() - cpu, 3),
        "rest_mb": round(before / MB),
        "peak_mb": round(_peak(resource.RUSAGE_SELF) / MB),
        "children_mb": round(_peak(resource.RUSAGE_CHILDREN) / MB),
    }
    print(_MARK + json.dumps(measured), flush=True)


def _cpu() -> float:
    """Seconds of processor that this process and its children that have ended took: the same on a busy machine."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak(who: int) -> int:
    """Bytes; Linux tells kibibytes, macOS bytes."""
    most = resource.getrusage(who).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for one in found:
        try:
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        except OSError:
            continue
    return found


def _proportional(pid: int) -> int:
    """Bytes of a process in memory, its part of shared pages only; 0 where it is gone or the system does not tell."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def machine() -> dict[str, Any]:
    """The machine in words, without its name."""
    cpu = platform.processor() or platform.machine()
    memory = 0.0
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.partition(":")[2].strip()
                break
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (OSError, ValueError):
        pass
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def in_words(facts: Mapping[str, Any]) -> str:
    cpu, cores, memory = facts["cpu"], facts["cores"], facts["memory_gib"]
    return f"{cpu}, {cores} cores, {memory} GiB, {facts['system']}, Python {facts['python']}"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(3, *(len(row[index]) for row in cells)) for index in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [("-" * (width - 1) + ":") if index else "-" * width for index, width in enumerate(widths)]
    return "\n".join([line(cells[0]), f"| {' | '.join(rule)} |", *map(line, cells[1:])])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if value < 10 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def write_results(name: str, results: Mapping[str, Any]) -> Path:
    """Keep results as benchmarks/results/<name>.json, with the machine."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(
        json.dumps({"machine": machine(), **results}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return path

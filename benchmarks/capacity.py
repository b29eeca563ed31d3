"""What a number of hours a day needs, by arithmetic from measured costs and by a simulation that replays them.

    python -m benchmarks.capacity [--hours 10000]

The costs are in COSTS, with where they were measured; the speeds of F5-TTS are assumptions, which no GPU has
confirmed. The simulation has GPUs, cores and batches as the pipeline has them: a batch holds a GPU from its first take
until its last narration is delivered, or, with batches beside each other, several share one.
"""

from __future__ import annotations

import argparse
import heapq
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.measure import table, write_results

SPEEDS = (120, 500)
"""Seconds of speech that F5-TTS makes in a second on a GPU: assumed."""

NARRATION_HOURS = 1 / 6
TAKE_SECONDS = 6.9
COSTS = {
    "take": 42.0,  # CPU s an hour of speech: 36 to 47, benchmarks.starvation
    "delivery": 25.0,  # CPU s an hour: benchmarks.book
    "start": 8.0,  # CPU s a batch: starts of steps
    "calls_a_take": {"A": 2.0, "B": 2.0, "C": 0.0},  # narrations of 5 and 52 takes on moto, drafts
    "calls_a_narration": {"A": 27.0, "B": 39.0, "C": 3.0},
    "take_bytes": 23_000,  # FLAC and record, a second
    "file_bytes": 33_000,  # FLAC, MP3 and the others, a second
    "rows": 24,  # of the event index, a narration that is a run of its own: benchmarks.scale
    "index_bytes": 93_000,  # runs.db and the index
}
DOLLARS = {"A": 0.0, "B": 0.4e-6, "C": 4e-6}
DOLLARS_A_TB_MONTH = 6.0


class Outcome(NamedTuple):
    seconds: float
    gpu_busy: float
    cores_busy: float


def arithmetic(hours: float, speed: float) -> dict[str, float]:
    """What so many hours of speech a day need, with everything busy all the time."""
    narrations, takes = hours / NARRATION_HOURS, hours * 3600 / TAKE_SECONDS
    each, whole = COSTS["calls_a_take"], COSTS["calls_a_narration"]
    calls = {kind: takes * each[kind] + narrations * whole[kind] for kind in "ABC"}
    terabytes = hours * 3600 * (COSTS["take_bytes"] + COSTS["file_bytes"]) / 1e12
    return {
        "GPUs": hours / speed / 24,
        "cores of takes": hours * COSTS["take"] / 86_400,
        "cores of delivery": hours * COSTS["delivery"] / 86_400,
        "calls a second": sum(calls.values()) / 86_400,
        "USD of calls a day": sum(DOLLARS[kind] * count for kind, count in calls.items()),
        "TB a day": terabytes,
        "Mbit/s up": terabytes * 8e6 / 86_400,
        "USD a month, for each month's files": terabytes * 30 * DOLLARS_A_TB_MONTH,
        "rows of the event index a day": narrations * COSTS["rows"],
        "GB of SQLite a day": narrations * COSTS["index_bytes"] / 1e9,
    }


def simulate(batches: int, hours: float, speed: float, gpus: int, cores: int, beside: int) -> Outcome:
    """Replay batches of `hours` of speech each: takes spoken on a GPU, kept on cores, then delivered.

    Args:
        gpus: of one machine. cores: shared by keeping and delivering. beside: batches on a GPU at once.
    """
    takes = round(hours * 3600 / TAKE_SECONDS)
    group = max(1, takes // 200)  # takes that move together
    narrations = max(1, round(hours / NARRATION_HOURS))
    work = {"keep": COSTS["take"] * TAKE_SECONDS * group / 3600, "deliver": COSTS["delivery"] * hours / narrations}
    speak = TAKE_SECONDS * group / speed
    groups = math.ceil(takes / group)
    events: list[tuple[float, int, str, int]] = []
    queue: list[tuple[int, int, str]] = []
    number = iter(range(1 << 62))
    state = [{"spoken": 0, "kept": 0, "delivered": 0} for _ in range(batches)]
    waiting, holding = list(range(batches))[::-1], 0
    ready: list[int] = []
    free_gpus, free_cores, now = gpus, cores, 0.0
    busy = {"gpu": 0.0, "core": 0.0}

    def later(seconds: float, what: str, batch: int) -> None:
        heapq.heappush(events, (now + seconds, next(number), what, batch))

    def start() -> None:
        nonlocal free_gpus, free_cores, holding
        while waiting and holding < gpus * beside:
            holding += 1
            ready.append(waiting.pop())
        while free_gpus and ready:
            batch = ready.pop(0)
            free_gpus -= 1
            busy["gpu"] += speak
            later(speak, "spoken", batch)
        while free_cores and queue:
            _, batch, what = heapq.heappop(queue)
            free_cores -= 1
            busy["core"] += work[what]
            later(work[what], {"keep": "kept", "deliver": "delivered"}[what], batch)

    start()
    while events:
        now, _, what, batch = heapq.heappop(events)
        done = state[batch]
        done[what] += 1
        if what == "spoken":
            free_gpus += 1
            heapq.heappush(queue, (batch, batch, "keep"))
            if done["spoken"] < groups:
                ready.insert(0, batch)
        else:
            free_cores += 1
            if what == "kept" and done["kept"] == groups:
                for _ in range(narrations):
                    heapq.heappush(queue, (batch, batch, "deliver"))
            if done["delivered"] == narrations:
                holding -= 1
        start()
    return Outcome(now, busy["gpu"] / gpus / now, busy["core"] / cores / now)


def cases(hours: float) -> Iterator[dict[str, Any]]:
    for speed in SPEEDS:
        needed = speed * (COSTS["take"] + COSTS["delivery"]) / 3600
        for cores in (2, math.ceil(needed), 2 * math.ceil(needed)):
            for beside in (1, 2):
                got = simulate(12, hours, speed, 1, cores, beside)
                bound = 12 * hours * 3600 * max(1 / speed, (COSTS["take"] + COSTS["delivery"]) / 3600 / cores)
                yield {
                    "speed": speed,
                    "cores a GPU": cores,
                    "batches beside": beside,
                    "hours a day": round(12 * hours / got.seconds * 86_400),
                    "of the bound": round(bound / got.seconds, 3),
                    "GPU busy": round(got.gpu_busy, 3),
                    "cores busy": round(got.cores_busy, 3),
                }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=10_000, help="of speech a day")
    parser.add_argument("--batch", type=float, default=4, help="hours of a simulated batch")
    given = parser.parse_args()
    needs = {speed: arithmetic(given.hours, speed) for speed in SPEEDS}
    columns = [f"{given.hours:,.0f} h a day", *(f"at {speed} x" for speed in SPEEDS)]
    rows = [[name, *(float(needs[speed][name]) for speed in SPEEDS)] for name in needs[SPEEDS[0]]]
    print(table(columns, rows), end="\n\n")
    simulated = list(cases(given.batch))
    print(table(list(simulated[0]), [list(case.values()) for case in simulated]))
    print(write_results("capacity", {"costs": COSTS, "needs": needs, "simulated": simulated}).name)
    if any(case["of the bound"] > 1.001 for case in simulated):
        raise SystemExit("the simulation is faster than its resources allow")


if __name__ == "__main__":
    main()

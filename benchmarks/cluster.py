"""One book on the GPUs of one machine, two and three: how much sooner it is there, and what a lost machine costs.

    python -m benchmarks.cluster [--takes 240] [--seconds 1] [--nodes 1 2 3]
    python -m benchmarks.cluster --lose 15

The machines are network namespaces of this one, nodes of a Ray cluster that share but a bucket and Postgres; the GPU of
each is an engine that waits for so many seconds a take. `local` is this machine without Ray. The others are compared
with it: "speaking" is from the first take's begin to the last one's end, and its ratio is that of the GPUs' time alone.
This machine's cores do all the rest, for all nodes.

`--lose`: no time, but whether a book of 24 takes is finished on two machines. For each seed, at a moment of chance, the
one beside the head loses its power, is cut off for good or for a while, or its step is killed, or the head is cut off
for a while. Then the command must end well, every take be in the store and none have been written twice, and
`store check --deep` find nothing. Ends with 1 where a seed fails.

Root, iproute2, Postgres, and the extra `ray`.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import in_words, machine, table, write_results
from f5_pipeline_tests.support.gpu_engine import LOG, Spoken, bring_gpu_engine, read_log
from f5_pipeline_tests.support.machines import Machine
from f5_pipeline_tests.support.ray_cluster import Cluster, ray_cluster

NAMES = ("head", "second", "third", "fourth")
SPEAKING = (8.0, 26.0)
"""Seconds after the start of the command, between which two machines make 24 takes."""


@contextmanager
def machines_of(nodes: int, seconds: float) -> Iterator[Cluster]:
    """So many machines that are on, whose GPUs take so many seconds a take; without one, this machine alone."""
    with tempfile.TemporaryDirectory(prefix="f5-cluster-") as folder:
        root = Path(folder)
        with ray_cluster(*NAMES[:nodes], root=root / "seen", folder=root / "machines") as cluster:
            cluster.desk.env |= bring_gpu_engine(cluster.desk.root, seconds=seconds)
            if nodes:
                cluster.start()
            else:
                cluster.desk.env["F5_DEVICE"] = "cpu"  # there is none to look for
            yield cluster


def narrate(cluster: Cluster, takes: int) -> subprocess.Popen[str]:
    desk = cluster.desk
    text = "\n\n".join(f"This is sentence number {n}." for n in range(takes))
    return desk.start("narrate", desk.write("book.txt", text), "--voice", "ada", "--engine", "gpu", "--json")


def narrated(cluster: Cluster, nodes: int, takes: int) -> dict[str, float]:
    """Seconds of a whole `narrate`, of its speech, and of its GPUs."""
    desk, started = cluster.desk, time.perf_counter()
    run = narrate(cluster, takes)
    out, err = run.communicate()
    wall = time.perf_counter() - started
    if run.returncode:
        raise SystemExit(err)
    spoken: list[Spoken] = [one for node in cluster.nodes for one in cluster.spoken_by(node)]
    spoken += read_log(Path(desk.env[LOG]))
    assert len(spoken) == json.loads(out)["takes"]["total"], "each take once"
    speaking = max(one.end for one in spoken) - min(one.start for one in spoken)
    return {
        "wall_seconds": round(wall, 1),
        "speaking_seconds": round(speaking, 1),
        "gpu_busy": round(sum(one.end - one.start for one in spoken) / speaking / max(nodes, 1), 3),
    }


def kill_step(cluster: Cluster) -> None:
    speaking = cluster.spoken_by(cluster.nodes[1])
    if speaking:  # else it is a step that is not there yet
        cluster.nodes[1].kill(int(speaking[-1].process))


def cut_off(node: Machine, seconds: float) -> None:
    node.unplug()
    time.sleep(seconds)
    node.plug()


FAULTS: dict[str, Callable[[Cluster, random.Random], None]] = {
    "power lost": lambda cluster, chance: cluster.nodes[1].lose(),
    "cut off": lambda cluster, chance: cluster.nodes[1].unplug(),
    "cut off for a while": lambda cluster, chance: cut_off(cluster.nodes[1], chance.uniform(1, 30)),
    "head cut off for a while": lambda cluster, chance: cut_off(cluster.nodes[0], chance.uniform(1, 30)),
    "step killed": lambda cluster, chance: kill_step(cluster),
}


def lose(seed: int) -> dict[str, Any]:
    """One row of the table."""
    chance, takes = random.Random(seed), 24
    fault = list(FAULTS)[seed % len(FAULTS)]
    moment = chance.uniform(*SPEAKING)
    with machines_of(2, seconds=1.0) as cluster:
        run, started = narrate(cluster, takes), time.monotonic()
        time.sleep(moment)
        struck = run.poll() is None
        before = cluster.desk.take_records()
        FAULTS[fault](cluster, chance)
        _, err = run.communicate()
        seconds = time.monotonic() - started
        after = cluster.desk.take_records()
        checked = cluster.desk.run("store", "check", "--deep", code=None)
        wrong = {
            f"ended with {run.returncode}: {err[-300:]}": run.returncode,
            f"{len(after)} takes": len(after) != takes,
            "a take was written again": any(after.get(key) != when for key, when in before.items()),
            f"store check: {checked.out[-300:]}": checked.code,
        }
        spoken = sum(len(cluster.spoken_by(node)) for node in cluster.nodes)
    return {
        "seed": seed,
        "fault": fault,
        "moment, s": round(moment, 1),
        "struck": "yes" if struck else "no",
        "takes before": len(before),
        "spoken again": spoken - takes,
        "seconds": round(seconds),
        "verdict": "; ".join(what for what, so in wrong.items() if so) or "whole",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--takes", type=int, default=240)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a GPU, a take")
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 3], choices=range(1, len(NAMES) + 1))
    parser.add_argument("--lose", type=int, default=0, metavar="SEEDS", help="lose a machine so many times instead")
    given = parser.parse_args()
    if given.lose:
        lost = []
        for seed in range(1, given.lose + 1):
            lost.append(lose(seed))
            print(*lost[-1].values(), sep="; ", flush=True)
        print(in_words(machine()), end="\n\n")
        print(table(list(lost[0]), [list(row.values()) for row in lost]))
        write_results("cluster_lost", {"runs": lost})
        raise SystemExit(any(row["verdict"] != "whole" for row in lost))
    results = {}
    for nodes in (0, *given.nodes):
        with machines_of(nodes, given.seconds) as cluster:
            told = narrated(cluster, nodes, given.takes)
        results[f"Ray, {nodes}" if nodes else "local"] = told
        print(nodes, told, flush=True)
    first = results["local"]
    rows = [
        [name, *one.values(), *(round(first[what] / one[what], 2) for what in ("wall_seconds", "speaking_seconds"))]
        for name, one in results.items()
    ]
    columns = ["machines", "wall s", "speaking s", "GPU busy", "wall, times as fast", "speaking, times as fast"]
    print(in_words(machine()), end="\n\n")
    print(table(columns, rows))
    print(f"\nWritten: {write_results('cluster', {**vars(given), 'machines': results}).name}")


if __name__ == "__main__":
    main()

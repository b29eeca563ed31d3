"""Steps of a run on several machines, nodes of a Ray cluster that have but a bucket and Postgres in common. Each has a
GPU, as far as Ray knows."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from f5_pipeline_tests.services.test_bucket import on_bucket
from f5_pipeline_tests.support.gpu_engine import NODE, Spoken, bring_gpu_engine, read_log
from f5_pipeline_tests.support.installation import REPOSITORY, Installation, answers
from f5_pipeline_tests.support.machines import GATEWAY, Machine, machines
from f5_pipeline_tests.support.servers.moto import moto
from f5_pipeline_tests.support.servers.postgres import running_postgres
from f5_pipeline_tests.support.tiny_hub import add_tiny_model, tiny_hub, tiny_settings
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("CLUSTER_TESTS"),
        reason="Ray's own programs give up where the machine is busy: CLUSTER_TESTS=1 on a quiet one",
    ),
]

TAKES = 16
NODE_HAS = ["--block", "--num-cpus=4", "--num-gpus=1", f"--object-store-memory={80 << 20}", "--disable-usage-stats"]


class Cluster(NamedTuple):
    """The machine that commands are given on, the log of the bucket's server, and two nodes."""

    desk: Installation
    asked: Path
    head: Machine
    spot: Machine

    def start_nodes(self) -> None:
        """Switch them on, with an environment and packages as those of the desk, and wait until Ray has both."""
        from ray.util.state import list_nodes

        ray = str(Path(sys.executable).parent / "ray")
        dashboard = self.desk.env["F5_RAY_ADDRESS"]
        common = [ray, "start", *NODE_HAS]
        # A node that answers no more is dead after 2 s, not 25.
        quick = json.dumps({"health_check_initial_delay_ms": 0, "health_check_period_ms": 500})
        as_head = ["--head", "--dashboard-host=0.0.0.0", "--dashboard-port=8265", f"--system-config={quick}"]
        self._start(self.head, *common, *as_head)
        self._wait_for("Ray's dashboard", lambda: answers(f"{dashboard}/api/version"))
        self._start(self.spot, *common, f"--address={self.head.address}:6379")
        self._wait_for("two nodes", lambda: len(list_nodes(address=dashboard)) == 2)

    def _wait_for(self, what: str, found: Callable[[], bool]) -> None:
        def found_while_they_run() -> bool:
            ended = [node for node in (self.head, self.spot) if node.ended]
            assert not ended, "\n".join((node.folder / "log").read_text() for node in ended)
            return found()

        wait_for(what, found_while_they_run)

    def _start(self, node: Machine, *command: str) -> None:
        for part in ("site", "dagster/dagster.yaml"):
            here, there = self.desk.root / part, node.folder / part
            there.parent.mkdir(parents=True, exist_ok=True)
            if here.exists():
                (shutil.copytree if here.is_dir() else shutil.copy)(here, there)
        node.start(*command, f"--node-ip-address={node.address}", env={**self.desk.env, NODE: node.name})

    def spoken_by(self, node: Machine) -> list[Spoken]:
        return read_log(node.folder / "spoken.log")


@pytest.fixture
def cluster(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("dagster_ray")
    folder = tmp_path_factory.mktemp("machines")
    with machines("head", "spot", folder=folder, seen=tmp_path) as made, running_postgres(GATEWAY) as postgres:
        server = moto(folder, GATEWAY)
        server.start()
        try:
            ray = {"F5_EXECUTOR": "ray", "F5_RAY_ADDRESS": f"http://{made['head'].address}:8265"}
            store = on_bucket(server, server.make_bucket("cluster"))
            # Ray finds its programs in the environment's own folder.
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            desk = Installation(tmp_path, {**postgres.env, **store, "PATH": path})
            del desk.env["CUDA_VISIBLE_DEVICES"]
            shutil.copy(REPOSITORY / "deploy" / "dagster.yaml", desk.env["DAGSTER_HOME"])
            desk.add_voices()
            desk.env |= ray
            yield Cluster(desk, folder / "moto.log", made["head"], made["spot"])
        finally:
            server.stop()


def ends(spoken: list[Spoken]) -> list[tuple[float, float]]:
    """When each step that spoke began and ended, in order."""
    steps: dict[str, tuple[float, float]] = {}
    for one in spoken:
        first, last = steps.get(one.process, (one.start, one.start))
        steps[one.process] = min(first, one.start), max(last, one.end, one.start)
    return sorted(steps.values())


@pytest.mark.parametrize("how", ["without power", "cut off"])
def test_a_book_is_shared_by_the_machines_and_a_lost_one_costs_what_it_had_in_hand(cluster: Cluster, how):
    """A machine that is cut off speaks on, and what it has made comes to nothing."""
    desk, head, spot = cluster.desk, cluster.head, cluster.spot
    desk.env |= bring_gpu_engine(desk.root, seconds=1)
    cluster.start_nodes()

    def in_the_middle() -> bool:
        assert run.poll() is None, run.communicate()
        spoken = cluster.spoken_by(spot)
        return len(spoken) > 1 and not spoken[-1].end

    book = desk.write("book.txt", "\n\n".join(f"Number {n}." for n in range(TAKES)))
    run = desk.start("narrate", book, "--voice", "ada", "--engine", "gpu", "--json")
    try:
        wait_for("takes of the other machine", in_the_middle)
        (spot.lose if how == "without power" else spot.unplug)()
        lost = cluster.spoken_by(spot)
        out, err = run.communicate(timeout=HANG_SECONDS)
    finally:
        run.kill()
    assert run.returncode == 0, f"{out}\n{err}"
    told = json.loads(out)
    takes = desk.take_records()
    assert len(takes) == TAKES and told["links"]
    assert {one.key for one in desk.store.list("narrations/book/")} >= set(told["files"].values())
    if how == "cut off":
        wait_for("the end of what it spoke", lambda: all(one.end for one in cluster.spoken_by(spot)))
        spot.plug()
        wait_for("the end of a node that the others took for dead", lambda: spot.ended)
        assert desk.take_records() == takes
    spoken = [*cluster.spoken_by(head), *lost]
    assert {one.device for one in spoken} == {"auto of 0"}, "Ray gave each step the GPU of its node"
    for node, times in (("head", 2), ("spot", 1)):
        steps = ends([one for one in spoken if one.node == node])
        assert len(steps) == times, f"steps of {node}: the head's are its own and the lost one's"
        assert all(one[1] <= other[0] for one, other in pairwise(steps)), f"{node} has one GPU"
    made = Counter(one.key for one in spoken)
    assert len(made) == TAKES
    in_hand = {one.key for one in lost[-2:]}
    assert {key for key, times in made.items() if times > 1} <= in_hand, "what was spoken, and what was being kept"


def test_weights_come_from_the_bucket_once_a_machine(cluster: Cluster, tmp_path_factory):
    pytest.importorskip("f5_tts")
    desk = cluster.desk
    with tiny_hub(tmp_path_factory.mktemp("tiny")) as hub:
        desk.env |= {**tiny_settings(hub), "F5_RETAKES": "0"}
        add_tiny_model(desk)
    before = len(cluster.asked.read_text())
    cluster.start_nodes()
    for name in ("first", "second"):
        text = desk.write(f"{name}.txt", "\n\n".join(f"The {name} one has number {n}." for n in range(6)))
        told = desk.run("narrate", text, "--voice", "ada", "--json").object
        assert (told["engine"], told["takes"]["synthesized"]) == ("f5", 6)
    asked = re.findall(r"^(\S+) .*GET \S+/weights/(\S+\.safetensors)", cluster.asked.read_text()[before:], re.M)
    counts = Counter(address for address, _ in asked)
    assert counts == {cluster.head.address: 1, cluster.spot.address: 1}

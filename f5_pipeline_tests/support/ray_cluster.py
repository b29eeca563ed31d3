"""A Ray cluster of machines (`machines.py`) that have but a bucket and Postgres in common, each with a GPU as far as
Ray knows."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from f5_pipeline_tests.support.gpu_engine import NODE, Spoken, read_log
from f5_pipeline_tests.support.installation import REPOSITORY, Installation, answers
from f5_pipeline_tests.support.machines import GATEWAY, Machine, machines
from f5_pipeline_tests.support.servers.moto import moto
from f5_pipeline_tests.support.servers.postgres import running_postgres
from f5_pipeline_tests.support.waiting import wait_for

_HAS = ["--block", "--num-cpus=4", "--num-gpus=1", f"--object-store-memory={80 << 20}", "--disable-usage-stats"]


@dataclass
class Cluster:
    """The machine that commands are given on, the log of the bucket's server, and the nodes, the head first."""

    desk: Installation
    asked: Path
    nodes: list[Machine]

    def start(self) -> None:
        """Switch the nodes on, with an environment and packages as those of the desk, and wait until Ray has all."""
        from ray.util.state import list_nodes

        head, *others = self.nodes
        address = self.desk.env["F5_RAY_ADDRESS"] = f"http://{head.address}:8265"
        self.desk.env["F5_EXECUTOR"] = "ray"
        # A node that answers no more is dead after five questions, which take 8 s, not 65.
        health = {"initial_delay": 0, "period": 500, "timeout": 1000}
        quick = json.dumps({f"health_check_{name}_ms": value for name, value in health.items()})
        self._start(head, "--head", "--dashboard-host=0.0.0.0", "--dashboard-port=8265", f"--system-config={quick}")
        self._wait_for("Ray's dashboard", lambda: answers(f"{address}/api/version"))
        for node in others:
            self._start(node, f"--address={head.address}:6379")
        self._wait_for("all nodes", lambda: len(list_nodes(address=address)) == len(self.nodes))

    def _start(self, node: Machine, *options: str) -> None:
        for part in ("site", "dagster/dagster.yaml"):
            here, there = self.desk.root / part, node.folder / part
            there.parent.mkdir(parents=True, exist_ok=True)
            if here.exists():
                (shutil.copytree if here.is_dir() else shutil.copy)(here, there)
        ray = [str(Path(sys.executable).parent / "ray"), "start", *_HAS, f"--node-ip-address={node.address}"]
        node.start(*ray, *options, env={**self.desk.env, NODE: node.name})

    def _wait_for(self, what: str, found: Callable[[], bool]) -> None:
        def found_while_they_run() -> bool:
            ended = [node for node in self.nodes if node.ended]
            assert not ended, "\n".join((node.folder / "log").read_text() for node in ended)
            return found()

        wait_for(what, found_while_they_run)

    @staticmethod
    def spoken_by(node: Machine) -> list[Spoken]:
        return read_log(node.folder / "spoken.log")


@contextmanager
def ray_cluster(*names: str, root: Path, folder: Path) -> Iterator[Cluster]:
    """Machines that are off, and a desk under `root` with two voices, whose store is a bucket; logs and what the
    machines write are under `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with machines(*names, folder=folder, seen=root) as made, running_postgres(GATEWAY) as postgres:
        server = moto(folder, GATEWAY)
        server.start()
        try:
            # Ray finds its programs in the environment's own folder.
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            store = server.settings(server.make_bucket("cluster"))
            desk = Installation(root, {**postgres.env, **store, "PATH": path})
            del desk.env["CUDA_VISIBLE_DEVICES"]
            shutil.copy(REPOSITORY / "deploy" / "dagster.yaml", desk.env["DAGSTER_HOME"])
            desk.add_voices()
            yield Cluster(desk, folder / "moto.log", list(made.values()))
        finally:
            server.stop()

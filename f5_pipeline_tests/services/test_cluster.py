"""A run whose steps are processes that a cluster starts: as pods are, by themselves; and as jobs of a Ray cluster, two
raylets of this machine, each with a GPU as far as Ray knows."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import psutil
import pytest

from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.orchestration.partitions import NARRATIONS
from f5_pipeline.settings import get_settings
from f5_pipeline.speech import engines
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.studio.narrating.planning import make_plan
from f5_pipeline.studio.narrating.scripts import add_script
from f5_pipeline.studio.state import write_state
from f5_pipeline.studio.weights import gather_weights
from f5_pipeline_tests.support.gpu_engine import GPU, HOLD, LOG, NODE, Spoken, bring_gpu_engine, read_log
from f5_pipeline_tests.support.installation import Installation, free_port
from f5_pipeline_tests.support.pods import PODS
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for

pytestmark = pytest.mark.slow

TAKES = 16
ON_PODS = """
from f5_pipeline.orchestration import executors
from f5_pipeline_tests.support import pods
executors.executor_of = pods.executor_of
"""
RUN = """
from f5_pipeline.dagster_host.instance import open_instance
from f5_pipeline.dagster_host.runs import run_job
from f5_pipeline.settings import get_settings
with open_instance(get_settings()) as instance:
    outcome = run_job(instance, "synthesize", partition="book")
    print(outcome.success, *outcome.errors)
"""


@pytest.fixture
def book(here: Installation, voices: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An installation with a narration that is planned, for an engine that another package brings."""
    variables = {
        # Ray finds its programs in the environment's own folder.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **bring_gpu_engine(here.root, seconds=1),
    }
    monkeypatch.setitem(engines._specs(), "gpu", GPU)  # of this process, which may have looked for engines before
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    here.copy(voices)
    here.env |= variables
    here.env.pop("CUDA_VISIBLE_DEVICES", None)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    options = studio_options(get_settings())
    text = "\n\n".join(f"Number {n}." for n in range(TAKES))
    script = add_script(here.store, here.write("book.txt", text), options=ScriptOptions(voice="ada", engine="gpu"))
    plan = make_plan(here.store, script, gather_weights(here.store, options), options)
    write_state(here.store, plan, "book")
    with dg.DagsterInstance.from_config(here.env["DAGSTER_HOME"]) as instance:
        instance.add_dynamic_partitions(str(NARRATIONS.name), ["book"])
    return here


class Nodes(NamedTuple):
    """A cluster of Ray, and the node beside its head."""

    cluster: Any
    spot: Any


@pytest.fixture
def cluster(book: Installation) -> Iterator[Nodes]:
    pytest.importorskip("dagster_ray")
    from ray.cluster_utils import Cluster

    port = free_port()
    book.env |= {"F5_EXECUTOR": "ray", "F5_RAY_ADDRESS": f"http://127.0.0.1:{port}"}
    node: dict[str, Any] = {"num_cpus": 4, "num_gpus": 1, "object_store_memory": 80 << 20}
    head = {
        "include_dashboard": True,
        "include_log_monitor": False,
        "dashboard_port": port,
        "env_vars": {NODE: "head"},
        # A node that answers no more is dead after 2 s, not 25.
        "_system_config": {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500},
    }
    handler = signal.getsignal(signal.SIGTERM)  # Ray puts its own in place
    cluster = Cluster(initialize_head=True, head_node_args={**node, **head})
    try:
        yield Nodes(cluster, cluster.add_node(**node, env_vars={NODE: "spot"}))
    finally:
        cluster.shutdown()
        signal.signal(signal.SIGTERM, handler)


def kill_node(node: Any) -> None:
    """As a machine goes: its raylet and everything that this began, at once."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    for process in [raylet, *raylet.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def ends(spoken: list[Spoken]) -> list[tuple[float, float]]:
    """When each step that spoke began and ended, in order."""
    steps: dict[str, tuple[float, float]] = {}
    for one in spoken:
        first, last = steps.get(one.process, (one.start, one.start))
        steps[one.process] = min(first, one.start), max(last, one.end, one.start)
    return sorted(steps.values())


def test_a_step_that_is_told_to_go_keeps_what_it_made_and_is_tried_again(book):
    """As Kubernetes tells a pod whose spot node goes: by SIGTERM."""
    launched = book.root / "pods.log"
    book.env |= {"F5_EXECUTOR": "k8s", "F5_SHARDS": "1", PODS: str(launched)}
    log, hold = Path(book.env[LOG]), Path(book.env[HOLD])
    hold.write_text("2")
    run = subprocess.Popen(
        [sys.executable, "-c", ON_PODS + RUN], cwd=book.root, env=book.env, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for("takes", lambda: len([one for one in read_log(log) if one.end]) == 2)
        (step,) = {one.process for one in read_log(log)}
        os.kill(int(step), signal.SIGTERM)
        wait_for("its second try", lambda: {one.process for one in read_log(log)} - {step})
        hold.unlink()
        printed, _ = run.communicate(timeout=HANG_SECONDS)
    finally:
        run.kill()
    assert printed.splitlines()[-1:] == ["True"], printed
    spoken = read_log(log)
    assert len({one.process for one in spoken}) == 2
    assert len(spoken) == len({one.key for one in spoken}) == len(book.take_records()) == TAKES, "each take once"
    with dg.DagsterInstance.from_config(book.env["DAGSTER_HOME"]) as instance:
        (ended,) = instance.get_runs(dg.RunsFilter(job_name="synthesize"))
        told = [entry.user_message for entry in instance.all_logs(ended.run_id)]
    speaking = launched.read_text().split()
    assert len(speaking) == 2 and {key.partition("[")[0] for key in speaking} == {"takes.synthesize_shard"}, "no other"
    assert any("this node is told to go" in message for message in told), "it ended by itself"


@pytest.mark.skipif(
    not os.environ.get("CLUSTER_TESTS"),
    reason="Ray's own programs give up where the machine is busy: CLUSTER_TESTS=1 on a quiet one",
)
def test_a_book_is_shared_by_the_nodes_and_a_lost_one_costs_what_it_had_in_hand(book, cluster):
    log = Path(book.env[LOG])

    def on_spot() -> list[Spoken]:
        return [one for one in read_log(log) if one.node == "spot"]

    def in_the_middle() -> bool:
        assert run.poll() is None, run.communicate()[0]
        spoken = on_spot()
        return len(spoken) > 1 and not spoken[-1].end

    run = subprocess.Popen([sys.executable, "-c", RUN], cwd=book.root, env=book.env, stdout=subprocess.PIPE, text=True)
    try:
        wait_for("takes of the other node", in_the_middle)
        kill_node(cluster.spot)
        lost = on_spot()
        printed, _ = run.communicate(timeout=HANG_SECONDS)
    finally:
        run.kill()
    assert printed.splitlines()[-1:] == ["True"], printed
    spoken = read_log(log)
    assert {one.device for one in spoken} == {"auto of 0"}, "Ray gave each step the GPU of its node"
    for node, times in (("head", 2), ("spot", 1)):
        steps = ends([one for one in spoken if one.node == node])
        assert len(steps) == times, f"steps of {node}: the head's are its own and the lost one's"
        assert all(one[1] <= other[0] for one, other in pairwise(steps)), f"{node} has one GPU"
    made = Counter(one.key for one in spoken)
    assert len(made) == len(book.take_records()) == TAKES
    in_hand = {one.key for one in lost[-2:]}
    assert {key for key, times in made.items() if times > 1} <= in_hand, "what was spoken, and what was being kept"

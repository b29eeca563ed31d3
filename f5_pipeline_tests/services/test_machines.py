"""Steps of a run on several machines, nodes of a Ray cluster."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from f5_pipeline_tests.support.gpu_engine import Spoken, bring_gpu_engine
from f5_pipeline_tests.support.ray_cluster import Cluster, ray_cluster
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


@pytest.fixture
def cluster(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    pytest.importorskip("dagster_ray")
    with ray_cluster("head", "spot", root=tmp_path, folder=tmp_path_factory.mktemp("machines")) as made:
        yield made


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
    desk, (head, spot) = cluster.desk, cluster.nodes
    desk.env |= bring_gpu_engine(desk.root, seconds=1)
    cluster.start()

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
    cluster.start()
    for name in ("first", "second"):
        text = desk.write(f"{name}.txt", "\n\n".join(f"The {name} one has number {n}." for n in range(6)))
        told = desk.run("narrate", text, "--voice", "ada", "--json").object
        assert (told["engine"], told["takes"]["synthesized"]) == ("f5", 6)
    asked = re.findall(r"^(\S+) .*GET \S+/models/blobs/(\S+\.safetensors)", cluster.asked.read_text()[before:], re.M)
    counts = Counter(address for address, _ in asked)
    assert counts == {node.address: 1 for node in cluster.nodes}

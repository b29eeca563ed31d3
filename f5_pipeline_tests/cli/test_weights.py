"""f5-pipeline weights, against a hub on this machine."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from f5_pipeline_tests.support.hub import LocalHub, running_hub
from f5_pipeline_tests.support.installation import Ended, Installation
from f5_pipeline_tests.support.quick import quick
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for
from f5_pipeline_tests.support.weights_place import ARCHITECTURE, content, shaped_checkpoint

pytestmark = pytest.mark.slow

CHECKPOINT = shaped_checkpoint()


@dataclass
class Bench:
    """An installation, and a hub that has a model which the registry does not know."""

    installation: Installation
    hub: LocalHub

    def run(self, *arguments: object, code: int = 0, **env: str) -> Ended:
        return quick(self.installation, "weights", *arguments, code=code, **env)

    def add(self, *more: object) -> Ended:
        config = self.installation.write("arch.yaml", yaml.safe_dump({"model": {"arch": ARCHITECTURE}}))
        where = "hf://somebody/tiny/sub/model.safetensors"
        vocoder = ("--vocoder", "hf://somebody/vocos")
        return self.run("add", "tiny", where, "--architecture", config, *vocoder, "--language", "fr", *more)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with running_hub() as hub:
        hub.put("somebody/tiny", {"sub/model.safetensors": CHECKPOINT})
        hub.put("somebody/vocos", {"config.yaml": b"head: {}\n", "pytorch_model.bin": content(50_000, 1)})
        env = {"F5_HUB": hub.url, "F5_CACHE": str(tmp_path / "cache"), "F5_OFFLINE": "0"}
        yield Bench(Installation(tmp_path, env), hub)


def test_add_pull_list_verify_evict(bench: Bench):
    told = bench.add("--licence", "MIT", "--commercial-use", "yes", "--json").object
    assert (told["name"], told["languages"], told["commercial_use"]) == ("tiny", ["fr"], "yes")
    bench.hub.forget()

    pulled = bench.run("pull", "tiny", "--json").object
    assert pulled["sha256"] == told["sha256"] and pulled["licence"] == "MIT"
    assert Path(pulled["files"]["checkpoint"]["path"]).read_bytes() == CHECKPOINT
    text = bench.run("pull", "tiny")
    assert pulled["files"]["checkpoint"]["path"] in text.out.splitlines()
    assert "commercial use: yes" in text.err

    listed = {one["model"]: one for one in bench.run("list", "--json").objects}
    assert listed["tiny"]["stored"] == listed["tiny"]["size"] == told["size"]
    assert listed["F5TTS_v1_Base"]["sha256"] is None and listed["F5TTS_v1_Base"]["commercial_use"] == "no"
    table = bench.run("list").out
    assert "tiny" in table and "CC-BY-NC-4.0" in table

    assert {one["state"] for one in bench.run("verify", "--json").objects} == {"ok"}
    path = Path(pulled["files"]["checkpoint"]["path"])
    path.chmod(0o644)
    path.write_bytes(CHECKPOINT[:-1] + b"\xff")
    damaged = bench.run("verify", "tiny", code=1)
    assert "corrupt" in damaged.out and "1 damaged" in damaged.err
    assert "damaged" in bench.run("pull", "tiny").err
    assert bench.run("verify", "tiny").code == 0

    assert "freed" in bench.run("evict", "--all").err
    assert bench.run("evict", "tiny", "--json").objects == []
    assert Path(pulled["files"]["checkpoint"]["path"]).exists()  # the store keeps it


def test_a_killed_pull_goes_on(bench: Bench):
    bench.hub.faults.pause = 0.005
    bench.add()
    store = bench.installation.store
    (key,) = (one.key for one in store.list("models/blobs/") if one.key.endswith(".safetensors"))
    store.delete(key)
    bench.hub.forget()
    process = bench.installation.start("weights", "pull", "tiny")
    part = bench.installation.root / "cache" / "partial"
    wait_for("beginning", lambda: any(one.stat().st_size > len(CHECKPOINT) // 8 for one in part.glob("*.part")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not store.exists(key)
    (left,) = (one.stat().st_size for one in part.glob("*.part"))
    assert left < len(CHECKPOINT)
    bench.hub.faults.pause = 0.0
    bench.hub.forget()
    told = bench.run("pull", "tiny", "--json").object
    assert told["source"] == "hub"
    assert bench.hub.starts == [left]
    assert store.get_bytes(key) == CHECKPOINT


def test_an_interrupted_pull_ends_with_130(bench: Bench):
    bench.add()
    store = bench.installation.store
    for one in list(store.list("models/blobs/")):
        store.delete(one.key)
    bench.hub.faults.pause = 0.05
    bench.hub.forget()
    process = bench.installation.start("weights", "pull", "tiny")
    wait_for("beginning", lambda: bench.hub.sent > 0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 130
    assert "run the same command again" in err


def test_what_goes_wrong_says_so(bench: Bench):
    assert "Did you mean F5TTS_v1_Base" in bench.run("pull", "F5TTS_v1_Bse", code=2).err
    assert "has no SWivid/F5-TTS" in bench.run("pull", code=1).err
    offline = bench.run("pull", code=1, F5_OFFLINE="1").err
    assert "may not be asked" in offline and "F5_OFFLINE" in offline
    assert "name models, or say --all" in bench.run("evict", code=2).err
    assert "was never pulled" in bench.run("verify", "F5TTS_Base").err
    trap = bench.installation.write("trap.pt", b"cos\nsystem\n(S'touch trapped'\ntR.")
    refused = bench.run("add", "bad", trap, code=2)
    assert "trap.pt" in refused.err and "weights alone" in refused.err
    assert not (bench.installation.root / "trapped").exists()


def test_json_has_no_progress(bench: Bench):
    told = bench.add("--json")
    assert json.loads(told.out)["name"] == "tiny"
    assert told.err == ""

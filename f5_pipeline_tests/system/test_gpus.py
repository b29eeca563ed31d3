"""Which GPUs there are, and that no two processes hold the same one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.engine import Cancelled
from f5_pipeline.system import gpus as devices
from f5_pipeline.system.gpus import GIVEN, Gpu, lease_device, usable_gpus
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.waiting import HANG_SECONDS

A, B, C = (Gpu(f"GPU-{name}", f"cuda:{n}", n, "NVIDIA H200", 141 << 30) for n, name in enumerate(("aa", "ab", "cc")))
MIG = Gpu("MIG-dd", "cuda:3", 3, "NVIDIA H200", 18 << 30)


@pytest.fixture
def driver(monkeypatch) -> list[Gpu]:
    """What NVIDIA's driver tells: nothing, until a test says otherwise."""
    told: list[Gpu] = []
    monkeypatch.setattr(devices, "_driver_gpus", lambda: told)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    return told


@pytest.mark.parametrize(
    ("listed", "gpus", "expected"),
    [
        (None, "auto", [("GPU-aa", "cuda:0"), ("GPU-ab", "cuda:1"), ("GPU-cc", "cuda:2")]),
        ("2,0", "auto", [("GPU-cc", "cuda:0"), ("GPU-aa", "cuda:1")]),
        ("GPU-c,GPU-ab", "auto", [("GPU-cc", "cuda:0"), ("GPU-ab", "cuda:1")]),
        ("1,7,0", "auto", [("GPU-ab", "cuda:0")]),  # CUDA stops at what is wrong
        ("", "auto", []),
        ("-1", "auto", []),
        (None, "none", []),
        (None, "2,0", [("GPU-aa", "cuda:0"), ("GPU-cc", "cuda:2")]),
        ("2,1", "1", [("GPU-ab", "cuda:1")]),
    ],
)
def test_the_gpus_are_numbered_as_torch_sees_them(driver, monkeypatch, listed, gpus, expected):
    driver += [A, B, C]
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert [(gpu.uuid, gpu.device) for gpu in usable_gpus(gpus)] == expected


@pytest.mark.parametrize(("listed", "gpus"), [(None, "3"), ("0,1", "2")])
def test_a_gpu_that_is_not_there_is_an_error(driver, monkeypatch, listed, gpus):
    driver += [A, B, C]
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    with pytest.raises(InputError, match=f"F5_GPUS names GPU {gpus}"):
        usable_gpus(gpus)


def test_without_a_driver_the_settings_are_believed(driver):
    assert usable_gpus("auto") == []
    assert [(gpu.uuid, gpu.device) for gpu in usable_gpus("0,3")] == [
        ("gpu-0", "cuda:0"),
        ("gpu-3", "cuda:3"),
    ]


def test_the_driver_is_asked(monkeypatch):
    """Here there may be none: what it tells is well-formed, and asking raises nothing."""
    for gpu in devices._driver_gpus():
        assert gpu.uuid.startswith(("GPU-", "MIG-")) and gpu.memory > 0 and gpu.name


@pytest.mark.parametrize(("device", "expected"), [("cpu", "cpu"), ("mps", "mps"), ("auto", "auto"), ("cuda", "cuda")])
def test_nothing_is_held_where_there_is_no_gpu(driver, tmp_path, device, expected):
    with lease_device(device, "auto", folder=tmp_path) as leased:
        assert leased == expected
    assert list(tmp_path.iterdir()) == []


def test_gpus_that_are_switched_off_are_not_computed_on(driver, tmp_path):
    driver += [A]
    with lease_device("auto", "none", folder=tmp_path) as leased:
        assert leased == "cpu"


def test_what_a_cluster_gave_is_not_leased(driver, tmp_path, monkeypatch):
    driver += [A, B]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    for device in ("auto", "cuda:1"):
        with (
            lease_device(device, GIVEN, folder=tmp_path) as first,
            lease_device(device, GIVEN, folder=tmp_path) as again,
        ):
            assert first == again == "cuda:0", "the only one that CUDA shows"
    assert list(tmp_path.iterdir()) == []


def test_leases_of_one_process_differ_and_come_back(driver, tmp_path):
    driver += [A, B]
    with (
        lease_device("auto", "auto", folder=tmp_path) as first,
        lease_device("auto", "auto", folder=tmp_path) as second,
    ):
        assert {first, second} == {"cuda:0", "cuda:1"}
        notes: list[str] = []
        with (
            pytest.raises(Cancelled),
            lease_device("auto", "auto", folder=tmp_path, cancelled=lambda: len(notes) == 1, on_wait=notes.append),
        ):
            raise AssertionError("a third lease of two GPUs")
        assert len(notes) == 1 and "NVIDIA H200" in notes[0]
    with lease_device("cuda:1", "auto", folder=tmp_path) as again:
        assert again == "cuda:1"


def test_a_named_device_is_leased_and_no_other(driver, tmp_path):
    driver += [A, B]
    named = ("cuda:1", "auto")
    with lease_device(*named, folder=tmp_path) as leased:
        assert leased == "cuda:1"
        with pytest.raises(Cancelled), lease_device(*named, folder=tmp_path, cancelled=lambda: True):
            raise AssertionError("leased twice")
        with lease_device("auto", "auto", folder=tmp_path) as other:
            assert other == "cuda:0"


def test_an_instance_of_a_split_gpu_is_all_that_its_holder_sees(driver, tmp_path, monkeypatch):
    driver += [A, MIG]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-dd")
    with lease_device("auto", "auto", folder=tmp_path) as leased:
        assert (leased, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cuda:0", "MIG-dd")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with lease_device("auto", "3", folder=tmp_path):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "MIG-dd"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


HOLD = """
import sys
from pathlib import Path
from f5_pipeline.system.gpus import lease_device
with lease_device("auto", "0,1", folder=Path(sys.argv[1])) as device:
    print(device, flush=True)
    sys.stdin.readline()
"""


class Holder:
    """A process that holds a GPU until it is told to go on."""

    def __init__(self, folder: Path, program: str = HOLD) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def device(self) -> str:
        return some(self.process.stdout).readline().strip()

    def end(self) -> None:
        self.process.communicate("\n", timeout=HANG_SECONDS)


def test_no_two_processes_hold_the_same_gpu_and_a_killed_one_holds_none(driver, tmp_path):
    first, second = Holder(tmp_path), Holder(tmp_path)
    held = {first.device(): first, second.device(): second}
    assert set(held) == {"cuda:0", "cuda:1"}

    third = Holder(tmp_path)
    with pytest.raises(Cancelled), lease_device("auto", "0,1", folder=tmp_path, cancelled=lambda: True):
        raise AssertionError("a third lease of two GPUs")
    held["cuda:1"].process.send_signal(signal.SIGKILL)
    assert third.device() == "cuda:1", "the kernel has freed it"

    held["cuda:0"].end()
    with lease_device("auto", "0,1", folder=tmp_path) as device:
        assert device == "cuda:0"
    third.end()
    held["cuda:1"].process.wait()


FORKS = HOLD.replace(
    "    print",
    """    import os
    child = os.fork()
    if child == 0:
        import time
        time.sleep(120)
        os._exit(0)
    print(child, flush=True)
    print""",
)


def test_a_child_does_not_hold_what_its_killed_parent_held(driver, tmp_path):
    parent = Holder(tmp_path, FORKS)
    child = int(parent.device())
    try:
        assert parent.device() == "cuda:0"
        parent.process.kill()
        parent.process.wait()
        os.kill(child, 0)  # it lives on
        with lease_device("auto", "0", folder=tmp_path) as device:
            assert device == "cuda:0"
    finally:
        os.kill(child, signal.SIGKILL)

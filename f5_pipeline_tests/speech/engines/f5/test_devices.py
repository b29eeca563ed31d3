"""What a machine can compute on: found without torch, and told with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from f5_pipeline.speech.engines.f5 import devices
from f5_pipeline.speech.engines.f5.devices import facts, has_accelerator


@pytest.fixture
def linux(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ("dev/nvidia0", True),
        ("dev/nvidia12", True),
        ("dev/dxg", True),  # WSL
        ("proc/driver/nvidia/gpus/0000:01:00.0/information", True),
        ("dev/nvidiactl", False),  # the driver without a card
        ("dev/nvidia-uvm", False),
        ("proc/driver/nvidia/version", False),
        ("dev/null", False),
    ],
)
def test_a_card_is_found_by_its_files(there: str, found: bool, linux: Path):
    path = linux / there
    path.parent.mkdir(parents=True)
    path.touch()
    assert has_accelerator(linux) is found


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_hidden_card_is_none(hidden: str, linux: Path, monkeypatch: pytest.MonkeyPatch):
    (linux / "dev").mkdir()
    (linux / "dev/nvidia0").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not has_accelerator(linux)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert has_accelerator(linux)


@pytest.mark.parametrize(("machine", "found"), [("arm64", True), ("x86_64", False)])
def test_apple_silicon_is_found(machine: str, found: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(devices.platform, "machine", lambda: machine)
    assert has_accelerator() is found


def test_it_asks_without_torch():
    module = "f5_pipeline.speech.engines.f5.devices"
    code = f"import sys; from {module} import *; has_accelerator(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_facts_of_this_machine():
    found = {fact.what: fact for fact in facts()}
    assert found["f5-tts"].state == found["torch"].state == "ok"
    assert any(what == "device" or what.startswith("cuda:") for what in found)
    assert all(fact.state in ("ok", "warning", "error") for fact in found.values())
    assert all(fact.hint for fact in found.values() if fact.state != "ok")


def test_a_card_that_torch_cannot_use_is_told(monkeypatch: pytest.MonkeyPatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(devices, "has_accelerator", lambda: True)
    for built, told in ((None, "CPU only"), ("13.0", "torch cannot use it")):
        monkeypatch.setattr(torch.version, "cuda", built)
        (fact,) = devices._devices()
        assert fact.state == "error" and told in fact.finding and fact.hint


def test_packages_that_do_not_fit_are_told(monkeypatch: pytest.MonkeyPatch):
    versions = {"f5-tts": "0.9", "torch": "2.11.0", "torchaudio": "2.1.0", "flash-attn": None}
    monkeypatch.setattr(devices, "_version", versions.get)
    found = {fact.what: fact for fact in facts()}
    assert found["f5-tts"].state == "warning" and "0.9" in found["f5-tts"].finding
    assert found["torch"].state == "error" and "do not fit" in found["torch"].finding
    assert list(found) == ["f5-tts", "torch"]


def test_a_broken_flash_attn_is_told_and_does_no_harm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "flash_attn.py").write_text("raise ImportError('undefined symbol: _ZN3c10')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(devices, "_version", lambda package: "2.8.3")
    fact = devices._flash_attn()
    assert fact.state == "warning" and "undefined symbol" in fact.finding
    (tmp_path / "flash_attn.py").write_text("import os; os.kill(os.getpid(), 11)")
    assert "does not import: ended with -11" in devices._flash_attn().finding


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        ((9, 0), ["sm_80", "sm_90"], True),
        ((8, 9), ["sm_80", "sm_90"], True),
        ((6, 1), ["sm_75", "sm_80"], False),
        ((12, 0), ["sm_90a", "compute_90"], True),
        ((12, 0), ["sm_80", "sm_90"], False),
        ((10, 0), ["sm_100", "sm_120"], True),
    ],
)
def test_code_for_a_card(capability: tuple[int, int], built: list[str], runs: bool):
    assert devices._is_built_for(*capability, built) is runs

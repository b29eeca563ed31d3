"""Devices of this machine for F5-TTS: a quick check without torch, and the facts for `doctor` with it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from f5_pipeline.speech.engines import Fact
from f5_pipeline.speech.engines.f5.checkpoint import F5_TTS, INSTALL, first_line

MIN_FREE_BYTES = 4 << 30
"""Free bytes of a device under which batches get small: the model takes 1.4 GB in fp32, 0.7 GB in half precision."""

_SLOW = "It works, but slowly: use the draft engine to proof-listen, and a machine with an NVIDIA GPU to narrate."


def has_accelerator(root: Path = Path("/")) -> bool:
    """Whether there seems to be a device that F5 is fast on: an NVIDIA GPU (also in WSL), or Apple silicon.

    Looks at files only, and takes no time; `facts` finds out whether torch can use it.

    Args:
        root: of the file system.
    """
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1", "NoDevFiles"):
        return False
    devices = any(name.name[len("nvidia") :].isdigit() for name in (root / "dev").glob("nvidia*"))
    cards = root / "proc/driver/nvidia/gpus"
    return devices or (root / "dev/dxg").exists() or (cards.is_dir() and any(cards.iterdir()))


def facts() -> list[Fact]:
    """Requirements of the F5 engine and their state, in order. Imports torch, which takes some seconds."""
    parts = [_f5_tts(), _torch()]
    if parts[-1].state == "error":
        return parts
    try:
        parts += _devices()
    except Exception as error:  # whatever a driver makes torch raise
        parts.append(Fact("device", "error", f"it does not answer: {first_line(error)}", "Look at the driver."))
    return [*parts, _flash_attn()]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _f5_tts() -> Fact:
    version = _version("f5-tts")
    if version is None:
        return Fact("f5-tts", "warning", "not installed", INSTALL)
    if version != F5_TTS:
        return Fact("f5-tts", "warning", f"{version}; tested with {F5_TTS}", f"pip install f5-tts=={F5_TTS}")
    return Fact("f5-tts", "ok", version)


def _torch() -> Fact:
    try:
        import torch
    except Exception as error:
        if _version("torch") is None:
            return Fact("torch", "error", "not installed", INSTALL)
        return Fact("torch", "error", f"{_version('torch')} does not import: {first_line(error)}", INSTALL)
    cuda = torch.version.cuda and f"built for CUDA {torch.version.cuda}"
    build = cuda or (torch.version.hip and f"built for ROCm {torch.version.hip}") or "CPU only"
    version = f"{torch.__version__}, {build}"
    audio = _version("torchaudio")
    if audio is None or audio.split("+")[0].rsplit(".", 1)[0] != torch.__version__.split("+")[0].rsplit(".", 1)[0]:
        return Fact("torch", "error", f"{version}; torchaudio {audio or 'is missing'}: the two do not fit", INSTALL)
    return Fact("torch", "ok", version)


def _devices() -> list[Fact]:
    import torch

    if torch.cuda.is_available():
        return [_driver(), *(_cuda_device(index) for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        return [Fact("device", "ok", f"mps: {platform.processor() or 'Apple silicon'}, fp32")]
    if has_accelerator():
        built = torch.version.cuda
        if built is None:
            hint = "Install a torch for CUDA; the plain `pip install torch==2.11.0` has it on Linux."
            return [Fact("device", "error", "there is an NVIDIA GPU, but this torch is CPU only", hint)]
        hint = f"Update the NVIDIA driver to one for CUDA {built}; in a container, hand the GPU in (--gpus all)."
        driver = _driver().finding
        return [Fact("device", "error", f"there is an NVIDIA GPU, but torch cannot use it (driver {driver})", hint)]
    return [Fact("device", "warning", f"cpu: {os.cpu_count()} cores, no accelerator", _SLOW)]


def _driver() -> Fact:
    """The kernel driver, from its own file: "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.10  …"."""
    try:
        words = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").split()
    except OSError:
        return Fact("driver", "ok", "version unknown")
    numbers = (word for word in words if word[0].isdigit() and word.replace(".", "").isdigit() and "." in word)
    return Fact("driver", "ok", next(numbers, "version unknown"))


def _cuda_device(index: int) -> Fact:
    import torch

    what = f"cuda:{index}"
    try:
        properties = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
    except RuntimeError as error:
        return Fact(what, "error", first_line(error), "Free the device, or choose another with F5_DEVICE.")
    major, minor = properties.major, properties.minor
    half = [name for name, capability in (("fp16", (7, 0)), ("bf16", (8, 0))) if (major, minor) >= capability]
    described = (
        f"{properties.name}, compute {major}.{minor}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free, "
        f"{' and '.join(half) or 'no half precision'}"
    )
    supported = torch.cuda.get_arch_list()
    if supported and not _is_built_for(major, minor, supported):
        hint = "Install a torch that is built for this GPU, or choose another device with F5_DEVICE."
        return Fact(what, "error", f"{described}; this torch is built for {', '.join(supported)}", hint)
    if free < MIN_FREE_BYTES:
        return Fact(what, "warning", described, "End other programs on it; batches are small otherwise.")
    return Fact(what, "ok", described)


def _is_built_for(major: int, minor: int, supported: list[str]) -> bool:
    """Binary code runs on later minor versions of its own major one; PTX (`compute_…`) on all that are later."""
    for name in supported:
        kind, _, number = name.partition("_")
        number = number.rstrip("af")  # sm_90a
        if not number.isdigit():
            continue
        version = (int(number[:-1]), int(number[-1]))
        if version <= (major, minor) and (kind == "compute" or version[0] == major):
            return True
    return False


def _flash_attn() -> Fact:
    """flash-attn is optional. Looked at in another process: one that was built for another torch may end its own."""
    version = _version("flash-attn")
    if version is None:
        return Fact("flash-attn", "ok", "not installed; torch's own attention is used")
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import flash_attn"], capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return Fact("flash-attn", "warning", f"{version} does not import in time", "Uninstall it: it is not needed.")
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1][:200].rstrip(".")
        return Fact("flash-attn", "warning", f"{version} does not import: {reason}", "Uninstall it: it is not needed.")
    return Fact("flash-attn", "ok", version)

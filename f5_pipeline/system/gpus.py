"""The GPUs of this machine, and leases on them: no two processes compute on one at once, whatever launched them.

A lease is a lock on a file shared by all processes of this user on this machine. The kernel frees it when the process
ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech.engine import Cancelled
from f5_pipeline.system.locks import hold, machine_folder, release

GIVEN = "given"
"""As in F5_GPUS: the GPU that a cluster gave to this process, and to no other."""

_POLL_SECONDS = 0.2
"""Time between two attempts to lease a GPU."""


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a MIG instance of one.

    Attributes:
        uuid: from NVIDIA's driver; "gpu-<n>" without a driver.
        device: its name in torch, in this process' environment.
        index: its number, as in nvidia-smi.
        name: its model; empty without a driver.
        memory: bytes; 0 without a driver.
    """

    uuid: str
    device: str
    index: int
    name: str = ""
    memory: int = 0

    def __str__(self) -> str:
        return f"{self.index}: {self.name}, {self.memory / 2**30:.0f} GiB" if self.name else f"GPU {self.index}"


def usable_gpus(allowed: str) -> list[Gpu]:
    """The GPUs that steps may compute on: those of CUDA_VISIBLE_DEVICES that are allowed, in torch's order.

    Where NVIDIA's driver lists no GPU (another maker's, or none), the numbers in `allowed` are taken as they are.

    Args:
        allowed: as in F5_GPUS: "auto", "none", or numbers separated by commas; or GIVEN, as "auto".

    Raises:
        InputError: there is no GPU with one of the numbers.
    """
    if allowed == "none":
        return []
    numbers = None if allowed in ("auto", GIVEN) else sorted({int(number) for number in allowed.split(",")})
    gpus = _driver_gpus()
    if not gpus:
        return [_assumed_gpu(number) for number in numbers or ()]
    visible = _visible(gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
    if numbers is None:
        return visible
    if missing := set(numbers) - {gpu.index for gpu in visible}:
        raise InputError(
            f"F5_GPUS names GPU {min(missing)}, and there is none of this number for this process",
            file="environment",
            hint="Set F5_GPUS to numbers that nvidia-smi shows and CUDA_VISIBLE_DEVICES does not hide, or to auto.",
        )
    return [gpu for gpu in visible if gpu.index in numbers]


def _assumed_gpu(number: int) -> Gpu:
    return Gpu(f"gpu-{number}", f"cuda:{number}", number)


def _driver_gpus() -> list[Gpu]:
    """Every GPU of NVIDIA's driver, MIG instances in place of a GPU that is split; none without a driver."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        gpus = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            name = _text(pynvml.nvmlDeviceGetName(handle))
            for part in _instances(pynvml, handle) or [handle]:
                uuid = _text(pynvml.nvmlDeviceGetUUID(part))
                memory = int(pynvml.nvmlDeviceGetMemoryInfo(part).total)
                gpus.append(Gpu(uuid, f"cuda:{index}", index, name, memory))
        return gpus
    except pynvml.NVMLError:
        return []  # a driver that does not answer: torch will say why
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _instances(pynvml: Any, handle: Any) -> list[Any]:
    """The MIG instances of a GPU; none where it is not split."""
    instances = []
    try:
        if pynvml.nvmlDeviceGetMigMode(handle)[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
            return []
        for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            with contextlib.suppress(pynvml.NVMLError_NotFound):
                instances.append(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
    except pynvml.NVMLError:  # a GPU without MIG
        return []
    return instances


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _visible(gpus: Sequence[Gpu], listed: str | None) -> list[Gpu]:
    """The GPUs that CUDA shows to this process, numbered as it numbers them.

    Args:
        listed: CUDA_VISIBLE_DEVICES: numbers or beginnings of uuids; CUDA ignores everything after a wrong one.
    """
    if listed is None:
        chosen = list(gpus)
    else:
        chosen = []
        for entry in (part.strip() for part in listed.split(",")):
            matching = [gpu for gpu in gpus if entry == str(gpu.index) or (entry and gpu.uuid.startswith(entry))]
            if not matching or matching[0] in chosen:
                break
            chosen.append(matching[0])
    # A process sees one MIG instance only, as `cuda:0`.
    numbered = enumerate(chosen)
    return [replace(gpu, device="cuda:0" if gpu.uuid.startswith("MIG") else f"cuda:{n}") for n, gpu in numbered]


@contextmanager
def lease_device(
    device: str,
    allowed: str,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    on_wait: Callable[[str], None] = lambda note: None,
    folder: Path | None = None,
) -> Iterator[str]:
    """The device that F5 computes on, as torch names it, leased to this process during the context.

    Waits while all GPUs are leased to others. A processor (or Apple's GPU) needs no lease.

    Args:
        device: as in F5_DEVICE: "auto" and "cuda" take any usable GPU, "cuda:<n>" that one.
        allowed: see `usable_gpus`; GIVEN: this process has the first GPU that it sees for itself, and needs no lease.
        cancelled: checked during the wait.
        on_wait: called once, with a sentence, before it waits.
        folder: of the locks; by default one that all processes of this user on this machine share.

    Raises:
        Cancelled: `cancelled()` is true. InputError: see `usable_gpus`.
    """
    if device in ("cpu", "mps"):
        yield device
        return
    # Before CUDA starts in this process: it then numbers GPUs as the driver does, not by speed.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    gpus = usable_gpus(allowed)
    if allowed == GIVEN and gpus:
        with _only(gpus[0]):
            yield _device_in_torch(gpus[0])
        return
    if device.startswith("cuda:"):
        named = [gpu for gpu in gpus if gpu.device == device]
        gpus = named or [_assumed_gpu(int(device.removeprefix("cuda:")))]
    if not gpus:
        yield "cpu" if allowed == "none" else device
        return
    folder = folder or machine_folder()
    announced = False
    while True:
        for gpu in gpus:
            lock = hold(folder / f"gpu-{gpu.uuid.removeprefix('GPU-').removeprefix('gpu-')}.lock")
            if lock is not None:
                try:
                    with _only(gpu):
                        yield _device_in_torch(gpu)
                finally:
                    release(lock)
                return
        if not announced:
            on_wait(f"every GPU is in use ({'; '.join(map(str, gpus))}): waiting for one")
            announced = True
        if cancelled():
            raise Cancelled
        time.sleep(_POLL_SECONDS)


@contextmanager
def _only(gpu: Gpu) -> Iterator[None]:
    """Hide all other GPUs during the context: CUDA reaches a MIG instance only so."""
    if not gpu.uuid.startswith("MIG"):
        yield
        return
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu.uuid
    try:
        yield
    finally:
        if before is None:
            del os.environ["CUDA_VISIBLE_DEVICES"]
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = before


def _device_in_torch(gpu: Gpu) -> str:
    """Its name from torch itself: CUDA may number GPUs differently from the driver (CUDA_DEVICE_ORDER)."""
    if not gpu.uuid.startswith("GPU-") or (torch := sys.modules.get("torch")) is None or not torch.cuda.is_available():
        return gpu.device
    for number in range(torch.cuda.device_count()):
        if str(getattr(torch.cuda.get_device_properties(number), "uuid", "")) == gpu.uuid.removeprefix("GPU-"):
            return f"cuda:{number}"
    return gpu.device

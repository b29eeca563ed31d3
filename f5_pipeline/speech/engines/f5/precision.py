"""Device and precision of the network."""

from __future__ import annotations

from types import MappingProxyType

import torch

from f5_pipeline.errors import InputError

DTYPES = MappingProxyType({"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16})


def choose_device(asked: str) -> torch.device:
    """The device asked for, or with "auto" the best that is here: CUDA, Apple's MPS, the CPU.

    Raises:
        InputError: there is no such device.
    """
    if asked == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(asked)
    except RuntimeError:
        raise InputError(f"{asked!r} is no device", hint="Use auto, cpu, cuda, cuda:1, … or mps.") from None
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    if device.type not in there:
        raise InputError(f"device {asked!r} is not supported", hint="Use auto, cpu, cuda, cuda:1, … or mps.")
    if (device.index or 0) >= there[device.type]:
        hint = "Use device auto, or install a torch that knows this device and its driver."
        raise InputError(f"torch finds no device {asked!r} on this machine", hint=hint)
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def choose_dtype(device: torch.device, asked: str) -> tuple[str, list[str]]:
    """Name of the precision, and why, in sentences.

    "auto" is a function of the device alone, never of a measurement: fp16 on CUDA devices with tensor cores for it,
    whose error is a fifth of bf16's (whatever overflows is done again, see `retreat`); else fp32. Take keys hold "auto"
    as it was asked, since a plan is made before it is known which device will speak; each take's details hold what it
    came to.

    Raises:
        InputError: the device has no such precision.
    """
    if asked != "auto":
        if asked not in DTYPES:
            raise InputError(f"{asked!r} is no precision", hint=f"Use auto, {', '.join(DTYPES)}.")
        if asked == "bf16" and device.type == "cuda" and not _has_bf16(device):
            raise InputError(f"device {device} has no bf16", hint="Use dtype auto, fp16 or fp32.")
        return asked, []
    if device.type == "cuda":
        capable = torch.cuda.get_device_capability(device) >= (7, 0)
        return ("fp16", []) if capable else ("fp32", ["fp16: this device has no tensor cores for it"])
    return "fp32", []


def retreat(device: torch.device, dtype: str) -> str | None:
    """The next precision, of wider range or smaller error, for what overflowed in this one; None after fp32."""
    if dtype == "fp16" and device.type == "cuda" and _has_bf16(device):
        return "bf16"
    return None if dtype == "fp32" else "fp32"


def _has_bf16(device: torch.device) -> bool:
    """Whether a CUDA device computes in bf16, not only stores it."""
    return torch.cuda.get_device_capability(device) >= (8, 0)

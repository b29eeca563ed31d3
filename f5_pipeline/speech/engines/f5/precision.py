"""Device and precision of the network."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import torch

from f5_pipeline.errors import InputError

DTYPES = MappingProxyType({"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16})

GAIN = 1.25
"""How many times faster bf16 must be on a CPU to be worth its error."""


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


def choose_dtype(
    device: torch.device, asked: str, trial: Callable[[torch.dtype], float] | None
) -> tuple[str, list[str]]:
    """Name of the precision, and why, in sentences.

    With "auto": fp16 on CUDA devices with tensor cores for it, whose error is a fifth of bf16's (whatever overflows is
    done again, see `retreat`); bf16 on a CPU that computes in it and is faster so; else fp32.

    Args:
        trial: seconds that a piece of the network takes in a precision; may raise. None: not worth one.

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
    if device.type != "cpu":
        return "fp32", []
    if not _has_bf16(device):
        return "fp32", ["bf16: this CPU does not compute in it"]
    if trial is None:
        return "fp32", []
    try:
        full, half = trial(torch.float32), trial(torch.bfloat16)
    except RuntimeError as error:
        return "fp32", [f"bf16: does not run here: {error}"]
    times = f"{half * 1e3:.2f} ms where fp32 takes {full * 1e3:.2f} ms"
    return ("bf16" if half * GAIN < full else "fp32"), [f"bf16: {times}"]


def retreat(device: torch.device, dtype: str) -> str | None:
    """The next precision, of wider range or smaller error, for what overflowed in this one; None after fp32."""
    if dtype == "fp16" and device.type == "cuda" and _has_bf16(device):
        return "bf16"
    return None if dtype == "fp32" else "fp32"


def _has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16, not only stores it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Questions of torch.cpu are not public and come and go; without an answer fp32 is right.
        checks = [getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")]
        return any(check() for check in checks if check is not None)
    return False

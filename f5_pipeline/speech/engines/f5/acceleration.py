"""The fastest exact way to compute the network on a device: precision, attention backend, compilation.

Each way is tested first: it must agree with plain torch within its precision, and be faster. Rejected ways are kept as
notes, in sentences. Nothing is imported that could break the start of the program.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from f5_pipeline.errors import InputError
from f5_pipeline.speech.engines.f5.checkpoint import first_line
from f5_pipeline.speech.engines.f5.transformer import (
    Attend,
    Backend,
    Block,
    Segments,
    after_attention,
    before_attention,
    sdpa,
)

if TYPE_CHECKING:
    from torch import Tensor

    from f5_pipeline.speech.engines.f5.transformer import Transformer


# --- device and precision ---------------------------------------------------------------------------------------------

DTYPES = MappingProxyType({"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16})

MIN_BF16_GAIN = 1.25
"""How many times faster bf16 must be on a CPU to be worth its error."""


def choose_device(requested: str) -> torch.device:
    """The device requested, or with "auto" the best that is here: CUDA, Apple's MPS, the CPU.

    Raises:
        InputError: there is no such device.
    """
    if requested == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(requested)
    except RuntimeError:
        raise InputError(f"{requested!r} is no device", hint="Use auto, cpu, cuda, cuda:1, … or mps.") from None
    available = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    if device.type not in available:
        raise InputError(f"device {requested!r} is not supported", hint="Use auto, cpu, cuda, cuda:1, … or mps.")
    if (device.index or 0) >= available[device.type]:
        hint = "Use device auto, or install a torch that knows this device and its driver."
        raise InputError(f"torch finds no device {requested!r} on this machine", hint=hint)
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def choose_dtype(device: torch.device, requested: str) -> tuple[str, list[str]]:
    """Name of the precision, and notes.

    "auto" is a function of the device alone, never of a measurement: fp16 on CUDA devices with tensor cores for it,
    whose error is a fifth of bf16's (overflows are computed again, see `wider_dtype`); else fp32. Take keys have
    "auto" as requested, since a plan is made before the device is known; each take's details have the precision that
    was used.

    Raises:
        InputError: the device has no such precision.
    """
    if requested != "auto":
        if requested not in DTYPES:
            raise InputError(f"{requested!r} is no precision", hint=f"Use auto, {', '.join(DTYPES)}.")
        if requested == "bf16" and device.type == "cuda" and not _has_bf16(device):
            raise InputError(f"device {device} has no bf16", hint="Use dtype auto, fp16 or fp32.")
        return requested, []
    if device.type == "cuda":
        capable = torch.cuda.get_device_capability(device) >= (7, 0)
        return ("fp16", []) if capable else ("fp32", ["fp16: this device has no tensor cores for it"])
    return "fp32", []


def wider_dtype(device: torch.device, dtype: str) -> str | None:
    """The next precision, of wider range or smaller error, for what overflowed in this one; None after fp32."""
    if dtype == "fp16" and device.type == "cuda" and _has_bf16(device):
        return "bf16"
    return None if dtype == "fp32" else "fp32"


def _has_bf16(device: torch.device) -> bool:
    """Whether a CUDA device computes in bf16, not only stores it."""
    return torch.cuda.get_device_capability(device) >= (8, 0)


# --- attention backends -----------------------------------------------------------------------------------------------

BACKENDS = ("sdpa", "varlen", "flash_attn")

MAX_IMPORT_SECONDS = 120
"""For the first import of flash_attn, in a process of its own."""

_MAX_ATTENTION_ERROR = {torch.float32: 1e-5, torch.float16: 3e-3, torch.bfloat16: 2e-2}
"""Absolute difference to fp32 attention of standard normal input, whose output is below 1 in size."""

_TRIAL_CPU = (40, 7, 96)
_TRIAL_DEVICE = (1100, 37, 900, 1300, 650)
"""Frames of the sequences that a backend is tried on: no two alike, one of them short."""


def choose_attention(
    device: torch.device, dtype: torch.dtype, heads: int, head_dim: int, requested: str = "auto"
) -> tuple[Backend, list[str]]:
    """The fastest backend that is correct on this device, and notes.

    sdpa is correct everywhere and is the fallback. Never raises for a fault of a backend.

    Args:
        requested: "auto", or one of BACKENDS, which is then used if it is correct, even if it is slower.
    """
    if requested not in ("auto", *BACKENDS):
        raise ValueError(f"attention is {requested!r}, not one of auto, {', '.join(BACKENDS)}")
    best, notes = Backend("sdpa", sdpa), []
    if requested == "sdpa" or (requested == "auto" and device.type != "cuda"):
        return best, notes
    trial = _AttentionTrial(device, dtype, heads, head_dim)
    seconds = trial.seconds(sdpa)
    notes.append(f"sdpa: {seconds * 1e3:.2f} ms for {trial.segments.frames:,} frames")
    loaders = {"varlen": _load_varlen, "flash_attn": _load_flash_attn}
    for name in loaders if requested == "auto" else [requested]:
        if name == "flash_attn" and not _is_installed(name):
            notes.append("flash_attn: not installed")
            continue
        try:
            attend = loaders[name](device)
            if fault := trial.fault(attend):
                notes.append(f"{name}: wrong, {fault}")
                continue
            backend_seconds = trial.seconds(attend)
        # Whatever a foreign binary does: the next backend does it too.
        except Exception as error:
            notes.append(_does_not_run(name, error))
            continue
        notes.append(f"{name}: {backend_seconds * 1e3:.2f} ms")
        if backend_seconds < seconds or requested == name:
            best, seconds = Backend(name, attend), backend_seconds
    return best, notes


def _load_varlen(device: torch.device) -> Attend:
    from torch.nn.attention.varlen import varlen_attn

    def attend(query: Tensor, key: Tensor, value: Tensor, segments: Segments) -> Tensor:
        # Releases of torch differ in all arguments but these; every one of them attends in both directions by default.
        bounds, longest = segments.bounds, segments.longest
        out = varlen_attn(query, key, value, bounds, bounds, longest, longest)
        assert isinstance(out, torch.Tensor)
        return out

    return attend


_FLASH_PROBE = """
import sys, torch
from flash_attn import flash_attn_varlen_func
x = torch.randn(48, 2, 64, device=sys.argv[1]).half()
bounds = torch.tensor([0, 32, 48], dtype=torch.int32, device=sys.argv[1])
assert torch.isfinite(flash_attn_varlen_func(x, x, x, bounds, bounds, 32, 32)).all()
"""


def _load_flash_attn(device: torch.device) -> Attend:
    # Built for another torch it may kill the process that imports it: first let it kill another one.
    probe = subprocess.run(
        [sys.executable, "-c", _FLASH_PROBE, str(device)], capture_output=True, text=True, timeout=MAX_IMPORT_SECONDS
    )
    if probe.returncode:
        last_line = probe.stderr.strip().splitlines()[-1:] or [f"ended with {probe.returncode}"]
        raise RuntimeError(last_line[0])
    from flash_attn import flash_attn_varlen_func  # pyright: ignore[reportMissingImports]

    def attend(query: Tensor, key: Tensor, value: Tensor, segments: Segments) -> Tensor:
        bounds, longest = segments.bounds, segments.longest
        return flash_attn_varlen_func(query, key, value, bounds, bounds, longest, longest)

    return attend


class _AttentionTrial:
    """Random packed sequences, with their fp32 attention."""

    def __init__(self, device: torch.device, dtype: torch.dtype, heads: int, head_dim: int) -> None:
        self.device = device
        lengths = _TRIAL_DEVICE if device.type == "cuda" else _TRIAL_CPU
        self.segments = Segments.of(lengths, 2, device)
        generator = torch.Generator().manual_seed(0)
        shape = (3, 2 * sum(lengths), heads, head_dim)
        # Rounded first: how far the input is off is no fault of a backend.
        self.input = torch.randn(shape, generator=generator).to(device, dtype)
        self.expected = self._run(sdpa, self.input.float())
        self.max_error = _MAX_ATTENTION_ERROR[dtype]

    def _run(self, attend: Attend, queries_keys_values: Tensor) -> Tensor:
        query, key, value = queries_keys_values
        return attend(query, key, value, self.segments)

    @torch.no_grad()
    def fault(self, attend: Attend) -> str | None:
        out = self._run(attend, self.input).float()
        if out.shape != self.expected.shape:
            return f"the result's shape is {tuple(out.shape)}"
        # Not-a-number must not pass for right.
        error = float((out - self.expected).abs().max().nan_to_num(nan=torch.inf))
        return None if error <= self.max_error else f"off by {error:.2g}, {self.max_error:.0e} allowed"

    @torch.no_grad()
    def seconds(self, attend: Attend) -> float:
        return best_seconds(lambda: self._run(attend, self.input), self.device)


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


# --- compilation ------------------------------------------------------------------------------------------------------

_MAX_COMPILED_ERROR = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 6e-2}
"""Difference between compiled and not, in standard deviations of the output: a few roundings."""

_CHECKED_ROWS = (256, 640)
_TIMED_ROWS = {"cuda": 16_384, "mps": 4_096, "cpu": 1_024}


def compile_blocks(transformer: Transformer, *, keep_slower: bool = False) -> tuple[bool, list[str]]:
    """Compile a transformer's blocks, unless the result is wrong or (without `keep_slower`) slower.

    torch.compile fuses the operations between the multiplications. Only the two halves of a block are
    compiled, once for all blocks and for any number of rows; attention stays outside, so that every backend goes with
    it.

    Returns:
        Whether the blocks are compiled now, and notes. Never raises but for memory.
    """
    plain = (transformer.before, transformer.after)
    compiled = _compiled()
    started = time.perf_counter()
    keep = False
    try:
        for rows in _CHECKED_ROWS:
            run = transformer.trial(rows)
            transformer.before, transformer.after = plain
            expected = run()
            transformer.before, transformer.after = compiled
            error = max(_difference(*pair) for pair in zip(run(), expected, strict=True))
            if error > _MAX_COMPILED_ERROR[transformer.dtype]:
                return False, [f"compile: wrong, off by {error:.2g} of a standard deviation"]
        compile_seconds = time.perf_counter() - started
        run = transformer.trial(_TIMED_ROWS[transformer.device.type])
        fast = best_seconds(run, transformer.device)
        transformer.before, transformer.after = plain
        slow = best_seconds(run, transformer.device)
        keep = keep_slower or fast < slow
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        return False, [_does_not_run("compile", error)]
    finally:
        transformer.before, transformer.after = compiled if keep else plain
    times = f"{fast * 1e3:.2f} ms a block where plain takes {slow * 1e3:.2f} ms; {compile_seconds:.0f} s to compile"
    return keep, [f"compile: {times}"]


def _compiled() -> tuple[Callable[..., Any], Callable[..., Any]]:
    before, after = torch.compile(before_attention), torch.compile(after_attention)

    def before_any(
        x: Tensor, modulation: Tensor, rotary: Tensor, block: Block, heads: int, rotary_heads: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        _any_rows(x, rotary)
        return before(x, modulation, rotary, block, heads, rotary_heads)

    def after_any(x: Tensor, attended: Tensor, modulation: Tensor, block: Block) -> Tensor:
        _any_rows(x, attended)
        return after(x, attended, modulation, block)

    return before_any, after_any


def _any_rows(*tensors: Tensor) -> None:
    """One compilation serves every number of rows."""
    for tensor in tensors:
        torch._dynamo.maybe_mark_dynamic(tensor, 0)


def _difference(actual: Tensor, expected: Tensor) -> float:
    """Largest difference in standard deviations; infinite where either is not a number, which no `max` would show."""
    error = (actual.float() - expected.float()).abs().max() / expected.float().std()
    return float(error.nan_to_num(nan=torch.inf))


# --- measuring --------------------------------------------------------------------------------------------------------


def best_seconds(run: Callable[[], Any], device: torch.device, runs: int = 4) -> float:
    """The shortest of some runs, s; the first ones may load or tune kernels."""
    best = float("inf")
    for _ in range(runs):
        synchronize(device)
        started = time.perf_counter()
        run()
        synchronize(device)
        best = min(best, time.perf_counter() - started)
    return best


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _does_not_run(what: str, error: Exception) -> str:
    return f"{what}: does not run here: {type(error).__name__}: {first_line(error)}"

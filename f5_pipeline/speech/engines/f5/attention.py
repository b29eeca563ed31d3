"""Attention over packed sequences: which implementations there are, and which of them this device shall use.

A backend is chosen by trying it: it must agree with torch's own attention in fp32, and be faster. None is imported
where its import could break the start of the program.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

BACKENDS = ("sdpa", "varlen", "flash_attn")
IMPORT_SECONDS = 120
"""Time for the first import of flash_attn, in a process of its own."""

_TOLERANCE = {torch.float32: 1e-5, torch.float16: 3e-3, torch.bfloat16: 2e-2}
"""Most absolute difference to fp32 attention of standard normal input, whose output is below 1 in size."""

_TRIAL_CPU = (40, 7, 96)
_TRIAL_DEVICE = (1100, 37, 900, 1300, 650)
"""Frames of the sequences that a backend is tried on: no two alike, one of them short."""


@dataclass(frozen=True)
class Segments:
    """Sequences one after the other in a packed tensor, the same in each of its branches.

    Attributes:
        lengths: frames of each; in all `frames`.
        branches: 2 with guidance (conditional, unconditional), else 1.
        bounds: starts and the last end over all branches, int32 on the device, (branches * n + 1,).
    """

    lengths: tuple[int, ...]
    branches: int
    bounds: Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], branches: int, device: torch.device) -> Segments:
        bounds = list(accumulate([*lengths] * branches, initial=0))
        return cls(tuple(lengths), branches, torch.tensor(bounds, dtype=torch.int32, device=device))

    @property
    def longest(self) -> int:
        return max(self.lengths)

    @property
    def frames(self) -> int:
        return sum(self.lengths)


Attend = Callable[["Tensor", "Tensor", "Tensor", Segments], "Tensor"]
"""Attention within each segment: queries, keys, values (branches * frames, heads, head_dim) to the same shape."""


@dataclass(frozen=True)
class Backend:
    name: str
    attend: Attend


def sdpa(query: Tensor, key: Tensor, value: Tensor, segments: Segments) -> Tensor:
    """torch's scaled_dot_product_attention, a call for each segment; its branches go together."""
    shape = (segments.branches, segments.frames, *query.shape[1:])
    query, key, value = query.view(shape), key.view(shape), value.view(shape)
    out = torch.empty(shape, dtype=query.dtype, device=query.device)
    for start, end in pairwise(accumulate(segments.lengths, initial=0)):
        q, k, v = (tensor[:, start:end].transpose(1, 2) for tensor in (query, key, value))
        out[:, start:end] = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
    return out.view(-1, *shape[2:])


def padded_sdpa(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """torch's attention over padded sequences (n, frames, heads, head_dim); `mask` (n, frames) is False on padding."""
    bias = None if mask is None else mask[:, None, None, :]
    q, k, v = (tensor.transpose(1, 2) for tensor in (query, key, value))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2)


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
    done = subprocess.run(
        [sys.executable, "-c", _FLASH_PROBE, str(device)], capture_output=True, text=True, timeout=IMPORT_SECONDS
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode}"]
        raise RuntimeError(said[0])
    from flash_attn import flash_attn_varlen_func  # pyright: ignore[reportMissingImports]

    def attend(query: Tensor, key: Tensor, value: Tensor, segments: Segments) -> Tensor:
        bounds, longest = segments.bounds, segments.longest
        return flash_attn_varlen_func(query, key, value, bounds, bounds, longest, longest)

    return attend


def choose(
    device: torch.device, dtype: torch.dtype, heads: int, head_dim: int, asked: str = "auto"
) -> tuple[Backend, list[str]]:
    """The fastest backend that is right on this device, and what was found out, in sentences.

    `asked`: "auto", or one of BACKENDS, which is then taken if it is right, however slow. sdpa is right everywhere and
    is what remains. Never raises for what a backend does.
    """
    if asked not in ("auto", *BACKENDS):
        raise ValueError(f"attention is {asked!r}, not one of auto, {', '.join(BACKENDS)}")
    best, notes = Backend("sdpa", sdpa), []
    if asked == "sdpa" or (asked == "auto" and device.type != "cuda"):
        return best, notes
    trial = _Trial(device, dtype, heads, head_dim)
    seconds = trial.seconds(sdpa)
    notes.append(f"sdpa: {seconds * 1e3:.2f} ms for {trial.segments.frames:,} frames")
    loaders = {"varlen": _load_varlen, "flash_attn": _load_flash_attn}
    for name in loaders if asked == "auto" else [asked]:
        if name == "flash_attn" and not _is_installed(name):
            notes.append("flash_attn: not installed")
            continue
        try:
            attend = loaders[name](device)
            if fault := trial.fault(attend):
                notes.append(f"{name}: wrong, {fault}")
                continue
            took = trial.seconds(attend)
        # Whatever a foreign binary does: the next backend does it too.
        except Exception as error:
            notes.append(f"{name}: does not run here: {type(error).__name__}: {_first_line(error)}")
            continue
        notes.append(f"{name}: {took * 1e3:.2f} ms")
        if took < seconds or asked == name:
            best, seconds = Backend(name, attend), took
    return best, notes


class _Trial:
    """Random packed sequences, with what fp32 attention makes of them."""

    def __init__(self, device: torch.device, dtype: torch.dtype, heads: int, head_dim: int) -> None:
        self.device = device
        lengths = _TRIAL_DEVICE if device.type == "cuda" else _TRIAL_CPU
        self.segments = Segments.of(lengths, 2, device)
        generator = torch.Generator().manual_seed(0)
        shape = (3, 2 * sum(lengths), heads, head_dim)
        # Rounded first: how far the input is off is no fault of a backend.
        self.given = torch.randn(shape, generator=generator).to(device, dtype)
        self.expected = self._run(sdpa, self.given.float())
        self.tolerance = _TOLERANCE[dtype]

    def _run(self, attend: Attend, given: Tensor) -> Tensor:
        return attend(given[0], given[1], given[2], self.segments)

    @torch.no_grad()
    def fault(self, attend: Attend) -> str | None:
        out = self._run(attend, self.given).float()
        if out.shape != self.expected.shape:
            return f"the result's shape is {tuple(out.shape)}"
        # Not-a-number must not pass for right.
        off = float((out - self.expected).abs().max().nan_to_num(nan=torch.inf))
        return None if off <= self.tolerance else f"off by {off:.2g}, {self.tolerance:.0e} allowed"

    @torch.no_grad()
    def seconds(self, attend: Attend, runs: int = 3) -> float:
        best = float("inf")
        for _ in range(runs + 1):
            synchronize(self.device)
            started = time.perf_counter()
            self._run(attend, self.given)
            synchronize(self.device)
            best = min(best, time.perf_counter() - started)
        return best


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@contextmanager
def without_flash_attn() -> Iterator[None]:
    """Hide flash_attn from imports: f5_tts imports it wherever it is found, and one for another torch breaks that.

    One that is imported already has shown that it works and stays.
    """
    if sys.modules.get("flash_attn") is not None:
        yield
        return
    # None is Python's own mark for a module that must not be imported; find_spec then finds nothing either.
    had = "flash_attn" in sys.modules
    sys.modules["flash_attn"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not had:
            sys.modules.pop("flash_attn", None)


def _is_installed(name: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]

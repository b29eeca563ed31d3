"""torch.compile where it is right and pays: what stands between the multiplications becomes one kernel each.

Only the two halves of a block are compiled, once for all blocks and for any number of rows; attention stays outside,
so that every backend goes with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from f5_pipeline.speech.engines.f5.attention import synchronize
from f5_pipeline.speech.engines.f5.transformer import Block, after_attention, before_attention

if TYPE_CHECKING:
    from torch import Tensor

    from f5_pipeline.speech.engines.f5.transformer import Transformer

_TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 6e-2}
"""Most difference between compiled and not, in the standard deviation of the output: a few roundings."""

_CHECKED_ROWS = (256, 640)
_TIMED_ROWS = {"cuda": 16_384, "mps": 4_096, "cpu": 1_024}


def compile_blocks(transformer: Transformer, *, keep_slower: bool = False) -> tuple[bool, list[str]]:
    """Compile a transformer's blocks, unless what comes out is wrong or (not with `keep_slower`) slower.

    Returns:
        Whether the blocks are compiled now, and what was found, in sentences. Never raises but for memory.
    """
    plain = (transformer.before, transformer.after)
    compiled = _compiled()
    started = time.perf_counter()
    try:
        for rows in _CHECKED_ROWS:
            run = transformer.trial(rows)
            transformer.before, transformer.after = plain
            expected = run()
            transformer.before, transformer.after = compiled
            off = max(_difference(*pair) for pair in zip(run(), expected, strict=True))
            if off > _TOLERANCE[transformer.dtype]:
                transformer.before, transformer.after = plain
                return False, [f"compile: wrong, off by {off:.2g} of a standard deviation"]
        took = time.perf_counter() - started
        run = transformer.trial(_TIMED_ROWS[transformer.device.type])
        fast = _seconds(run, transformer.device)
        transformer.before, transformer.after = plain
        slow = _seconds(run, transformer.device)
    except torch.OutOfMemoryError:
        transformer.before, transformer.after = plain
        raise
    except Exception as error:
        transformer.before, transformer.after = plain
        said = (str(error).strip().splitlines() or [""])[0][:200]
        return False, [f"compile: does not run here: {type(error).__name__}: {said}"]
    keep = keep_slower or fast < slow
    note = f"compile: {fast * 1e3:.2f} ms a block where plain takes {slow * 1e3:.2f} ms; {took:.0f} s to compile"
    if keep:
        transformer.before, transformer.after = compiled
    return keep, [note]


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


def _difference(one: Tensor, other: Tensor) -> float:
    """Most difference in standard deviations; infinite where either is not a number, which no `max` would show."""
    off = (one.float() - other.float()).abs().max() / other.float().std()
    return float(off.nan_to_num(nan=torch.inf))


def _seconds(run: Callable[[], Any], device: torch.device) -> float:
    best = float("inf")
    for _ in range(4):
        synchronize(device)
        started = time.perf_counter()
        run()
        synchronize(device)
        best = min(best, time.perf_counter() - started)
    return best

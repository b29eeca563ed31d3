"""Flow matching's outer part: noise, time steps, the ODE solver, guidance.

The state is fp32 throughout; the same arithmetic as `f5_tts.model.cfm.CFM.sample` over torchdiffeq's fixed grids.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from f5_pipeline.speech.engines.f5.attention import without_flash_attn

if TYPE_CHECKING:
    from torch import Tensor

    from f5_pipeline.speech.engines.f5.sampling import Sampler


def noise(frames: int, bands: int, seed: int) -> Tensor:
    """Gaussian noise, (frames, bands) fp32 on the CPU: of an item alone, and the same whatever the device.

    Equal to `torch.manual_seed(seed); torch.randn(frames, bands)`, but the global generator stays untouched.
    """
    return torch.randn(frames, bands, generator=torch.Generator().manual_seed(seed))


def time_steps(sampler: Sampler) -> Tensor:
    """Bounds of the solver's steps, (nfe + 1,) fp32 from 0 to 1, as CFM.sample takes them.

    Where the sampler allows it and its number of steps has them, the empirically pruned ones of Fast F5-TTS
    (arXiv 2505.19931); else even ones. Then sway sampling (F5-TTS, arXiv 2410.06885, equation 7).
    """
    if sampler.epss:
        with without_flash_attn():
            from f5_tts.model.utils import get_epss_timesteps

        times = get_epss_timesteps(sampler.nfe, device=torch.device("cpu"), dtype=torch.float32)
    else:
        times = torch.linspace(0, 1, sampler.nfe + 1)
    if sampler.sway is not None:
        times = times + sampler.sway * (torch.cos(torch.pi / 2 * times) - 1 + times)
    return times


def evaluation_times(times: Tensor, method: str) -> Tensor:
    """Times at which `integrate` evaluates the flow, in its order."""
    if method == "euler":
        return times[:-1]
    starts, ends = times[:-1], times[1:]
    return torch.stack((starts, starts + 0.5 * (ends - starts)), dim=1).flatten()


def integrate(flow: Callable[[int, Tensor], Tensor], state: Tensor, times: Tensor, method: str) -> Tensor:
    """Solve dx/dt = flow from the first of `times` to the last.

    Args:
        flow: called with the number of the evaluation (into `evaluation_times`) and the state.
        state: fp32, any shape; stays as it is.
        method: "euler" or "midpoint".
    """
    for step, (start, end) in enumerate(pairwise(times)):
        span = end - start
        if method == "euler":
            state = state + float(span) * flow(step, state)
        else:
            middle = state + flow(2 * step, state) * float(0.5 * span)
            state = state + float(span) * flow(2 * step + 1, middle)
    return state


def guide(conditional: Tensor, unconditional: Tensor, strength: float) -> Tensor:
    """Classifier-free guidance (arXiv 2207.12598): away from what the network says without text and reference."""
    return conditional + (conditional - unconditional) * strength

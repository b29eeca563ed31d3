"""Sampling of a network: the settings with their presets, and flow matching with the ODE solver and guidance.

The ODE's state is fp32 throughout; the same arithmetic as `f5_tts.model.cfm.CFM.sample` over torchdiffeq's fixed grids.
torch is imported where it is used: settings are read where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from f5_pipeline.speech.engines.f5.checkpoint import import_f5_tts

if TYPE_CHECKING:
    from torch import Tensor

EPSS_STEPS = (5, 6, 7, 10, 12, 16)
"""Numbers of steps for which pruned time steps are known (Fast F5-TTS, arXiv 2505.19931)."""


class Sampler(BaseModel):
    """Settings that, together with a seed, decide the speech for a text. They are part of take keys.

    Attributes:
        nfe: steps of the solver (`nfe_step` of F5-TTS). `midpoint` evaluates the network twice in each.
        method: the solver, under torchdiffeq's name.
        cfg_strength: classifier-free guidance; 0 does without, at half the cost.
        sway: coefficient of sway sampling, -1..1: below 0 more steps early; None for even steps.
        epss: take the empirically pruned steps where `nfe` has them (EPSS_STEPS), as F5-TTS does.
        dtype: the network's precision. "auto": what suits the device that speaks, see `acceleration.choose_dtype`.
        seed: another one gives other noise to every take; None: as it was before there were seeds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nfe: int = Field(default=32, ge=1, le=1024)
    method: Literal["euler", "midpoint"] = "euler"
    cfg_strength: float = Field(default=2.0, ge=0.0, le=20.0, allow_inf_nan=False)
    sway: float | None = Field(default=-1.0, ge=-1.0, le=1.0, allow_inf_nan=False)
    epss: bool = True
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    seed: int | None = None

    @model_serializer(mode="wrap")
    def _without_unset_seed(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keys of takes without a seed stay as they were."""
        values = serialize(self)
        return {name: value for name, value in values.items() if name != "seed" or value is not None}


PRESETS = MappingProxyType({"final": Sampler(nfe=32), "fast": Sampler(nfe=16), "rapid": Sampler(nfe=7)})
"""`final`: F5-TTS's own 32 steps; `fast`: 16 and `rapid`: 7, both with pruned steps."""


def sampler(
    preset: str,
    *,
    nfe: int | None = None,
    cfg_strength: float | None = None,
    sway: float | None = None,
    method: Literal["euler", "midpoint"] | None = None,
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = "auto",
    seed: int | None = None,
) -> Sampler:
    """A preset, with the given settings in place of its own.

    Raises:
        KeyError: no such preset.
        pydantic.ValidationError: a setting is out of bounds.
    """
    given: dict[str, Any] = {"nfe": nfe, "cfg_strength": cfg_strength, "sway": sway, "method": method, "seed": seed}
    changes = {name: value for name, value in given.items() if value is not None}
    return Sampler.model_validate({**PRESETS[preset].model_dump(), **changes, "dtype": dtype})


def noise(frames: int, bands: int, seed: int) -> Tensor:
    """Gaussian noise of one chunk, (frames, bands) fp32 on the CPU: the same whatever the batch and the device.

    Equal to `torch.manual_seed(seed); torch.randn(frames, bands)`, but the global generator stays untouched.
    """
    import torch

    return torch.randn(frames, bands, generator=torch.Generator().manual_seed(seed))


def time_steps(sampler: Sampler) -> Tensor:
    """Bounds of the solver's steps, (nfe + 1) fp32 from 0 to 1, as CFM.sample takes them.

    Where the sampler allows it and its number of steps has them, the empirically pruned ones of Fast F5-TTS
    (arXiv 2505.19931); else even ones. Then sway sampling (F5-TTS, arXiv 2410.06885, equation 7).
    """
    import torch

    if sampler.epss:
        times = import_f5_tts().get_epss_timesteps(sampler.nfe, device=torch.device("cpu"), dtype=torch.float32)
    else:
        times = torch.linspace(0, 1, sampler.nfe + 1)
    if sampler.sway is not None:
        times = times + sampler.sway * (torch.cos(torch.pi / 2 * times) - 1 + times)
    return times


def evaluation_times(times: Tensor, method: str) -> Tensor:
    """Times at which `integrate` evaluates the flow, in its order: (nfe) for "euler", (2 nfe) for "midpoint"."""
    if method == "euler":
        return times[:-1]
    import torch

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
    """Classifier-free guidance (arXiv 2207.12598): away from the flow without text and reference."""
    return conditional + (conditional - unconditional) * strength

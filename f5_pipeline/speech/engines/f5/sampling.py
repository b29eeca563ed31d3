"""How a network is sampled: the settings of the ODE solver and of guidance, and the named presets."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

EPSS_STEPS = (5, 6, 7, 10, 12, 16)
"""Numbers of steps for which pruned time steps are known (Fast F5-TTS, arXiv 2505.19931)."""


class Sampler(BaseModel):
    """Settings that decide, together with a seed, which speech a network makes of a text. They go into take keys.

    Attributes:
        nfe: steps of the solver (`nfe_step` of F5-TTS). `midpoint` evaluates the network twice in each.
        method: the solver, under torchdiffeq's name.
        cfg_strength: classifier-free guidance; 0 does without, at half the cost.
        sway: coefficient of sway sampling, -1..1: below 0 more steps early; None for even steps.
        epss: take the empirically pruned steps where `nfe` has them (EPSS_STEPS), as F5-TTS does.
        dtype: the network's precision; the ODE's state is fp32 always. "auto": what suits the device that speaks, see
            `precision.choose_dtype`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    nfe: int = Field(default=32, ge=1, le=1024)
    method: Literal["euler", "midpoint"] = "euler"
    cfg_strength: float = Field(default=2.0, ge=0.0, le=20.0, allow_inf_nan=False)
    sway: float | None = Field(default=-1.0, ge=-1.0, le=1.0, allow_inf_nan=False)
    epss: bool = True
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = "auto"


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
) -> Sampler:
    """A preset with what is given in place of its own settings.

    Raises:
        KeyError: no such preset.
        pydantic.ValidationError: a setting is out of bounds.
    """
    asked: dict[str, Any] = {"nfe": nfe, "cfg_strength": cfg_strength, "sway": sway, "method": method}
    changes = {name: value for name, value in asked.items() if value is not None}
    return Sampler.model_validate({**PRESETS[preset].model_dump(), **changes, "dtype": dtype})

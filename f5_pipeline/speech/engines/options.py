"""Options of the engines, handed to them; nothing here reads the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict


class EngineOptions(BaseModel):
    """Values of the settings of the same names (`f5_pipeline.settings.Settings`), with the same defaults.

    Attributes:
        model, preset: of the F5 engine, where a script asks for none.
        nfe, cfg_strength, sway, ode: of the F5 engine's sampler; None: the preset's.
        seed: of the F5 engine's noise; None: what its takes have without one.
        device: where F5 computes: auto, cpu, mps, cuda, cuda:<n>.
        gpus: GPUs of this machine that may be used: auto, none, or their numbers (0,1).
        dtype, attention, compile: see `speech.engines.f5.network.Network`.
        batch_frames: mel frames of a batch, reference included; 0: from free memory.
        cache: folder on this machine of model weights, and of what torch.compile has made.
        workers: processes of engines that compute on processors; 0: one a core.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    model: str = "F5TTS_v1_Base"
    preset: Literal["final", "fast", "rapid"] = "final"
    nfe: int | None = None
    cfg_strength: float | None = None
    sway: float | None = None
    ode: Literal["euler", "midpoint"] | None = None
    seed: int | None = None
    device: str = "auto"
    gpus: str = "auto"
    dtype: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    attention: Literal["auto", "sdpa", "varlen", "flash_attn"] = "auto"
    compile: Literal["auto", "off", "on"] = "auto"
    batch_frames: int = 0
    cache: Path = Path("~/.cache/f5_pipeline")
    workers: int = 0

    def workers_beside(self, others: int) -> int:
        """Processes for each of `others` engines that work in parallel on this machine; at least one."""
        return max(1, (self.workers or os.cpu_count() or 1) // others)

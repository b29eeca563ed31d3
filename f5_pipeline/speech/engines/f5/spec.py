"""The F5 engine, as other rooms know it. Imports neither torch nor f5-tts."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from f5_pipeline.speech.engine import Engine
from f5_pipeline.speech.engines import Configuration, EngineContext, EngineSpec, Fact

if TYPE_CHECKING:
    from f5_pipeline.speech.engines.options import EngineOptions


def _missing() -> str | None:
    return None if find_spec("f5_tts") and find_spec("torch") else "the package f5-tts is not installed"


def _configure(options: EngineOptions, model: str | None, preset: str | None) -> Configuration:
    """The script's model and preset, else the installation's; in both, what the options say of the sampler."""
    from f5_pipeline.speech.engines.f5.sampling import sampler

    preset = preset or options.preset
    settings = sampler(
        preset,
        nfe=options.nfe,
        cfg_strength=options.cfg_strength,
        sway=options.sway,
        method=options.ode,
        dtype=options.dtype,
        seed=options.seed,
    )
    return Configuration(model or options.model, preset, settings.model_dump())


def _make(context: EngineContext) -> Engine:
    from f5_pipeline.speech.engines.f5.engine import F5Engine
    from f5_pipeline.speech.engines.f5.sampling import Sampler

    # Torch's own place is gone with the machine's next start, and on CUDA compiling takes longer than all else of it.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(context.options.cache.expanduser() / "compiled"))
    options, models, model = context.options, context.models(), context.model or context.options.model
    locked = models.lock(model)
    return F5Engine(
        files=lambda: models.acquire(model).files,
        model_sha256=locked.sha256,
        languages=locked.languages,
        references=context.references(),
        sampler=Sampler.model_validate(context.sampler or {}),
        device=context.device,
        attention=options.attention,
        compile=options.compile,
        batch_frames=options.batch_frames,
        pace=context.pace(),
        model=model,
    )


def _findings() -> list[Fact]:
    from f5_pipeline.speech.engines.f5.devices import facts

    if (reason := _missing()) is not None:
        hint = "Install it to speak in the cloned voices: pip install 'f5-pipeline[f5]'."
        return [Fact("F5 engine", "warning", reason, hint)]
    return [Fact("F5 engine", "ok", "installed"), *facts()]


F5 = EngineSpec(
    name="f5",
    label="F5-TTS, in the cloned voices",
    make=_make,
    needs_gpu=True,
    retakes=True,
    clones=True,
    missing=_missing,
    hint="Install it: pip install 'f5-pipeline[f5]'. Or use --engine draft.",
    configure=_configure,
    findings=_findings,
)

"""Which engines there are, and which one speaks."""

from __future__ import annotations

from importlib.util import find_spec

from f5_pipeline.errors import EngineError
from f5_pipeline.speech.engine import Engine

ENGINES = ("f5", "draft")
_CLONED = "F5-TTS, in the cloned voices"


def missing(name: str) -> str | None:
    """Why an engine cannot speak here, or None where it can."""
    if name == "draft":
        return None if find_spec("espeakng_loader") else "the package espeakng-loader is not installed"
    return None if find_spec("f5_tts") and find_spec("torch") else "the package f5-tts is not installed"


def resolve(asked: str, device: str = "auto") -> tuple[str, str]:
    """The engine to use and a sentence for people that says why.

    Args:
        asked: "f5", "draft" or "auto": F5 where it is installed and has an accelerator, else draft. F5 on a plain
            processor takes minutes for a sentence: it must be asked for, or `device` must say so.
        device: where F5 is to compute, as in the settings.

    Raises:
        EngineError: the engine asked for cannot speak here.
    """
    if asked == "auto":
        reason = missing("f5")
        if reason is None and device == "auto":
            from f5_pipeline.speech.engines.f5.devices import has_accelerator

            reason = None if has_accelerator() else "there is no GPU here (--engine f5 does without, slowly)"
        if reason is None:
            return "f5", _CLONED
        return "draft", f"draft voice (espeak-ng), not the cloned voices: {reason}"
    reason = missing(asked)
    if reason is not None:
        hint = "Install it: pip install 'f5-pipeline[f5]'. Or use --engine draft." if asked == "f5" else "Install it."
        raise EngineError(f"the engine {asked!r} cannot be used: {reason}", hint=hint)
    return asked, _CLONED if asked == "f5" else "draft voice (espeak-ng), as asked for"


def draft_engine(workers: int) -> Engine:
    """The draft engine on so many processes."""
    from f5_pipeline.speech.engines.draft.engine import DraftEngine

    return DraftEngine(workers=workers)

"""Which engines there are, and which one speaks."""

from __future__ import annotations

from importlib.util import find_spec

from f5_pipeline.errors import EngineError
from f5_pipeline.speech.engine import Engine

ENGINES = ("f5", "draft")


def missing(name: str) -> str | None:
    """Why an engine cannot speak here, or None where it can."""
    if name == "draft":
        return None if find_spec("espeakng_loader") else "the package espeakng-loader is not installed"
    if find_spec("f5_pipeline.speech.f5") is None:
        return "this version of f5_pipeline has no F5 engine yet"
    return None if find_spec("f5_tts") else "the package f5-tts is not installed"


def resolve(asked: str) -> tuple[str, str]:
    """The engine to use and a sentence for people that says why.

    Args:
        asked: "f5", "draft" or "auto": F5 where it is installed, else draft.

    Raises:
        EngineError: the engine asked for cannot speak here.
    """
    if asked == "auto":
        reason = missing("f5")
        if reason is None:
            return "f5", "F5-TTS, in the cloned voices"
        return "draft", f"draft voice (espeak-ng), not the cloned voices: {reason}"
    reason = missing(asked)
    if reason is not None:
        raise EngineError(f"the engine {asked!r} cannot be used: {reason}", mend="Use --engine draft, or auto.")
    return asked, "F5-TTS, in the cloned voices" if asked == "f5" else "draft voice (espeak-ng), as asked for"


def create(name: str, *, workers: int = 1) -> Engine:
    """An engine; what is heavy is loaded when it first speaks."""
    if name == "draft":
        from f5_pipeline.speech.draft import DraftEngine

        return DraftEngine(workers=workers)
    raise EngineError(f"there is no engine {name!r}", mend=f"Use one of: {', '.join(ENGINES)}.")

"""The draft engine, as other rooms know it."""

from __future__ import annotations

from importlib.util import find_spec

from f5_pipeline.speech.engine import Engine
from f5_pipeline.speech.engines import EngineContext, EngineFacts, EngineSpec, Fact

_INSTALL = "Install the package again: pip install f5-pipeline."


def _missing() -> str | None:
    return None if find_spec("espeakng_loader") else "the package espeakng-loader is not installed"


def _make(context: EngineContext) -> Engine:
    from f5_pipeline.speech.engines.draft.engine import DraftEngine

    return DraftEngine(workers=context.workers)


def _facts() -> EngineFacts:
    from f5_pipeline.speech.engines.draft.engine import espeak_facts

    return EngineFacts(**espeak_facts(), commercial_use="yes", source="package espeakng-loader")


def _findings() -> list[Fact]:
    if (reason := _missing()) is not None:
        return [Fact("draft engine", "error", reason, _INSTALL)]
    facts = _facts()
    return [Fact("draft engine", "ok", f"{facts.name} {facts.version}, {facts.languages} languages")]


DRAFT = EngineSpec(
    name="draft",
    label="draft voice (espeak-ng)",
    make=_make,
    times_itself=True,
    missing=_missing,
    hint=_INSTALL,
    facts=_facts,
    findings=_findings,
)

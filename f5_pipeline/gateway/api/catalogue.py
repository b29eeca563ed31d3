"""/v1/models, /v1/lexicon and /v1/health."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from f5_pipeline import __version__
from f5_pipeline.errors import NotFoundError
from f5_pipeline.gateway.api.access import Admin, Reader
from f5_pipeline.gateway.api.models import Health, LexiconAnswer, Model, ModelList
from f5_pipeline.gateway.api.narrations import At
from f5_pipeline.speech import engines
from f5_pipeline.speech.text.lexicon import Entry
from f5_pipeline.studio.lexicon import add_entries, change_lexicon, check_scopes, load_lexicon, without
from f5_pipeline.studio.weights import open_library
from f5_pipeline.weights.registry import MODELS

router = APIRouter(prefix="/v1")


@router.get("/models", tags=["models"], summary="Engines and models")
def models(caller: Reader, service: At) -> ModelList:
    """Engines that work here, and the models of the f5 engine."""
    known = []
    for spec in engines.all_specs():
        if spec.facts is not None and spec.missing() is None:
            facts = spec.facts()
            known.append(
                Model(
                    id=spec.name,
                    engine=spec.name,
                    licence=facts.licence,
                    commercial_use=facts.commercial_use,
                    here=True,
                )
            )
    locked = {record.name: record for record in open_library(service.store, service.options).locked()}
    for name, entry in {**MODELS, **locked}.items():
        known.append(
            Model(
                id=name,
                engine="f5",
                licence=entry.licence,
                commercial_use=entry.commercial_use,
                languages=list(entry.languages),
                here=name in locked,
            )
        )
    return ModelList(data=known)


@router.get("/lexicon", tags=["lexicon"], summary="How words are said")
def lexicon(caller: Reader, service: At) -> LexiconAnswer:
    return LexiconAnswer(entries=list(load_lexicon(service.store)))


@router.post("/lexicon", tags=["lexicon"], summary="Add entries")
def add(
    entries: Annotated[list[Entry], Field(min_length=1, max_length=1000)], caller: Admin, service: At
) -> LexiconAnswer:
    """One for the same words, language, voice and narration is replaced. Everybody's narrations use the lexicon."""
    check_scopes(service.store, entries)
    changes = add_entries(service.store, entries)
    return LexiconAnswer(entries=changes.entries, added=changes.added, changed=changes.changed)


@router.delete("/lexicon", tags=["lexicon"], summary="Remove entries")
def remove(
    caller: Admin,
    service: At,
    written: Annotated[str, Query(min_length=1, max_length=120)],
    language: Annotated[str | None, Query(max_length=64)] = None,
    voice: Annotated[str | None, Query(max_length=64)] = None,
    narration: Annotated[str | None, Query(max_length=64)] = None,
) -> LexiconAnswer:
    """Those for these words: of every language, voice and narration where none is given."""

    def change(present: Sequence[Entry]) -> Sequence[Entry]:
        kept, removed = without(present, written, language, voice, narration)
        if not removed:
            raise NotFoundError("there is no such entry")
        return kept

    return LexiconAnswer(entries=list(change_lexicon(service.store, change)))


@router.get("/health", tags=["health"], summary="Whether the service answers")
def health() -> Health:
    """Needs no key. `/healthz` asks the store too."""
    return Health(version=__version__)

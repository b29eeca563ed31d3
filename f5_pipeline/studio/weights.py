"""What the engines of this installation speak with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from f5_pipeline.errors import EngineError, PipelineError
from f5_pipeline.settings import Settings, get_settings
from f5_pipeline.speech import engines
from f5_pipeline.store.base import Store
from f5_pipeline.studio.records import EngineWeights, Weights, digest_of

if TYPE_CHECKING:
    from f5_pipeline.weights.library import Acquired, Library, Progress
    from f5_pipeline.weights.records import ModelRecord

log = logging.getLogger("f5_pipeline.weights")


def open_library(store: Store, settings: Settings | None = None) -> Library:
    """The models of a store, with cache and hub as the settings say."""
    from f5_pipeline.weights.library import Library

    chosen = settings or get_settings()
    return Library(
        store,
        cache=chosen.cache_folder,
        cache_bytes=int(chosen.cache_gb * 1e9),
        hub=chosen.hub,
        token=chosen.hub_token.get_secret_value() if chosen.hub_token else None,
        offline=chosen.offline,
    )


def gather_weights(
    store: Store, models: Sequence[str] = (), on_progress: Callable[[Progress], None] = lambda _: None
) -> Weights:
    """Look at every engine that can speak here and at every locked model; pull those that are wanted.

    Wanted are `models`, and the settings' model where F5 speaks what asks for no engine. Where F5 is only what "auto"
    comes to, a model that cannot be had is told in `problems`, and the draft engine speaks on.

    Raises:
        EngineError: no engine can speak.
        PipelineError: one of `models` cannot be had.
    """
    found: dict[str, EngineWeights] = {}
    problems: dict[str, str] = {}
    if engines.missing("draft") is None:
        found["draft"] = _draft()
    library = open_library(store)
    wanted = list(models)
    if (default := _default_model()) and default not in wanted:
        wanted.append(default)
    for name in wanted:
        try:
            with library.acquire(name, on_progress) as acquired:
                found[f5_key(name)] = of_model(acquired.record, acquired)
        except PipelineError as error:
            if name in models or get_settings().engine == "f5" or not found:
                raise
            log.warning("the model %s is not here: %s", name, error)
            problems[f5_key(name)] = str(error)
    for record in library.locked():
        if f5_key(record.name) not in {*found, *problems}:
            found[f5_key(record.name)] = of_model(record)
    if not found:
        raise EngineError("no engine is installed", hint="Install the package again: pip install f5-pipeline.")
    digest = digest_of({name: one.sha256 for name, one in found.items()})
    return Weights(engines=dict(sorted(found.items())), digest=digest, problems=problems)


def f5_key(model: str) -> str:
    """Under which an F5 model stands among the weights."""
    return f"f5:{model}"


def of_model(record: ModelRecord, acquired: Acquired | None = None) -> EngineWeights:
    """What is told of a locked model, and of how it came here."""
    return EngineWeights(
        engine="f5",
        name=record.name,
        version=(record.revision or record.files["checkpoint"].sha256)[:12],
        sha256=record.sha256,
        size=record.size,
        languages=len(record.languages),
        licence=record.licence,
        commercial_use=record.commercial_use,
        source=f"hub: {record.repo}" if record.repo else "added from a file",
        model=record.name,
        tags=list(record.languages),
        repo=record.repo,
        revision=record.revision,
        files={role: blob.sha256 for role, blob in record.files.items()},
        note=record.note,
        place=acquired.source if acquired else None,
        seconds=round(acquired.seconds, 3) if acquired else None,
        received=acquired.received if acquired else 0,
    )


def _draft() -> EngineWeights:
    from f5_pipeline.speech.engines.draft.engine import espeak_facts

    facts = espeak_facts()
    return EngineWeights(
        engine="draft",
        name="espeak-ng",
        version=facts["version"],
        sha256=facts["sha256"],
        size=facts["size"],
        languages=facts["languages"],
        licence=facts["licence"],
        commercial_use="yes",
        source="package espeakng-loader",
    )


def _default_model() -> str | None:
    """The settings' model where F5 speaks what asks for no engine; on a machine where that is the draft, None."""
    settings = get_settings()
    if engines.missing("f5") is not None:
        return None
    return settings.model if engines.resolve(settings.engine, settings.device)[0] == "f5" else None

"""The weights of this installation's engines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from f5_pipeline.errors import EngineError, PipelineError
from f5_pipeline.speech import engines
from f5_pipeline.store.base import Store
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import EngineWeights, Weights, digest_of

if TYPE_CHECKING:
    from f5_pipeline.weights.library import Acquired, Library, Progress
    from f5_pipeline.weights.records import ModelRecord

log = logging.getLogger("f5_pipeline.weights")

_F5 = "f5"
"""The engine whose models the library holds."""


def open_library(store: Store, options: StudioOptions) -> Library:
    """The model library of a store, with the cache and hub of the options."""
    from f5_pipeline.weights.library import Library

    return Library(
        store,
        cache=options.cache.expanduser().absolute(),
        cache_bytes=int(options.cache_gb * 1e9),
        hub=options.hub,
        token=options.hub_token.get_secret_value() if options.hub_token else None,
        offline=options.offline,
    )


def gather_weights(
    store: Store,
    options: StudioOptions,
    models: Sequence[str] = (),
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Weights:
    """List every engine that works here and every locked model; pull the requested models.

    Requested are `models`, and the options' model where F5 is the default engine. Where F5 is the default by way of
    "auto", a model that is not available is recorded in `problems`, and the other engines remain usable.

    Raises:
        EngineError: no engine works here.
        PipelineError: one of `models` is not available.
    """
    weights: dict[str, EngineWeights] = {}
    problems: dict[str, str] = {}
    for spec in engines.all_specs():
        if spec.facts is not None and spec.missing() is None:
            weights[spec.name] = EngineWeights(engine=spec.name, **spec.facts()._asdict())
    library = open_library(store, options)
    requested = list(models)
    if (default := _default_model(options)) and default not in requested:
        requested.append(default)
    for name in requested:
        try:
            with library.acquire(name, on_progress) as acquired:
                weights[weights_key(_F5, name)] = weights_of_model(acquired.record, acquired)
        except PipelineError as error:
            if name in models or options.engine == _F5 or not weights:
                raise
            log.warning("the model %s is not here: %s", name, error)
            problems[weights_key(_F5, name)] = str(error)
    for record in library.locked():
        if weights_key(_F5, record.name) not in {*weights, *problems}:
            weights[weights_key(_F5, record.name)] = weights_of_model(record)
    if not weights:
        raise EngineError("no engine is installed", hint="Install the package again: pip install f5-pipeline.")
    digest = digest_of({name: entry.sha256 for name, entry in weights.items()})
    return Weights(engines=dict(sorted(weights.items())), digest=digest, problems=problems)


def weights_key(engine: str, model: str | None) -> str:
    """Key of an engine, or of one of its models, in the Weights record."""
    return engine if model is None else f"{engine}:{model}"


def weights_of_model(record: ModelRecord, acquired: Acquired | None = None) -> EngineWeights:
    """The record of a locked model, with how it was obtained if it was."""
    return EngineWeights(
        engine=_F5,
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


def _default_model(options: StudioOptions) -> str | None:
    """The model of the default engine; None where it has none or is not installed."""
    try:
        spec, _ = engines.resolve(options.engine, options)
    except EngineError:
        return None
    return spec.configure(options, None, None).model

"""Languages that an engine or a model of this studio speaks."""

from __future__ import annotations

from collections.abc import Iterator

from f5_pipeline.errors import InputError
from f5_pipeline.speech.engines.draft.engine import espeak_voice
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record
from f5_pipeline.weights.records import ModelRecord
from f5_pipeline.weights.registry import MODELS


def languages_of_models(store: Store) -> dict[str, list[str]]:
    """Language tags by model: those that are built in, and those of the store."""
    models = {spec.name: list(spec.languages) for spec in MODELS.values()}
    return models | {record.name: list(record.languages) for record in _added_models(store)}


def check_known(store: Store, language: str, file: str = "") -> None:
    """Check that the draft engine or some model speaks a language.

    Raises:
        InputError: none does; it names the nearest tags. `file`: what gave the tag, for example an option.
    """
    if _main(language) == "en":
        return
    try:
        espeak_voice(language)
    except InputError as error:
        if _main(language) not in {_main(tag) for tags in languages_of_models(store).values() for tag in tags}:
            raise InputError(f"there is no language {language!r}", file=file or None, hint=error.hint) from None


def _main(tag: str) -> str:
    return tag.partition("-")[0].lower()


def _added_models(store: Store) -> Iterator[ModelRecord]:
    keys = (stat.key for stat in store.list("models/") if layout.model_record.match(stat.key))
    yield from filter(None, in_parallel(store, lambda key: find_record(store, key, ModelRecord), keys))

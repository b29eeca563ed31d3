"""Engines chosen for a script and opened with the references and models of the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech import engines
from f5_pipeline.speech.engine import Engine, ReferenceVoice
from f5_pipeline.speech.text.languages import base
from f5_pipeline.store.base import Store
from f5_pipeline.studio.narrating.scripts import LoadedScript
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Shard
from f5_pipeline.studio.voices import find_reference, find_voice, read_reference
from f5_pipeline.studio.weights import open_library, weights_key
from f5_pipeline.system.gpus import lease_device

if TYPE_CHECKING:
    from f5_pipeline.weights.library import Library

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineChoice:
    """The engine that speaks a script.

    Attributes:
        engine: its name.
        asked: the engine requested by the script's options or the installation's.
        note: why it was chosen, for people.
        model, preset, sampler: see `speech.engines.Configuration`.
    """

    engine: str
    asked: str
    note: str
    model: str | None = None
    preset: str | None = None
    sampler: dict[str, Any] | None = None

    @property
    def weights(self) -> str:
        """Its name in the Weights record."""
        return weights_key(self.engine, self.model)


@dataclass(frozen=True)
class _Context:
    """The `speech.engines.EngineContext` of a store."""

    store: Store
    options: StudioOptions
    voices: Iterable[str]
    device: str
    workers: int
    model: str | None
    sampler: Mapping[str, Any] | None

    def references(self) -> dict[str, ReferenceVoice]:
        return references_of(self.store, self.voices)

    def models(self) -> Library:
        return open_library(self.store, self.options)

    def pace(self) -> str:
        from f5_pipeline.speech.alignment.pace import identity

        return identity()


def choose_engine(loaded: LoadedScript, options: StudioOptions) -> EngineChoice:
    """The engine that a script asks for, or else that of the options.

    Raises:
        InputError: there is no such engine. EngineError: it does not work here.
    """
    asked = loaded.options.engine if loaded.options.engine != engines.AUTO else options.engine
    spec, note = engines.resolve(asked, options)
    if loaded.options.seed is not None:
        options = options.model_copy(update={"seed": loaded.options.seed})
    configuration = spec.configure(options, loaded.script.model, loaded.script.preset)
    return EngineChoice(spec.name, asked, note, **configuration._asdict())


def foreign_voices(store: Store, loaded: LoadedScript, choice: EngineChoice) -> list[str]:
    """A sentence for each voice that was recorded in another language than its script is in, and is cloned."""
    language = loaded.script.language
    if not engines.spec_of(choice.engine).clones:
        return []
    voices = (voice for name in loaded.script.voices if (voice := find_voice(store, name)))
    return [
        f"the voice {voice.name} was recorded in {voice.language} and will speak {language} with an accent, if at all "
        f"clearly; its tag is set by voices add --language"
        for voice in voices
        if base(voice.language) != base(language)
    ]


def retakes_of(engine: str, options: StudioOptions) -> int:
    """How often a take may be made again: never where every attempt of the engine sounds the same."""
    spec = engines.find(engine)
    return options.retakes if spec is None or spec.retakes else 0


@contextmanager
def chosen_engine(store: Store, loaded: LoadedScript, options: StudioOptions) -> Iterator[tuple[Engine, EngineChoice]]:
    """The engine that speaks a script, for planning: no model is loaded.

    Raises:
        InputError: there is no such engine. EngineError: it does not work here, or its model is unknown.
    """
    choice = choose_engine(loaded, options)
    context = _Context(
        store=store,
        options=options,
        voices=loaded.script.voices,
        device=options.device,
        workers=options.workers_beside(1),
        model=choice.model,
        sampler=choice.sampler,
    )
    engine = engines.spec_of(choice.engine).make(context)
    try:
        yield engine, choice
    finally:
        engine.close()


@contextmanager
def speaking_engine(
    store: Store,
    shard: Shard,
    options: StudioOptions,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    on_wait: Callable[[str], None] = _LOG.warning,
) -> Iterator[Engine]:
    """The engine of a shard. One that needs a GPU waits for it and holds it during the context; see `lease_device`."""
    spec = engines.spec_of(shard.engine)
    with ExitStack() as stack:
        device = options.device
        if spec.needs_gpu:
            device = stack.enter_context(
                lease_device(options.device, options.gpus, cancelled=cancelled, on_wait=on_wait)
            )
        context = _Context(
            store=store,
            options=options,
            voices=shard.voices,
            device=device,
            workers=options.workers_beside(options.shards),
            model=shard.model,
            sampler=shard.sampler,
        )
        engine = spec.make(context)
        stack.callback(engine.close)
        yield engine


def references_of(store: Store, voices: Iterable[str]) -> dict[str, ReferenceVoice]:
    """References by voice. A voice without one is left out; its chunks fail later."""
    references = {}
    for voice in voices:
        try:
            clip = find_reference(store, voice)
        except InputError:
            continue
        references[voice] = ReferenceVoice(
            name=voice,
            sha256=clip.sha256,
            text=clip.text,
            language=clip.language,
            load=lambda clip=clip: read_reference(store, clip),
            speed=clip.setting.speed if clip.setting else 1.0,
        )
    return references

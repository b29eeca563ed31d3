"""Engines as the studio opens them: chosen for a script, and given the weights and references that are in the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from f5_pipeline.errors import InputError
from f5_pipeline.settings import get_settings
from f5_pipeline.speech import engines
from f5_pipeline.speech.engine import Engine
from f5_pipeline.store.base import Store
from f5_pipeline.studio.narrating.scripts import LoadedScript
from f5_pipeline.studio.records import Shard
from f5_pipeline.studio.voices import find_reference, read_reference
from f5_pipeline.studio.weights import f5_key, open_library
from f5_pipeline.system.gpus import lease_device

if TYPE_CHECKING:
    from f5_pipeline.speech.engines.f5.engine import ReferenceVoice
    from f5_pipeline.speech.engines.f5.sampling import Sampler

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineChoice:
    """The engine that speaks a script.

    Attributes:
        engine: its name.
        asked: what was asked for, by the script's options or the settings.
        note: why this one, for people.
        model, preset, sampler: of the F5 engine.
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
        return self.engine if self.model is None else f5_key(self.model)


def choose_engine(loaded: LoadedScript) -> EngineChoice:
    """The engine that a script asks for, else the one of the settings. Raises EngineError where it cannot speak."""
    settings = get_settings()
    asked = loaded.options.engine if loaded.options.engine != "auto" else settings.engine
    if asked == "auto" and settings.device == "auto" and settings.gpus == "none":
        return EngineChoice("draft", asked, "draft voice (espeak-ng), not the cloned voices: F5_GPUS is none")
    name, note = engines.resolve(asked, settings.device)
    if name == "draft":
        return EngineChoice(name, asked, note)
    preset = loaded.script.preset or settings.preset
    return EngineChoice(
        name,
        asked,
        note,
        model=loaded.script.model or settings.model,
        preset=preset,
        sampler=settings_sampler(preset).model_dump(),
    )


def settings_sampler(preset: str) -> Sampler:
    """A preset with what the settings say otherwise."""
    from f5_pipeline.speech.engines.f5.sampling import sampler

    settings = get_settings()
    return sampler(
        preset,
        nfe=settings.nfe,
        cfg_strength=settings.cfg_strength,
        sway=settings.sway,
        method=settings.ode,
        dtype=settings.dtype,
    )


@contextmanager
def chosen_engine(store: Store, loaded: LoadedScript) -> Iterator[tuple[Engine, EngineChoice]]:
    """The engine that speaks a script, for its plan: nothing heavy is loaded.

    Raises:
        EngineError: the engine asked for cannot speak here, or its model is not known.
    """
    choice = choose_engine(loaded)
    if choice.model is None:
        engine = engines.draft_engine(get_settings().draft_workers)
    else:
        engine = _f5(store, choice.model, choice.sampler or {}, loaded.script.voices, get_settings().device)
    try:
        yield engine, choice
    finally:
        engine.close()


@contextmanager
def speaking_engine(
    store: Store,
    shard: Shard,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    on_wait: Callable[[str], None] = _LOG.warning,
) -> Iterator[Engine]:
    """The engine of a shard. F5 holds a GPU for as long as the context, and waits for one: see `lease_device`."""
    settings = get_settings()
    with ExitStack() as stack:
        if shard.model is None:
            engine = engines.draft_engine(max(1, settings.draft_workers // settings.shards))
        else:
            device = stack.enter_context(lease_device(settings, cancelled=cancelled, on_wait=on_wait))
            engine = _f5(store, shard.model, shard.sampler or {}, shard.voices, device)
        stack.callback(engine.close)
        yield engine


def _f5(store: Store, model: str, sampler: dict[str, Any], voices: Iterable[str], device: str) -> Engine:
    from f5_pipeline.speech.alignment.pace import identity
    from f5_pipeline.speech.engines.f5.engine import F5Engine
    from f5_pipeline.speech.engines.f5.sampling import Sampler

    settings = get_settings()
    library = open_library(store)
    record = library.lock(model)
    return F5Engine(
        files=lambda: library.acquire(model).files,
        model_sha256=record.sha256,
        languages=record.languages,
        references=references_of(store, voices),
        sampler=Sampler.model_validate(sampler),
        device=device,
        attention=settings.attention,
        compile=settings.compile,
        batch_frames=settings.batch_frames,
        pace=identity(),
    )


def references_of(store: Store, voices: Iterable[str]) -> dict[str, ReferenceVoice]:
    """What F5 is conditioned on, by voice; a voice without a reference is left out, and fails where it speaks."""
    from f5_pipeline.speech.engines.f5.engine import ReferenceVoice

    found = {}
    for voice in voices:
        try:
            clip = find_reference(store, voice)
        except InputError:
            continue
        found[voice] = ReferenceVoice(
            name=voice,
            sha256=clip.sha256,
            text=clip.text,
            language=clip.language,
            load=lambda clip=clip: read_reference(store, clip),
        )
    return found

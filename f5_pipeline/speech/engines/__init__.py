"""The registry of engines: an `EngineSpec` each, which states all differences between them.

A new engine is a class with the methods of `speech.engine.Engine`, and its spec. Pools, retakes, timing, the choices of
`--engine`, the record of weights and `doctor` read the spec. A package registers its spec for every process on the
machine, the steps of a run included, by an entry point:

    [project.entry-points."f5_pipeline.engines"]
    toy = "toy_engine:TOY"

A notebook may call `register(TOY)` for its own process. `f5_pipeline_tests/support/toy_engine.py` is an example.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from f5_pipeline.errors import EngineError, InputError
from f5_pipeline.speech.engine import Engine, ReferenceVoice

if TYPE_CHECKING:
    from f5_pipeline.speech.engines.options import EngineOptions

log = logging.getLogger(__name__)

ENTRY_POINTS = "f5_pipeline.engines"
"""Entry point group of engines in other packages."""

AUTO = "auto"
"""Choice in place of an engine's name: see `resolve`."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class LockedModel(Protocol):
    """A model of the library, identified by its content."""

    @property
    def sha256(self) -> str: ...

    @property
    def languages(self) -> Sequence[str]: ...


class AcquiredModel(Protocol):
    """A model of the library on this machine; `files` are for the F5 engine."""

    @property
    def files(self) -> Any: ...


class Models(Protocol):
    """The library of F5 models, as used by an engine (`weights.library.Library`)."""

    def lock(self, name: str) -> LockedModel: ...

    def acquire(self, name: str) -> AcquiredModel: ...


class EngineContext(Protocol):
    """Everything needed to make an engine. References and models are looked up on demand.

    Attributes:
        options: of the installation.
        device: to compute on: the leased one, or `options.device` for planning.
        workers: maximum number of processes.
        model, sampler: from `EngineSpec.configure`.
    """

    @property
    def options(self) -> EngineOptions: ...

    @property
    def device(self) -> str: ...

    @property
    def workers(self) -> int: ...

    @property
    def model(self) -> str | None: ...

    @property
    def sampler(self) -> Mapping[str, Any] | None: ...

    def references(self) -> Mapping[str, ReferenceVoice]:
        """References by voice; a voice without one is left out."""
        ...

    def models(self) -> Models:
        """The library of F5 models."""
        ...

    def pace(self) -> str:
        """Identity of the estimate of `Request.speech_seconds`, part of the sound of engines that use it."""
        ...


class Configuration(NamedTuple):
    """Configuration of an engine for a script, kept with the plan.

    Attributes:
        model: of the library.
        preset: name of the sampler's settings, for people.
        sampler: all settings that decide the sound, as JSON.
    """

    model: str | None = None
    preset: str | None = None
    sampler: dict[str, Any] | None = None


class EngineFacts(NamedTuple):
    """Facts about an engine for the record of weights.

    Attributes:
        sha256: of everything that decides its sound.
        size: bytes.
        languages: their number; None: unknown.
        commercial_use: whether its speech may be used commercially: yes, no or disputed.
        source: where it came from, for people.
    """

    name: str
    version: str
    sha256: str
    size: int
    languages: int | None
    licence: str
    commercial_use: str
    source: str


class Fact(NamedTuple):
    """A line of `doctor`: the subject, its state ("ok", "warning" or "error"), the finding, and a hint."""

    what: str
    state: str
    finding: str
    hint: str = ""


@dataclass(frozen=True)
class EngineSpec:
    """An engine, as other rooms know it.

    Attributes:
        name: in options, records and take keys: a lower-case word.
        label: for people, for example "draft voice (espeak-ng)".
        make: makes the engine, to plan or to speak; the caller closes it.
        needs_gpu: its steps wait for a place in the pool of GPUs and lease a device.
        times_itself: its word times are exact; takes of other engines are aligned and measured.
        retakes: another seed may sound better, so takes that the quality gate doubts are made again.
        clones: it speaks in the voices of the recordings; others are announced, so that no draft is delivered.
        missing: why it does not work on this machine, or None.
        hint: what to do where it is missing.
        configure: the configuration for the options and a script's model and preset.
        facts: for the record of weights; None for the F5 engine, whose models the library locks.
        findings: see `examine`; None: one line, from `missing` and `facts`.

    Example:
        >>> EngineSpec("toy", "beeps", make=lambda context: Toy(), times_itself=True, facts=toy_facts)
    """

    name: str
    label: str
    make: Callable[[EngineContext], Engine]
    needs_gpu: bool = False
    times_itself: bool = False
    retakes: bool = False
    clones: bool = False
    missing: Callable[[], str | None] = lambda: None
    hint: str = "Install it."
    configure: Callable[[EngineOptions, str | None, str | None], Configuration] = lambda *_: Configuration()
    facts: Callable[[], EngineFacts] | None = None
    findings: Callable[[], list[Fact]] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name == AUTO:
            raise ValueError(f"{self.name!r} cannot be the name of an engine: a lower-case word, and not {AUTO!r}")

    def examine(self) -> list[Fact]:
        """The lines of `doctor` about the engine on this machine."""
        if self.findings is not None:
            return self.findings()
        what = f"{self.name} engine"
        if (reason := self.missing()) is not None:
            return [Fact(what, "warning", reason, self.hint)]
        facts = self.facts() if self.facts else None
        return [Fact(what, "ok", f"{facts.name} {facts.version}" if facts else "installed")]


@cache
def _specs() -> dict[str, EngineSpec]:
    """The engines of this process, by name: our own, then those of other packages."""
    from importlib.metadata import entry_points

    from f5_pipeline.speech.engines.draft.spec import DRAFT
    from f5_pipeline.speech.engines.f5.spec import F5

    specs = {spec.name: spec for spec in (DRAFT, F5)}
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            _add(specs, entry.load())
        except Exception as error:  # one broken package must not disable the other engines
            log.warning("the engine %s (%s) is left out: %s: %s", entry.name, entry.value, type(error).__name__, error)
    return specs


def _add(specs: dict[str, EngineSpec], spec: EngineSpec) -> None:
    if specs.setdefault(spec.name, spec) is not spec:
        raise ValueError(f"there is another engine {spec.name!r}")


def register(spec: EngineSpec) -> None:
    """Register an engine in this process. Raises ValueError where another one has its name."""
    _add(_specs(), spec)


def all_specs() -> list[EngineSpec]:
    """Every registered engine, whether or not it works on this machine."""
    return list(_specs().values())


def choices() -> list[str]:
    """The choices of an engine: "auto", or a name."""
    return [AUTO, *_specs()]


def find(name: str) -> EngineSpec | None:
    """The engine of this name; None where it is unknown here, as for a plan from another machine."""
    return _specs().get(name)


def spec_of(name: str) -> EngineSpec:
    """The engine of this name. Raises InputError where there is none."""
    check_choice(name, automatic=False)
    return _specs()[name]


def check_choice(name: str, *, automatic: bool = True) -> None:
    """Raise InputError where no engine has this name; "auto" is allowed if `automatic`."""
    names = choices()[0 if automatic else 1 :]
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Use one of {', '.join(names)}."
        raise InputError(f"there is no engine {name!r}", hint=hint)


def resolve(asked: str, options: EngineOptions) -> tuple[EngineSpec, str]:
    """The engine to use and a sentence for people that says why.

    Args:
        asked: an engine's name, or "auto": F5 where it is installed and has an accelerator, else draft. F5 on a plain
            processor takes minutes for a sentence, so it must be requested by name or by `options.device`.

    Raises:
        InputError: there is no such engine. EngineError: the engine does not work here.
    """
    if asked == AUTO:
        cloned, draft = spec_of("f5"), spec_of("draft")
        reason = cloned.missing() or _no_accelerator(options)
        return (cloned, cloned.label) if reason is None else (draft, f"{draft.label}, not the cloned voices: {reason}")
    spec = spec_of(asked)
    if (reason := spec.missing()) is not None:
        raise EngineError(f"the engine {asked!r} cannot be used: {reason}", hint=spec.hint)
    return spec, spec.label if spec.clones else f"{spec.label}, as asked for"


def _no_accelerator(options: EngineOptions) -> str | None:
    from f5_pipeline.speech.engines.f5.devices import has_accelerator

    if options.device != "auto":
        return None
    if options.gpus == "none":
        return "F5_GPUS is none"
    return None if has_accelerator() else "there is no GPU here (--engine f5 does without, slowly)"

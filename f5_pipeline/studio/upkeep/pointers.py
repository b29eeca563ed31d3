"""References of each kind of record in the store.

A record that refers to others is small and is replaced as a whole; its targets are written before it. In lists (the
chunks of a plan, the takes of a narration) each line refers to takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, Field

from f5_pipeline.errors import StoreError
from f5_pipeline.speech import engines
from f5_pipeline.speech.quality.gate import Band
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import parse_record, read_lines
from f5_pipeline.studio.narrating.batches import BatchReport
from f5_pipeline.studio.narrating.gate import keys_of
from f5_pipeline.studio.narrating.votes import Pairs
from f5_pipeline.studio.records import (
    Address,
    Audio,
    Choices,
    Grant,
    Links,
    Manifest,
    Plan,
    ReferenceClip,
    ScriptRecord,
    Takes,
    Timings,
    Voice,
    Weights,
    digest_of,
)
from f5_pipeline.weights.records import ModelRecord, RecogniserRecord

MAX_RETAKES = 10
"""The largest F5_RETAKES: takes that any worker may choose count as referred to, whatever is set here."""

TAKES, BANDS, MODELS = "takes", "bands", "models"


class Target(NamedTuple):
    """An object that must exist.

    Attributes:
        by: key of the record that refers to it.
        hint: how to restore it.
        size: bytes; sha256: hex; each None where the record does not have it.
        reference: record of reference audio, whose sha256 is over samples and text.
    """

    key: str
    by: str
    hint: str
    size: int | None = None
    sha256: str | None = None
    reference: ReferenceClip | None = None


class Lines(NamedTuple):
    """A list whose lines refer to takes.

    Attributes:
        sounds: of a plan, by voice, to derive the keys of later attempts; None: only the keys in the lines.
        retakes: number of later attempts that may be chosen.
        chosen: whether its takes must exist; those of a plan may not be made yet.
    """

    key: str
    sounds: dict[str, dict[str, Any]] | None = None
    retakes: int = 0
    chosen: bool = False


@dataclass
class References:
    """The references of a record.

    Attributes:
        targets: objects that must exist.
        kept: keys of objects that are in use if they exist.
        takes: keys of takes that are in use if they exist.
        lists: lists whose lines refer to takes.
        revision: narration and revision that the record names as the newest.
        manifest: of a manifest: narration, revision and time of creation, ISO 8601.
        grant: the record itself, if it is a grant.
    """

    targets: list[Target] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    takes: list[str] = field(default_factory=list)
    lists: list[Lines] = field(default_factory=list)
    revision: tuple[str, str] | None = None
    manifest: tuple[str, str, str] | None = None
    grant: Grant | None = None


class Kind(NamedTuple):
    """A kind of record: its keys, its model, the scopes held back by an unreadable one, and its references."""

    keys: layout.Key
    model: type[BaseModel]
    scopes: tuple[str, ...]
    refers: Callable[[Any, str], References]


def kind_of(key: str) -> Kind | None:
    """The kind of record under a key; None for any other object."""
    return next((kind for kind in _KINDS if kind.keys.match(key)), None)


def scopes_of(key: str) -> list[str]:
    """Scopes that the record under this key could refer to: `takes`, `bands`, `models`, or a folder."""
    kind = kind_of(key)
    return [scope.format(**kind.keys.match(key) or {}) for scope in kind.scopes] if kind else []


def read_references(store: Store, key: str) -> References:
    """The references of the record under a key. Raises StoreError."""
    kind = kind_of(key)
    if kind is None:
        return References()
    return kind.refers(parse_record(store.get_bytes(key), key, kind.model), key)


def lines_of(store: Store, key: str) -> tuple[list[Lines], list[str]]:
    """The lists of takes that an object of a narration is, or names, with those of the plans in it; and takes that it
    names itself. Raises StoreError."""
    if layout.plan_chunks.match(key):
        return [Lines(key)], []
    if layout.narration_takes.match(key):
        return [Lines(key, chosen=True)], []
    kind = kind_of(key)
    if kind is None:
        return [], []
    record = parse_record(store.get_bytes(key), key, kind.model)
    references = kind.refers(record, key)
    audio = record.audio if isinstance(record, Manifest) else record
    lists = _of_plan(audio.plan, key).lists if isinstance(audio, Audio) else []
    return [*references.lists, *lists], references.takes


_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Spoken(BaseModel):
    voice: str
    language: str
    speed: float = 1.0
    spoken: str
    seconds: float | None = None


class _PlannedLine(BaseModel):
    """The fields of a PlannedChunk that decide the keys of its takes."""

    key: _Digest
    chunk: _Spoken


class _Chosen(BaseModel):
    key: _Digest


class _ChosenLine(BaseModel):
    """The field of a ChosenTake that names its take."""

    take: _Chosen


def takes_of(store: Store, lines: Lines) -> Iterator[str]:
    """Keys of all takes that a list refers to, later attempts included, whether they exist or not.

    Raises:
        StoreError: the list does not exist or cannot be read.
    """
    if lines.chosen:
        for chosen in read_lines(store, lines.key, _ChosenLine):
            yield chosen.take.key
        return
    for planned in read_lines(store, lines.key, _PlannedLine):
        yield planned.key
        if lines.sounds is None:
            continue
        chunk = planned.chunk
        sound = lines.sounds.get(chunk.voice)
        if sound is None:
            raise StoreError(f"its plan knows no voice {chunk.voice!r}", file=lines.key, hint="Plan it again.")
        yield from map(keys_of(chunk, sound), range(1, lines.retakes + 1))


def _narrate(narration: str) -> str:
    return f"Run: f5-pipeline narrate {narration}."


def _bands(plan: Plan) -> list[str]:
    return [layout.band(voice, digest_of(sound)) for voice, sound in plan.sounds.items()]


def _of_plan(plan: Plan, key: str) -> References:
    spec = engines.find(plan.engine)
    retakes = MAX_RETAKES if spec is None or spec.retakes else 0
    return References(
        targets=[
            Target(target, key, _narrate(plan.narration)) for target in (plan.chunks_key, plan.cover_key) if target
        ],
        kept=_bands(plan),
        takes=[take for choice in plan.choices.values() for take in choice.takes],
        lists=[Lines(plan.chunks_key, plan.sounds, retakes)],
    )


def _of_pairs(pairs: Pairs, key: str) -> References:
    return References(takes=[take for pair in pairs.pairs for take in pair.takes])


def _of_choices(choices: Choices, key: str) -> References:
    return References(takes=[take for choice in choices.chunks.values() for take in choice.takes])


def _of_takes(takes: Takes, key: str) -> References:
    return References(
        targets=[Target(takes.takes_key, key, _narrate(takes.narration))], lists=[Lines(takes.takes_key, chosen=True)]
    )


def _of_audio(audio: Audio, key: str, hint: str | None = None) -> References:
    narration, revision, plan = audio.narration, audio.revision, audio.plan
    hint = hint or _narrate(narration)
    targets = [Target(file.key, key, hint, file.size, file.sha256) for file in audio.files]
    others = [audio.timeline_key, layout.delivered(narration, revision, "audio.json"), plan.chunks_key]
    if plan.cover_key:
        others.append(plan.cover_key)
    if audio.takes_key:
        others.append(audio.takes_key)
    targets += [Target(other, key, hint) for other in others]
    return References(
        targets=targets,
        kept=_bands(plan),
        lists=[Lines(audio.takes_key, chosen=True)] if audio.takes_key else [],
        revision=(narration, revision),
    )


def _of_timings(timings: Timings, key: str) -> References:
    hint = _narrate(timings.narration)
    targets = [Target(file.key, key, hint, file.size, file.sha256) for file in timings.files]
    targets.append(Target(timings.manifest_key, key, hint))
    return References(targets=targets, revision=(timings.narration, timings.revision))


def _of_manifest(manifest: Manifest, key: str) -> References:
    hint = (
        f"Run: f5-pipeline narrate {manifest.narration}. If it is an older revision it is not made again: "
        "f5-pipeline store gc --old-revisions removes what is left of it."
    )
    references = _of_audio(manifest.audio, key, hint)
    references.targets += [Target(file.key, key, hint, file.size, file.sha256) for file in manifest.timings]
    references.revision = None
    references.manifest = (manifest.narration, manifest.revision, manifest.created)
    return references


def _new_links(narration: str) -> str:
    return f"Run: f5-pipeline links show {narration} --fresh."


def _of_links(links: Links, key: str) -> References:
    kept = [layout.grant(links.narration, links.grant)] if links.grant else []
    return References(kept=kept, revision=(links.narration, links.revision))


def _of_address(address: Address, key: str) -> References:
    grant = layout.grant(address.narration, address.grant)
    return References(
        targets=[Target(grant, key, _new_links(address.narration))], revision=(address.narration, address.revision)
    )


def _of_voice(voice: Voice, key: str) -> References:
    hint = f"Add the voice again: f5-pipeline voices add {voice.name} RECORDING."
    evidence = voice.consent and voice.consent.evidence
    sources = [source for source in (voice.recording, voice.transcript, evidence) if source is not None]
    return References(targets=[Target(source.key, key, hint, source.size, source.sha256) for source in sources])


def _of_reference(clip: ReferenceClip, key: str) -> References:
    hint = f"Run: f5-pipeline voices prepare {clip.voice}."
    return References(targets=[Target(clip.audio, key, hint, sha256=clip.sha256, reference=clip)])


def _of_model(record: ModelRecord | RecogniserRecord, key: str) -> References:
    hint = f"Run: f5-pipeline weights pull {record.name}."
    return References(targets=[Target(blob.key, key, hint, blob.size, blob.sha256) for blob in record.files.values()])


def _of_grant(grant: Grant, key: str) -> References:
    return References(grant=grant)


def _no_references(record: Any, key: str) -> References:
    return References()


_NARRATION, _GRANTS, _VOICE = "narrations/{narration}", "grants/{narration}", "voices/{voice}"


def _state(step: str) -> layout.Key:
    return layout.narration_state.only(step=step)


_KINDS = (
    Kind(_state("plan"), Plan, (TAKES, BANDS, _NARRATION), _of_plan),
    Kind(layout.script_choices, Choices, (TAKES,), _of_choices),
    Kind(layout.comparison, Pairs, (TAKES,), _of_pairs),
    Kind(_state("takes"), Takes, (TAKES, _NARRATION), _of_takes),
    Kind(_state("audio"), Audio, (TAKES, BANDS, _NARRATION), _of_audio),
    Kind(_state("timings"), Timings, (_NARRATION,), _of_timings),
    Kind(_state("links"), Links, (_NARRATION, _GRANTS), _of_links),
    Kind(_state("address"), Address, (_NARRATION, _GRANTS), _of_address),
    Kind(layout.manifest, Manifest, (TAKES, BANDS, _NARRATION), _of_manifest),
    Kind(layout.grant, Grant, (_NARRATION, _GRANTS), _of_grant),
    Kind(layout.voice, Voice, (_VOICE,), _of_voice),
    Kind(layout.reference, ReferenceClip, (_VOICE,), _of_reference),
    Kind(layout.band, Band, (), _no_references),
    Kind(layout.weights, Weights, (), _no_references),
    Kind(layout.model_record, ModelRecord, (MODELS,), _of_model),
    Kind(layout.recogniser, RecogniserRecord, (MODELS,), _of_model),
    Kind(layout.script_options, ScriptRecord, (), _no_references),
    Kind(layout.batch_report, BatchReport, (), _no_references),
)

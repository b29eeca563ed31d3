"""Newest records by kind, and how far a narration has come."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar

from pydantic import BaseModel, Field

from f5_pipeline.errors import StoreError
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import find_record, read_record, write_record
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Audio, Links, Manifest, Plan, ReferenceClip, Takes, Timings, Weights

Record = TypeVar("Record", bound=BaseModel)


def _of_narration(step: str, narration: str) -> str:
    return layout.narration_state(narration, step)


_KEYS: dict[type[BaseModel], Callable[[str], str]] = {
    Weights: lambda _: layout.weights(),
    ReferenceClip: layout.reference,
    Plan: partial(_of_narration, "plan"),
    Takes: partial(_of_narration, "takes"),
    Audio: partial(_of_narration, "audio"),
    Timings: partial(_of_narration, "timings"),
    Links: partial(_of_narration, "links"),
}


def state_key(kind: type[BaseModel], name: str = "") -> str:
    """The key of the newest record of a kind.

    Args:
        name: of the voice or narration that it belongs to; the weights belong to none.
    """
    return _KEYS[kind](name)


def read_state(store: Store, kind: type[Record], name: str = "") -> Record:
    """The newest record of a kind. Raises NotFoundError, or StoreError where it cannot be read."""
    return read_record(store, state_key(kind, name), kind)


def find_state(store: Store, kind: type[Record], name: str = "") -> Record | None:
    """The newest record of a kind, None where there is none."""
    return find_record(store, state_key(kind, name), kind)


def write_state(store: Store, record: BaseModel, name: str = "") -> None:
    """Keep a record as the newest of its kind."""
    write_record(store, state_key(type(record), name), record)


class NarrationState(BaseModel):
    """How far a narration has come.

    `edited` and `failed` are about the present script; `seconds` and `revision` about what is still delivered.
    """

    narration: str
    state: Literal[
        "scripted", "planned", "synthesized", "delivered", "edited", "running", "failed", "retired", "damaged"
    ]
    takes: int | None = Field(default=None, description="takes that the plan needs")
    missing: int | None = Field(default=None, description="of these, takes not made yet")
    seconds: float | None = Field(default=None, description="length of the delivered revision, s")
    engine: str | None = None
    revision: str | None = Field(default=None, description="delivered revision, with links")
    reason: str | None = Field(default=None, description="why it failed or cannot be read")
    run: str | None = Field(default=None, description="state of the last run that worked on it")


class Standing(BaseModel):
    """How far a narration has come by the store alone: what no run and no ledger has a part in."""

    version: str = Field(description="of its script")
    state: NarrationState


def narration_state(
    store: Store,
    narration: str,
    options: StudioOptions,
    *,
    failed_version: str | None = None,
    reason: str | None = None,
    running: bool = False,
) -> NarrationState:
    """How far a narration has come, from the records in the store and the outcome of the last attempt.

    Args:
        failed_version: version of the script whose last attempt failed.
        reason: why it failed.
        running: whether a run is working on it.

    Raises:
        InputError: the narration has no script.
    """
    return with_attempt(standing(store, narration, options), failed_version, reason, running=running)


def with_attempt(
    standing: Standing, failed_version: str | None, reason: str | None, *, running: bool
) -> NarrationState:
    """A standing with the outcome of the last attempt. Args: as `narration_state`."""
    if standing.state.state == "damaged":
        return standing.state
    failed = failed_version == standing.version
    state = "running" if running else "failed" if failed else standing.state.state
    return standing.state.model_copy(update={"state": state, "reason": reason if failed else None})


def standing(store: Store, narration: str, options: StudioOptions, *, trust: bool = False) -> Standing:
    """How far a narration has come, from the records in the store.

    Args:
        trust: whether takes of what is delivered are taken to be there, and wanted no more, without a look at each.

    Raises:
        InputError: the narration has no script.
    """
    from f5_pipeline.studio.narrating.planning import missing_takes
    from f5_pipeline.studio.narrating.scripts import script_version

    version = script_version(store, narration)
    try:
        plan = find_state(store, Plan, narration)
        audio, links = find_state(store, Audio, narration), find_state(store, Links, narration)
        seconds = _delivered_seconds(store, audio, links)
        linked = plan is not None and _is_linked(plan, audio, links)
        takes = None if linked and trust else find_state(store, Takes, narration)
        missing = None
        if plan:
            missing = 0 if linked and trust else sum(1 for _ in missing_takes(store, plan, options))
    except StoreError as error:
        state = NarrationState(narration=narration, state="damaged", reason=str(error))
        return Standing(version=version, state=state)
    if plan is None:
        word = "scripted"
    elif plan.version != version:
        word = "edited"
    elif linked:
        word = "delivered"
    elif takes and takes.plan == plan.digest:
        word = "synthesized"
    else:
        word = "planned"
    state = NarrationState(
        narration=narration,
        state=word,
        takes=plan.takes if plan else None,
        missing=missing,
        seconds=seconds,
        engine=plan.engine if plan else None,
        revision=links.revision if links else None,
    )
    return Standing(version=version, state=state)


def is_delivered(store: Store, narration: str, version: str) -> bool:
    """Whether a version of a script is delivered, with links; of another instance's attempts nothing is asked."""
    plan = find_state(store, Plan, narration)
    if plan is None or plan.version != version:
        return False
    return _is_linked(plan, find_state(store, Audio, narration), find_state(store, Links, narration))


def _is_linked(plan: Plan, audio: Audio | None, links: Links | None) -> bool:
    return bool(audio and links and links.revision == audio.revision and audio.plan.digest == plan.digest)


def _delivered_seconds(store: Store, audio: Audio | None, links: Links | None) -> float | None:
    """Length of the linked revision; the newest audio may belong to another."""
    if links is None:
        return None
    if audio is not None and audio.revision == links.revision:
        return audio.seconds
    manifest = find_record(store, layout.manifest(links.narration, links.revision), Manifest)
    return manifest.audio.seconds if manifest else None

"""Removing voices, scripts and narrations for good, with all that was made of them, and a receipt of it.

A removal is found first (`find_removal`), which changes nothing, and then carried out (`remove`). Links end first,
then nobody can narrate with it, then takes go, then what names them. It may be killed at any time: the receipt, written
first, says that it is unfinished, and the same removal again finishes it.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from typing import Literal

from pydantic import BaseModel, Field

from f5_pipeline.errors import InputError, NotFoundError, StoreError
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record, read_lines, read_record, write_record
from f5_pipeline.studio.lexicon import change_lexicon, load_lexicon
from f5_pipeline.studio.links.grants import grants_of, revoke
from f5_pipeline.studio.narrating.scripts import script_version
from f5_pipeline.studio.queue import LEASE_SECONDS, Attempts
from f5_pipeline.studio.records import Audio, Manifest, Plan
from f5_pipeline.studio.upkeep.collection import BucketStore
from f5_pipeline.studio.upkeep.inventory import Inventory, OnProgress
from f5_pipeline.studio.upkeep.pointers import TAKES, lines_of, takes_of
from f5_pipeline.studio.upkeep.take_index import AUDIO, RECORD, FoundTake
from f5_pipeline.studio.voices import forget_prepared, unknown_voice
from f5_pipeline.system.clock import iso_time

Kind = Literal["voice", "script", "narration"]
"""What is removed: a voice; a script with its narration; or a narration, whose script stays."""

REMOVED = "removed by a person"
"""Why a narration whose script stays is not narrated again by itself."""

_MAX_SWEEPS = 3
"""Looks for what was written while a removal went on."""


class Removed(BaseModel):
    """Objects of one kind."""

    objects: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        self.objects, self.bytes = self.objects + 1, self.bytes + size


class Receipt(BaseModel):
    """What was removed for good, and when. It names nobody and nothing but what was removed."""

    receipt: str
    kind: Kind
    name: str
    begun: str = Field(description="ISO 8601")
    finished: str | None = Field(default=None, description="ISO 8601; None: it was cut off, and is to be run again")
    narrations: list[str] = Field(default=[], description="whose takes, files and links went too")
    revisions: list[str] = Field(default=[], description="of other narrations, as narration/revision")
    removed: dict[str, Removed] = Field(default={}, description="by kind of object")
    links: int = Field(default=0, description="grants that were revoked")
    entries: int = Field(default=0, description="of the lexicon")


@dataclass
class Removal:
    """What a removal takes away.

    Attributes:
        narrations: that fall with it, the named one first; of a voice those whose newest plan or audio has the voice.
        revisions: narration and revision of older deliveries with the voice, whose narration has done without it since.
        takes: made with the voice, or of the narrations, that nothing else uses.
        objects: all else, sizes by key, in the order of removal.
        entries: of the lexicon.
        receipt: of the same removal that was cut off.
    """

    kind: Kind
    name: str
    narrations: list[str] = field(default_factory=list)
    revisions: list[tuple[str, str]] = field(default_factory=list)
    takes: list[FoundTake] = field(default_factory=list)
    objects: dict[str, int] = field(default_factory=dict)
    entries: int = 0
    receipt: Receipt | None = None

    @property
    def removed(self) -> dict[str, Removed]:
        """Counts by kind of object."""
        counts: dict[str, Removed] = defaultdict(Removed)
        for kind, _, size in self.sized():
            counts[kind].add(size)
        return dict(sorted(counts.items()))

    def sized(self) -> Iterator[tuple[str, str, int]]:
        """Kind, key and bytes of each object."""
        for key, size in self.objects.items():
            yield _kind_of(key), key, size
        for take in self.takes:
            for number, key in enumerate(_keys_of(take)):
                yield "takes", key, 0 if number else take.size


def _keys_of(take: FoundTake) -> list[str]:
    """Its record last: it says whose voice the audio is."""
    keys = (AUDIO, layout.take_audio(take.key)), (RECORD, layout.take_record(take.key))
    return [key for part, key in keys if take.parts & part]


_KINDS = {
    "recordings": layout.voice_recording,
    "transcripts": layout.voice_transcript,
    "consents": layout.voice_consent,
    "references": layout.reference_audio,
    "delivered files": layout.delivered,
    "links": layout.grant,
    "fetches": layout.fetches,
    "values of runs": layout.step_value,
    "tables of measures": layout.measures,
}


def _kind_of(key: str) -> str:
    if key.startswith(layout.SCRIPTS):
        return "scripts"
    if key.startswith(layout.VOICES) and key.count("/") == 1:
        return "recordings"  # a file that the in-box took in
    return next((kind for kind, keys in _KINDS.items() if keys.match(key)), "records")


def find_removal(
    store: Store, kind: Kind, name: str, *, runs: Collection[str] = (), on_progress: OnProgress = lambda *_: None
) -> Removal:
    """What there is to remove; changes nothing. Reads every record of the store that names takes.

    Args:
        runs: ids of ended runs that worked on the narrations; the values that their steps passed go too. See
            `narrations_of`.

    Raises:
        InputError: there is nothing of this name.
        StoreError: the store cannot be read, or a record that may use the same takes.
    """
    removal = _narrations(store, kind, name)
    fallen, revisions = set(removal.narrations), set(removal.revisions)

    def is_gone(key: str) -> bool:
        parts = key.split("/")
        if kind == "voice" and (layout.plan_chunks.match(key) or layout.narration_takes.match(key)):
            return True  # a list that no record names, of an earlier text
        if parts[0] in ("narrations", "grants"):
            return parts[1] in fallen or (parts[1], parts[2] if len(parts) > 3 else "") in revisions
        choices = layout.script_choices.match(key) if kind == "script" else None
        return choices is not None and choices["narration"] in fallen

    inventory = Inventory(store, alive=lambda run: False, gone=is_gone, on_progress=on_progress)
    if blocker := inventory.blocker(TAKES):
        raise StoreError(
            "it is missing, or cannot be read: it may use takes of what is to be removed",
            file=blocker,
            hint="See what to do about it: f5-pipeline store check.",
        )
    removal.takes = list(_takes(store, removal, inventory))
    removal.objects = _objects(store, removal, runs)
    if kind == "voice":  # of earlier texts, and of the older revisions
        for key, size in inventory.lists_besides():
            if key.split("/")[1] not in fallen and any(line.take.voice == name for line in _lines(store, key)):
                removal.objects[key] = size
    removal.entries = sum(_is_of(removal, entry.voice, entry.narration) for entry in load_lexicon(store))
    if not (removal.objects or removal.takes or removal.receipt):
        raise _unknown(store, kind, name)
    # Tables across narrations: what is left is written anew when somebody asks for them.
    removal.objects |= {stat.key: stat.size for table in _TABLES for stat in store.list(table)}
    return removal


def narrations_of(store: Store, kind: Kind, name: str) -> list[str]:
    """The narrations that a removal takes away. Raises InputError for an invalid name."""
    return _narrations(store, kind, name).narrations


def _narrations(store: Store, kind: Kind, name: str) -> Removal:
    layout.check_name(name, "voice" if kind == "voice" else "narration")
    removal = Removal(kind, name, narrations=[] if kind == "voice" else [name])
    removal.receipt = next((one for one in _receipts_of(store, kind, name) if not one.finished), None)
    if kind != "voice":
        return removal
    before = removal.receipt or Receipt(receipt="", kind=kind, name=name, begun="")
    fallen, older = set(before.narrations), {(one.partition("/")[0], one.partition("/")[2]) for one in before.revisions}

    def plan_of(key: str) -> tuple[str, Plan | None]:
        with suppress(NotFoundError):
            if layout.manifest.match(key):
                return key, read_record(store, key, Manifest).audio.plan
            if _PLAN.match(key):
                return key, read_record(store, key, Plan)
            if _AUDIO.match(key):
                return key, read_record(store, key, Audio).plan
        return key, None

    for key, plan in in_parallel(store, plan_of, (stat.key for stat in store.list("narrations/"))):
        if plan is not None and name in plan.voices:
            manifest = layout.manifest.match(key)
            if manifest:
                older.add((manifest["narration"], manifest["revision"]))
            else:
                fallen.add(key.split("/")[1])
    removal.narrations = sorted(fallen)
    removal.revisions = sorted(revision for revision in older if revision[0] not in fallen)
    return removal


_PLAN, _AUDIO = layout.narration_state.only(step="plan"), layout.narration_state.only(step="audio")


_TABLES = ("measures/", layout.standings())


class _Spoken(BaseModel):
    voice: str


class _Line(BaseModel):
    take: _Spoken


def _lines(store: Store, key: str) -> Iterator[_Line]:
    with suppress(NotFoundError):
        yield from read_lines(store, key, _Line)


def _takes(store: Store, removal: Removal, inventory: Inventory) -> Iterator[FoundTake]:
    """The takes that go, of those that nothing else refers to."""
    if removal.kind == "voice":

        def is_ours(take: FoundTake) -> bool:
            # Audio alone may be of a take that is being written; nobody can tell whose it is.
            spoken = find_record(store, layout.take_record(take.key), _Spoken) if take.parts & RECORD else None
            return spoken is not None and spoken.voice == removal.name

        candidates = inventory.takes_besides()
        ours = in_parallel(store, lambda take: (take, is_ours(take)), candidates)
        yield from (take for take, is_so in ours if is_so)
        return
    named: set[bytes] = set()
    keys = [stat.key for stat in store.list(f"narrations/{removal.name}/")]
    for key in [*keys, layout.script_choices(removal.name)]:
        try:
            lists, takes = lines_of(store, key)
            named.update(map(bytes.fromhex, takes))
            for lines in lists:
                named.update(map(bytes.fromhex, takes_of(store, lines)))
        except StoreError as error:
            # What is missing or damaged names no takes; they are unused then, and `store gc` removes them.
            if error.retryable:
                raise
    yield from (take for take in inventory.takes_besides() if bytes.fromhex(take.key) in named)


def _objects(store: Store, removal: Removal, runs: Collection[str]) -> dict[str, int]:
    """All objects but takes, in the order of removal: first what lets somebody narrate with it."""
    found: dict[str, int] = {}
    for prefix in _prefixes(removal, runs):
        sizes = {stat.key: stat.size for stat in store.list(prefix)}
        # A manifest goes before its files: an interrupted removal then leaves an unfinished delivery.
        found |= {key: sizes[key] for key in sorted(sizes, key=lambda key: (not key.endswith("manifest.json"), key))}
    for stat in store.list("requests/"):
        if _is_request(stat.key, removal):
            found[stat.key] = stat.size
    # A narration whose script stays keeps why it is not narrated again, and who asked for it.
    kept = {layout.work_attempts(name) for name in removal.narrations} if removal.kind != "script" else set()
    revoked = {layout.grant(narration, grant) for narration, grant in _grants_of_revisions(store, removal)}
    return {key: size for key, size in found.items() if key not in kept} | dict.fromkeys(revoked, 0)


def _prefixes(removal: Removal, runs: Collection[str]) -> list[str]:
    prefixes = [f"{layout.SCRIPTS}{name}." for name in removal.narrations if removal.kind == "script"]
    if removal.kind == "voice":
        prefixes += [layout.voice(removal.name), f"{layout.VOICES}{removal.name}.", f"{layout.VOICES}{removal.name}/"]
    prefixes += [f"narrations/{narration}/{revision}/" for narration, revision in removal.revisions]
    for name in removal.narrations:
        prefixes += [f"narrations/{name}/", f"grants/{name}/", f"fetches/{name}/", layout.work_of(name)]
    return [*prefixes, *(f"runs/{run}/" for run in runs)]


def _is_request(key: str, removal: Removal) -> bool:
    if removal.kind == "voice":
        return (layout.api_voice.match(key) or {}).get("voice") == removal.name
    fields = layout.api_request.match(key)
    return removal.kind == "script" and fields is not None and removal.name.endswith(f"-{fields['request']}")


def _grants_of_revisions(store: Store, removal: Removal) -> Iterator[tuple[str, str]]:
    for narration in {narration for narration, _ in removal.revisions}:
        for grant in grants_of(store, narration):
            if (narration, grant.covers) in removal.revisions:
                yield narration, grant.grant


def _is_of(removal: Removal, voice: str, narration: str) -> bool:
    """Whether an entry of the lexicon is for what is removed."""
    return voice == removal.name if removal.kind == "voice" else removal.kind == "script" and narration == removal.name


def _unknown(store: Store, kind: Kind, name: str) -> InputError:
    if before := list(_receipts_of(store, kind, name)):
        hint = f"It was removed on {before[-1].finished}: f5-pipeline receipts."
        return InputError(f"there is nothing of the {kind} {name!r}", hint=hint)
    if kind == "voice":
        return unknown_voice(store, name)
    hint = "See which there are: f5-pipeline scripts list."
    return InputError(f"there is nothing of the {kind} {name!r} in {store.url} (F5_STORE)", hint=hint)


def check_idle(store: Store, narrations: Collection[str]) -> None:
    """Raise InputError where a worker of the queue has one of these narrations."""
    for name in narrations:
        for stat in store.list(layout.work_of(name)):
            if layout.work_claim.match(stat.key) and time.time() - stat.modified < LEASE_SECONDS:
                raise busy(name)


def busy(narration: str) -> InputError:
    """The error for a narration that is being made."""
    return InputError(f"{narration!r} is being narrated", hint="Cancel its run, or wait for its end; then remove it.")


def begin_removal(store: Store, kind: Kind, name: str) -> Receipt:
    """What of a removal takes no time: links end, and nobody can narrate with it or find it. `find_removal` and
    `remove` do the rest. Raises as `find_removal`."""
    removal = _narrations(store, kind, name)
    removal.objects = _objects(store, removal, ())
    if not (removal.objects or removal.receipt):
        raise _unknown(store, kind, name)
    receipt = _begin(store, removal)
    for key in filter(_is_head, removal.objects):
        store.delete(key)
    return receipt


def remove(
    store: Store, removal: Removal, *, runs: Collection[str] = (), on_progress: OnProgress = lambda *_: None
) -> Receipt:
    """Carry a removal out; return its receipt. Where it is cut off, find it and remove it again.

    Raises:
        StoreError: something cannot be removed; the receipt stays unfinished.
    """
    receipt = _begin(store, removal)
    for name in removal.narrations if removal.kind != "script" else ():
        with suppress(InputError):  # no script: nobody narrates it
            attempts = Attempts(version=script_version(store, name), attempts=0, reason=REMOVED, retryable=False)
            write_record(store, layout.work_attempts(name), attempts)
    heads = [key for key in removal.objects if _is_head(key)]
    takes = chain.from_iterable(map(_keys_of, removal.takes))
    rest = [key for key in removal.objects if not _is_head(key)]
    done, total = 0, len(removal.objects) + 2 * len(removal.takes)
    # One group after the other: what names takes stays until they are gone, so that the next attempt finds them.
    for group in (heads, takes, rest):
        for _ in in_parallel(store, store.delete, group):
            done += 1
            on_progress("removed", done, total)
    for _ in range(_MAX_SWEEPS):
        for late in _objects(store, removal, runs):
            store.delete(late)
    if late := next(iter(_objects(store, removal, runs)), None):
        raise StoreError("something still writes there", file=late, hint="Stop it, and remove again.")
    _remove_hidden(store, _prefixes(removal, runs))
    if removal.entries:
        change_lexicon(store, lambda entries: [e for e in entries if not _is_of(removal, e.voice, e.narration)])
    if removal.kind == "voice":
        forget_prepared()
    receipt.finished = iso_time()
    write_record(store, layout.receipt(receipt.receipt), receipt)
    return receipt


def _is_head(key: str) -> bool:
    """Whether somebody could narrate with this object, or find it."""
    if layout.script_choices.match(key):  # they name takes
        return False
    return key.startswith((layout.SCRIPTS, "requests/")) or layout.voice.match(key) is not None


def _begin(store: Store, removal: Removal) -> Receipt:
    """End the links, and write what is about to be removed; to the receipt of an attempt that was cut off."""
    receipt = removal.receipt
    if receipt is None:
        made = iso_time()
        identifier = f"{made[:19].replace(':', '').replace('-', '')}-{secrets.token_hex(3)}"
        receipt = Receipt(receipt=identifier, kind=removal.kind, name=removal.name, begun=made)
    hashes = layout.receipt_keys(receipt.receipt)
    counted: set[str] = set()
    with suppress(NotFoundError):
        counted.update(store.get_bytes(hashes).decode("ascii").split())
    for kind, key, size in removal.sized():
        digest = sha256(key.encode()).hexdigest()
        if digest not in counted:
            counted.add(digest)
            receipt.removed.setdefault(kind, Removed()).add(size)
    receipt.narrations = sorted({*receipt.narrations, *removal.narrations})
    receipt.revisions = sorted({*receipt.revisions, *("/".join(revision) for revision in removal.revisions)})
    receipt.entries = max(receipt.entries, removal.entries)
    # The record first: without it nobody knows that something was begun.
    write_record(store, layout.receipt(receipt.receipt), receipt)
    store.replace_bytes(hashes, "".join(f"{digest}\n" for digest in sorted(counted)).encode())
    grants = [(name, None) for name in removal.narrations] + list(_grants_of_revisions(store, removal))
    for narration, grant in grants:
        receipt.links += len(revoke(store, narration, grant, note=f"receipt {receipt.receipt}"))
    write_record(store, layout.receipt(receipt.receipt), receipt)
    return receipt


def _remove_hidden(store: Store, prefixes: Sequence[str]) -> None:
    """Remove hidden versions and abandoned uploads of a bucket, which hold what was there before."""
    if not isinstance(store, BucketStore):
        return
    for prefix in prefixes:
        # Delete markers last: without its marker an older version would reappear.
        for key, version, _, _, _ in sorted(store.old_versions(prefix), key=lambda old: old[4]):
            store.delete_version(key, version)
    for key, upload, _ in store.abandoned_uploads(0.0):
        if key.startswith(tuple(prefixes)):
            store.abort(key, upload)


def receipts(store: Store) -> Iterator[Receipt]:
    """All receipts, the oldest first."""
    keys = [stat.key for stat in store.list("receipts/") if layout.receipt.match(stat.key)]
    yield from filter(None, in_parallel(store, lambda key: find_record(store, key, Receipt), keys))


def _receipts_of(store: Store, kind: Kind, name: str) -> Iterator[Receipt]:
    return (receipt for receipt in receipts(store) if (receipt.kind, receipt.name) == (kind, name))

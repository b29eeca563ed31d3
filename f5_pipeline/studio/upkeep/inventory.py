"""Inventory of a store: missing objects that are referred to, unused objects, and unreadable records.

The whole store is listed first, then the records that refer to others are read: objects made after the listing are not
in it and cannot be taken for unused. A record that cannot be read holds back everything that it could refer to.

Nothing younger than the grace time counts as unused: a run may have made it and not recorded it yet, or the
re-execution of a failed run may read it. Folders of active runs are in use at any age. Scripts, recordings and
transcripts are never unused, nor are Dagster's logs, reports of batches, and foreign objects.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from f5_pipeline.errors import DamagedError, NotFoundError, StoreError
from f5_pipeline.store import layout
from f5_pipeline.store.base import ObjectStat, Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.studio.upkeep.pointers import (
    BANDS,
    MODELS,
    TAKES,
    Lines,
    References,
    Target,
    kind_of,
    read_references,
    scopes_of,
    takes_of,
)
from f5_pipeline.studio.upkeep.take_index import AUDIO, RECORD, FoundTake, TakeIndex
from f5_pipeline.studio.voices import read_reference
from f5_pipeline.system.clock import posix_time
from f5_pipeline.system.hashing import stream_sha256

GRACE_SECONDS = 7 * 24 * 3600
"""Age below which nothing counts as unused."""

FRESH_SECONDS = 60.0
"""How long the references are trusted while unused objects are removed, before they are read again."""

_FOLDERS = (
    "narrations", "voices", "models", "grants", "fetches", "receipts", "scripts", "batches", "speeds", "measures",
)  # fmt: skip
_REFERRING = ("grants/", "models/", "narrations/", "voices/")
_PROGRESS_OBJECTS = 10_000  # listed objects between two reports of progress

OnProgress = Callable[[str, int, int | None], None]
"""Called with the progress: unit (for example "objects listed"), done, total where it is known."""


class Finding(NamedTuple):
    """A fault of the store.

    Attributes:
        state: missing; unreadable: a record is damaged; damaged: an object differs from its record.
        key: of the object.
        by: key of the record that refers to it.
        problem: what is wrong; hint: what the user can do.
    """

    state: Literal["missing", "unreadable", "damaged"]
    key: str
    by: str
    problem: str
    hint: str


class Unused(NamedTuple):
    """Objects that nothing refers to.

    Attributes:
        kind: takes, plans (lists of chunks and of takes), revisions, bands, references, models, grants, or runs.
        keys: in the order of removal: records before their data.
        objects: number of objects; size: bytes.
        scopes: the entry is held back where one of these cannot be judged.
        run: id of a run, whose objects all have the one key as prefix.
    """

    kind: str
    keys: tuple[str, ...]
    objects: int
    size: int
    scopes: tuple[str, ...]
    run: str | None = None


@dataclass
class Tally:
    """Counted objects; `count` is the number of takes, revisions or runs that they make up."""

    count: int = 0
    objects: int = 0
    size: int = 0

    def add(self, objects: int, size: int) -> None:
        self.count += 1
        self.objects += objects
        self.size += size


class _Version(NamedTuple):
    size: int
    modified: float
    mark: str


@dataclass
class _Run:
    objects: int = 0
    size: int = 0
    modified: float = 0.0


@dataclass
class _Revision:
    keys: list[str] = field(default_factory=list)
    size: int = 0
    modified: float = 0.0
    created: str | None = None  # of its manifest
    uncounted: References | None = None  # of its manifest, not counted while the revision may be removed


class Inventory:
    """The objects of a store, and the references between them.

    Args:
        alive: whether a run (by id) is active, or may be read by an active one.
        grace: age in s below which nothing counts as unused.
        old_revisions: whether a delivered revision counts as unused if it is not the newest of its narration and no
            grant opens it any more.
        gone: whether a record (by key) counts as removed already: what it refers to is not in use by it.
        now: POSIX time, s.

    Raises:
        StoreError: the store cannot be listed.
    """

    def __init__(
        self,
        store: Store,
        *,
        alive: Callable[[str], bool],
        grace: float = GRACE_SECONDS,
        old_revisions: bool = False,
        gone: Callable[[str], bool] = lambda key: False,
        now: float | None = None,
        on_progress: OnProgress = lambda unit, done, total: None,
    ) -> None:
        self.store, self.alive, self.old_revisions, self._gone = store, alive, old_revisions, gone
        self._clock = time.time if now is None else lambda: now
        self.cutoff = self._clock() - grace
        """POSIX time, s: objects written later never count as unused."""
        self.listed: dict[str, Tally] = defaultdict(Tally)
        """Listed objects by first folder; "others" are foreign ones."""
        self.held_back: dict[str, Tally] = defaultdict(Tally)
        """Objects by kind that seem unused but could be referred to by an unreadable record."""
        self._on_progress = on_progress
        self._takes = TakeIndex()
        self._runs: dict[str, _Run] = defaultdict(_Run)
        self._objects: dict[str, _Version] = {}
        self._revisions: dict[tuple[str, str], _Revision] = defaultdict(_Revision)
        self._targets: dict[str, Target] = {}
        self._kept: set[str] = set()
        self._lists: dict[str, Lines] = {}
        self._newest: dict[str, set[str]] = defaultdict(set)  # by narration: revisions named by its newest records
        self._open: dict[tuple[str, str], float] = {}  # by narration and revision: latest expiry of its grants
        self._ended: set[str] = set()  # keys of grants that are revoked or expired
        self._blocked: dict[str, str] = {}  # by scope that cannot be judged: the unreadable record
        self._unreadable: dict[str, Finding] = {}
        self._lost: dict[str, str] = {}  # by missing take: the list that refers to it
        self._list()
        self._read(self._objects)
        self._read_at = time.monotonic()

    # Listing and reading

    def _list(self) -> None:
        listed = 0
        for stat in self.store.list():
            listed += 1
            if listed % _PROGRESS_OBJECTS == 0:
                self._on_progress("objects listed", listed, None)
            folder = stat.key.partition("/")[0] if "/" in stat.key else ""
            if take := folder == "takes" and layout.take_audio.match(stat.key):
                self._takes.add(take["take"], AUDIO, stat.size, stat.modified)
            elif take := folder == "takes" and layout.take_record.match(stat.key):
                self._takes.add(take["take"], RECORD, stat.size, stat.modified)
            elif value := layout.step_value.match(stat.key):
                run = self._runs[value["run"]]
                run.objects, run.size = run.objects + 1, run.size + stat.size
                run.modified = max(run.modified, stat.modified)
            elif folder in _FOLDERS:
                self._note(stat)
            elif folder != layout.LOGS:
                folder = "others"
            self.listed[folder].add(1, stat.size)
        self._on_progress("objects listed", listed, listed)

    def _note(self, stat: ObjectStat) -> bool:
        """Note an object; return whether it is new or has changed."""
        version = _Version(stat.size, stat.modified, stat.mark)
        if self._objects.get(stat.key) == version:
            return False
        self._objects[stat.key] = version
        if delivered := layout.delivered.match(stat.key):
            revision = self._revisions[delivered["narration"], delivered["revision"]]
            if stat.key not in revision.keys:
                revision.keys.append(stat.key)
                revision.size += stat.size
            revision.modified = max(revision.modified, stat.modified)
        return True

    def refresh(self) -> None:
        """Read new and changed records that refer to others; those written meanwhile are read by the next call."""
        changed = [stat.key for prefix in _REFERRING for stat in self.store.list(prefix) if self._note(stat)]
        self._read(changed)
        self._read_at = time.monotonic()

    def _read(self, keys: Iterable[str]) -> None:
        """Count the references of records."""

        def read(key: str) -> tuple[str, References | StoreError]:
            try:
                return key, read_references(self.store, key)
            except NotFoundError:
                return key, References()  # removed in the meantime
            except StoreError as error:
                return key, error

        keys = [key for key in keys if not self._gone(key)]
        # A young list may belong to a plan whose record is not written yet.
        young = [key for key in keys if self._objects[key].modified > self.cutoff]
        lists = [Lines(key) for key in young if layout.plan_chunks.match(key)]
        lists += [Lines(key, chosen=True) for key in young if layout.narration_takes.match(key)]
        records = [key for key in keys if kind_of(key)]
        for done, (key, references) in enumerate(in_parallel(self.store, read, records), 1):
            self._on_progress("records read", done, len(records))
            if isinstance(references, StoreError):
                self._note_unreadable(key, references, scopes_of(key))
                continue
            self._count_grant(key, references)
            if references.revision is not None:
                self._newest[references.revision[0]].add(references.revision[1])
            if references.manifest is not None:
                narration, revision, created = references.manifest
                self._revisions[narration, revision].created = created
                self._revisions[narration, revision].uncounted = references
            else:
                lists += self._count(references)
        for (narration, name), revision in self._revisions.items():
            if revision.uncounted is not None and not self._is_old(narration, name, revision):
                lists += self._count(revision.uncounted)
                revision.uncounted = None
        self._read_lists(lists)

    def _count(self, references: References) -> list[Lines]:
        """Count the references of a record; return its lists."""
        for target in references.targets:
            # The target of a newest record takes precedence over that of a manifest: it can be made again.
            if references.manifest is None or target.key not in self._targets:
                self._targets[target.key] = target
        self._kept.update(references.kept)
        for take in references.takes:
            self._takes.mark(take)
        return references.lists

    def _count_grant(self, key: str, references: References) -> None:
        if references.grant is None:
            return
        grant, until = references.grant, _seconds(references.grant.expires)
        if grant.revoked or (until is not None and until <= self.cutoff):
            self._ended.add(key)
        if not grant.revoked and until is not None:
            covers = grant.narration, grant.covers
            self._open[covers] = max(until, self._open.get(covers, 0.0))

    def _read_lists(self, lists: Iterable[Lines]) -> None:
        def read(lines: Lines) -> tuple[Lines, list[str], StoreError | None]:
            lost = []
            try:
                for key in takes_of(self.store, lines):
                    self._takes.mark(key)
                    if lines.chosen and self._takes.parts(key) & RECORD == 0:
                        lost.append(key)
            except StoreError as error:
                return lines, lost, error
            return lines, lost, None

        # A plan may come twice: as a young list, and by its record, which has the sounds and goes last.
        new = {lines.key: lines for lines in sorted(lists, key=lambda lines: lines.sounds is not None)}
        new = {key: lines for key, lines in new.items() if self._lists.get(key) != lines}
        self._lists.update(new)
        for done, (lines, lost, error) in enumerate(in_parallel(self.store, read, new.values()), 1):
            self._on_progress("lists of takes read", done, len(new))
            self._lost.update(dict.fromkeys(lost, lines.key))
            if isinstance(error, NotFoundError):
                self._blocked.setdefault(TAKES, lines.key)  # reported as missing
            elif error is not None:
                self._note_unreadable(lines.key, error, [TAKES])

    def _note_unreadable(self, key: str, error: StoreError, scopes: list[str]) -> None:
        hint = error.hint or ("Try again." if error.retryable else "Delete it, then run the step again that writes it.")
        self._unreadable[key] = Finding("unreadable", key, "", error.message, hint)
        for scope in scopes:
            self._blocked.setdefault(scope, key)

    def _is_old(self, narration: str, name: str, revision: _Revision) -> bool:
        """Whether a delivered revision may be removed."""
        if not self.old_revisions or revision.modified > self.cutoff or name in self._newest[narration]:
            return False
        if self._open.get((narration, name), 0.0) > self._clock():
            return False
        if self._newest[narration]:
            return True
        # No newest record names a revision: the one created last stays.
        dates = (other.created or "" for (of, _), other in self._revisions.items() if of == narration)
        return (revision.created or "") < max(dates)

    # Faults

    @property
    def blocked_by(self) -> list[str]:
        """Keys of the records that hold objects back."""
        return sorted(set(self._blocked.values()))

    def blocker(self, scope: str) -> str | None:
        """Key of a record that cannot be read and could refer to objects of a scope (see `pointers`), if any."""
        return self._blocked.get(scope)

    def findings(self) -> Iterator[Finding]:
        """All faults that listing and records show; objects made after the listing are not reported as missing."""
        yield from self._unreadable.values()
        unlisted = (target for target in self._targets.values() if target.key not in self._objects)
        for target, exists in in_parallel(self.store, lambda target: (target, self.store.exists(target.key)), unlisted):
            if not exists:
                yield Finding("missing", target.key, target.by, "it is referred to and not there", target.hint)
        for target in self._targets.values():
            stored = self._objects.get(target.key)
            if stored is not None and target.size not in (None, stored.size):
                yield _damaged(target, f"it has {stored.size} bytes, not {target.size}")
        yield from self._missing_takes()

    def _missing_takes(self) -> Iterator[Finding]:
        def exists(suspect: tuple[str, str, str, str]) -> tuple[bool, tuple[str, str, str, str]]:
            return self.store.exists(suspect[0]), suspect

        for found, (key, by, problem, hint) in in_parallel(self.store, exists, self._suspects()):
            if not found:
                yield Finding("missing", key, by, problem, hint)

    def _suspects(self) -> Iterator[tuple[str, str, str, str]]:
        for key, by in self._lost.items():
            narration = (layout.narration_takes.match(by) or {}).get("narration", "")
            hint = f"Run: f5-pipeline narrate {narration}. This take alone is made."
            yield layout.take_record(key), by, "a take of the narration is not there", hint
        for take in self._takes:
            if take.parts == RECORD and not self._is_unused(take):
                record = layout.take_record(take.key)
                hint = f"Delete {record} and narrate again: this take alone is made anew."
                yield layout.take_audio(take.key), record, "the audio of a take is gone", hint

    def damage(self) -> Iterator[Finding]:
        """Damaged objects. Reads every object whose hash is in a record or in its name: delivered files, recordings,
        transcripts, references, models, lists of chunks and of takes."""
        hashed = [
            target
            for target in self._targets.values()
            if (target.sha256 or layout.content_digits(target.key))
            and target.key in self._objects
            and target.key not in self._unreadable
        ]
        for done, finding in enumerate(in_parallel(self.store, self._compare, hashed), 1):
            self._on_progress("objects compared", done, len(hashed))
            if finding is not None:
                yield finding

    def _compare(self, target: Target) -> Finding | None:
        try:
            digest = self._hash(target)
        except NotFoundError:
            return None  # reported as missing
        except DamagedError as error:
            return _damaged(target, error.message)
        except StoreError as error:
            return Finding("unreadable", target.key, target.by, error.message, error.hint or "Try again.")
        if digest.startswith(target.sha256 or layout.content_digits(target.key) or ""):
            return None
        return _damaged(target, f"its sha256 is not what its {'record' if target.sha256 else 'name'} says")

    def _hash(self, target: Target) -> str:
        if target.reference is not None:
            read_reference(self.store, target.reference)
            return target.reference.sha256
        with self.store.open(target.key) as source:
            return stream_sha256(source)

    # Unused objects

    def replaced_originals(self) -> Tally:
        """Recordings and transcripts that no voice names any more. They are kept: they cannot be made again."""
        tally = Tally()
        for key, version in self._objects.items():
            original = layout.voice_recording.match(key) or layout.voice_transcript.match(key)
            if original and key not in self._targets:
                tally.add(1, version.size)
        return tally

    def unused(self, *, fresh: bool = False) -> Iterator[Unused]:
        """All unused objects, records before what they refer to.

        Args:
            fresh: for removal: read the references again where they are older than FRESH_SECONDS, and judge each
                object just before it is yielded.
        """
        self.held_back.clear()
        for candidate, is_unused in self._candidates():
            if fresh and time.monotonic() - self._read_at > FRESH_SECONDS:
                self.refresh()
            if not is_unused():
                continue
            if any(scope in self._blocked for scope in candidate.scopes):
                self.held_back[candidate.kind].add(candidate.objects, candidate.size)
            else:
                yield candidate

    def takes_besides(self) -> Iterator[FoundTake]:
        """Takes of any age that no record refers to, in order of key."""
        return (take for take in self._takes if not self._takes.is_used(take.key))

    def lists_besides(self) -> Iterator[tuple[str, int]]:
        """Lists of takes, of any age, that no record refers to: key and bytes."""
        for key, version in self._objects.items():
            if layout.narration_takes.match(key) and not self._named(key):
                yield key, version.size

    def _candidates(self) -> Iterator[tuple[Unused, Callable[[], bool]]]:
        """Candidates for removal, each with a function that tells whether it is unused."""
        old = [key for key, version in self._objects.items() if version.modified <= self.cutoff]
        for key in old:
            if grant := layout.grant.match(key):
                scopes = (f"grants/{grant['narration']}",)
                yield self._single("grants", key, scopes), lambda key=key: key in self._ended and not self._named(key)
            elif fetched := layout.fetches.match(key):
                grant = layout.grant(fetched["narration"], fetched["grant"])
                yield self._single("fetches", key, ()), lambda grant=grant: grant not in self._objects
        for (narration, name), revision in list(self._revisions.items()):
            yield (
                self._whole_revision(narration, revision),
                lambda where=(narration, name), revision=revision: self._is_removable(*where, revision),
            )
        for key in old:
            kinds = (layout.plan_chunks, layout.narration_takes, layout.narration_cover)
            if fields := next(filter(None, (kind.match(key) for kind in kinds)), None):
                unused = self._single("plans", key, (f"narrations/{fields['narration']}",))
            elif layout.band.match(key):
                unused = self._single("bands", key, (BANDS,))
            elif reference := layout.reference_audio.match(key):
                unused = self._single("references", key, (f"voices/{reference['voice']}",))
            elif layout.model_blob.match(key):
                unused = self._single("models", key, (MODELS,))
            else:
                continue
            yield unused, lambda key=key: not self._named(key)
        for take in self._takes:
            if take.modified <= self.cutoff:
                keys = [(RECORD, layout.take_record(take.key)), (AUDIO, layout.take_audio(take.key))]
                parts = tuple(key for part, key in keys if take.parts & part)
                yield Unused("takes", parts, len(parts), take.size, (TAKES,)), lambda take=take: self._is_unused(take)
        for name, run in self._runs.items():
            if run.modified <= self.cutoff:
                yield (
                    Unused("runs", (f"runs/{name}/",), run.objects, run.size, (), run=name),
                    lambda name=name: not self.alive(name),
                )

    def _single(self, kind: str, key: str, scopes: tuple[str, ...]) -> Unused:
        return Unused(kind, (key,), 1, self._objects[key].size, scopes)

    def _whole_revision(self, narration: str, revision: _Revision) -> Unused:
        """The manifest goes first: an interrupted removal then leaves an unfinished delivery."""
        keys = sorted(revision.keys, key=lambda key: (layout.manifest.match(key) is None, key))
        scopes = (f"narrations/{narration}", f"grants/{narration}")
        return Unused("revisions", tuple(keys), len(keys), revision.size, scopes)

    def _is_removable(self, narration: str, name: str, revision: _Revision) -> bool:
        if layout.manifest(narration, name) in revision.keys:
            return revision.uncounted is not None and self._is_old(narration, name, revision)
        return revision.modified <= self.cutoff and name not in self._newest[narration]

    def _named(self, key: str) -> bool:
        return key in self._targets or key in self._kept

    def _is_unused(self, take: FoundTake) -> bool:
        return take.modified <= self.cutoff and not self._takes.is_used(take.key)


def _damaged(target: Target, problem: str) -> Finding:
    return Finding("damaged", target.key, target.by, problem, f"Delete it. {target.hint}")


def _seconds(expires: str | None) -> float | None:
    return posix_time(expires) if expires else None

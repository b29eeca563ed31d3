"""What a store holds: what is referred to and missing, what is there and no longer referred to, what cannot be read.

First the whole store is listed, then the records that refer to others are read: what was made after the listing is not
in it and cannot be taken for unused. A record that cannot be read holds back all that it could refer to.

Nothing is unused that is younger than the grace time: what a run has made and not named yet, and what the steps of a
failed run handed each other, which its re-execution from failure reads. Folders of runs that work are in use whatever
their age. What people gave is never unused: scripts, recordings, transcripts. Neither are Dagster's logs, reports of
batches, nor what is not ours.
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

GRACE = 7 * 24 * 3600
"""Age in s under which nothing is unused."""

FRESH_SECONDS = 60.0
"""How long what was read of the references is trusted while unused objects are removed, s."""

_REFERRING = ("grants/", "models/", "narrations/", "voices/")
_LISTED = 10_000  # objects between two words on how far it is

OnProgress = Callable[[str, int, int | None], None]
"""Called with progress: of what (for example "objects listed"), how much is done, and of how much where it is known."""


class Finding(NamedTuple):
    """Something that is wrong.

    Attributes:
        state: missing; unreadable: a record is damaged; damaged: an object is not what its record says.
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
    """Something that nothing refers to.

    Attributes:
        kind: takes, plans (lists of chunks and of takes), revisions, bands, references, models, grants, or runs.
        keys: its objects, in the order in which they are removed: what makes the others count goes first.
        objects: how many they are; size: bytes.
        scopes: it is held back where one of these cannot be judged.
        run: id, of a run, whose objects all begin with the one key.
    """

    kind: str
    keys: tuple[str, ...]
    objects: int
    size: int
    scopes: tuple[str, ...]
    run: str | None = None


@dataclass
class Tally:
    """Objects counted. `count` counts what they make up: a take, a revision, a run."""

    count: int = 0
    objects: int = 0
    size: int = 0

    def add(self, objects: int, size: int) -> None:
        self.count += 1
        self.objects += objects
        self.size += size


class _Seen(NamedTuple):
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
    waiting: References | None = None  # of its manifest, not counted while the revision may go


class Inventory:
    """A store as it was listed, and what refers to what in it.

    Args:
        alive: whether a run (by id) still works, or may be read by one that does.
        grace: age in s under which nothing is unused.
        old_revisions: whether delivered revisions count as unused that are not the newest of their narration and that
            no grant opens any more.
        now: POSIX time, s.

    Raises:
        StoreError: the store cannot be listed.
    """

    def __init__(
        self,
        store: Store,
        *,
        alive: Callable[[str], bool],
        grace: float = GRACE,
        old_revisions: bool = False,
        now: float | None = None,
        on_progress: OnProgress = lambda what, done, total: None,
    ) -> None:
        self.store, self.alive, self.old_revisions = store, alive, old_revisions
        self._clock = time.time if now is None else lambda: now
        self.limit = self._clock() - grace
        """POSIX time, s: what was written after it is left alone."""
        self.there: dict[str, Tally] = defaultdict(Tally)
        """What was listed, by the first folder; "others" is what is not ours."""
        self.held_back: dict[str, Tally] = defaultdict(Tally)
        """By kind, what would be unused if what could refer to it had been read."""
        self._on_progress = on_progress
        self._takes = TakeIndex()
        self._runs: dict[str, _Run] = defaultdict(_Run)
        self._objects: dict[str, _Seen] = {}
        self._revisions: dict[tuple[str, str], _Revision] = defaultdict(_Revision)
        self._targets: dict[str, Target] = {}
        self._kept: set[str] = set()
        self._lists: dict[str, Lines] = {}
        self._newest: dict[str, set[str]] = defaultdict(set)  # by narration: revisions that its states name
        self._open: dict[tuple[str, str], float] = {}  # until when grants open a revision
        self._over: set[str] = set()  # keys of grants that open nothing any more
        self._blocked: dict[str, str] = {}  # what cannot be judged, and the record that is why
        self._unreadable: dict[str, Finding] = {}
        self._lost: dict[str, str] = {}  # takes that are not there, and the list that refers to them
        self._list()
        self._read(self._objects)
        self._read_at = time.monotonic()

    # Listing and reading

    def _list(self) -> None:
        listed = 0
        for stat in self.store.list():
            listed += 1
            if listed % _LISTED == 0:
                self._on_progress("objects listed", listed, None)
            folder = stat.key.partition("/")[0] if "/" in stat.key else ""
            if take := folder == "takes" and layout.take_audio.match(stat.key):
                self._takes.add(take["take"], AUDIO, stat.size, stat.modified)
            elif take := folder == "takes" and layout.take_record.match(stat.key):
                self._takes.add(take["take"], RECORD, stat.size, stat.modified)
            elif value := layout.handed_on.match(stat.key):
                run = self._runs[value["run"]]
                run.objects, run.size = run.objects + 1, run.size + stat.size
                run.modified = max(run.modified, stat.modified)
            elif folder in ("narrations", "voices", "models", "grants", "scripts", "batches"):
                self._see(stat)
            elif folder != layout.LOGS:
                folder = "others"
            self.there[folder].add(1, stat.size)
        self._on_progress("objects listed", listed, listed)

    def _see(self, stat: ObjectStat) -> bool:
        """Note an object; return whether it is new or has changed."""
        seen = _Seen(stat.size, stat.modified, stat.mark)
        if self._objects.get(stat.key) == seen:
            return False
        self._objects[stat.key] = seen
        if delivered := layout.delivered.match(stat.key):
            revision = self._revisions[delivered["narration"], delivered["revision"]]
            if stat.key not in revision.keys:
                revision.keys.append(stat.key)
                revision.size += stat.size
            revision.modified = max(revision.modified, stat.modified)
        return True

    def refresh(self) -> None:
        """Look again at the records that refer to others, and count what is new in them.

        What appears while this reads is seen the next time.
        """
        changed = [stat.key for prefix in _REFERRING for stat in self.store.list(prefix) if self._see(stat)]
        self._read(changed)
        self._read_at = time.monotonic()

    def _read(self, keys: Iterable[str]) -> None:
        """Count what records refer to."""

        def read(key: str) -> tuple[str, References | StoreError]:
            try:
                return key, read_references(self.store, key)
            except NotFoundError:
                return key, References()  # gone meanwhile: nothing refers to anything
            except StoreError as error:
                return key, error

        # A list that is young may belong to a plan whose record is still to be written.
        young = [key for key in keys if self._objects[key].modified > self.limit]
        lists = [Lines(key) for key in young if layout.plan_chunks.match(key)]
        lists += [Lines(key, chosen=True) for key in young if layout.narration_takes.match(key)]
        records = [key for key in keys if kind_of(key)]
        for done, (key, found) in enumerate(in_parallel(self.store, read, records), 1):
            self._on_progress("records read", done, len(records))
            if isinstance(found, StoreError):
                self._cannot_read(key, found, scopes_of(key))
                continue
            self._count_grant(key, found)
            if found.revision is not None:
                self._newest[found.revision[0]].add(found.revision[1])
            if found.manifest is not None:
                narration, revision, created = found.manifest
                self._revisions[narration, revision].created = created
                self._revisions[narration, revision].waiting = found
            else:
                lists += self._count(found)
        for (narration, name), revision in self._revisions.items():
            if revision.waiting is not None and not self._is_old(narration, name, revision):
                lists += self._count(revision.waiting)
                revision.waiting = None
        self._read_lists(lists)

    def _count(self, found: References) -> list[Lines]:
        """Count what a record refers to; return its lists."""
        for target in found.targets:
            # What a manifest says of a file stands behind what a newest state says: that can be made again.
            if found.manifest is None or target.key not in self._targets:
                self._targets[target.key] = target
        self._kept.update(found.kept)
        return found.lists

    def _count_grant(self, key: str, found: References) -> None:
        if found.grant is None:
            return
        grant, until = found.grant, _seconds(found.grant.expires)
        if grant.revoked or (until is not None and until <= self.limit):
            self._over.add(key)
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

        # A plan comes by its record, which knows the sounds of its voices, and as a young list.
        new = {lines.key: lines for lines in sorted(lists, key=lambda lines: lines.sounds is not None)}
        new = {key: lines for key, lines in new.items() if self._lists.get(key) != lines}
        self._lists.update(new)
        for done, (lines, lost, error) in enumerate(in_parallel(self.store, read, new.values()), 1):
            self._on_progress("lists of takes read", done, len(new))
            self._lost.update(dict.fromkeys(lost, lines.key))
            if isinstance(error, NotFoundError):
                self._blocked.setdefault(TAKES, lines.key)  # reported as missing
            elif error is not None:
                self._cannot_read(lines.key, error, [TAKES])

    def _cannot_read(self, key: str, error: StoreError, scopes: list[str]) -> None:
        hint = error.hint or ("Try again." if error.retryable else "Delete it, then run the step again that writes it.")
        self._unreadable[key] = Finding("unreadable", key, "", error.message, hint)
        for scope in scopes:
            self._blocked.setdefault(scope, key)

    def _is_old(self, narration: str, name: str, revision: _Revision) -> bool:
        """Whether a delivered revision may go."""
        if not self.old_revisions or revision.modified > self.limit or name in self._newest[narration]:
            return False
        if self._open.get((narration, name), 0.0) > self._clock():
            return False
        if self._newest[narration]:
            return True
        # No state names any: then the one that was made last stays.
        dates = (other.created or "" for (of, _), other in self._revisions.items() if of == narration)
        return (revision.created or "") < max(dates)

    # What is wrong

    @property
    def blocked_by(self) -> list[str]:
        """Keys of the records because of which something cannot be judged."""
        return sorted(set(self._blocked.values()))

    def findings(self) -> Iterator[Finding]:
        """Everything that is wrong, as far as listing and records tell; what was made meanwhile is not missing."""
        yield from self._unreadable.values()
        wanted = (target for target in self._targets.values() if target.key not in self._objects)
        for target, there in in_parallel(self.store, lambda target: (target, self.store.exists(target.key)), wanted):
            if not there:
                yield Finding("missing", target.key, target.by, "it is referred to and not there", target.hint)
        for target in self._targets.values():
            seen = self._objects.get(target.key)
            if seen is not None and target.size not in (None, seen.size):
                yield _damaged(target, f"it has {seen.size} bytes, not {target.size}")
        yield from self._missing_takes()

    def _missing_takes(self) -> Iterator[Finding]:
        def exists(suspect: tuple[str, str, str, str]) -> tuple[bool, tuple[str, str, str, str]]:
            return self.store.exists(suspect[0]), suspect

        for there, (key, by, problem, hint) in in_parallel(self.store, exists, self._suspects()):
            if not there:
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
        """What is not what was written: every object that a record or its own name has a hash of is read, whole:
        delivered files, recordings, transcripts, references, models, lists of chunks and of takes."""
        wanted = [
            target
            for target in self._targets.values()
            if (target.sha256 or layout.content_digits(target.key))
            and target.key in self._objects
            and target.key not in self._unreadable
        ]
        for done, finding in enumerate(in_parallel(self.store, self._compare, wanted), 1):
            self._on_progress("objects compared", done, len(wanted))
            if finding is not None:
                yield finding

    def _compare(self, target: Target) -> Finding | None:
        try:
            found = self._hash(target)
        except NotFoundError:
            return None  # reported as missing
        except DamagedError as error:
            return _damaged(target, error.message)
        except StoreError as error:
            return Finding("unreadable", target.key, target.by, error.message, error.hint or "Try again.")
        if found.startswith(target.sha256 or layout.content_digits(target.key) or ""):
            return None
        return _damaged(target, f"its sha256 is not what its {'record' if target.sha256 else 'name'} says")

    def _hash(self, target: Target) -> str:
        if target.reference is not None:
            read_reference(self.store, target.reference)
            return target.reference.sha256
        with self.store.open(target.key) as source:
            return stream_sha256(source)

    # What is unused

    def replaced_originals(self) -> Tally:
        """Recordings and transcripts that no voice names any more. They stay: nobody could make them again."""
        tally = Tally()
        for key, seen in self._objects.items():
            original = layout.voice_recording.match(key) or layout.voice_transcript.match(key)
            if original and key not in self._targets:
                tally.add(1, seen.size)
        return tally

    def unused(self, *, fresh: bool = False) -> Iterator[Unused]:
        """Everything that nothing refers to, records before what they refer to.

        Args:
            fresh: for removing it: read the references again where they were read more than FRESH_SECONDS ago, and
                judge each by what is known as it is given.
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

    def _candidates(self) -> Iterator[tuple[Unused, Callable[[], bool]]]:
        """What may be unused, each with the question whether it is."""
        old = [key for key, seen in self._objects.items() if seen.modified <= self.limit]
        for key in old:
            if grant := layout.grant.match(key):
                scopes = (f"grants/{grant['narration']}",)
                yield self._single("grants", key, scopes), lambda key=key: key in self._over and not self._named(key)
        for (narration, name), revision in list(self._revisions.items()):
            yield (
                self._whole_revision(narration, revision),
                lambda where=(narration, name), revision=revision: self._may_go(*where, revision),
            )
        for key in old:
            if lines := layout.plan_chunks.match(key) or layout.narration_takes.match(key):
                unused = self._single("plans", key, (f"narrations/{lines['narration']}",))
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
            if take.modified <= self.limit:
                keys = [(RECORD, layout.take_record(take.key)), (AUDIO, layout.take_audio(take.key))]
                there = tuple(key for part, key in keys if take.parts & part)
                yield Unused("takes", there, len(there), take.size, (TAKES,)), lambda take=take: self._is_unused(take)
        for name, run in self._runs.items():
            if run.modified <= self.limit:
                yield (
                    Unused("runs", (f"runs/{name}/",), run.objects, run.size, (), run=name),
                    lambda name=name: not self.alive(name),
                )

    def _single(self, kind: str, key: str, scopes: tuple[str, ...]) -> Unused:
        return Unused(kind, (key,), 1, self._objects[key].size, scopes)

    def _whole_revision(self, narration: str, revision: _Revision) -> Unused:
        """The manifest goes first: what is left of a removal that was cut off is an unfinished delivery."""
        keys = sorted(revision.keys, key=lambda key: (layout.manifest.match(key) is None, key))
        scopes = (f"narrations/{narration}", f"grants/{narration}")
        return Unused("revisions", tuple(keys), len(keys), revision.size, scopes)

    def _may_go(self, narration: str, name: str, revision: _Revision) -> bool:
        if layout.manifest(narration, name) in revision.keys:
            return revision.waiting is not None and self._is_old(narration, name, revision)
        return revision.modified <= self.limit and name not in self._newest[narration]

    def _named(self, key: str) -> bool:
        return key in self._targets or key in self._kept

    def _is_unused(self, take: FoundTake) -> bool:
        return take.modified <= self.limit and not self._takes.is_used(take.key)


def _damaged(target: Target, problem: str) -> Finding:
    return Finding("damaged", target.key, target.by, problem, f"Delete it. {target.hint}")


def _seconds(expires: str | None) -> float | None:
    return posix_time(expires) if expires else None

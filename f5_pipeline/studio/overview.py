"""The standings of many narrations of a store, by listings, and kept on this machine by the marks of what they tell.

A standing is computed from a narration's script files and four records. While their marks, which the listings tell, are
those of the last look, so is the standing, and nothing is read. The file in the cache is never more than that: without
it, or where it cannot be read or written, everything is read anew. A bucket keeps a copy of it for other machines, held
against the same marks; whoever had to read much writes it.
"""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from f5_pipeline import __version__
from f5_pipeline.errors import InputError, NotFoundError, StoreError
from f5_pipeline.store import layout
from f5_pipeline.store.base import ObjectStat, Store
from f5_pipeline.store.local import atomic
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import digest_of
from f5_pipeline.studio.state import Standing, standing

RECORDS = ("plan", "takes", "audio", "links")
"""The steps whose records tell a standing."""

_KEPT = TypeAdapter(dict[str, tuple[str, Standing]])
"""By narration: the digest of the marks, and the standing that was found with them."""


MANY = 100
"""Standings to be read from which on the copy in the bucket is asked first, and written where that many are not in it.

Each takes five calls or six; the copy takes one."""


KEEP_SECONDS = 10.0
"""While much is read, what has been found is kept this often, for the next look where this one is ended."""

OnProgress = Callable[[int, int], None]
"""Told how many standings have been read, and of how many."""


def overview(
    store: Store,
    options: StudioOptions,
    narrations: Collection[str] | None = None,
    *,
    on_progress: OnProgress = lambda done, total: None,
) -> dict[str, Standing]:
    """The standing of every narration that has a script, sorted; see `standing`, with trust.

    Args:
        narrations: only these.
        on_progress: called where MANY or more are read.
    """
    if narrations is not None and store.parallel <= 1:  # a look at a few files is cheaper than a list of all
        return dict(filter(None, _looks(store, options, sorted(narrations))))
    listed = ListedStore(store, narrations)
    file = options.cache.expanduser() / "standings" / f"{sha256(store.url.encode()).hexdigest()[:16]}.json"
    known, marks = _read(file), listed.marks()
    standings: dict[str, Standing] = {}

    def changed(kept: dict[str, tuple[str, Standing]]) -> list[str]:
        """Those that are not known yet, not even by what was kept."""
        unknown = [name for name in marks if name not in standings]
        standings.update({name: kept[name][1] for name in unknown if kept.get(name, ("",))[0] == marks[name]})
        return [name for name in unknown if name not in standings]

    unread, shares = changed(known), store.parallel > 1
    if shares and len(unread) >= MANY:
        unread = changed(_read_shared(store))
    # The store's own type is kept from the type checker: what is listed answers as the store does.
    opened: Any = listed

    def keep() -> dict[str, tuple[str, Standing]]:
        kept = {name: (marks[name], found) for name, found in standings.items() if _is_settled(found)}
        if narrations is not None:
            kept = known | kept
        if kept != known:
            _write(file, kept)
        return kept

    kept_at = time.monotonic()
    for done, look in enumerate(_looks(opened, options, unread), 1):
        standings.update([look] if look else ())
        if len(unread) >= MANY:
            on_progress(done, len(unread))
        if time.monotonic() - kept_at > KEEP_SECONDS:
            keep()
            kept_at = time.monotonic()
    kept = keep()
    if shares and narrations is None and len(kept.keys() & set(unread)) >= MANY:
        _write_shared(store, kept)
    return {name: standings[name] for name in sorted(standings)}


def _looks(store: Store, options: StudioOptions, narrations: Iterable[str]) -> Iterator[tuple[str, Standing] | None]:
    """Narrations and their standings; None for those that have no script."""

    def look(name: str) -> tuple[str, Standing] | None:
        try:
            return name, standing(store, name, options, trust=True)
        except InputError:
            return None

    return in_parallel(store, look, narrations)


def _is_settled(found: Standing) -> bool:
    """Whether a standing changes with the marks alone: takes, which are counted until it is delivered, have none."""
    return found.state.state in ("scripted", "delivered")


class ListedStore:
    """A store that has listed its script files and records, and is asked for none that is not there."""

    def __init__(self, store: Store, narrations: Collection[str] | None = None) -> None:
        self._store, self._takes = store, ListedTakes(store)
        if narrations is None:
            self._stats = {stat.key: stat for stat in store.list(layout.SCRIPTS)}
        else:
            folders = [
                folder for name in narrations for folder in (f"{layout.SCRIPTS}{name}.", f"{_NARRATIONS}{name}/")
            ]
            lists = in_parallel(store, lambda folder: list(store.list(folder)), folders)
            self._stats = {
                stat.key: stat
                for stats in lists
                for stat in stats
                if stat.key.startswith(layout.SCRIPTS) or _is_record(stat.key)
            }
        scripts = filter(None, map(layout.script.match, self._stats))
        self.narrations = {key["narration"] for key in scripts if layout.NAME.fullmatch(key["narration"])}
        if narrations is None:
            self._stats |= {stat.key: stat for stat in _records(store, self.narrations)}
        self._lexicon: bytes | None = None
        with contextlib.suppress(NotFoundError):
            self._lexicon = store.get_bytes(layout.lexicon())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def marks(self) -> dict[str, str]:
        """By narration: a digest of the marks of all that its standing is computed from."""
        lexicon = sha256(self._lexicon or b"").hexdigest()
        marks: dict[str, list[str]] = {name: [__version__, lexicon] for name in self.narrations}
        for key, stat in self._stats.items():
            folder = layout.SCRIPTS if key.startswith(layout.SCRIPTS) else _NARRATIONS
            if (name := layout.stem(key, folder)) in marks:
                marks[name] += (key, stat.mark)
        return {name: digest_of(sorted(parts)) for name, parts in marks.items()}

    def get_bytes(self, key: str) -> bytes:
        if key == layout.lexicon():
            if self._lexicon is None:
                raise NotFoundError("there is no such object", file=key)
            return self._lexicon
        is_take = layout.take_record.match(key) is not None
        if not self._may_exist(key) or (is_take and self._takes.known(key) is False):
            raise NotFoundError("there is no such object", file=key)
        return self._store.get_bytes(key)

    def exists(self, key: str) -> bool:
        if key in self._stats:
            return True
        if layout.take_record.match(key):
            known = self._takes.known(key)
            return self._store.exists(key) if known is None else known
        return self._may_exist(key) and self._store.exists(key)

    def _may_exist(self, key: str) -> bool:
        return key in self._stats or not (key.startswith(layout.SCRIPTS) or _is_record(key))


class ListedTakes:
    """Which takes there are, by a listing of those whose keys begin alike in place of a call for each.

    A store of more takes than fit into the pages of such listings is asked for each.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._lists = store, store.parallel > 1
        self._keys: dict[str, set[str]] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def known(self, key: str) -> bool | None:
        """Whether a take's record exists; None where no listing tells."""
        folder = key[: len("takes/ab/")]
        with self._locks[folder]:
            if self._lists and folder not in self._keys:
                stats = list(self._store.list(folder, limit=_PAGE))
                if len(stats) < _PAGE:
                    self._keys[folder] = {stat.key for stat in stats}
                else:
                    self._lists = False
        return key in self._keys[folder] if folder in self._keys else None


_PAGE = 1000
"""Keys that a bucket lists in one call."""

_NARRATIONS = "narrations/"


def _is_record(key: str) -> bool:
    if key.count("/") != 2:  # most keys: of delivered files
        return False
    fields = layout.narration_state.match(key)
    return fields is not None and fields["step"] in RECORDS


def _records(store: Store, narrations: Iterable[str]) -> Iterator[ObjectStat]:
    """Facts of the records of narrations.

    Of a bucket by as many listings at once as it takes, each of the keys between two narrations; in a folder a look at
    each record is cheaper than a walk through what was delivered.
    """
    names = sorted(narrations, key=lambda name: f"{name}/")  # as keys are sorted
    if store.parallel <= 1:
        for key in (layout.narration_state(name, step) for name in names for step in RECORDS):
            with contextlib.suppress(NotFoundError):
                yield store.stat(key)
        return
    size = -(-len(names) // store.parallel)

    def between(first: int) -> list[ObjectStat]:
        begin, last = f"{_NARRATIONS}{names[first]}/", f"{names[min(first + size, len(names)) - 1]}/"
        stats = store.list(_NARRATIONS, after=begin)
        near = takewhile(lambda stat: stat.key[len(_NARRATIONS) :].partition("/")[0] + "/" <= last, stats)
        return [stat for stat in near if _is_record(stat.key)]

    for stats in in_parallel(store, between, range(0, len(names), size or 1)):
        yield from stats


def _read(file: Path) -> dict[str, tuple[str, Standing]]:
    try:
        return _KEPT.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return {}


def _write(file: Path, kept: dict[str, tuple[str, Standing]]) -> None:
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic(file) as draft:
            draft.write_bytes(_KEPT.dump_json(kept))


def _read_shared(store: Store) -> dict[str, tuple[str, Standing]]:
    try:
        return _KEPT.validate_json(gzip.decompress(store.get_bytes(layout.standings())))
    except (StoreError, OSError, EOFError, zlib.error, ValidationError):
        return {}


def _write_shared(store: Store, kept: dict[str, tuple[str, Standing]]) -> None:
    with contextlib.suppress(StoreError):  # of keys that may only read
        store.replace_bytes(layout.standings(), gzip.compress(_KEPT.dump_json(kept), 6, mtime=0))

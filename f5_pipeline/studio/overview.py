"""The standings of all narrations of a store, by listings, and kept on this machine by the marks of what they tell.

A standing is computed from a narration's script files and four records. While their marks, which the listings tell, are
those of the last look, so is the standing, and nothing is read. The file in the cache is never more than that: without
it, or where it cannot be read or written, everything is read anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from f5_pipeline import __version__
from f5_pipeline.errors import NotFoundError
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


def overview(store: Store, options: StudioOptions) -> dict[str, Standing]:
    """The standing of every narration that has a script, sorted; see `standing`, with trust."""
    listed = ListedStore(store)
    file = options.cache.expanduser() / "standings" / f"{sha256(store.url.encode()).hexdigest()[:16]}.json"
    known, marks = _read(file), listed.marks()
    standings = {name: known[name][1] for name in marks if name in known and known[name][0] == marks[name]}
    changed = [name for name in marks if name not in standings]
    # The store's own type is kept from the type checker: what is listed answers as the store does.
    opened: Any = listed
    look = in_parallel(store, lambda name: standing(opened, name, options, trust=True), changed)
    standings.update(zip(changed, look, strict=True))
    kept = {name: (marks[name], found) for name, found in standings.items() if _is_settled(found)}
    if kept != known:
        _write(file, kept)
    return {name: standings[name] for name in sorted(standings)}


def _is_settled(found: Standing) -> bool:
    """Whether a standing changes with the marks alone: takes, which are counted until it is delivered, have none."""
    return found.state.state in ("scripted", "delivered")


class ListedStore:
    """A store that has listed its script files and records, and is asked for none that is not there."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stats = {stat.key: stat for stat in store.list(layout.SCRIPTS)}
        scripts = filter(None, map(layout.script.match, self._stats))
        self.narrations = {key["narration"] for key in scripts if layout.NAME.fullmatch(key["narration"])}
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
        if not self._may_exist(key):
            raise NotFoundError("there is no such object", file=key)
        return self._store.get_bytes(key)

    def exists(self, key: str) -> bool:
        return key in self._stats or (self._may_exist(key) and self._store.exists(key))

    def _may_exist(self, key: str) -> bool:
        return key in self._stats or not (key.startswith(layout.SCRIPTS) or _is_record(key))


_NARRATIONS = "narrations/"


def _is_record(key: str) -> bool:
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

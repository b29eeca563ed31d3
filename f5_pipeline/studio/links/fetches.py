"""Who fetched what by a link, and when.

A service counts what it sends by file, address and program of the reader, and writes it every few seconds, into an
object of its own for each grant and day: the store has no conditional writes, and two services never write the same.
What was not written when a service is killed is lost. They go with the grant.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import defaultdict
from collections.abc import Iterable

from pydantic import BaseModel, Field

from f5_pipeline.errors import StoreError
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record, read_record, write_record
from f5_pipeline.system.clock import iso_time

log = logging.getLogger("f5_pipeline.gateway")

FLUSH_SECONDS = 10.0

MAX_ROWS = 500
"""Of an object; what comes from further readers is counted together."""

_MAX_AGENT = 120  # characters

OTHERS = "others"


class Fetch(BaseModel):
    """Requests for a file by one reader; a player asks for a file in many parts."""

    file: str = Field(description="its name; page, or what of the page")
    address: str = Field(description="of who asked; 'others' beyond MAX_ROWS")
    agent: str = Field(description="the program, as it calls itself")
    revision: str
    requests: int
    bytes: int = Field(description="sent from here; none where the reader was sent to the bucket")
    first: str = Field(description="ISO 8601")
    last: str

    def plus(self, other: Fetch) -> Fetch:
        return self.model_copy(
            update={
                "requests": self.requests + other.requests,
                "bytes": self.bytes + other.bytes,
                "first": min(self.first, other.first),
                "last": max(self.last, other.last),
            }
        )


class Fetches(BaseModel):
    """What one service has sent by the links of a grant on one day."""

    rows: list[Fetch] = []


_Rows = dict[tuple[str, ...], Fetch]


def _count(rows: _Rows, fetches: Iterable[Fetch]) -> _Rows:
    """Add requests to rows, which are changed and returned."""
    for fetch in fetches:
        place = (fetch.file, fetch.address, fetch.agent, fetch.revision)
        if place not in rows and len(rows) >= MAX_ROWS:
            fetch = fetch.model_copy(update=dict.fromkeys(("file", "address", "agent", "revision"), OTHERS))
            place = (OTHERS,) * 4
        rows[place] = rows[place].plus(fetch) if place in rows else fetch
    return rows


class FetchLog:
    """Counts what a service sends; `close` writes the rest."""

    def __init__(self, store: Store, *, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._store, self._seconds, self._service = store, flush_seconds, secrets.token_hex(4)
        self._pending: dict[tuple[str, str, str], _Rows] = defaultdict(dict)
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, narration: str, grant: str, revision: str, file: str, size: int, address: str, agent: str) -> None:
        """Count an answer of `size` bytes. Never blocks on the store."""
        now = iso_time()
        fetch = Fetch(
            file=file,
            address=address,
            agent=agent[:_MAX_AGENT],
            revision=revision,
            requests=1,
            bytes=size,
            first=now,
            last=now,
        )
        with self._lock:
            _count(self._pending[narration, grant, now[:10]], [fetch])
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="fetches", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write what is counted. What cannot be written now is written next time."""
        with self._lock:
            pending, self._pending = self._pending, defaultdict(dict)
        for (narration, grant, day), rows in pending.items():
            try:
                # Nothing of what was removed in the meantime comes back.
                if self._store.exists(layout.grant(narration, grant)):
                    key = layout.fetches(narration, grant, day, self._service)
                    before = find_record(self._store, key, Fetches) or Fetches()
                    counted = _count(_count({}, before.rows), rows.values())
                    write_record(self._store, key, Fetches(rows=list(counted.values())))
            except StoreError as error:
                log.warning("who fetched %s is not written yet: %s", narration, error)
                with self._lock:
                    _count(self._pending[narration, grant, day], rows.values())

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _write(self) -> None:
        while not self._stop.wait(self._seconds):
            self.flush()


def fetches_of(store: Store, narration: str) -> dict[str, list[Fetch]]:
    """What was fetched by the links of a narration, by grant, the newest last."""
    keys = [stat.key for stat in store.list(f"fetches/{narration}/") if layout.fetches.match(stat.key)]
    found: dict[str, list[Fetch]] = defaultdict(list)
    for key, fetches in in_parallel(store, lambda key: (key, read_record(store, key, Fetches)), keys):
        found[key.split("/")[2]] += fetches.rows
    return {grant: sorted(rows, key=lambda row: row.last) for grant, rows in found.items()}

"""The queue of narrations for workers that share nothing but the store.

A worker narrates what it has a claim to: an object of its own, which it renews. It writes it, lists those of the
narration, and has it only where there is no other; workers that meet take theirs back and come again later. Of two
writes one is the first, and the list of the other shows it, so that two never have the same narration, on every store
whose lists show what was written before (folders, S3, B2): no conditional write is needed. A claim that a worker has
not seen renewed for `LEASE_SECONDS` of its own clock is of a dead one. Whoever stands still for longer and wakes
notices at its next renewal; until then two may work, which costs time and changes nothing, as takes and revisions are
named by content.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection

from pydantic import BaseModel

from f5_pipeline.errors import PipelineError
from f5_pipeline.store import layout
from f5_pipeline.store.base import ObjectStat, Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record, write_record
from f5_pipeline.studio.figures import Figures
from f5_pipeline.studio.narrating.scripts import read_options, script_version
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.overview import overview
from f5_pipeline.studio.state import NarrationState, is_delivered, narration_state, with_attempt
from f5_pipeline.studio.webhooks import Webhook

LEASE_SECONDS, RENEW_SECONDS = 60.0, 15.0


class Attempts(BaseModel):
    """What workers have tried of a version of a script.

    Attributes:
        at: POSIX time when the last attempt failed, s; 0.0 until then.
    """

    version: str
    attempts: int
    at: float = 0.0
    reason: str | None = None
    retryable: bool = True


class Renewal(BaseModel):
    """The content of a claim: other at each renewal."""

    worker: str
    number: int


class Canceled(BaseModel):
    """The record of a narration that nobody wants any more."""

    at: float


class Claim:
    """The right to narrate, renewed by a thread during the context, and given back after it.

    Attributes:
        narration: its name.
        ended: why there is no right any more, during the context; None where there is.
    """

    def __init__(self, store: Store, narration: str, worker: str, on_end: Callable[[], object]) -> None:
        self.narration, self.ended = narration, None
        self._store, self._worker, self._on_end = store, worker, on_end
        self._key = layout.work_claim(narration, worker)
        self._number, self._renewed = 0, time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="renew-claim", daemon=True)

    def put(self) -> None:
        """Write the claim, or renew it."""
        self._number += 1
        started = time.monotonic()
        self._store.replace_bytes(
            self._key, Renewal(worker=self._worker, number=self._number).model_dump_json().encode()
        )
        self._renewed = started

    def give_back(self) -> None:
        self._store.delete(self._key)

    def __enter__(self) -> Claim:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self.ended is None or self.ended == "canceled":
            self.give_back()

    def _keep(self) -> None:
        while not self._stop.wait(RENEW_SECONDS):
            try:
                keys = {stat.key for stat in self._store.list(layout.work_of(self.narration))}
                if self._key not in keys or time.monotonic() - self._renewed > LEASE_SECONDS:
                    self.ended = "another worker has taken it over"
                elif layout.work_canceled(self.narration) in keys:
                    self.ended = "canceled"
                else:
                    self.put()
            except PipelineError as error:  # the next renewal may succeed
                if time.monotonic() - self._renewed > LEASE_SECONDS:
                    self.ended = f"the store does not answer: {error.message}"
            if self.ended is not None:
                self._on_end()
                return


class Queue:
    """What one worker sees of the queue: every script that is not delivered in its present version.

    Args:
        attempts: at a version, at most; also those of workers that died.
        wait: seconds after the first that failed, four times longer each time.
        on_end: called by another thread when a claim ends during its context.
    """

    def __init__(
        self,
        store: Store,
        *,
        attempts: int,
        wait: float,
        on_end: Callable[[], object] = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._attempts, self._wait, self._on_end, self._now = store, attempts, wait, on_end, now
        self._worker = secrets.token_hex(8)
        self._settled: dict[str, tuple[str, ...]] = {}
        self._seen: dict[str, tuple[str, float]] = {}

    def next(self) -> Claim | None:
        """A claim to the most urgent narration that waits, the oldest first; None where this worker can take none."""
        for narration in self._pending():
            if (claim := self.claim(narration)) is not None:
                return claim
        return None

    def claim(self, narration: str) -> Claim | None:
        """A claim to a narration; None where another worker has one, or comes at the same time."""
        claim = Claim(self._store, narration, self._worker, self._on_end)
        if self._others(narration)[0]:
            return None
        claim.put()
        try:
            living, dead = self._others(narration)
            # It may have been delivered since it was found to wait.
            if living or not self._waits(narration):
                claim.give_back()
                return None
            for stat in dead:
                self._store.delete(stat.key)
        except BaseException:
            claim.give_back()
            raise
        return claim

    def start(self, narration: str, version: str) -> Attempts:
        """Record one more attempt at a claimed narration; return it."""
        before = find_record(self._store, layout.work_attempts(narration), Attempts)
        count = before.attempts if before is not None and before.version == version else 0
        attempt = Attempts(version=version, attempts=count + 1)
        write_record(self._store, layout.work_attempts(narration), attempt)
        return attempt

    def finish(self, narration: str, attempt: Attempts, reason: str | None = None, *, retryable: bool = False) -> None:
        """Record how an attempt ended: delivered, or failed for a reason."""
        if reason is None:
            self._store.delete(layout.work_attempts(narration))
            return
        failed = attempt.model_copy(update={"at": time.time(), "reason": reason, "retryable": retryable})
        write_record(self._store, layout.work_attempts(narration), failed)

    def leave(self, narration: str, attempt: Attempts) -> None:
        """Leave a narration to the next worker; that was no attempt."""
        left = attempt.model_copy(update={"attempts": attempt.attempts - 1})
        write_record(self._store, layout.work_attempts(narration), left)

    def _others(self, narration: str) -> tuple[list[ObjectStat], list[ObjectStat]]:
        """The claims of other workers to a narration: of the living, and of the dead."""
        living, dead, now = [], [], self._now()
        for stat in self._store.list(layout.work_of(narration)):
            fields = layout.work_claim.match(stat.key)
            if fields is None or fields["worker"] == self._worker:
                continue
            mark, since = self._seen.get(stat.key, ("", now))
            if mark != stat.mark:
                since = now
            self._seen[stat.key] = stat.mark, since
            (living if now - since < LEASE_SECONDS else dead).append(stat)
        return living, dead

    def _pending(self) -> list[str]:
        """The narrations that wait, the most urgent first."""
        marks: dict[str, list[str]] = defaultdict(list)
        added: dict[str, float] = {}
        for stat in self._store.list(layout.SCRIPTS):
            narration = layout.stem(stat.key, layout.SCRIPTS)
            marks[narration].append(stat.mark)
            if layout.script.match(stat.key) and layout.NAME.fullmatch(narration):
                added[narration] = stat.modified
        for stat in self._store.list(layout.WORK):
            narration = stat.key.removeprefix(layout.WORK).partition("/")[0]
            if not layout.work_claim.match(stat.key):
                marks[narration].append(stat.mark)
        # What was looked at and is over is looked at again when something of it has changed.
        changed = [name for name in added if self._settled.get(name) != tuple(marks[name])]
        waiting = []
        for narration, (waits, priority) in in_parallel(self._store, lambda name: (name, self._look(name)), changed):
            if waits:
                waiting.append((-priority, added[narration], narration))
            elif waits is False:
                self._settled[narration] = tuple(marks[narration])
        return [narration for _, _, narration in sorted(waiting)]

    def _look(self, narration: str) -> tuple[bool | None, int]:
        waits = self._waits(narration)
        if not waits:
            return waits, 0
        try:
            return True, read_options(self._store, narration).priority
        except PipelineError:  # damaged options: the attempt reports them
            return True, 0

    def _waits(self, narration: str) -> bool | None:
        """Whether a narration waits for a worker; None where it does after a while, or cannot be read just now."""
        try:
            if self._store.exists(layout.work_canceled(narration)):
                return False
            version = script_version(self._store, narration)
            if is_delivered(self._store, narration, version):
                return False
            tried = find_record(self._store, layout.work_attempts(narration), Attempts)
        except PipelineError:
            return None
        if tried is None or tried.version != version:
            return True
        if tried.attempts >= self._attempts or not tried.retryable:
            return False
        wait = self._wait * 4 ** max(0, tried.attempts - 1) if tried.reason else 0.0
        return True if time.time() - tried.at >= wait else None


class QueueDesk:
    """Implements `gateway.api.port.Desk` for a service whose narrations are made by workers of the queue."""

    def __init__(self, store: Store, options: StudioOptions, attempts: int) -> None:
        self._store, self._options, self._attempts = store, options, attempts

    def call(self, narration: str) -> None:
        """Workers find it."""

    def state(self, narration: str) -> NarrationState:
        failed, reason = self._failure(find_record(self._store, layout.work_attempts(narration), Attempts))
        running = any(layout.work_claim.match(stat.key) for stat in self._store.list(layout.work_of(narration)))
        return narration_state(
            self._store,
            narration,
            self._options,
            failed_version=failed,
            reason=reason,
            running=running,
        )

    def states(self, narrations: Collection[str]) -> dict[str, NarrationState]:
        tried: dict[str, str] = {}
        running = set()
        for stat in self._store.list(layout.WORK):
            if fields := layout.work_attempts.match(stat.key):
                tried[fields["narration"]] = stat.key
            elif fields := layout.work_claim.match(stat.key):
                running.add(fields["narration"])
        standings = overview(self._store, self._options, narrations)
        asked = [name for name in standings if name in tried]
        records = in_parallel(self._store, lambda name: find_record(self._store, tried[name], Attempts), asked)
        failures = {name: self._failure(record) for name, record in zip(asked, records, strict=True)}
        return {
            name: with_attempt(found, *failures.get(name, (None, None)), running=name in running)
            for name, found in standings.items()
        }

    def _failure(self, tried: Attempts | None) -> tuple[str | None, str | None]:
        """The version that nobody tries again, and why it failed."""
        if tried is None or not tried.reason or (tried.retryable and tried.attempts < self._attempts):
            return None, None
        return tried.version, tried.reason

    def cancel(self, narration: str) -> None:
        write_record(self._store, layout.work_canceled(narration), Canceled(at=time.time()))

    def retry(self, narration: str) -> None:
        for key in (layout.work_attempts(narration), layout.work_canceled(narration)):
            self._store.delete(key)

    def runs(self, narrations: Collection[str]) -> list[str]:
        return []  # of each worker's own Dagster; `store gc` removes what they leave

    def removed(self, receipt: object) -> None:
        """Nobody else is to be told."""

    def figures(self) -> Figures:
        """What workers have claims to. What waits is not counted: that would take a look at every script."""
        claims = (layout.work_claim.match(stat.key) for stat in self._store.list(layout.WORK))
        return Figures(running=len({claim["narration"] for claim in claims if claim}))

    def webhook(self, narration: str) -> Webhook | None:
        return None  # the daemon's sensor sends them

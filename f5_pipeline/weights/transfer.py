"""Transfer of model files: hub to store and cache, store to cache, each file verified on arrival."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from f5_pipeline.errors import DamagedError, NotFoundError, StoreError
from f5_pipeline.store.base import Store
from f5_pipeline.system.hashing import stream_sha256
from f5_pipeline.weights.cache import Cache, Mismatch
from f5_pipeline.weights.errors import WeightsError
from f5_pipeline.weights.hub import Hub, Listing
from f5_pipeline.weights.records import Blob, Origin
from f5_pipeline.weights.registry import SpecFile

log = logging.getLogger("f5_pipeline.weights")

Place = Literal["cache", "store", "hub"]
PLACES: tuple[Place, ...] = ("cache", "store", "hub")


@dataclass(frozen=True)
class Progress:
    """Progress of a model's transfer.

    Attributes:
        model: its name.
        file: name of the present file.
        what: "waiting" (for another process that fetches the same file), "from store", "from hub" or "to store".
        done, total: bytes of this file.
    """

    model: str
    file: str
    what: str
    done: int
    total: int


OnProgress = Callable[[Progress], None]


class Transfer:
    """Moves the files of models between a hub, a store and the cache of this machine."""

    def __init__(self, store: Store, cache: Cache, hub: Hub) -> None:
        self.store = store
        self.cache = cache
        self.hub = hub

    def obtain(self, name: str, blob: Blob, notes: list[str], on_progress: OnProgress) -> tuple[Path, Place, int]:
        """The path of a verified file, the place that it came from, and the bytes transferred."""
        local = self.store.local_path(blob.key)
        if local_copy := self._find_local(blob, local):
            return (*local_copy, 0)

        def waiting() -> None:
            on_progress(Progress(name, blob.name, "waiting", self.cache.partial_size(blob), blob.size))

        with self.cache.alone(blob.sha256, waiting):
            if local_copy := self._find_local(blob, local):
                return (*local_copy, 0)
            place: Place = "cache"
            path = self.cache.find(blob)
            if path is None and local is None:
                path = self._from_store(name, blob, notes, on_progress)
                place = "store"
            elif local is not None and local.exists():
                _note(notes, f"{blob.name} in the store was damaged ({blob.key}); it is replaced")
            if path is None:
                path = self._from_hub(name, blob, on_progress)
                place = "hub"
            received = blob.size if place != "cache" else 0
            if place == "store":
                return path, place, received

            def report(done: int, total: int) -> None:
                on_progress(Progress(name, blob.name, "to store", done, total))

            report(0, blob.size)
            self._check_store_room(blob, local)
            self.store.put_file(blob.key, path, sha256=blob.sha256, on_progress=report)
            if local is None:
                return path, place, received
            self.cache.drop(blob)
            if self.cache.state(local, blob, deep=True) != "ok":
                raise StoreError("the store has not kept what was written", file=self.store.url, place=blob.key)
            return local, place, received

    def _find_local(self, blob: Blob, local: Path | None) -> tuple[Path, Place] | None:
        """The file and its place, if no transfer is needed: in a local store, or in both the cache and the store."""
        if local is not None:
            return (local, "store") if self.cache.state(local, blob) == "ok" else None
        path = self.cache.find(blob)
        return (path, "cache") if path is not None and self.stored_size(blob) == blob.size else None

    def _from_store(self, name: str, blob: Blob, notes: list[str], on_progress: OnProgress) -> Path | None:
        """Copy a file from a remote store to the cache; None where the store lacks it or it is damaged."""
        size = self.stored_size(blob)
        if size is None:
            return None
        if size == blob.size:

            def report(done: int, total: int) -> None:
                on_progress(Progress(name, blob.name, "from store", done, total))

            # The store resumes its own downloads.
            with contextlib.suppress(DamagedError, Mismatch):
                return self.cache.fill(
                    blob, lambda part: self.store.download(blob.key, part, sha256=blob.sha256, on_progress=report)
                )
        _note(notes, f"{blob.name} in the store is damaged ({blob.key}); it is fetched again")
        return None

    def _from_hub(self, name: str, blob: Blob, on_progress: OnProgress) -> Path:
        origin = blob.origin
        if origin is None:
            raise WeightsError(
                f"{blob.name} of the model {name} is neither in the cache nor, undamaged, in the store",
                file=self.store.url,
                place=blob.key,
                hint=f"Bring it again: f5-pipeline weights add {name} CHECKPOINT …",
            )

        def report(done: int) -> None:
            on_progress(Progress(name, blob.name, "from hub", done, blob.size))

        def pull(part: Path) -> None:
            self.hub.download(origin.repo, origin.revision, origin.path, blob.size, part, report)

        return self.cache.fill(blob, pull)

    def _check_store_room(self, blob: Blob, local: Path | None) -> None:
        if local is None:
            return
        place = local.parent
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if free < blob.size:
            raise StoreError(
                f"no room for {blob.name}: it needs {blob.size / 1e6:,.1f} MB and {free / 1e6:,.1f} MB are free",
                file=self.store.url,
                hint="Free space there or set F5_STORE to another place; what has come is kept in the cache.",
            )

    def stored_size(self, blob: Blob) -> int | None:
        try:
            return self.store.stat(blob.key).size
        except NotFoundError:
            return None

    def stored_state(self, blob: Blob) -> str:
        """The state of a file in the store by its hash: "ok", "corrupt" or "missing"."""
        if (local := self.store.local_path(blob.key)) is not None:
            return self.cache.state(local, blob, deep=True)
        try:
            with self.store.open(blob.key) as source:
                return "ok" if stream_sha256(source) == blob.sha256 else "corrupt"
        except NotFoundError:
            return "missing"

    @contextmanager
    def borrow(self, name: str, blob: Blob, on_progress: OnProgress) -> Iterator[Path]:
        """A verified file, kept during the context."""
        lease = self.cache.lease(blob)
        try:
            yield self.obtain(name, blob, [], on_progress)[0]
        finally:
            lease.release()

    def describe(
        self,
        name: str,
        repo: str,
        revision: str | None,
        spec: SpecFile,
        listing: Listing | None,
        on_progress: OnProgress,
    ) -> Blob:
        """The Blob of a file of the hub; `listing` is needed where the registry lacks commit, hash or size."""
        file_name = spec.path.rpartition("/")[2]
        if listing is None:
            assert revision and spec.sha256 and spec.size is not None
            origin = Origin(repo=repo, revision=revision, path=spec.path)
            return Blob(name=file_name, sha256=spec.sha256, size=spec.size, origin=origin)
        origin = Origin(repo=repo, revision=listing.revision, path=spec.path)
        remote = listing.files.get(spec.path)
        if remote is None:
            raise WeightsError(
                f"the hub has no {origin}", file=self.hub.endpoint, hint="Check the path and the commit."
            )
        sha256 = remote.sha256
        if sha256 is None:
            sha256 = self._hash_small(name, origin, remote.size, remote.git_oid, on_progress)
        if spec.sha256 not in (None, sha256) or spec.size not in (None, remote.size):
            raise WeightsError(
                f"the hub has other bytes for {origin} than this version of f5_pipeline is pinned to "
                f"(sha256 {sha256[:16]}… and {remote.size} bytes)",
                file=self.hub.endpoint,
                hint="Check F5_HUB: a mirror may have changed them. They are not used.",
            )
        return Blob(name=file_name, sha256=sha256, size=remote.size, origin=origin)

    def _hash_small(self, name: str, origin: Origin, size: int, oid: str | None, on_progress: OnProgress) -> str:
        """sha256 of a file of which the hub has only git's hash: fetch it, verify it against that, and store it."""
        with self.cache.draft("small") as draft:
            self.cache.make_room(size, origin.path)
            file_name = origin.path.rpartition("/")[2]

            def report(done: int) -> None:
                on_progress(Progress(name, file_name, "from hub", done, size))

            self.hub.download(origin.repo, origin.revision, origin.path, size, draft, report)
            content = draft.read_bytes()
            if oid is not None and hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() != oid:
                raise Mismatch(f"what came as {origin} is not what the hub said it is", file=self.hub.endpoint)
            blob = Blob(name=file_name, sha256=hashlib.sha256(content).hexdigest(), size=size, origin=origin)
            if self.stored_size(blob) != size:
                self.store.put_file(blob.key, draft)
            return blob.sha256


def _note(notes: list[str], text: str) -> None:
    log.warning(text)
    notes.append(text)

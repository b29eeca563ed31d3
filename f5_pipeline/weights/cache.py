"""Model files on this machine: by content, whole or not there, shared by all processes.

    <cache>/blobs/<sha256>.<ext>     files, read-only
    <cache>/partial/<sha256>.part    what has come of a file so far
    <cache>/locks/<sha256>.fetch     held by the one that brings a file
    <cache>/locks/<sha256>.use       held, shared, by all that have a file open; its mtime is the last use
    <cache>/stamps/…                 size and mtime of files whose hash was found right
    <cache>/aside/…                  files that were found damaged

The locks are the system's own (flock): it takes them back however a process ends.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from f5_pipeline.system.hashing import file_sha256
from f5_pipeline.system.locks import lock
from f5_pipeline.weights.errors import PassingWeightsError, WeightsError
from f5_pipeline.weights.records import Blob

log = logging.getLogger("f5_pipeline.weights")

MARGIN = 64 << 20
"""Bytes of the disk that are left free."""

ABANDONED_AFTER = 7 * 24 * 3600
"""Age in s after which what a killed process left, or what was damaged, is removed."""

_POLL = 0.2
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class Lease:
    """While it is held, its file is not evicted. It ends with `release()` or with the process."""

    def __init__(self, handle: IO[bytes] | None) -> None:
        self._handle = handle

    def release(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


class Cache:
    """The folder of model files on this machine. It is made on the first write; a read-only one is read.

    Args:
        folder: where it is.
        limit: bytes that it may hold; the least recently used files go first, never one that is in use.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._blobs, self._partial = folder / "blobs", folder / "partial"
        self._locks, self._stamps, self._aside = folder / "locks", folder / "stamps", folder / "aside"
        self._proven: dict[Path, tuple[int, int]] = {}

    def path(self, blob: Blob) -> Path:
        """Where the file is if it is here."""
        return self._blobs / blob.file_name

    def has(self, blob: Blob) -> bool:
        """Whether the file is here, by its name alone."""
        return self.path(blob).is_file()

    def partial_size(self, blob: Blob) -> int:
        """Bytes that have come of a file so far."""
        return _size(self._part(blob.sha256))

    def lease(self, blob: Blob) -> Lease:
        """Keep the file from being evicted, whether it is here yet or not, and note its use."""
        path = self._locks / f"{blob.sha256}.use"
        try:
            self._make(self._locks)
            handle = path.open("ab")
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise self._explain(error, blob.name) from error
            return Lease(None)  # who may not write here may not evict here either
        with contextlib.suppress(OSError):
            os.utime(path)
        lock(handle, shared=True)
        return Lease(handle)

    @contextmanager
    def alone(self, name: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Be the only one, of all processes on this machine, that brings `name`; wait for the one that does.

        `on_wait` is called again and again while another one has it.
        """
        try:
            self._make(self._locks)
            handle = (self._locks / f"{name}.fetch").open("ab")
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise self._explain(error, name) from error
            yield  # nobody brings anything to where nobody may write
            return
        with handle:
            while not lock(handle, wait=False):
                on_wait()
                time.sleep(_POLL)
            yield

    def find(self, blob: Blob, *, deep: bool = False) -> Path | None:
        """The file, its hash proven, or None. One that is damaged is put aside, with a warning.

        The hash is computed on the first use, where size or mtime differ from then, and where `deep`.
        """
        path = self.path(blob)
        state = self.state(path, blob, deep=deep)
        if state == "ok":
            return path
        if state == "corrupt":
            log.warning("%s in the cache is damaged (%s); it is put aside and fetched again", blob.name, path)
            with contextlib.suppress(OSError):
                self._make(self._aside)
                path.replace(self._aside / f"{path.name}.{uuid.uuid4().hex[:8]}")
        return None

    def state(self, path: Path, blob: Blob, *, deep: bool = False) -> str:
        """ "ok", "corrupt" or "missing": what a file is that should hold `blob`, in the cache or in a local store."""
        try:
            stat = path.stat()
        except OSError:
            return "missing"
        seen = (stat.st_size, stat.st_mtime_ns)
        if stat.st_size != blob.size:
            return "corrupt"
        if not deep and seen in (self._proven.get(path), self._read_stamp(path)):
            return "ok"
        try:
            right = file_sha256(path) == blob.sha256
        except OSError:  # a disk that fails
            right = False
        if not right:
            return "corrupt"
        self._proven[path] = seen
        self._write_stamp(path, seen)
        return "ok"

    def fill(self, blob: Blob, pull: Callable[[Path], object]) -> Path:
        """Take a file in. To be called by the one that is `alone` with its sha256.

        Args:
            pull: makes the file at the path it is given whole; what an earlier one has left there is its beginning.

        Raises:
            WeightsError: other bytes came, or there is no room.
        """
        part = self._part(blob.sha256)
        try:
            self._make(self._blobs, self._partial)
            self.sweep()
            while True:
                begun = _size(part)
                if begun > blob.size:
                    part.unlink()
                    begun = 0
                self.make_room(blob.size - begun, blob.name)
                pull(part)
                if part.stat().st_size == blob.size and file_sha256(part) == blob.sha256:
                    break
                part.unlink()
                if not begun:
                    raise Mismatch(
                        f"what came as {blob.name} is not what is locked (sha256 {blob.sha256[:16]}…)",
                        hint="Pull again; if it stays so, whoever serves it has changed or damaged it.",
                    )
                log.warning("what was left of %s does not fit; it is fetched from its beginning", blob.name)
            part.chmod(0o444)
            with part.open("rb") as whole:
                os.fsync(whole.fileno())
            path = self.path(blob)
            part.replace(path)
        except OSError as error:
            raise self._explain(error, blob.name) from error
        stat = path.stat()
        self._proven[path] = (stat.st_size, stat.st_mtime_ns)
        self._write_stamp(path, self._proven[path])
        return path

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """A path for a file in the making, removed at the end."""
        unique = f"{name}-{uuid.uuid4().hex[:8]}"
        with self.alone(unique):
            part = self._part(unique)
            try:
                self._make(self._partial)
                yield part
            except OSError as error:
                raise self._explain(error, name) from error
            finally:
                part.unlink(missing_ok=True)
                (self._locks / f"{unique}.fetch").unlink(missing_ok=True)

    def drop(self, blob: Blob) -> None:
        """Remove a file that is kept elsewhere now; for the one that holds it alone."""
        with contextlib.suppress(OSError):
            self.path(blob).unlink()

    def used(self) -> int:
        """Bytes of everything in it."""
        folders = (self._blobs, self._partial, self._aside)
        return sum(_size(path) for folder in folders if folder.is_dir() for path in folder.iterdir())

    def evict(self, only: Iterable[str] | None = None) -> dict[str, int]:
        """Remove files that nobody uses: all, or those whose sha256 is in `only`; return the bytes by file name."""
        wanted = None if only is None else set(only)
        gone = {}
        for path in self._oldest_first():
            if wanted is None or path.name.partition(".")[0] in wanted:
                size = _size(path)
                if self._evict(path):
                    gone[path.name] = size
        if wanted is None:
            self.sweep(0)
        return gone

    def sweep(self, older_than: float = ABANDONED_AFTER) -> int:
        """Remove what killed processes left half-done, and damaged files, of an age in s; return the bytes."""
        freed = 0
        for path in [*_files(self._aside), *_files(self._partial)]:
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                stat = path.stat()
                if time.time() - stat.st_mtime < older_than:
                    continue
                if path.parent == self._partial:
                    # A store may keep drafts of its own beside ours: `.<name>.part.part`.
                    name = path.name.removeprefix(".").partition(".")[0]
                    handle = stack.enter_context((self._locks / f"{name}.fetch").open("ab"))
                    if not lock(handle, wait=False):
                        continue  # somebody is at it
                path.unlink()
                freed += stat.st_size
        return freed

    def make_room(self, need: int, what: str) -> None:
        """Evict until `need` more bytes fit the disk and, if it can be, the limit.

        Raises:
            WeightsError: the disk has no room; it says how much is missing where.
        """
        self._make(self.folder)

        def missing() -> int:
            return need + MARGIN - shutil.disk_usage(self.folder).free

        over = self.used() + need - self.limit
        if missing() > 0 or over > 0:
            over -= self.sweep(24 * 3600)
            for path in self._oldest_first():
                if missing() <= 0 and over <= 0:
                    break
                size = _size(path)
                if self._evict(path):
                    over -= size
                    log.info("%s left the cache to make room for %s", path.name, what)
        if missing() > 0:
            self.sweep(0)
        if missing() > 0:
            free = shutil.disk_usage(self.folder).free
            raise WeightsError(
                f"no room for {what}: it needs {_mb(need + MARGIN)} and {_mb(free)} are free, "
                f"so {_mb(missing())} are missing",
                file=str(self.folder),
                hint="Free space there, run `f5-pipeline weights evict --all`, or set F5_CACHE to another disk.",
            )

    def _oldest_first(self) -> list[Path]:
        def last_use(path: Path) -> float:
            for file in (self._locks / f"{path.name.partition('.')[0]}.use", path):
                with contextlib.suppress(OSError):
                    return file.stat().st_mtime
            return 0.0

        return sorted(_files(self._blobs), key=last_use)

    def _evict(self, path: Path) -> bool:
        """Remove a file unless somebody uses it."""
        self._make(self._locks)
        with (self._locks / f"{path.name.partition('.')[0]}.use").open("ab") as handle:
            if not lock(handle, wait=False):
                return False
            path.unlink(missing_ok=True)
            self._stamp(path).unlink(missing_ok=True)
            return True

    def _part(self, name: str) -> Path:
        return self._partial / f"{name}.part"

    def _stamp(self, path: Path) -> Path:
        return self._stamps / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"

    def _read_stamp(self, path: Path) -> tuple[int, int] | None:
        try:
            size, mtime = json.loads(self._stamp(path).read_text())
            return int(size), int(mtime)
        except (OSError, ValueError, TypeError):
            return None

    def _write_stamp(self, path: Path, seen: tuple[int, int]) -> None:
        stamp = self._stamp(path)
        draft = stamp.with_suffix(f".{uuid.uuid4().hex[:8]}")
        with contextlib.suppress(OSError):  # without it the next process computes the hash again
            self._make(self._stamps)
            draft.write_text(json.dumps(seen))
            draft.replace(stamp)

    def _make(self, *folders: Path) -> None:
        for folder in folders:
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)

    def _explain(self, error: OSError, what: str) -> WeightsError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return WeightsError(
                f"the disk became full while {what} was fetched",
                file=str(self.folder),
                hint="Free space there or set F5_CACHE to another disk, then go on: what has come is kept.",
            )
        if error.errno in _READ_ONLY:
            return WeightsError(
                f"{what} is not in the cache, and the cache cannot be written ({error.strerror})",
                file=str(self.folder),
                hint="Make the folder writable for this user or set F5_CACHE to another one.",
            )
        return PassingWeightsError(
            f"the cache failed while {what} was fetched ({error.strerror or error})",
            file=str(self.folder),
            hint="Set F5_CACHE to a folder that this user can read and write.",
        )


class Mismatch(WeightsError):
    """Other bytes came than are locked."""


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"

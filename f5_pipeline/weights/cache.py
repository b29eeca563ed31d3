"""Model files on this machine: by content, complete or absent, shared by all processes.

    <cache>/blobs/<sha256>.<ext>     files, read-only
    <cache>/partial/<sha256>.part    an unfinished download
    <cache>/locks/<sha256>.fetch     locked by the process that fetches a file
    <cache>/locks/<sha256>.use       locked, shared, by all that have a file open; its mtime is the last use
    <cache>/stamps/…                 size and mtime of files whose hash was verified
    <cache>/aside/…                  damaged files

The locks are the kernel's (flock), which frees them however a process ends.
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
from f5_pipeline.weights.errors import RetryableWeightsError, WeightsError
from f5_pipeline.weights.records import Blob

log = logging.getLogger("f5_pipeline.weights")

MIN_FREE_BYTES = 64 << 20
"""Space of the disk that is left free."""

ABANDONED_AFTER_SECONDS = 7 * 24 * 3600
"""Age from which damaged files and those left by killed processes are removed."""

_POLL_SECONDS = 0.2
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class Lease:
    """Keeps a file from being evicted until `release()` or the end of the process."""

    def __init__(self, handle: IO[bytes] | None) -> None:
        self._handle = handle

    def release(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


class Cache:
    """The folder of model files on this machine. It is made on the first write, and may be read-only.

    Args:
        folder: its path.
        limit: size in bytes; the least recently used files are evicted first, never one in use.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._blobs, self._partial = folder / "blobs", folder / "partial"
        self._locks, self._stamps, self._aside = folder / "locks", folder / "stamps", folder / "aside"
        self._verified: dict[Path, tuple[int, int]] = {}

    def path(self, blob: Blob) -> Path:
        """Path of a file in the cache, whether or not it exists."""
        return self._blobs / blob.file_name

    def has(self, blob: Blob) -> bool:
        """Whether a file exists in the cache; its content is not checked."""
        return self.path(blob).is_file()

    def partial_size(self, blob: Blob) -> int:
        """Bytes of a file that were fetched so far."""
        return _size(self._part(blob.sha256))

    def lease(self, blob: Blob) -> Lease:
        """Keep a file from being evicted, whether or not it exists yet, and record its use."""
        path = self._locks / f"{blob.sha256}.use"
        try:
            self._make(self._locks)
            handle = path.open("ab")
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise self._explain(error, blob.name) from error
            return Lease(None)  # a read-only cache evicts nothing
        with contextlib.suppress(OSError):
            os.utime(path)
        lock(handle, shared=True)
        return Lease(handle)

    @contextmanager
    def alone(self, name: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Be the only process on this machine that fetches `name`; wait while another one does.

        `on_wait` is called repeatedly during the wait.
        """
        try:
            self._make(self._locks)
            handle = (self._locks / f"{name}.fetch").open("ab")
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise self._explain(error, name) from error
            yield  # nothing is fetched into a read-only cache
            return
        with handle:
            while not lock(handle, wait=False):
                on_wait()
                time.sleep(_POLL_SECONDS)
            yield

    def find(self, blob: Blob, *, deep: bool = False) -> Path | None:
        """The path of a file with a verified hash, or None. A damaged file is put aside, with a warning.

        The hash is computed on the first use, again after a change of size or mtime, and always if `deep`.
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
        """The state of a file of `blob` in the cache or a local store: "ok", "corrupt" or "missing"."""
        try:
            stat = path.stat()
        except OSError:
            return "missing"
        version = (stat.st_size, stat.st_mtime_ns)
        if stat.st_size != blob.size:
            return "corrupt"
        if not deep and version in (self._verified.get(path), self._read_stamp(path)):
            return "ok"
        try:
            intact = file_sha256(path) == blob.sha256
        except OSError:  # a failing disk
            intact = False
        if not intact:
            return "corrupt"
        self._verified[path] = version
        self._write_stamp(path, version)
        return "ok"

    def fill(self, blob: Blob, pull: Callable[[Path], object]) -> Path:
        """Fetch a file into the cache. The caller must hold `alone` for its sha256.

        Args:
            pull: completes the file at the given path, which may hold the beginning from an earlier call.

        Raises:
            WeightsError: the content is not that of `blob`, or there is no room.
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
            with part.open("rb") as complete:
                os.fsync(complete.fileno())
            path = self.path(blob)
            part.replace(path)
        except OSError as error:
            raise self._explain(error, blob.name) from error
        stat = path.stat()
        self._verified[path] = (stat.st_size, stat.st_mtime_ns)
        self._write_stamp(path, self._verified[path])
        return path

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """A path for a temporary file, removed after the context."""
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
        """Remove a file that is kept elsewhere. The caller must hold `alone` for it."""
        with contextlib.suppress(OSError):
            self.path(blob).unlink()

    def used(self) -> int:
        """Total size of the cache, bytes."""
        folders = (self._blobs, self._partial, self._aside)
        return sum(_size(path) for folder in folders if folder.is_dir() for path in folder.iterdir())

    def evict(self, only: Iterable[str] | None = None) -> dict[str, int]:
        """Remove files that are not in use: all, or those whose sha256 is in `only`; return the bytes by file name."""
        hashes = None if only is None else set(only)
        evicted = {}
        for path in self._oldest_first():
            if hashes is None or path.name.partition(".")[0] in hashes:
                size = _size(path)
                if self._evict(path):
                    evicted[path.name] = size
        if hashes is None:
            self.sweep(0)
        return evicted

    def sweep(self, older_than: float = ABANDONED_AFTER_SECONDS) -> int:
        """Remove damaged and unfinished files older than this, s; return the bytes."""
        freed = 0
        for path in [*_files(self._aside), *_files(self._partial)]:
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                stat = path.stat()
                if time.time() - stat.st_mtime < older_than:
                    continue
                if path.parent == self._partial:
                    # A store may keep its own drafts beside ours: `.<name>.part.part`.
                    name = path.name.removeprefix(".").partition(".")[0]
                    handle = stack.enter_context((self._locks / f"{name}.fetch").open("ab"))
                    if not lock(handle, wait=False):
                        continue  # being fetched
                path.unlink()
                freed += stat.st_size
        return freed

    def make_room(self, need: int, what: str) -> None:
        """Evict until `need` more bytes fit the disk and, if possible, the limit.

        Raises:
            WeightsError: the disk has no room; the message says how much is missing where.
        """
        self._make(self.folder)

        def missing() -> int:
            return need + MIN_FREE_BYTES - shutil.disk_usage(self.folder).free

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
                f"no room for {what}: it needs {_mb(need + MIN_FREE_BYTES)} and {_mb(free)} are free, "
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
        """Remove a file unless it is in use."""
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

    def _write_stamp(self, path: Path, version: tuple[int, int]) -> None:
        stamp = self._stamp(path)
        draft = stamp.with_suffix(f".{uuid.uuid4().hex[:8]}")
        with contextlib.suppress(OSError):  # without a stamp the next process computes the hash again
            self._make(self._stamps)
            draft.write_text(json.dumps(version))
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
        return RetryableWeightsError(
            f"the cache failed while {what} was fetched ({error.strerror or error})",
            file=str(self.folder),
            hint="Set F5_CACHE to a folder that this user can read and write.",
        )


class Mismatch(WeightsError):
    """The fetched content is not what is locked."""


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"

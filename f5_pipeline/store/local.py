"""A local folder as a store.

An object is written to `.tmp/` in the same folder, synced to disk, and renamed, so that writes are atomic.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from f5_pipeline.errors import DamagedError, NotFoundError, RetryableStoreError, StoreError
from f5_pipeline.store.base import ObjectStat, Progress, check_key
from f5_pipeline.store.calls import Calls
from f5_pipeline.store.disk import on_disk, sync_folder

ABANDONED_AFTER_SECONDS = 24 * 3600
"""Age from which a temporary file counts as left by a killed writer."""

_COPY_BLOCK_BYTES = 1 << 20


class LocalStore:
    """A store in a local folder, which is made on the first write."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()
        self.url = f"file:{self.root}"
        self.parallel = 1
        self.calls = Calls()
        self._temporary = self.root / ".tmp"

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r})"

    def put_bytes(self, key: str, data: bytes) -> ObjectStat:
        return self._put(key, lambda out: out.write(data))

    def replace_bytes(self, key: str, data: bytes) -> bool:
        try:
            if self.get_bytes(key) == data:
                return False
        except NotFoundError:
            pass
        self.put_bytes(key, data)
        return True

    def put_file(
        self, key: str, path: Path, *, sha256: str | None = None, on_progress: Progress | None = None
    ) -> ObjectStat:
        def copy(out: BinaryIO) -> None:
            with path.open("rb") as source:
                shutil.copyfileobj(source, out, _COPY_BLOCK_BYTES)

        stat = self._put(key, copy)
        if on_progress:
            on_progress(stat.size, stat.size)
        return stat

    def _put(self, key: str, write: Callable[[BinaryIO], object]) -> ObjectStat:
        target = self._path(key)
        temporary = self._temporary / f"{uuid.uuid4().hex}.part"
        with self._explained("write", key):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                if not self._temporary.is_dir():
                    self._temporary.mkdir(parents=True, exist_ok=True)
                with temporary.open("xb") as out:
                    write(out)
                    out.flush()
                    os.fsync(out.fileno())
                temporary.replace(target)
                sync_folder(target.parent)
            finally:
                # Keep the first error; after the rename there is nothing to remove.
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
        return self.stat(key)

    def get_bytes(self, key: str) -> bytes:
        with self._explained("read", key):
            return self._path(key).read_bytes()

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        with self._explained("read", key):
            opened = self._path(key).open("rb")
            opened.seek(start)
            return opened

    @contextmanager
    def fetch(self, key: str) -> Iterator[Path]:
        self.stat(key)
        yield self._path(key)

    def download(self, key: str, path: Path, *, sha256: str | None = None, on_progress: Progress | None = None) -> None:
        size = self.stat(key).size
        hasher = hashlib.sha256()
        with on_disk(path), atomic(path) as draft, self.open(key) as source, draft.open("wb") as out:
            while block := source.read(_COPY_BLOCK_BYTES):
                hasher.update(block)
                out.write(block)
            if sha256 and hasher.hexdigest() != sha256:
                raise DamagedError(
                    "its content is not what it was", file=f"{self.root}/{key}", hint="Delete it, then run again."
                )
        if on_progress:
            on_progress(size, size)

    def stat(self, key: str) -> ObjectStat:
        with self._explained("read", key):
            path = self._path(key)
            if path.is_dir():
                raise FileNotFoundError(errno.ENOENT, "is a folder", key)
            status = path.stat()
        return _stat(key, status)

    def exists(self, key: str) -> bool:
        with self._explained("read", key):
            return self._path(key).is_file()

    def list(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> Iterator[ObjectStat]:
        self._check_root()
        count = 0
        # Only the folder that the prefix names is walked, not the whole store.
        for key in self._walk(prefix.rpartition("/")[0], prefix, after):
            if limit is not None and count >= limit:
                return
            with contextlib.suppress(FileNotFoundError):  # deleted in the meantime
                status = (self.root / key).stat()
                count += 1
                yield _stat(key, status)

    def _walk(self, folder: str, prefix: str, after: str) -> Iterator[str]:
        """Keys below a folder that match, in order of key; folders that cannot match are skipped."""
        try:
            with os.scandir(self.root / folder) as entries:
                # Folders sort with their slash, as their keys do: "a/" comes after "a-b".
                names = sorted((f"{entry.name}/" if entry.is_dir() else entry.name) for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            key = f"{folder}/{name}" if folder else name
            if key == f"{self._temporary.name}/":
                continue
            if name.endswith("/"):
                if (key.startswith(prefix) or prefix.startswith(key)) and (key > after or after.startswith(key)):
                    yield from self._walk(key[:-1], prefix, after)
            elif key.startswith(prefix) and key > after:
                yield key

    def _check_root(self) -> None:
        if self.root.exists() and not self.root.is_dir():
            raise no_folder(str(self.root))

    def folders(self, prefix: str) -> Iterator[str]:
        folder = self.root / prefix
        self._check_root()
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                below = f"{prefix}{path.name}"
                # Deleting objects leaves empty folders behind.
                if path.is_dir() and path != self._temporary and any(self._walk(below, f"{below}/", "")):
                    yield path.name

    def delete(self, key: str) -> None:
        with self._explained("delete", key):
            self._path(key).unlink(missing_ok=True)

    def local_path(self, key: str) -> Path | None:
        return self._path(key)

    def presign(self, key: str, seconds: int, *, headers: Mapping[str, str]) -> str | None:
        return None

    def check(self) -> None:
        self.sweep()
        key = f"check-{uuid.uuid4().hex}"
        self.put_bytes(key, b"ok")
        try:
            if self.get_bytes(key) != b"ok":
                raise StoreError("the store returned other bytes than were written", file=self.url)
        finally:
            self.delete(key)

    def sweep(self) -> int:
        """Remove the temporary files of killed writers; return how many."""
        removed = 0
        if not self._temporary.is_dir():
            return 0
        for path in self._temporary.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ABANDONED_AFTER_SECONDS:
                    path.unlink()
                    removed += 1
        return removed

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    @contextmanager
    def _explained(self, verb: str, key: str) -> Iterator[None]:
        """Turn an OSError into a StoreError with a hint."""
        try:
            yield
        except OSError as error:
            raise explain(error, verb, str(self.root), key) from error


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A draft beside `path` that replaces it when the context ends, and is removed after an error."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _stat(key: str, status: os.stat_result) -> ObjectStat:
    return ObjectStat(key, status.st_size, status.st_mtime, mark=f"{status.st_size}-{status.st_mtime_ns}")


def no_folder(root: str) -> StoreError:
    """The error for a store whose path is a file."""
    return StoreError(
        "the store is no folder but a file", file=root, hint="Set F5_STORE to a folder, or move the file away."
    )


def explain(error: OSError, verb: str, root: str, key: str) -> StoreError:
    """The StoreError, with a hint, for an OSError."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)) and verb != "write":
        return NotFoundError("there is no such object", file=f"{root}/{key}")
    if Path(root).exists() and not Path(root).is_dir():
        return no_folder(root)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"the disk is full, could not {verb} {key}",
            file=root,
            hint="Free space there or set F5_STORE to another place, then run again: finished takes are kept.",
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StoreError(
            f"no permission to {verb} {key} ({error.strerror})",
            file=root,
            hint="Make the folder writable for this user or set F5_STORE to another place.",
        )
    return RetryableStoreError(
        f"could not {verb} {key} ({error.strerror or error})",
        file=root,
        hint="Set F5_STORE to a folder that this user can read and write.",
    )

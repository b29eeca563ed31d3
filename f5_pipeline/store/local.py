"""A folder as store.

An object is written to `.tmp/` in the same folder, synced to disk, and renamed: it is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from f5_pipeline.errors import NotFoundError, PassingStoreError, StoreError
from f5_pipeline.store.base import ObjectStat, check_key

ABANDONED_AFTER = 24 * 3600
"""Age in s after which a temporary file belongs to a writer that was killed."""

_COPY_BLOCK = 1 << 20


class LocalStore:
    """A store in a local folder. The folder is made on the first write."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()
        self.url = f"file:{self.root}"
        self._temporary = self.root / ".tmp"

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r})"

    def put_bytes(self, key: str, data: bytes) -> ObjectStat:
        return self._put(key, lambda out: out.write(data))

    def put_file(self, key: str, path: Path) -> ObjectStat:
        def copy(out: BinaryIO) -> None:
            with path.open("rb") as source:
                shutil.copyfileobj(source, out, _COPY_BLOCK)

        return self._put(key, copy)

    def _put(self, key: str, write: Callable[[BinaryIO], object]) -> ObjectStat:
        target = self._path(key)
        temporary = self._temporary / f"{uuid.uuid4().hex}.part"
        with self._mended("write", key):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                if not self._temporary.is_dir():
                    self._temporary.mkdir(parents=True, exist_ok=True)
                with temporary.open("xb") as out:
                    write(out)
                    out.flush()
                    os.fsync(out.fileno())
                temporary.replace(target)
                _sync_folder(target.parent)
            finally:
                # The first error is the one to tell; after a rename there is nothing left to remove.
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
        return self.stat(key)

    def get_bytes(self, key: str) -> bytes:
        with self._mended("read", key):
            return self._path(key).read_bytes()

    def open(self, key: str) -> BinaryIO:
        with self._mended("read", key):
            return self._path(key).open("rb")

    @contextmanager
    def fetch(self, key: str) -> Iterator[Path]:
        self.stat(key)
        yield self._path(key)

    def stat(self, key: str) -> ObjectStat:
        with self._mended("read", key):
            path = self._path(key)
            if path.is_dir():
                raise FileNotFoundError(errno.ENOENT, "is a folder", key)
            found = path.stat()
        return ObjectStat(key, found.st_size, found.st_mtime)

    def exists(self, key: str) -> bool:
        with self._mended("read", key):
            return self._path(key).is_file()

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        # Only the folder that the prefix names is walked, not the whole store.
        folder = self.root / prefix.rpartition("/")[0]
        if not folder.is_dir():
            if self.root.exists() and not self.root.is_dir():
                raise no_folder(str(self.root))
            return
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(self.root)
            key = relative.as_posix()
            if relative.parts[0] == self._temporary.name or not key.startswith(prefix):
                continue
            with contextlib.suppress(FileNotFoundError):  # deleted while we list
                found = path.stat()
                if path.is_file():
                    yield ObjectStat(key, found.st_size, found.st_mtime)

    def delete(self, key: str) -> None:
        with self._mended("delete", key):
            self._path(key).unlink(missing_ok=True)

    def local_path(self, key: str) -> Path | None:
        return self._path(key)

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
        """Remove what killed writers left behind; return how many files."""
        removed = 0
        if not self._temporary.is_dir():
            return 0
        for path in self._temporary.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ABANDONED_AFTER:
                    path.unlink()
                    removed += 1
        return removed

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    @contextmanager
    def _mended(self, verb: str, key: str) -> Iterator[None]:
        """Turn an OSError into an error that says what to do."""
        try:
            yield
        except OSError as error:
            raise explain(error, verb, str(self.root), key) from error


def no_folder(root: str) -> StoreError:
    """The error for a store whose place is taken by a file."""
    return StoreError(
        "the store is no folder but a file", file=root, mend="Set F5_STORE to a folder, or move the file away."
    )


def explain(error: OSError, verb: str, root: str, key: str) -> StoreError:
    """What an OSError means for the user, and the mend."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)) and verb != "write":
        return NotFoundError("there is no such object", file=f"{root}/{key}")
    if Path(root).exists() and not Path(root).is_dir():
        return no_folder(root)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"the disk is full, could not {verb} {key}",
            file=root,
            mend="Free space there or set F5_STORE to another place, then run again: finished takes are kept.",
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StoreError(
            f"no permission to {verb} {key} ({error.strerror})",
            file=root,
            mend="Make the folder writable for this user or set F5_STORE to another place.",
        )
    return PassingStoreError(
        f"could not {verb} {key} ({error.strerror or error})",
        file=root,
        mend="Set F5_STORE to a folder that this user can read and write.",
    )


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

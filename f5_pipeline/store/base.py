"""The store protocol: whole objects under immutable-looking keys, on whatever holds them.

Keys are relative paths with forward slashes, for example `takes/3f/3f9a….flac`. An object appears under its key whole
or not at all, whoever is killed when. Objects larger than memory are moved as files.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from f5_pipeline.errors import StoreError

MAX_KEY_BYTES = 1000
"""S3 allows 1,024 bytes of UTF-8 in a key; the rest is left for a prefix's slash and version marks."""


@dataclass(frozen=True)
class ObjectStat:
    """What the store knows of an object without reading it.

    Attributes:
        key: its key.
        size: bytes.
        modified: POSIX time of the last write, s.
        sha256: hex digest, where the store keeps one.
    """

    key: str
    size: int
    modified: float
    sha256: str | None = None


@runtime_checkable
class Store(Protocol):
    """Where everything is kept. All methods raise `StoreError` (or its kind `NotFoundError`), never a bare OSError."""

    url: str

    def put_bytes(self, key: str, data: bytes) -> ObjectStat:
        """Write a small object, atomically, replacing what was there."""
        ...

    def put_file(self, key: str, path: Path) -> ObjectStat:
        """Write the file at `path` as an object, atomically; the file itself is left as it is."""
        ...

    def get_bytes(self, key: str) -> bytes:
        """Read a small object whole."""
        ...

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading, seekable."""
        ...

    def fetch(self, key: str) -> AbstractContextManager[Path]:
        """The object as a read-only file for the time of the context; no copy is made where it is one already."""
        ...

    def stat(self, key: str) -> ObjectStat:
        """Size and age of an object. Raises NotFoundError."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """All objects whose key begins with `prefix`, in order of key."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; no error where there is none."""
        ...

    def local_path(self, key: str) -> Path | None:
        """The object's own file, where the store is a local folder; None elsewhere."""
        ...

    def check(self) -> None:
        """Write, read back and remove a small object. Raises StoreError with the mend."""
        ...


def check_key(key: str) -> str:
    """Return `key` if it is a sound key; raise StoreError otherwise."""
    parts = key.split("/")
    sound = (
        key
        and all(part not in ("", ".", "..") for part in parts)
        and not any(ord(c) < 32 or c in "\\\x7f" for c in key)
        and unicodedata.is_normalized("NFC", key)
        and len(key.encode("utf-8", "surrogatepass")) <= MAX_KEY_BYTES
    )
    if not sound:
        raise StoreError(f"{key!r} is not a sound object key")
    return key

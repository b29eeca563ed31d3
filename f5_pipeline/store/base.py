"""The store protocol: whole objects under immutable-looking keys, on whatever holds them.

Keys are relative paths with forward slashes, for example `takes/3f/3f9a….flac`. An object appears under its key whole
or not at all, whoever is killed when. Objects larger than memory are moved as files.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from f5_pipeline.errors import StoreError
from f5_pipeline.store.calls import Calls

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
        mark: changes whenever the content does (an ETag, or size and time to the nanosecond).
    """

    key: str
    size: int
    modified: float
    sha256: str | None = None
    mark: str = ""


Progress = Callable[[int, int], None]
"""Called with the progress of a transfer: bytes done, and bytes in all."""


@runtime_checkable
class Store(Protocol):
    """Where everything is kept. All methods raise `StoreError` (or its kind `NotFoundError`), never a bare OSError."""

    url: str
    parallel: int
    """Requests that are worth having under way at once; 1 where taking turns is as fast."""
    calls: Calls
    """Requests of this process, counted."""

    def put_bytes(self, key: str, data: bytes) -> ObjectStat:
        """Write a small object, atomically, replacing what was there. For keys that are written once."""
        ...

    def replace_bytes(self, key: str, data: bytes) -> bool:
        """Make `data` the newest state of an object that changes; return whether it differs from the one before.

        Nothing is written where it was the same, and no older version of it is left behind, as far as the credentials
        allow that.
        """
        ...

    def put_file(
        self, key: str, path: Path, *, sha256: str | None = None, on_progress: Progress | None = None
    ) -> ObjectStat:
        """Write the file at `path` as an object, atomically; the file itself is left as it is.

        Where it was cut off before, on this machine, it goes on from there.

        Args:
            sha256: of the file, hex, where it is known already.
        """
        ...

    def get_bytes(self, key: str) -> bytes:
        """Read a small object whole."""
        ...

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """Open an object for reading, seekable, at byte `start`.

        Args:
            end: nothing from this byte on will be read.
        """
        ...

    def fetch(self, key: str) -> AbstractContextManager[Path]:
        """The object as a read-only file for the time of the context; no copy is made where it is one already."""
        ...

    def download(self, key: str, path: Path, *, sha256: str | None = None, on_progress: Progress | None = None) -> None:
        """Bring an object to `path`, which appears whole or not at all; goes on where an earlier call was cut off.

        Args:
            sha256: of the object, hex; where None, the one that the store keeps, if it does.

        Raises:
            DamagedError: what came is not what it should be; nothing is left at `path`.
        """
        ...

    def stat(self, key: str) -> ObjectStat:
        """Size and age of an object. Raises NotFoundError."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key."""
        ...

    def list(self, prefix: str = "", *, after: str = "", most: int | None = None) -> Iterator[ObjectStat]:
        """Objects whose key begins with `prefix` and is greater than `after`, in order of key, at most `most`."""
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """Names of what stands directly below `prefix` (which ends with a slash) and has something below it."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; no error where there is none."""
        ...

    def local_path(self, key: str) -> Path | None:
        """The object's own file, where the store is a local folder; None elsewhere."""
        ...

    def presign(self, key: str, seconds: int, *, headers: Mapping[str, str]) -> str | None:
        """An address from which anybody can read the object for `seconds`; None where the store has no addresses.

        Args:
            headers: of the answer: content-type, content-disposition, cache-control.
        """
        ...

    def check(self) -> None:
        """Write, read back and remove a small object. Raises StoreError with a hint."""
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

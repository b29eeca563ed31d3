"""The store protocol: objects under keys, in a folder or a bucket.

Keys are relative paths with forward slashes, for example `takes/3f/3f9a….flac`. Writes are atomic: whatever
process is killed, an object is complete or does not exist. Objects larger than memory are transferred as files.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from f5_pipeline.errors import StoreError
from f5_pipeline.store.calls import Calls

MAX_KEY_BYTES = 1000
"""S3 allows 1,024 bytes of UTF-8 in a key; the rest is reserved for a prefix's slash and version marks."""


@dataclass(frozen=True)
class ObjectStat:
    """Facts about an object that the store knows without reading it.

    Attributes:
        key: its key.
        size: bytes.
        modified: POSIX time of the last write, s.
        sha256: hex digest; None where the store keeps none.
        mark: changes whenever the content does (an ETag, or size and time to the nanosecond).
    """

    key: str
    size: int
    modified: float
    sha256: str | None = None
    mark: str = ""


Progress = Callable[[int, int], None]
"""Called with the progress of a transfer: bytes done, bytes in total."""


@runtime_checkable
class Store(Protocol):
    """A store of objects. All methods raise `StoreError` (or its subclass `NotFoundError`), never a bare OSError."""

    url: str
    parallel: int
    """Number of requests to run at once; 1 where one after another is as fast."""
    calls: Calls
    """Counter of the requests of this process."""

    def put_bytes(self, key: str, data: bytes) -> ObjectStat:
        """Write a small object, replacing an older one. For keys that are written once."""
        ...

    def replace_bytes(self, key: str, data: bytes) -> bool:
        """Make `data` the new content of an object that changes; return whether it differs from the old content.

        Nothing is written where the content is the same. Older versions in a bucket are removed as far as the
        credentials allow.
        """
        ...

    def put_file(
        self, key: str, path: Path, *, sha256: str | None = None, on_progress: Progress | None = None
    ) -> ObjectStat:
        """Write the file at `path` as an object; resumes an interrupted upload of this machine.

        Args:
            sha256: of the file, hex, if known.
        """
        ...

    def get_bytes(self, key: str) -> bytes:
        """Read a small object."""
        ...

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """Open an object for reading, seekable, at byte `start`.

        Args:
            end: the caller reads nothing from this byte on.
        """
        ...

    def fetch(self, key: str) -> AbstractContextManager[Path]:
        """The object as a read-only file during the context; no copy is made where it is a local file."""
        ...

    def download(self, key: str, path: Path, *, sha256: str | None = None, on_progress: Progress | None = None) -> None:
        """Download an object to `path`, atomically; resumes an interrupted download.

        Args:
            sha256: of the object, hex; if None, the one that the store keeps, if any.

        Raises:
            DamagedError: the content has another hash; nothing is left at `path`.
        """
        ...

    def stat(self, key: str) -> ObjectStat:
        """Facts about an object. Raises NotFoundError."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key."""
        ...

    def list(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> Iterator[ObjectStat]:
        """Objects whose key begins with `prefix` and is greater than `after`, in order of key, at most `limit`."""
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """Names of the folders directly below `prefix` (which ends with a slash) that hold any object."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; no error where there is none."""
        ...

    def local_path(self, key: str) -> Path | None:
        """The object's own file, where the store is a local folder; None elsewhere."""
        ...

    def presign(self, key: str, seconds: int, *, headers: Mapping[str, str]) -> str | None:
        """A URL from which anybody can read the object for `seconds`; None where the store has no URLs.

        Args:
            headers: of the response: content-type, content-disposition, cache-control.
        """
        ...

    def check(self) -> None:
        """Write, read back and remove a small object. Raises StoreError with a hint."""
        ...


_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")


def check_key(key: str) -> str:
    """Return `key` if it is valid; raise StoreError otherwise."""
    parts = key.split("/")
    valid = (
        key
        and all(part not in ("", ".", "..") for part in parts)
        and not _FORBIDDEN.search(key)
        and unicodedata.is_normalized("NFC", key)
        and len(key.encode("utf-8", "surrogatepass")) <= MAX_KEY_BYTES
    )
    if not valid:
        raise StoreError(f"{key!r} is not a sound object key")
    return key

"""An index of the takes of a store, for millions of them: about 50 bytes a take."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from f5_pipeline.errors import StoreError

_BYTES = 32  # of a sha256
AUDIO, RECORD = 1, 2
_USED = 4


class FoundTake(NamedTuple):
    """A take in the listing of a store.

    Attributes:
        key: sha256, hex.
        parts: AUDIO, RECORD, or both.
        size: bytes of these parts.
        modified: POSIX time of the last write, s.
    """

    key: str
    parts: int
    size: int
    modified: float


class TakeIndex:
    """Takes by key, added in order of key as a store lists them. Afterwards threads may mark them."""

    def __init__(self) -> None:
        self._keys = bytearray()
        self._flags = bytearray()
        self._sizes = array("Q")
        self._modified = array("d")

    def __len__(self) -> int:
        return len(self._flags)

    def add(self, key: str, part: int, size: int, modified: float) -> None:
        """Add a part of a take. Raises StoreError where keys are out of order."""
        digest, last = bytes.fromhex(key), self._keys[-_BYTES:]
        if digest == last:
            self._flags[-1] |= part
            self._sizes[-1] += size
            self._modified[-1] = max(self._modified[-1], modified)
            return
        if digest < last:
            raise StoreError("the store does not list its keys in order", file=f"takes/{key[:2]}/{key}")
        self._keys += digest
        self._flags.append(part)
        self._sizes.append(size)
        self._modified.append(modified)

    def mark(self, key: str) -> None:
        """Mark a take as used, if it exists."""
        if (place := self._find(key)) is not None:
            self._flags[place] |= _USED

    def is_used(self, key: str) -> bool:
        """Whether a take is marked as used."""
        place = self._find(key)
        return place is not None and bool(self._flags[place] & _USED)

    def parts(self, key: str) -> int:
        """AUDIO, RECORD or both, as far as they exist; 0 for no take."""
        place = self._find(key)
        return 0 if place is None else self._flags[place] & (AUDIO | RECORD)

    def __iter__(self) -> Iterator[FoundTake]:
        """Every take, in order of key."""
        for place in range(len(self)):
            flags = self._flags[place]
            yield FoundTake(
                self._at(place).hex(),
                flags & (AUDIO | RECORD),
                self._sizes[place],
                self._modified[place],
            )

    def _at(self, place: int) -> bytearray:
        return self._keys[_BYTES * place : _BYTES * (place + 1)]

    def _find(self, key: str) -> int | None:
        digest = bytes.fromhex(key)
        place = bisect_left(range(len(self)), digest, key=self._at)
        return place if place < len(self) and self._at(place) == digest else None

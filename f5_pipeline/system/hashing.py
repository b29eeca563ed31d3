"""Hashes of files and streams of any size, in flat memory."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import IO, BinaryIO

_BLOCK_BYTES = 1 << 20


def file_sha256(path: Path) -> str:
    """sha256 of a file, hex."""
    with path.open("rb") as source:
        return stream_sha256(source)


def stream_sha256(source: BinaryIO, copy: IO[bytes] | None = None) -> str:
    """sha256 of the rest of a stream, hex.

    Args:
        copy: receives what is read.
    """
    hasher = sha256()
    while block := source.read(_BLOCK_BYTES):
        hasher.update(block)
        if copy is not None:
            copy.write(block)
    return hasher.hexdigest()

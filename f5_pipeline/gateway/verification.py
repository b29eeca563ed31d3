"""Checks by its hash that a file is what was delivered, before it is first served."""

from __future__ import annotations

from pathlib import Path

from anyio import CapacityLimiter
from starlette.concurrency import run_in_threadpool

from f5_pipeline.errors import StoreError
from f5_pipeline.system.hashing import file_sha256

FileMark = tuple[int, int, int, int]
"""Size, times of change and inode of a file: changes whenever the file is written."""

MAX_HASHES = 4096
"""Hashes of files that are kept in memory."""

HASHING_THREADS = 2
"""Files that are hashed at once, so that many first requests leave other worker threads free."""


class Verifier:
    """Hashes each file of a local folder once, and again after it is written.

    A disk does not notice a rotten byte; a bucket checks its own bytes, so that only sizes are checked there.
    """

    def __init__(self) -> None:
        self._hashes: dict[Path, tuple[FileMark, str]] = {}
        self._limiter: CapacityLimiter | None = None  # belongs to an event loop

    async def check(self, path: Path, size: int, sha256: str) -> None:
        """Raise StoreError where the file at `path` has the size of what was delivered, but other content. A missing
        file or another size is left to the reader."""
        mark = await run_in_threadpool(_mark, path)
        if mark is None or mark[0] != size:
            return
        digest = self._known(path, mark)
        if digest is None:
            self._limiter = self._limiter or CapacityLimiter(HASHING_THREADS)
            async with self._limiter:
                # perhaps hashed meanwhile for an earlier request
                digest = self._known(path, mark) or await run_in_threadpool(file_sha256, path)
            self._hashes[path] = mark, digest
            if len(self._hashes) > MAX_HASHES:
                self._hashes.pop(next(iter(self._hashes)))
        if digest != sha256:
            raise StoreError("its content is not what was delivered", file=str(path), hint="Narrate it again.")

    def _known(self, path: Path, mark: FileMark) -> str | None:
        known_mark, digest = self._hashes.get(path, (None, None))
        return digest if known_mark == mark else None


def _mark(path: Path) -> FileMark | None:
    """None where there is no such file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino

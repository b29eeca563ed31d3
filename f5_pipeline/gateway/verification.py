"""Whether a file still is what was delivered, asked by its hash before it is first served."""

from __future__ import annotations

from pathlib import Path

from anyio import CapacityLimiter
from starlette.concurrency import run_in_threadpool

from f5_pipeline.errors import StoreError
from f5_pipeline.store.records import file_sha256

Mark = tuple[int, int, int, int]
"""Size, times of change and inode of a file: another as soon as it is written again."""

MAX_HASHED = 4096
"""Files whose hashes are kept in memory."""

HASHING_THREADS = 2
"""Files that are hashed at once: many first requests leave the other worker threads free."""


class Verifier:
    """Hashes each file of a local folder once in a process, and again when it was written again.

    A disk does not notice that a byte has rotted, while a bucket watches over its own bytes: of those only the size is
    asked.
    """

    def __init__(self) -> None:
        self._hashed: dict[Path, tuple[Mark, str]] = {}
        self._limiter: CapacityLimiter | None = None  # belongs to an event loop

    async def check(self, path: Path, size: int, sha256: str) -> None:
        """Raise StoreError where the file at `path` has the size of what was delivered, and other content. That there
        is none, or one of another size, is for who reads it."""
        mark = await run_in_threadpool(_mark, path)
        if mark is None or mark[0] != size:
            return
        digest = self._known(path, mark)
        if digest is None:
            self._limiter = self._limiter or CapacityLimiter(HASHING_THREADS)
            async with self._limiter:
                # perhaps hashed meanwhile, for the request that was before this one
                digest = self._known(path, mark) or await run_in_threadpool(file_sha256, path)
            self._hashed[path] = mark, digest
            if len(self._hashed) > MAX_HASHED:
                self._hashed.pop(next(iter(self._hashed)))
        if digest != sha256:
            raise StoreError("its content is not what was delivered", file=str(path), hint="Narrate it again.")

    def _known(self, path: Path, mark: Mark) -> str | None:
        marked, digest = self._hashed.get(path, (None, None))
        return digest if marked == mark else None


def _mark(path: Path) -> Mark | None:
    """None where there is no such file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino

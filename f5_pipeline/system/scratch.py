"""Temporary folders for data that is too large for memory, removed even after a kill."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from f5_pipeline.errors import StoreError
from f5_pipeline.system.locks import lock

PREFIX = "f5-work-"
LOCK = ".lock"
MIN_AGE_SECONDS = 600
"""Age below which a folder is not swept: its owner may not have locked it yet."""


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder that exists during the context.

    Raises:
        StoreError: its disk is full.
    """
    sweep()
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            with (folder / LOCK).open("w") as file:
                lock(file)
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StoreError(
            "the disk for temporary files is full",
            file=tempfile.gettempdir(),
            hint="Free space there or set TMPDIR to another place, then run again: finished takes are kept.",
        ) from error


def sweep(min_age: float = MIN_AGE_SECONDS) -> int:
    """Remove the folders of killed processes that are older than `min_age`, s; return how many.

    A living process holds a lock in its folder, which the kernel frees however the process ends.
    """
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < min_age:
                continue
            with (folder / LOCK).open("a") as file:
                if lock(file, wait=False):
                    shutil.rmtree(folder)
                    removed += 1
    return removed

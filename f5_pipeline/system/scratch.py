"""Folders of this machine for what is too large for memory, freed even after a kill."""

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
YOUNG = 600
"""Age in s under which a folder is left alone: its owner may not have locked it yet."""


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder that lives as long as the context.

    Raises:
        StoreError: the disk that it is on is full.
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


def sweep(young: float = YOUNG) -> int:
    """Remove the folders of processes that were killed; return how many.

    A living process holds a lock in its folder, which the system takes back however the process ends.
    """
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < young:
                continue
            with (folder / LOCK).open("a") as file:
                if lock(file, wait=False):
                    shutil.rmtree(folder)
                    removed += 1
    return removed

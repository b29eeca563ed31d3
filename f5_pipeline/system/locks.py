"""Locks on files, between processes of this machine: the kernel frees them when a process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from pathlib import Path
from typing import IO

from f5_pipeline.errors import StoreError

_HELD: set[int] = set()
"""Descriptors of the locks that this process took by `hold`."""


def lock(file: IO | int, *, shared: bool = False, wait: bool = True) -> bool:
    """Lock an open file until it is closed. False where another process holds it and `wait` is false.

    Args:
        shared: whether others may share the lock.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def hold(path: Path) -> int | None:
    """Lock a file until `release` or the end of this process; return its descriptor, None if another process holds it.

    The file stays, with the id of the last process that held it: the next process must find the same file.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if not lock(descriptor, wait=False):
        os.close(descriptor)
        return None
    _HELD.add(descriptor)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def release(descriptor: int) -> None:
    """Free a lock; does nothing in a forked child of the process that holds it."""
    if descriptor in _HELD:
        _HELD.discard(descriptor)
        os.close(descriptor)


def holder(path: Path) -> int | None:
    """The id of the process that holds a file by `hold`; None where none does."""
    try:
        with path.open("r") as file:
            return None if lock(file, shared=True, wait=False) else int(file.read())
    except (OSError, ValueError):
        return None


def machine_folder() -> Path:
    """A folder that all processes of this user on this machine share, whatever their DAGSTER_HOME; lost at a restart.

    Raises:
        StoreError: the folder cannot be made, or belongs to somebody else.
    """
    folder = Path(tempfile.gettempdir()) / f"f5-pipeline-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise StoreError(
            f"the folder cannot be made ({error.strerror})", file=str(folder), hint="Set TMPDIR to a folder of yours."
        ) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise StoreError(
            "the folder is somebody else's", file=str(folder), hint="Remove it, or set TMPDIR to another folder."
        )
    return folder


def _close_inherited() -> None:
    """Close the locks in a forked child, which would otherwise hold them beyond its parent's end."""
    for descriptor in _HELD:
        os.close(descriptor)
    _HELD.clear()


os.register_at_fork(after_in_child=_close_inherited)

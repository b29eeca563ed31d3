"""Files that people name: regular ones only, read to a bound, and inside the folder of the file that names them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from f5_pipeline.errors import InputError

MAX_TEXT_BYTES = 64 << 20
"""About eleven million words; such a file is read whole."""


def read_file(
    path: Path, *, limit: int = MAX_TEXT_BYTES, named_by: str | None = None, hint: str = "Give a smaller file."
) -> bytes:
    """The bytes of a regular file; a device, a pipe or a folder is not opened.

    Args:
        limit: bytes that it may have; at most one more is read, whatever its size is said to be.
        named_by: file that errors name; the file itself where None.
        hint: for a file that is too large.

    Raises:
        InputError: it cannot be read, is not regular or too large.
    """
    named_by = named_by or str(path)
    size, data = 0, b""
    try:
        # Looked at before it is opened, as opening a device or a pipe may wait or have effects; and again after.
        regular = stat.S_ISREG(path.stat().st_mode)
        if regular:
            with open(path, "rb", opener=_without_waiting) as source:
                status = os.fstat(source.fileno())
                regular, size = stat.S_ISREG(status.st_mode), status.st_size
                data = source.read(limit + 1) if regular and size <= limit else b""
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{path.name} cannot be read ({reason})", file=named_by, hint="Give a file that you can read."
        ) from None
    if not regular:
        raise InputError(f"{path.name} is no regular file", file=named_by, hint="Give a file, no folder or device.")
    if max(size, len(data)) > limit:
        raise InputError(
            f"{path.name} has {max(size, len(data)) >> 20} MiB, more than {limit >> 20}", file=named_by, hint=hint
        )
    return data


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def path_beside(named_by: Path, path: str, *, allow_outside: bool) -> Path:
    """The path that a file names, relative to its own folder, with links followed.

    Raises:
        InputError: it leaves that folder, and that is not allowed.
    """
    folder = named_by.parent.resolve()
    try:
        found = (folder / path).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a zero byte, a loop of links
        raise InputError(f"'{path[:80]}' is no path: {error}", file=str(named_by), hint="Correct the path.") from None
    if not allow_outside and not found.is_relative_to(folder):
        raise InputError(
            f"'{path[:80]}' is outside of the folder of {named_by.name}",
            file=str(named_by),
            hint="Put the file beside it, or allow it with --allow-outside.",
        )
    return found

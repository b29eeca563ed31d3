"""Files that a command writes where its user says: complete or not at all, and never over another by mistake."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from f5_pipeline.errors import InputError


def check_new(path: Path, *, force: bool) -> None:
    """Check that a file can be written there. Raises InputError: there is one, or no folder for it."""
    if path.is_dir():
        raise InputError("this is a folder", file=str(path), hint="Name a file.")
    if path.exists() and not force:
        raise InputError("this file is there already", file=str(path), hint="Add --force to replace it.")
    if not path.absolute().parent.is_dir():
        raise InputError("there is no such folder", file=str(path.parent), hint="Make it, or name another.")


@contextmanager
def new_file(path: Path, *, force: bool = False) -> Iterator[Path]:
    """A path to write to, which becomes `path` at the end of the context; after an error nothing is left.

    Raises:
        InputError: see `check_new`; or the folder cannot be written.
    """
    check_new(path, force=force)
    draft = path.with_name(f".{os.getpid()}{path.suffix}")
    try:
        try:
            draft.touch()
        except OSError as error:
            raise InputError(f"it cannot be written: {error.strerror}", file=str(path)) from None
        yield draft
        check_new(path, force=force)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)

"""Local files that objects are uploaded from or downloaded to."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from f5_pipeline.errors import StoreError
from f5_pipeline.system.locks import lock


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Turn an OSError about a local file into a StoreError with a hint."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StoreError(
            "the disk is full" if full else f"the file cannot be read or written ({error.strerror or error})",
            file=str(error.filename or path),
            hint="Free space there, then run again: what is finished is kept." if full else None,
        ) from error


def sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Journal:
    """The finished parts of a transfer, one JSON object a line. It survives a kill; one process uses it at a time.

    Attributes:
        header: first line, which identifies the transfer; None where none was begun.
        lines: finished parts.
        waited: whether another process was using it first.
    """

    def __init__(self, path: Path, file: BinaryIO, waited: bool) -> None:
        self.path = path
        self.waited = waited
        self._file = file
        self.header: dict[str, Any] | None = None
        self.lines: list[dict[str, Any]] = []
        file.seek(0)
        entries = []
        for line in file:
            try:
                entries.append(json.loads(line))
            except ValueError:  # incomplete write
                break
        if entries:
            self.header, *self.lines = entries

    def begin(self, header: dict[str, Any]) -> None:
        """Clear the journal and begin a new transfer."""
        self._file.truncate(0)
        self.header, self.lines = header, []
        self._write(header)

    def add(self, line: dict[str, Any]) -> None:
        """Record a finished part; it is on the disk when this returns."""
        self.lines.append(line)
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def end(self) -> None:
        """Clear the journal after the transfer is finished or given up."""
        self._file.truncate(0)
        self.header, self.lines = None, []


@contextmanager
def journal(path: Path) -> Iterator[Journal]:
    """The journal at `path`, locked during the context; waits while another process uses it.

    Its folder must exist.
    """
    waited = False
    while True:
        file = path.open("a+b")
        try:
            if not lock(file, wait=False):
                waited = True
                lock(file)
            # The previous owner may have removed the file.
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                break
        except BaseException:
            file.close()
            raise
        file.close()
    with file:
        opened = Journal(path, file, waited)
        try:
            yield opened
        finally:
            if opened.header is None:
                path.unlink(missing_ok=True)

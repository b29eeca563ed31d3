"""Books that are zip files (EPUB, DOCX), read in memory and within bounds; nothing is unpacked to disk."""

from __future__ import annotations

import io
import zipfile
import zlib

from f5_pipeline.errors import InputError

MAX_UNPACKED_BYTES = 64 << 20
"""Of all that is read from one book: text, not pictures."""

MAX_DIRECTORY_BYTES = 4 << 20
"""Of the list of files in a book: some 40,000 files."""

_END, _END_64, _COMMENT = b"PK\x05\x06", b"PK\x06\x07", 1 << 16


class Zipped:
    """The files in a zip file.

    Args:
        data: its bytes.
        file: its name, for messages.

    Raises:
        InputError: it is no whole zip file, or lists too many files.
    """

    def __init__(self, data: bytes, file: str) -> None:
        self.file = file
        self._left = MAX_UNPACKED_BYTES
        # Before zipfile makes an object of each entry; sizes in a zip64 record would be another count.
        end = data.rfind(_END, max(len(data) - _COMMENT - 22, 0))
        directory = int.from_bytes(data[end + 12 : end + 16], "little")
        if end >= 0 and (directory > MAX_DIRECTORY_BYTES or data[end - 20 : end - 16] == _END_64):
            raise InputError("the book lists too many files", file=file, hint="Save it anew with another program.")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
            raise self._damaged(str(error)) from None
        self.names = frozenset(self._zip.namelist())

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of a file in the book.

        Args:
            limit: bytes that this file may have; what all files of a book may have together is bounded anyway.

        Raises:
            InputError: it is not there, is damaged or locked, or the book unpacks to too much.
        """
        if name not in self.names:
            raise self._damaged(f"{name[:200]} is missing")
        info = self._zip.getinfo(name)
        if info.flag_bits & 1:
            raise InputError("the book is locked with a password", file=self.file, hint="Give one that is not locked.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._damaged(f"{name[:200]} is packed in a way that books do not use")
        bound = min(self._left, limit if limit is not None else self._left)
        try:
            with self._zip.open(info) as stream:
                data = stream.read(bound + 1)  # whatever size it claims to have
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
            raise self._damaged(f"{name[:200]}: {error}") from None
        if len(data) > bound:
            raise InputError(
                f"{name[:200]} unpacks to more than {bound >> 20} MiB",
                file=self.file,
                hint="A book of text has less: split it, or take it from another place.",
            )
        self._left -= len(data)
        return data

    def _damaged(self, problem: str) -> InputError:
        return InputError(f"the book is damaged: {problem}", file=self.file, hint="Copy or download it again.")

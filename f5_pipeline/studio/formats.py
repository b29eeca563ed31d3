"""Formats of delivered files by file name, for the download service, its page and metadata."""

from __future__ import annotations

from pathlib import PurePosixPath

from f5_pipeline.speech.audio import encoding
from f5_pipeline.speech.captions import formats as captions
from f5_pipeline.speech.file_format import FileFormat

COVER = FileFormat(".cover.jpg", "image/jpeg", "Cover", "JPEG")


def format_of(name: str) -> FileFormat | None:
    """The format with the suffix of `name`, or at least with its last extension; None where no format has it."""
    name = name.lower()
    extension = PurePosixPath(name).suffix
    tables = (*encoding.FORMATS.values(), *captions.FORMATS.values(), COVER)
    candidates = [entry for entry in tables if extension and entry.suffix.endswith(extension)]
    return max(candidates, key=lambda entry: len(entry.suffix) if name.endswith(entry.suffix) else 0, default=None)


def describe_file(name: str) -> str:
    """A file's format for people, for example "Captions, SubRip"."""
    file_format = format_of(name)
    return file_format.description if file_format else "File"

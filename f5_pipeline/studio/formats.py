"""The formats of delivered files, found by file name: what the download service, its page and metadata say of them."""

from __future__ import annotations

from pathlib import PurePosixPath

from f5_pipeline.speech.audio import encoding
from f5_pipeline.speech.captions import formats as captions
from f5_pipeline.speech.file_format import FileFormat


def format_of(name: str) -> FileFormat | None:
    """The format whose suffix `name` has, or at least its last extension; None for a file of no format of ours."""
    name = name.lower()
    extension = PurePosixPath(name).suffix
    tables = (*encoding.FORMATS.values(), *captions.FORMATS.values())
    same = [known for known in tables if extension and known.suffix.endswith(extension)]
    return max(same, key=lambda known: len(known.suffix) if name.endswith(known.suffix) else 0, default=None)


def describe_file(name: str) -> str:
    """What a file is, for people: "Captions, SubRip"."""
    known = format_of(name)
    return known.description if known else "File"

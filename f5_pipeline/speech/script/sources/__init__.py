"""The forms in which scripts come: a module a form, and its line in `SOURCES`.

A module has one function that reads a file's bytes:

    def read(data: bytes, file: str, gen_file: Callable[[str], bytes] | None) -> ScriptText

`file` is the file's name, for messages; `gen_file` reads another file that the script names. What cannot be read raises
`InputError` with the line. Modules are imported when they are used: this table is also read where keys are made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from f5_pipeline.errors import InputError

if TYPE_CHECKING:
    from f5_pipeline.speech.script.decoding import Block
    from f5_pipeline.speech.script.front_matter import Header
    from f5_pipeline.speech.script.markup import Markup

SOURCES = MappingProxyType(
    {".txt": "text", ".md": "markdown", ".toml": "f5_toml", ".ssml": "ssml"}
    | {
        ".epub": "epub",
        ".docx": "docx",
        ".html": "hypertext",
        ".htm": "hypertext",
        ".xhtml": "hypertext",
        ".pdf": "pdf",
    }
    | {".srt": "subtitles", ".vtt": "subtitles"}
)
"""The module that reads a script, by the suffix of its file."""

BOOKS = frozenset([".epub", ".docx", ".pdf"])
"""Suffixes of files with more than text in them, which may be larger."""


class ScriptText(NamedTuple):
    """A script as it stands in its file, before its voices are resolved."""

    header: Header
    blocks: list[Block]
    file: str
    """The file in which the blocks stand: the script's own, or one that it names."""
    title: str | None = None
    """Of the text, where the header has none."""
    notes: Sequence[str] = ()
    """What of the text is not spoken, for people."""
    markup: Markup | None = None
    """What the marks in the blocks stand for."""


def read_source(suffix: str, data: bytes, file: str, gen_file: Callable[[str], bytes] | None = None) -> ScriptText:
    """Read the bytes of a script whose suffix is in `SOURCES`.

    Raises:
        InputError: with the file, the line and a hint.
    """
    try:
        return import_module(f"{__name__}.{SOURCES[suffix]}").read(data, file, gen_file)
    except ImportError as error:
        raise InputError(
            f"{suffix} is read with the extra 'books' only: {error.name} is not installed",
            file=file,
            hint="pip install 'f5-pipeline[books]'",
        ) from error


def cover_of(data: bytes, suffix: str, file: str = "the book") -> bytes | None:
    """The picture on the cover of a book by the suffix of its file, as it is in there; None where there is none."""
    if suffix != ".epub":
        return None
    from f5_pipeline.speech.script.sources.epub import cover

    return cover(data, file)

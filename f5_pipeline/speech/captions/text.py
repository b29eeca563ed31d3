"""Text of captions: its width, and removal of characters that would break a line or a file."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


def width(text: str) -> int:
    """Width of `text` in columns: two for East Asian wide characters, none for combining marks and format controls."""
    return len(text) if text.isascii() else sum(map(_columns, text))


@lru_cache(maxsize=8192)
def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def one_line(text: str) -> str:
    """Text without characters that would end a line or a cue; never blank."""
    if not text.isprintable():
        text = "".join(map(_printable, text))
    return text if text.strip() else "\ufffd"


def joint(space: str) -> str:
    """The space between two words on a line."""
    return space if space.isprintable() else " "


def _printable(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    if category in ("Cc", "Zl", "Zp"):
        return " " if character.isspace() else ""
    return character


_FROM_RIGHT = frozenset({"ar", "he", "fa", "ur", "yi", "ps", "sd", "ug", "ckb", "dv"})


def runs_from_right(language: str) -> bool:
    """Whether a language, a BCP 47 tag, is written from right to left."""
    return language.split("-")[0].lower() in _FROM_RIGHT

"""A written word on its way to its spoken form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from f5_pipeline.speech.text.characters import CURRENCY_SIGNS, WIDE, kinds, without_pictures
from f5_pipeline.speech.text.words import Written

_SPOKEN = re.compile("[LUDNC]")
_SIGNS = 8
"""Signs that may belong to a core; more of them are decoration."""
_NUMBER_SIGNS = frozenset("-−.~")


@dataclass
class Reading:
    """A written word and its spoken form.

    Attributes:
        text, space: as in `Written`.
        spoken: spoken form, never empty, without blanks at its ends.
        bound: read together with the next word; a long sentence is not cut between them.
        changed: the spoken core is not simply the written one.
        glued: no blank stands between it and the next in the spoken text, whatever `space` is.
        plain: spoken form without the lexicon, where an entry changed it: its length decides where text is cut, so
            that an entry changes no chunk but those that hold its words.
        entry: the lexicon's entry, on the first of the words that it stands for.
    """

    text: str
    space: str
    spoken: str
    bound: bool = False
    changed: bool = False
    glued: bool = False
    plain: str = ""
    entry: Any = None


class Part:
    """A word in parts: `lead` (punctuation before it), `core`, `trail` (punctuation after it).

    `kind` holds the kinds of the core's characters (see `characters`). `spoken` is None until it has been read.
    `stop_belongs`: a full stop at the front of `trail` is part of the word ("Dr.") and is not read as the end of a
    sentence, unless it is that too. `plain` and `entry`: see `Reading`.
    """

    __slots__ = (
        "bound", "changed", "core", "entry", "glued", "kind", "lead", "plain", "spoken", "stop_belongs", "trail",
        "word",
    )  # fmt: skip

    def __init__(self, word: Written) -> None:
        self.word = word
        text = without_pictures(word.text)
        kind = kinds(text)
        start, end = _core(text, kind)
        self.lead, self.core, self.trail = text[:start], text[start:end], text[end:]
        if not self.core.isascii() and self.core.translate(WIDE) != self.core:
            self.core = self.core.translate(WIDE)
            kind, start, end = kinds(self.core), 0, len(self.core)
        self.kind = kind[start:end]
        self.spoken: str | None = None
        self.bound = False
        self.changed = False
        self.glued = False
        self.stop_belongs = False
        self.plain: str | None = None
        self.entry: Any = None

    @property
    def key(self) -> str:
        return self.core.lower()

    @property
    def dotted(self) -> bool:
        """Whether one full stop follows the core."""
        return self.trail[:1] == "." and self.trail[:2] != ".."

    @property
    def numeric(self) -> bool:
        return "D" in self.kind or "N" in self.kind

    @property
    def capital(self) -> bool:
        return self.kind[:1] == "U"

    def say(self, spoken: str, *, bound: bool = False, stop: bool = False) -> None:
        """Fix the spoken form; `stop` takes the full stop after the core as part of the word."""
        self.spoken = spoken
        self.bound = self.bound or bound
        self.stop_belongs = self.stop_belongs or stop
        self.changed = spoken != self.core


def _core(text: str, kind: str) -> tuple[int, int]:
    """Where the core begins and ends: from the first letter or digit to the last, with the signs that touch them."""
    first = _SPOKEN.search(kind)
    if first is None:
        return len(kind) - len(kind.lstrip("PM")), len(kind.rstrip("P"))
    start, end = first.start(), len(kind.rstrip("PSM"))
    high = min(len(kind), end + _SIGNS)
    while end < high and kind[end] in "SM":
        end += 1
    # One amount: "3,50 €", "$ 5" (see `words`).
    if kind[end - 1] == "D" and text[end : end + 1] == " " and text[end + 1 : end + 2] in CURRENCY_SIGNS:
        end += 2
    if kind[start] == "D" and text[start - 1 : start] == " " and text[max(0, start - 2) : start - 1] in CURRENCY_SIGNS:
        start -= 2
    low = max(0, start - _SIGNS)
    while start > low and (kind[start - 1] == "S" or _number_sign(text, kind, start - 1)):
        start -= 1
    return start, end


def _number_sign(text: str, kind: str, index: int) -> bool:
    """Whether the punctuation at `index` belongs to the number after it: -5, .5, ~10, -$5."""
    return text[index] in _NUMBER_SIGNS and kind[index + 1 : index + 2] in ("D", "N", "S")

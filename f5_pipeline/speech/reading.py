"""A written word on its way to its spoken form."""

from __future__ import annotations

from dataclasses import dataclass

from f5_pipeline.speech.characters import kinds, without_pictures
from f5_pipeline.speech.words import Written

_NUMBER_SIGNS = frozenset("-−.~")


@dataclass
class Reading:
    """A written word and its spoken form.

    Attributes:
        text, space: as in `Written`.
        spoken: spoken form, never empty, without blanks at its ends.
        bound: read together with the next word; a long sentence is not cut between them.
        changed: the spoken core is not simply the written one.
    """

    text: str
    space: str
    spoken: str
    bound: bool = False
    changed: bool = False


class Part:
    """A word taken apart: what clings to its front (`lead`), its `core`, what clings to its end (`trail`).

    `kind` holds the kinds of the core's characters (see `characters`). `spoken` is None until it has been read.
    `stop_belongs` tells that a full stop at the front of `trail` is part of the word ("Dr.") and is not read as the end
    of a sentence, unless it is that too.
    """

    __slots__ = ("bound", "changed", "core", "kind", "lead", "spoken", "stop_belongs", "trail", "word")

    def __init__(self, word: Written) -> None:
        self.word = word
        text = without_pictures(word.text)
        kind = kinds(text)
        start, end = 0, len(text)
        while start < end and kind[start] in "PM" and not _number_sign(text, kind, start):
            start += 1
        while end > start and kind[end - 1] == "P":
            end -= 1
        self.lead, self.core, self.trail = text[:start], text[start:end], text[end:]
        self.kind = kind[start:end]
        self.spoken: str | None = None
        self.bound = False
        self.changed = False
        self.stop_belongs = False

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


def _number_sign(text: str, kind: str, index: int) -> bool:
    """Whether the punctuation at `index` belongs to the number after it: -5, .5, ~10, -$5."""
    return text[index] in _NUMBER_SIGNS and kind[index + 1 : index + 2] in ("D", "N", "S")

"""What is heard against what was to be said, word by word: missing, added, changed, repeated."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import takewhile
from typing import Literal

from pydantic import BaseModel, Field

from f5_pipeline.speech.text.languages import base, language_data
from f5_pipeline.speech.text.normalise import lone_symbols, read
from f5_pipeline.speech.text.numerals import blank_groups
from f5_pipeline.speech.text.words import written_words

MAX_LISTED = 5
"""Differences that a sentence lists; more are only counted."""

MAX_REPEATED = 12
"""Length, in words, up to which a run that is said twice is found as such."""

ALIKE = 0.88
"""Likeness of their letters, 0..1, from which two words count as one word spelled in two ways."""

# Words without blanks between them are compared letter by letter.
_BY_LETTER = frozenset({"zh", "ja", "th", "lo", "my", "km", "yue"})
_APOSTROPHES = re.compile(r"['’ʼ`]")
_WORD = re.compile(r"[^\W_]+")
# British and American spelling, folded alike; applied to both sides, so that they need not be words.
_SPELLING = tuple((re.compile(pattern), new) for pattern, new in ((r"our", "or"), (r"is(e|ing|ed|ation)", r"iz\1"),
    (r"tre$", "ter"), (r"ogue$", "og"), (r"lled$", "led"), (r"lling$", "ling"), (r"grey", "gray")))  # fmt: skip


Kind = Literal["missing", "added", "repeated", "changed"]


class Differences(BaseModel):
    """How what is heard differs from what was to be said, in words as they are compared: lower case, numbers spoken."""

    words: int = Field(description="words that were to be said")
    missing: list[str] = Field(default=[], description="runs of words that are not heard")
    added: list[str] = Field(default=[], description="runs of words that are heard and were not to be said")
    repeated: list[str] = Field(default=[], description="runs of words that are heard once more than they should")
    changed: list[tuple[str, str]] = Field(default=[], description="words to be said, and those heard in their place")
    texts: list[tuple[Kind, str, str]] = Field(
        default=[],
        exclude=True,
        description="of each difference: its kind, its words, and the text that was to be said with this one alone",
    )

    @property
    def errors(self) -> int:
        """Words missing, added, repeated or changed, as a word error rate counts them."""
        runs = [*self.missing, *self.added, *self.repeated]
        return sum(map(_count, runs)) + sum(max(_count(said), _count(heard)) for said, heard in self.changed)

    @property
    def error_rate(self) -> float:
        """Word errors by the words that were to be said."""
        return self.errors / max(self.words, 1)

    @property
    def distance(self) -> float:
        """How far the changed words are from those to be said, in words: two that nearly agree count little."""
        return sum((1 - likeness(said, heard)) * max(_count(said), _count(heard)) for said, heard in self.changed)

    def sentences(self, kinds: Container[Kind] = ("missing", "repeated", "changed", "added")) -> list[str]:
        """The differences of some kinds for people, for example "“flickered” is missing."."""
        told: dict[Kind, list[str]] = {
            "missing": [f"“{words}” is missing." for words in self.missing],
            "repeated": [f"“{words}” is heard twice." for words in self.repeated],
            "changed": [f"“{said}” is heard as “{heard}”." for said, heard in self.changed],
            "added": [f"“{words}” is heard, and is not in the text." for words in self.added],
        }
        lines = [line for kind in told if kind in kinds for line in told[kind]]
        return lines[:MAX_LISTED] + (
            [f"{len(lines) - MAX_LISTED} more differences."] if len(lines) > MAX_LISTED else []
        )


def _count(words: str) -> int:
    return len(words.split())


@lru_cache(4096)
def likeness(first: str, second: str) -> float:
    """Likeness of the letters of two runs of words, 0..1."""
    return SequenceMatcher(None, first.replace(" ", ""), second.replace(" ", ""), autojunk=False).ratio()


def compared(text: str, language: str) -> list[str]:
    """The words of a text as they are compared: numbers and signs as they are spoken, lower case, without marks."""
    data = language_data(language)
    parts = written_words(" ".join(text.split()), lone_symbols(language), blank_groups(data.thousands, data.decimal))
    spoken = " ".join(reading.spoken for reading in read(parts, language)).lower().replace("ё", "е")
    words = _WORD.findall(_APOSTROPHES.sub("", spoken))
    if base(language) in _BY_LETTER:
        return list("".join(words))
    if base(language) == "en":
        for pattern, new in _SPELLING:
            words = [pattern.sub(new, word) if len(word) > 3 else word for word in words]
    return words


def compare(said: str, heard: str, language: str) -> Differences:
    """Compare what is heard with what was to be said.

    Args:
        said: what was to be said; heard: a transcript, spelled freely.
        language: BCP 47 tag of both.
    """
    wanted = compared(said, language)
    found, repeated = _without_repeats(compared(heard, language), wanted)
    result = Differences(words=len(wanted), repeated=repeated)
    text = f" {' '.join(wanted)} "
    for words in repeated:
        result.texts.append(("repeated", words, text.replace(f" {words} ", f" {words} {words} ", 1).strip()))
    for first, last, start, end in _unlike(wanted, found):
        words, others = " ".join(wanted[first:last]), " ".join(found[start:end])
        if words and others:
            if _is_alike(words.replace(" ", ""), others.replace(" ", "")):
                continue
            kind: Kind = "changed"
            result.changed.append((words, others))
        elif words:
            kind = "missing"
            result.missing.append(words)
        else:
            kind = "added"
            result.added.append(others)
        result.texts.append((kind, words or others, " ".join([*wanted[:first], *found[start:end], *wanted[last:]])))
    return result


def doubled(said: str, language: str) -> list[tuple[str, str]]:
    """Each word of a text, and the text with this word said twice."""
    words = compared(said, language)
    return [(word, " ".join([*words[: place + 1], *words[place:]])) for place, word in enumerate(words)]


def _is_alike(said: str, heard: str) -> bool:
    """Whether two words are one, written in two ways: "some one", "harbor", "Nicolas"."""
    return said == heard or (min(len(said), len(heard)) > 4 and likeness(said, heard) >= ALIKE and said[0] == heard[0])


def _without_repeats(found: list[str], wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words without runs that follow on themselves and were to be said once, and these runs, the longest first."""
    text, repeated = f" {' '.join(wanted)} ", []
    for length in range(min(MAX_REPEATED, len(found) // 2), 0, -1):
        start = 0
        while start + 2 * length <= len(found):
            run = found[start : start + length]
            words = " ".join(run)
            if run == found[start + length : start + 2 * length] and f" {words} {words} " not in text:
                repeated.append(words)
                del found[start : start + length]
            else:
                start += 1
    return found, repeated


def _unlike(wanted: Sequence[str], found: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Runs that differ, in order: first and last of `wanted`, start and end of `found`; one of the two may be empty.

    Of all shortest alignments by words, the one whose replaced words are most alike. Neighbouring words that differ in
    their division alone ("some one") stay together.
    """
    # The same words at the start and at the end first: what is missing is one run then, where it can be.
    head = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(wanted, found, strict=False)))
    wanted, found = wanted[head:], found[head:]
    backwards = zip(reversed(wanted), reversed(found), strict=False)
    tail = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], backwards))
    wanted, found = wanted[: len(wanted) - tail], found[: len(found) - tail]
    rows, columns = len(wanted) + 1, len(found) + 1
    costs = [[0.0] * columns for _ in range(rows)]
    for row in range(rows):
        for column in range(columns):
            if row and column:
                same = wanted[row - 1] == found[column - 1]
                swap = 0.0 if same else 1.5 - 0.6 * likeness(wanted[row - 1], found[column - 1])
                costs[row][column] = min(
                    costs[row - 1][column - 1] + swap, costs[row - 1][column] + 1, costs[row][column - 1] + 1
                )
            else:
                costs[row][column] = float(row + column)
    steps: list[tuple[int, int, int, int]] = []
    row, column = rows - 1, columns - 1
    while row or column:
        here = costs[row][column]
        if row and column and wanted[row - 1] == found[column - 1] and here == costs[row - 1][column - 1]:
            row, column = row - 1, column - 1
            continue
        if row and here == costs[row - 1][column] + 1:
            steps.append((row - 1, row, column, column))
            row -= 1
        elif column and here == costs[row][column - 1] + 1:
            steps.append((row, row, column - 1, column))
            column -= 1
        else:
            steps.append((row - 1, row, column - 1, column))
            row, column = row - 1, column - 1
    runs = _joined(steps[::-1], wanted, found)
    return [(first + head, last + head, start + head, end + head) for first, last, start, end in runs]


def _joined(
    steps: list[tuple[int, int, int, int]], wanted: Sequence[str], found: Sequence[str]
) -> list[tuple[int, int, int, int]]:
    """Neighbouring steps of a kind as one; also of different kinds, where together they say the same."""
    runs: list[tuple[int, int, int, int]] = []
    for step in steps:
        if runs and runs[-1][1] == step[0] and runs[-1][3] == step[2]:
            first, last, start, end = runs[-1][0], step[1], runs[-1][2], step[3]
            before, after = _kind(runs[-1]), _kind(step)
            if (before == after != "changed") or _is_alike("".join(wanted[first:last]), "".join(found[start:end])):
                runs[-1] = first, last, start, end
                continue
        runs.append(step)
    return runs


def _kind(step: tuple[int, int, int, int]) -> str:
    return "added" if step[0] == step[1] else "missing" if step[2] == step[3] else "changed"

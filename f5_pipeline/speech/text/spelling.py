"""Upper case: shouted words are spoken as words, acronyms are spelled, as engines spell every capital they meet."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from f5_pipeline.speech.text.languages import Language
from f5_pipeline.speech.text.reading import Part

_VOWELS = frozenset("aeiouyаеёиоуыэюяіїєαεηιουω")
_CAPITALS = re.compile("U+")
_PLURAL = re.compile("(U{2,})(?:(?:P)?L|PU)")
_ELIDED = re.compile(r"((?i:l|d|qu|n|s|j|m|t|c|dell|all|nell|dall|sull|un)')([A-Z]{2,6})")
_CLUSTER = 4
"""Consonants in a row that make a word unpronounceable."""


def read_letters(core: str, kind: str, data: Language, loud: bool, *, first: bool = False) -> str:
    """The spoken form of a word of letters.

    Args:
        core: letters, marks and apostrophes.
        kind: kinds of its characters.
        data: its language.
        loud: it stands in a run of shouted words.
        first: it begins a sentence.
    """
    plain = core.replace("’", "'").replace("ʼ", "'")
    if "U" not in kind:
        return plain
    capitals = core if _CAPITALS.fullmatch(kind) else ""
    if not capitals:
        if (match := _ELIDED.fullmatch(plain)) and spelled(match[2], data, loud):
            return match[1] + " ".join(match[2])
        if (match := _PLURAL.fullmatch(kind)) and plain[match.end(1) :].lower() in ("s", "'s"):
            stem = core[: match.end(1)]
            if spelled(stem, data, loud):
                return " ".join(stem) + "'s"
            if plain[match.end(1) :] in ("'S", "S"):
                return _lower(stem, loud, first) + plain[match.end(1) :].lower()
        if loud and "L" not in kind:
            return _lower(plain, loud, first)
        return plain
    if len(capitals) == 1:
        return plain
    if data.code == "en" and core == "OK":
        return "okay"
    return " ".join(core) if spelled(core, data, loud) else _lower(core, loud, first)


def _lower(core: str, loud: bool, first: bool) -> str:
    """NASA is a name, Nasa; a shouted word is a common one, unless it begins the sentence."""
    return core.lower() if loud and not first else core[0] + core[1:].lower()


def spelled(core: str, data: Language, loud: bool) -> bool:
    """Whether an all-capital word is spelled letter by letter."""
    if core in data.spelled or not _pronounceable(core):
        return True
    if loud:
        return core in data.acronyms
    if data.code in ("zh", "ja", "ko"):
        return core not in data.pronounced
    return len(core) <= 3 and core not in data.caps_words and core not in data.pronounced


def _pronounceable(core: str) -> bool:
    letters = [unicodedata.normalize("NFD", char)[0].lower() for char in core]
    if not all(letter.isalpha() for letter in letters):
        return False
    run = 0
    vowel = False
    for letter in letters:
        run = 0 if letter in _VOWELS else run + 1
        vowel = vowel or letter in _VOWELS
        if run > _CLUSTER:
            return False
    return vowel


def shouted(parts: Sequence[Part], data: Language) -> list[bool]:
    """For each word, whether it stands in a run of words in capitals that is emphasis rather than acronyms.

    Such a run has at least two words in capitals, one of which is plainly a word.
    """
    loud = [False] * len(parts)
    start = 0
    while start < len(parts):
        if "U" not in parts[start].kind or not _capital(parts[start]):
            start += 1
            continue
        end = start
        while end < len(parts) and (_capital(parts[end]) or (parts[end].numeric and "L" not in parts[end].kind)):
            end += 1
        run = [part for part in parts[start:end] if part.kind.count("U") > 1]
        listed = sum("," in part.trail for part in run) >= max(2, len(run) - 2)  # "GIF, SQL, JSON and MRI"
        if len(run) > 1 and not listed and any(_plain_word(part.core, data) for part in run):
            loud[start:end] = [True] * (end - start)
        start = end
    return loud


def _capital(part: Part) -> bool:
    return "U" in part.kind and "L" not in part.kind and "D" not in part.kind and "." not in part.core


def _plain_word(core: str, data: Language) -> bool:
    acronym = core in data.spelled or core in data.acronyms or core in data.pronounced
    return core in data.caps_words or (len(core) >= 4 and not acronym and _pronounceable(core))

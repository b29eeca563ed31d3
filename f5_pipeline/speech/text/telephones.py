"""Telephone numbers in running text, by Google's libphonenumber (phonenumbers), read digit by digit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from f5_pipeline.speech.text.cldr import region
from f5_pipeline.speech.text.languages import Language
from f5_pipeline.speech.text.numerals import digits_words, integer_words, parse_number
from f5_pipeline.speech.text.reading import Part

_CANDIDATE = re.compile(r"(?:\d[^\w\n]{0,3}){7}")
_GROUPS = re.compile(r"\+?\d{1,4}(?:[-–.()/]{1,2}\d{2,5}){2,6}|\d{3}-\d{4}")
_VERSION = re.compile(r"\d+(?:\.\d+){3,}")
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:[.,' ]\d{3})+")


def read_telephones(parts: Sequence[Part], tag: str, data: Language) -> None:
    """Read the words of a sentence that make a telephone number, as the country of the language writes it."""
    text, places = "", []
    for part in parts:
        places.append((len(text), len(text) + len(part.word.text)))
        text += part.word.text + part.word.space
    if not _CANDIDATE.search(text):
        return
    for start, end in _found(text, region(tag), data):
        inside = [part for part, place in zip(parts, places, strict=True) if start < place[1] and place[0] < end]
        readings = [_groups(part, data) for part in inside]
        if all(readings):
            for part, reading in zip(inside, readings, strict=True):
                part.say(str(reading), bound=part is not inside[-1])


def _found(text: str, country: str, data: Language) -> Iterator[tuple[int, int]]:
    from phonenumbers import PhoneNumberMatcher

    for match in PhoneNumberMatcher(text, country or None):
        raw = match.raw_string
        word = " ".join(text[max(0, match.start - 30) : match.start].split()[-1:])
        mobile = data.code == "zh" and len(raw) == 11 and raw.isdecimal()
        if (
            raw[0] in "+(0"
            or mobile
            or word.lower().rstrip(".:") in data.numbers_before
            or not (raw.isdecimal() or _GROUPED.fullmatch(raw) or parse_number(raw, data))
        ):
            yield match.start, match.end


def _groups(part: Part, data: Language) -> str | None:
    """The digits of a word; French says pairs."""
    said = [data.symbols.get("+", "")] if "+" in part.word.text else []
    for group in re.findall(r"\d+", part.core):
        pair = data.code == "fr" and len(group) == 2 and group[0] != "0"
        words = integer_words(group, data) if pair else digits_words(group, data)
        if words and data.code == "ko":
            words = words.replace("영", "공")
        if not words:
            return None
        said.append(words)
    words = " ".join(item for item in said if item)
    ending = re.search(r"[^\W\d]+$", part.core)  # 010-1234-5678이다
    return words + ending[0] if words and ending and data.suffix else words or None


def read_grouped(text: str, data: Language) -> str | None:
    """A word of digits in groups that only a telephone number has, as "555-0199"; no country's plan is asked."""
    if (
        not _GROUPS.fullmatch(text)
        or parse_number(text, data) is not None
        or not 7 <= sum(char.isdecimal() for char in text) <= 15
        or "/" in text
    ):
        return None
    if (
        "." in text
        and "-" not in text
        and not text.startswith("+")
        and any(len(group) > 3 for group in text.split(".")[:-1])
    ):
        return None
    if _VERSION.fullmatch(text):
        return None
    groups = [digits_words(group, data) for group in re.findall(r"\d+", text)]
    if None in groups:
        return None
    plus = f"{data.symbols.get('+', '')} " if text.startswith("+") else ""
    return (plus + ", ".join(group for group in groups if group)).strip()

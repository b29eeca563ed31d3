"""Arabic numbers: they differ in gender from what they count, and follow a preposition in the oblique case."""

from __future__ import annotations

import re

from f5_pipeline.speech.text.declined import case_of
from f5_pipeline.speech.text.languages import Language, word_set
from f5_pipeline.speech.text.numerals import number_words
from f5_pipeline.speech.text.reading import Part

_TENS = "عشر|ثلاث|أربع|خمس|ست|سبع|ثمان|تسع"
_OBLIQUE = re.compile(rf"\b(و?(?:ال)?(?:{_TENS}))ون\b|\b(و?(?:ألف|مئت|مائت|اثن))ان\b")
_UNITS = re.compile(r"\b(و?(?:ثلاث|أربع|خمس|ست|سبع|ثماني|تسع|عشر))ة\b")
_FEMININE_PLURALS = word_set("غرف مدن دول قرى ليال ليالي نساء بنات أخوات سنين شقق صور لغات قصص مرات جزر درجات")
_FEMININE_HOURS = (
    *("الواحدة", "الثانية", "الثالثة", "الرابعة", "الخامسة", "السادسة", "السابعة", "الثامنة", "التاسعة", "العاشرة"),
    *("الحادية عشرة", "الثانية عشرة"),
)
_MINUTES = {0: "", 15: " والربع", 20: " والثلث", 30: " والنصف"}


def in_context(words: str, before: Part | None, noun: str, data: Language) -> str:
    """A cardinal in the gender that its noun asks for and the case that the word before does."""
    if noun.endswith(("ات", "ة")) or noun in _FEMININE_PLURALS:
        words = _of_feminines(words)
    return oblique(words) if case_of(before, data) == "g" else words


def _of_feminines(words: str) -> str:
    """As before a feminine noun: خمسة -> خمس, خمسة عشر -> خمس عشرة."""
    return _UNITS.sub(r"\1", words) + ("ة" if words.endswith(" عشر") else "")


def oblique(words: str) -> str:
    """The case after a preposition and in a date: عشرون -> عشرين."""
    return _OBLIQUE.sub(lambda match: (match[1] or match[2]) + "ين", words)


def ordinal(value: int) -> str | None:
    """An ordinal with its article, masculine, in the oblique case."""
    words = number_words(value, "ar", "ordinal")
    return oblique(words.replace("الأول و", "الحادي و")) if words else None


def time_of_day(hours: int, minutes: int) -> str | None:
    """The hour as a feminine ordinal, and the minutes."""
    if not 0 < hours <= 24:
        return None
    name = _FEMININE_HOURS[(hours - 1) % 12]
    if minutes in _MINUTES:
        return name + _MINUTES[minutes]
    return f"{name} و{_of_feminines(number_words(minutes, 'ar') or '')} دقيقة"


def fraction(top: int, bottom: int, data: Language) -> str | None:
    """ "ثلث", "ثلثا", "ثلاثة أرباع"."""
    if bottom not in data.fractions:
        return None
    one, many = data.fractions[bottom]
    one = one.split("|")[0]
    return one if top == 1 else f"{one}ا" if top == 2 else f"{number_words(top, 'ar')} {many}"

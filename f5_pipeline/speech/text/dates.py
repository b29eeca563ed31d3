"""Dates and decades."""

from __future__ import annotations

import re

from f5_pipeline.speech.text import arabic
from f5_pipeline.speech.text.cldr import weekdays
from f5_pipeline.speech.text.clocks import clock_words
from f5_pipeline.speech.text.declined import declined_ordinal, declined_year
from f5_pipeline.speech.text.korean import read_date_part
from f5_pipeline.speech.text.languages import Language
from f5_pipeline.speech.text.numerals import integer_words, number_words
from f5_pipeline.speech.text.reading import Part

_ISO_DATE = re.compile(r"(\d{4})[-/](\d\d?)[-/](\d\d?)(?:T(\d\d:\d\d)(?::\d\d)?Z?)?")
_DATE = re.compile(r"(\d\d?)([./-])(\d\d?)\2(\d{4}|(?<=/)\d\d)")
DAY_AND_MONTH = re.compile(r"(\d\d?)\.(\d\d?)")
_DAY = re.compile(r"\d\d?")
_MID_DECADE = re.compile(r"(mid|early|late)-(\d0)s")
_HUNDREDS = re.compile(r"(10+)s")
_DECADE = re.compile(r"(\d{2}|\d{3}0)['’]?s")
_SPAN = re.compile(r"([^\W_]{1,12}\.?)[-–—]([^\W_]{1,12})")
_YEAR_MONTH_DAY = {"ja": "年月日", "ko": "년월일", "zh": "年月日"}
_DAY_OF_MONTH = re.compile(r"(\d\d?)/(\d\d?)")
OBLIQUE = frozenset(["am", "vom", "dem", "den", "zum", "beim", "seit", "bis", "ab", "im", "des"])


def read_date(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    time = None
    if match := _ISO_DATE.fullmatch(text):
        year, month, day, time = match[1], int(match[2]), int(match[3]), match[4]
    elif match := _DATE.fullmatch(text):
        first, second, year = int(match[1]), int(match[3]), match[4]
        day_first = data.day_first or match[2] == "." or first > 12
        day, month = (first, second) if day_first and not second > 12 else (second, first)
        if len(year) == 2:
            year = ("19" if int(year) > 50 else "20") + year
    elif before is not None and before.key in data.date_before and (match := _DAY_OF_MONTH.fullmatch(text)):
        return _named_day(int(match[1]), int(match[2]), part, data)
    elif match := DAY_AND_MONTH.fullmatch(text):
        return _day_and_month(int(match[1]), int(match[2]), part, before, data)
    else:
        return False
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return False
    if data.code in _YEAR_MONTH_DAY:
        signs = _YEAR_MONTH_DAY[data.code]
        if data.code == "ko":
            items = [
                read_date_part(str(int(item)), sign, data) for item, sign in zip((year, month, day), signs, strict=True)
            ]
        else:
            items = [
                f"{integer_words(str(int(item)), data)}{sign}"
                for item, sign in zip((year, month, day), signs, strict=True)
            ]
        part.say(data.joint.join(items))
        return True
    if not data.months:
        return False
    spoken_day = day_words(day, before, data)
    year_words = declined_year(int(year), None, data) or number_words(int(year), data.code, "year")
    if data.code == "ar" and year_words:
        year_words = arabic.oblique(year_words)
    if not spoken_day or not year_words:
        return False
    name = data.months[month - 1]
    if data.code == "en":
        words = (
            f"{name} {spoken_day}, {year_words}" if not data.day_first else f"the {spoken_day} of {name}, {year_words}"
        )
    else:
        words = data.date.format(day=spoken_day, month=name, year=year_words)
    part.say(f"{words}, {clock_words(time, data, None) or time}" if time else words)
    return True


def _named_day(day: int, month: int, part: Part, data: Language) -> bool:
    """ "ngày 20/11", where the word before says that it is a date."""
    words = day_words(day, None, data)
    if not words or not 1 <= day <= 31 or not 1 <= month <= 12:
        return False
    part.say(f"{words} {data.months[month - 1]}")
    return True


def read_spaced_date(parts: list[Part], index: int, data: Language) -> bool:
    """ "1. 2. 2024", where days are ordinals with a full stop: the month is said by its name."""
    if not data.ordinal_stop or index + 2 >= len(parts):
        return False
    day, month, year = parts[index : index + 3]
    if not (day.dotted and month.dotted and _DAY.fullmatch(day.core) and _DAY.fullmatch(month.core)):
        return False
    if not re.fullmatch(r"[12]\d{3}", year.core) or not (1 <= int(month.core) <= 12 and 1 <= int(day.core) <= 31):
        return False
    words = day_words(int(day.core), parts[index - 1] if index else None, data)
    year_words = declined_year(int(year.core), None, data) or number_words(int(year.core), data.code, "year")
    if not words or not year_words or not data.months:
        return False
    day.say(words, bound=True, stop=True)
    month.say(data.months[int(month.core) - 1], bound=True, stop=True)
    year.say(year_words)
    return True


def _day_and_month(day: int, month: int, part: Part, before: Part | None, data: Language) -> bool:
    """ "3.10." where days are written so."""
    if not (data.ordinal_stop and part.dotted and 1 <= day <= 31 and 1 <= month <= 12 and data.months):
        return False
    if data.code != "de":
        words = day_words(day, before, data)
        part.say(f"{words} {data.months[month - 1]}", stop=True)
        return words is not None
    first, second = day_words(day, before, data), day_words(month, before, data)
    if before is None or before.key not in OBLIQUE or not first or not second:
        return False
    part.say(f"{first} {second}", stop=True)
    return True


def day_words(day: int, before: Part | None, data: Language) -> str | None:
    """The day of a month in words."""
    if data.code == "fr":
        return "premier" if day == 1 else number_words(day, "fr")
    if data.code == "ar":
        return arabic.ordinal(day)
    if not data.day_ordinal:
        return number_words(day, data.code)
    if data.declines:
        return declined_ordinal(day, data, "m" if data.adjectives else "n", "g")
    words = number_words(day, data.code, "ordinal", "n", "g")
    if words and data.code == "de" and before and before.key in OBLIQUE:
        words += "n"
    return words


def is_month(part: Part | None, data: Language) -> bool:
    return (
        part is not None
        and bool(part.core)
        and part.key in data.month_abbreviations
        and (part.capital or data.code not in ("en", "de"))
    )


def read_span_of_days(part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    """ "Jan–Feb", "Mon–Fri", and what stands around the dash of "Jan 3–Feb 4" and "3 Jan–4 Feb"."""
    match = _SPAN.fullmatch(part.core)
    if match is None or not data.to or data.to == "—" or data.declines:
        return False
    left, right = (side.rstrip(".") for side in match.groups())
    days = weekdays(data.code)
    names = [_name_of_day(side, days, data) for side in (left, right)]
    if names[0] and names[1]:
        part.say(f"{names[0]} {data.to} {names[1]}", bound=after is not None and after.numeric)
        return True
    if left.isdecimal() and names[1] and is_month(before, data) and _is_day(left) and _numeric_day(after):
        first = number_words(int(left), data.code, "ordinal") if data.code == "en" else day_words(int(left), None, data)
        if data.code == "en" and after is not None:
            after.say(number_words(int(after.core), "en", "ordinal") or after.core)
        part.say(f"{first} {data.to} {names[1]}", bound=True)
        return first is not None
    if names[0] and right.isdecimal() and _numeric_day(before) and _is_day(right) and is_month(after, data):
        second = day_words(int(right), None, data)
        of = " of" if data.code == "en" else ""
        part.say(f"{names[0]} {data.to} {'the ' if of else ''}{second}{of}", bound=True)
        return second is not None
    return False


def spans_from_month(part: Part | None, data: Language) -> bool:
    """Whether a word is "Jan–4": a month, and the day to which something lasts."""
    match = _SPAN.fullmatch(part.core) if part is not None else None
    return match is not None and match[2].isdecimal() and match[1].lower().rstrip(".") in data.month_abbreviations


def _name_of_day(word: str, days: dict[str, str], data: Language) -> str | None:
    """A month or a day of the week in full; None for another word."""
    key = word.lower()
    if word[:1].islower() and data.code in ("en", "de"):
        return None
    month = data.month_abbreviations.get(key)
    return data.months[month] if month is not None else days.get(key)


def _is_day(figures: str) -> bool:
    return len(figures) <= 2 and 1 <= int(figures) <= 31


def _numeric_day(part: Part | None) -> bool:
    return part is not None and part.core.isdecimal() and part.core.isascii() and _is_day(part.core)


def read_decade(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    if data.code == "en" and (match := _MID_DECADE.fullmatch(text)):
        inner = number_words(int(match[2]), "en") or match[2]
        part.say(f"{match[1]} {inner[:-1]}ies")
        return True
    if data.code == "de" and (match := re.fullmatch(r"(\d{2}|\d{4})er", text)):
        if words := number_words(int(match[1]), "de", "year"):
            part.say(f"{words}er")
        return bool(words)
    if data.code == "en" and (match := _HUNDREDS.fullmatch(text)) and after is not None and after.key == "of":
        part.say({"10": "tens", "100": "hundreds", "1000": "thousands"}.get(match[1], "millions"))
        return True
    if data.code != "en" or not (match := _DECADE.fullmatch(text)):
        return False
    words = number_words(int(match[1]), "en", "year" if len(match[1]) == 4 else "cardinal")
    if not words:
        return False
    part.say(words[:-1] + "ies" if words.endswith("y") else words + "s")
    return True

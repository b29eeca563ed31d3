"""Times of day, lengths of time, and spans of them."""

from __future__ import annotations

import re

from f5_pipeline.speech.text import arabic, hindi, korean
from f5_pipeline.speech.text.cldr import unit_words
from f5_pipeline.speech.text.counting import count, counted
from f5_pipeline.speech.text.declined import case_of, declined_cardinal, hour_words
from f5_pipeline.speech.text.languages import Language, word_set
from f5_pipeline.speech.text.numerals import Number, digits_words, integer_words, number_words
from f5_pipeline.speech.text.reading import Part

_ELIDED_ONE = re.compile(r"([a-z]{1,4}['’])1[:.](\d\d)", re.IGNORECASE)
_CLOCK = re.compile(r"(\d\d?)[:.](\d\d)(?::(\d\d))?\s?(am|pm|a\.m|p\.m|uhr|h)?", re.IGNORECASE)
_HOUR = re.compile(r"(\d\d?)(am|pm|a\.m|p\.m)", re.IGNORECASE)
_HOUR_H = re.compile(r"(\d\d?)\s?[hH](\d\d)?")
_SPAN = re.compile(r"(\d[^–—~-]*)[-–—~](\d[^–—~-]*)")
_CLOCK_BEFORE = word_set("alle dalle ore kl klo klokken um à om at ve o od godzinie godz saat pukul jam lúc")
_HOUR_WORDS = frozenset(["uhr", "uur", "horas", "heures"])
_CLOCK_AFTER = frozenset(["arası", "arasında", "arasındaki"])
_SPAN_BEFORE = word_set("das de da entre dall dalle tra")
_HOUR_PLURALS = {"pt": "horas"}
_HOUR_NOUNS = {"fr": "heure", "es": "hora", "pt": "hora", "it": "ora"}


def read_clock(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    if data.code == "it" and (match := _ELIDED_ONE.fullmatch(text)):  # all'1:10
        minutes = clock_words(f"1:{match[2]}", data, None)
        part.say(match[1] + minutes if minutes else part.core)
        return True
    dotted = _is_clock(before, after)
    words = clock_words(text, data, after, before, dotted=dotted)
    if words is None:
        return False
    match = _CLOCK.fullmatch(text)
    if match and after is not None and after.core == "h" and after.spoken is None and data.time[0] == "{h} {m}":
        after.say(unit_words("duration-hour", "5", data.code)[1] or "h")
    if ", " in words and after is not None and after.key in ("stunden", "hours", "heures", "horas", "ore", "uur"):
        words, _, last = words.rpartition(", ")  # "2:03:59 hours": the unit is said already
        part.say(f"{words} {data.symbols.get('&', '')}", bound=True)
        after.say(last)
        return True
    if data.code == "en":
        named = after is not None and after.key.replace(".", "") in ("am", "pm")
        part.say(words, bound=named, stop=text.endswith(".m"))
    elif match and after is not None and after.key in _HOUR_WORDS and after.spoken is None:
        # "14:30 Uhr": the word between the hours and the minutes is written after both.
        hours, minutes = (integer_words(str(int(item)), data) or item for item in match.groups()[:2])
        part.say(f"{hours} {after.core}" if int(match[2]) else hours, bound=True)
        if int(match[2]):
            after.say(minutes)
    else:
        part.say(words)
    return True


def _is_clock(before: Part | None, after: Part | None) -> bool:
    """Whether the words around "3.45" say that it is a time."""
    said_after = after is not None and (after.key in _HOUR_WORDS or after.key in _CLOCK_AFTER)
    return said_after or (before is not None and before.key in _CLOCK_BEFORE)


def clock_words(
    text: str, data: Language, after: Part | None, before: Part | None = None, *, dotted: bool = False
) -> str | None:
    """A time of day, a length of time with its seconds, or an hour: "9:05", "2:03:59", "9am", "14h30"; else None."""
    if data.code == "en" and (match := _HOUR.fullmatch(text)):
        return f"{number_words(int(match[1]), 'en')} {match[2][0].upper()} M"
    if data.code in ("fr", "pt", "vi") and (match := _HOUR_H.fullmatch(text)):
        hour, minute = int(match[1]), int(match[2] or 0)
    elif match := _CLOCK.fullmatch(text):
        hour, minute = int(match[1]), int(match[2])
        if match[3] and minute <= 59:
            return _duration(hour, minute, int(match[3]), data)
        if "." in text.split(match[2])[0] and not match[4] and not dotted:
            return None  # 3.45 is a number
    else:
        return None
    if (not data.time[0] and data.code != "en") or hour > 24 or minute > 59:
        return None
    if own := _own_words(hour, minute, before, after, data):
        return own
    hours, minutes = _hours(hour, before, data), number_words(minute, data.code)
    if hour_words(hour, before, data) and not data.ordinal_hours:
        minutes = declined_cardinal(minute, data, case_of(before, data))
    if not hours or not minutes:
        return None
    if 0 < minute < 10 and data.time[0] == "{h} {m}" and data.code != "es":
        minutes = digits_words(f"{minute:02}", data) or minutes
    if data.code == "fr":
        minutes = counted(minutes, minute, "minute", data)
    if data.code == "it" and hour == 1:
        hours = "una"
    if data.code != "en":
        if not minute and hour_words(hour, before, data):
            return hours  # "с девяти": the word for the hour would be declined too
        words = data.time[0 if minute else 1].format(
            h=counted(hours, hour, _HOUR_NOUNS.get(data.code, ""), data), m=minutes
        )
        return words.replace("heures", "heure") if data.code == "fr" and hour < 2 else words
    half_day = (match[4] or "").lower()
    if half_day in ("uhr", "h"):
        return None
    named = bool(half_day) or (after is not None and after.key.replace(".", "") in ("am", "pm"))
    if minute == 0:
        words = hours if named else f"{hours} o'clock" if 1 <= hour <= 12 else f"{hours} hundred"
    else:
        words = f"{hours} oh {minutes}" if minute < 10 else f"{hours} {minutes}"
    return f"{words} {half_day[0].upper()} M" if half_day else words


def _hours(hour: int, before: Part | None, data: Language) -> str | None:
    if data.code == "ko":
        return korean.hour(hour)
    return hour_words(hour, before, data) or number_words(hour, data.code)


def _own_words(hour: int, minute: int, before: Part | None, after: Part | None, data: Language) -> str | None:
    """A time of day where a language has forms of its own for it."""
    if data.code == "hi":
        return hindi.time_of_day(hour, minute, after)
    if data.code == "ar" and before is not None and before.key in ("الساعة", "ساعة"):
        return arabic.time_of_day(hour, minute)
    return None


def _duration(hours: int, minutes: int, seconds: int, data: Language) -> str | None:
    units = (("duration-hour", hours), ("duration-minute", minutes), ("duration-second", seconds))
    parts = [count(integer_words(str(value), data), Number(str(value)), unit, data) for unit, value in units if value]
    return ", ".join(part for part in parts if part) or None


def read_span(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    """A span of times: "9:00-17:00", "9am-5pm", "9.00–12.30 Uhr"."""
    if not data.to or not (match := _SPAN.fullmatch(text)):
        return False
    first, second = match[1], match[2]
    if first.isdecimal() and (ending := re.search(r"[aApP]\.?[mM]$|[hH]$", second)):
        first += ending[0]
    named = after is not None and after.key in _HOUR_WORDS
    start, end = (clock_words(time, data, None, dotted=_is_clock(before, after)) for time in (first, second))
    if start is None or end is None:
        return False
    if after is not None and named and after.spoken is None:
        hour = f" {after.core}"
        start = start.removesuffix(hour)
        end, minutes = end.removesuffix(hour), ""
        if hour in end:
            end, minutes = end.split(hour, 1)
            end += hour
        if minutes:
            after.say(minutes.strip())
    o_clock = " o'clock"
    to = data.to if data.to != "—" else "" if data.code == "tr" else "-"
    if data.span and (before is None or before.key not in _CLOCK_BEFORE | _SPAN_BEFORE):
        end_hour = f" {_HOUR_PLURALS.get(data.code, '')}"
        start = start.removesuffix(end_hour)
        words = data.span.format(start, end).replace("dalle una", "dall'una").replace("alle una", "all'una")
        part.say(words, bound=named)
        return True
    part.say(f"{start.removesuffix(o_clock)}{data.joint}{to}{data.joint}{end.removesuffix(o_clock)}", bound=named)
    return True

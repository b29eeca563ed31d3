"""Two figures in one word: ranges, ratios and scores, powers, versions and the numbers of sections."""

from __future__ import annotations

import re

from f5_pipeline.speech.text.amounts import read_unit
from f5_pipeline.speech.text.cldr import CURRENCIES
from f5_pipeline.speech.text.counting import (
    count,
    unit_of,
)
from f5_pipeline.speech.text.dates import (
    DAY_AND_MONTH,
)
from f5_pipeline.speech.text.declined import (
    declined_cardinal,
)
from f5_pipeline.speech.text.languages import Language, word_set
from f5_pipeline.speech.text.money import (
    NUM,
    SCALE_LETTERS,
    SIGN,
    currency_name,
    scale_word,
    with_of,
)
from f5_pipeline.speech.text.numerals import Number, integer_words, parse_number
from f5_pipeline.speech.text.reading import Part

_RATIO = re.compile(r"(\d{1,3}):(\d{1,3})")
_SCORE = re.compile(r"(\d{1,2})[-–](\d{1,2})")
_POWER = re.compile(r"(\d+)\^(\d+)")
_RANGE = re.compile(rf"([-−]?)({SIGN}?)({NUM})([^\d\s–—-]*)[-–—‑−~]({SIGN}?)({NUM})([^\d\s]*)")
_VERSION = re.compile(r"v?(\d+(?:\.\d+){2,})", re.IGNORECASE)
_SECTIONS = word_set(
    "section chapter version figure table apartado sección capítulo paragrafo capitolo seção abschnitt kapitel chapitre"
)
_DOT = {"en": "point", "fr": "point", "es": "punto", "it": "punto", "pt": "ponto", "de": "Punkt"}


def read_ratio(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    """A ratio "3:1", or a score, which does not ascend as a range does: "2-0"."""
    if data.code == "pt" and text.isdecimal() and after is not None and after.core == "x" and _is_score(before):
        after.say(data.score or "")  # por 2 x 0
        return False
    if match := _SCORE.fullmatch(text):
        if data.score is None or int(match[1]) < int(match[2]):
            return False
        word = data.score
    elif match := _RATIO.fullmatch(text):
        word = data.score if data.proportions and data.score is not None else data.ratio
        if before is not None and before.key in data.proportions:
            word = data.ratio
        if not word and data.score is None:
            return False
    else:
        return False
    first, second = (integer_words(item, data) for item in match.groups())
    if word and data.proportions and word == data.ratio:
        second = declined_cardinal(int(match[2]), data, "d" if data.code in ("ru", "uk", "cs") else "g")
    if not first or not second:
        return False
    part.say(" ".join(item for item in (first, word, second) if item))
    return True


def _is_score(before: Part | None) -> bool:
    return before is not None and before.key in ("por", "em", "de")


def power(text: str, data: Language) -> str | None:
    if match := _POWER.fullmatch(text):
        base, power = (integer_words(item, data) for item in match.groups())
        if base and power and data.power:
            return f"{base} {data.power} {power}"
    return None


def read_range(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    match = _RANGE.fullmatch(text)
    if not match or not data.to:
        return False
    minus, sign, low, low_suffix, second_sign, high, suffix = match.groups()
    unit = unit_of(suffix, data)
    scales = SCALE_LETTERS.get(data.code, {})
    if suffix[-1:] in CURRENCIES and suffix[:-1] in scales:
        second_sign, suffix = suffix[-1], suffix[:-1]
    scale = scales.get(suffix) if sign or second_sign else None
    money = sign or second_sign or (suffix if suffix in CURRENCIES else "")
    if low_suffix not in ("", suffix) or (suffix and not (unit or scale or money or suffix in data.units)):
        return False
    if low.isdecimal() and len(low) + len(high) >= 7 and len(low) != len(high):
        return False
    first, second = parse_number(low, data), parse_number(high, data)
    if first is None or second is None or max(len(first.whole), len(second.whole)) > 6:
        return False
    plain = low.isdecimal() and high.isdecimal() and not minus
    years = plain and all(len(digits) == 4 and digits[0] in "12" for digits in (low, high)) and not money
    if years or (plain and len(low) == 4 and len(high) == 2 and not suffix and not money):
        words = [integer_words(low, data, "year"), integer_words(high, data, "year" if years else "cardinal")]
    else:
        words = [first.words(data), second.words(data)]
        if plain and data.to in data.cases and data.declined:
            words[1] = declined_cardinal(second.value, data, data.cases[data.to])
    if words[0] is None or words[1] is None:
        return False
    front = f"{data.minus} " if minus and data.minus else ""
    spoken = front + data.joint.join((words[0], data.to if data.to != "—" else "-", words[1]))
    if scale:
        spoken += f" {scale}"
    if money and not scale and after is not None and after.key in data.scales and after.spoken is None:
        part.say(spoken, bound=True)
        after.say(f"{scale_word(after, data)} {with_of(data, currency_name(money, Number('2'), data))}")
        return True
    if money and scale:
        spoken += f" {with_of(data, currency_name(money, Number('2'), data))}"
    elif money:
        spoken += data.joint + currency_name(money, second, data)
    elif suffix in data.units:
        spoken += data.joint + data.units[suffix][1]
    elif unit:
        spoken = count(spoken, second, unit, data) or spoken
    part.say(spoken)
    if not suffix and not money:
        read_unit(part, second, after, data)
    return True


def read_section(text: str, part: Part, before: Part | None, data: Language) -> bool:
    """The number of a section is none with decimals: "section two point three", "apartado dos punto tres"."""
    match = DAY_AND_MONTH.fullmatch(text)
    if not match or before is None or before.key not in _SECTIONS or data.code not in _DOT:
        return False
    first, second = (integer_words(item, data) or item for item in match.groups())
    part.say(f"{first} {_DOT[data.code]} {second}")
    return True


def version(text: str, data: Language) -> str | None:
    match = _VERSION.fullmatch(text)
    if not match or not data.point or parse_number(text, data) is not None:
        return None
    words = [integer_words(item, data) or item for item in match[1].split(".")]
    return ("v " if text[0] in "vV" else "") + f" {data.point} ".join(words)

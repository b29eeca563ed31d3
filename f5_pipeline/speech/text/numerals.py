"""Numbers in words: num2words2 where it knows the language, and never an exception.

Every function returns None where it has no reading; the caller then leaves the digits as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from f5_pipeline.speech.text.languages import Language, language_data

Form = Literal["cardinal", "ordinal", "year"]

MAX_DIGITS = 15
"""Longer whole numbers are read digit by digit: nobody follows quadrillions by ear."""

# num2words2 has no year reading there, or one that names eras.
_PLAIN_YEARS = frozenset({"ja", "ko", "th", "vi", "hi"})


@lru_cache(maxsize=16384)
def number_words(number: int, language: str, form: Form = "cardinal", gender: str = "", case: str = "") -> str | None:
    """`number` in words.

    Args:
        number: not negative.
        language: subtag, for example "de".
        form: cardinal, ordinal or year.
        gender, case: of Russian numbers: "m", "f" or "n"; "n", "g", "d", "a", "i" or "p".
    """
    if len(str(number)) > MAX_DIGITS:
        return None
    if language == "zh" and form == "year":
        return digits_words(str(number), language_data("zh"))
    if form == "year" and language in _PLAIN_YEARS:
        form = "cardinal"
    extra = {"gender": gender, "case": case} if language == "ru" else {}
    words = _num2words(number, language, form, {key: value for key, value in extra.items() if value})
    if words is None and form == "year":
        words = _num2words(number, language, "cardinal", {})
    return words


def _num2words(number: int | Decimal, language: str, form: Form, extra: Mapping[str, Any]) -> str | None:
    from num2words2 import num2words

    language = {"pt": "pt_BR"}.get(language, language)  # as CLDR understands "pt"
    try:
        words = num2words(number, lang=language, to=form, **extra)
    except (NotImplementedError, ArithmeticError, ValueError, TypeError, AttributeError, LookupError):
        return None  # each language lacks some forms and some sizes, and each says so in its own way
    if not isinstance(words, str):
        return None
    words = " ".join(words.replace(",", "").split())
    return (_MENDED[language](words) if language in _MENDED else words) or None


def _hindi(words: str) -> str:
    """num2words2 leaves out the one of a single hundred thousand."""
    out: list[str] = []
    for word in words.split():
        if word in _LAKHS and (not out or out[-1] in _LAKHS):
            out.append("एक")
        out.append(word)
    return " ".join(out)


_LAKHS = frozenset(["लाख", "करोड़", "अरब"])
_NO_HUNDREDS = re.compile(r"(?<=nghìn )lẻ (\S+)( .+)?")
_MENDED: dict[str, Callable[[str], str]] = {
    "hi": _hindi,
    "vi": lambda words: _NO_HUNDREDS.sub(
        lambda match: f"không trăm {'' if match[2] or match[1] == 'mười' else 'lẻ '}{match[1]}{match[2] or ''}", words
    ),
}
"""What num2words2 says otherwise than people do."""


def digits_words(digits: str, data: Language) -> str | None:
    """Digit by digit: "007" -> "zero zero seven"."""
    words = [number_words(int(digit), data.code) for digit in digits if digit.isdecimal()]
    if not words or None in words:
        return None
    return ("" if data.code == "zh" else " ").join(word for word in words if word)


def integer_words(digits: str, data: Language, form: Form = "cardinal", gender: str = "") -> str | None:
    """A whole number as written: leading zeros and great lengths are read digit by digit."""
    if form == "cardinal" and ((len(digits) > 1 and digits[0] == "0") or len(digits) > MAX_DIGITS):
        return digits_words(digits, data)
    return number_words(int(digits), data.code, form, gender) if len(digits) <= MAX_DIGITS else None


def _decimals(fraction: str, data: Language) -> str | None:
    short = len(fraction) <= 2 and fraction[0] != "0"
    return integer_words(fraction, data) if short and not data.digitwise else digits_words(fraction, data)


def _feminine(words: str) -> str:
    """One and two as before a feminine noun, in Ukrainian and Czech."""
    for masculine, feminine in (("один", "одна"), ("два", "дві"), ("jeden", "jedna"), ("dva", "dvě")):
        if words.endswith(masculine):
            return words.removesuffix(masculine) + feminine
    return words


class Number:
    """A number as parsed: `whole` and `fraction` are strings of ASCII digits, `fraction` empty where there is none."""

    __slots__ = ("fraction", "whole")

    def __init__(self, whole: str, fraction: str = "") -> None:
        self.whole = whole
        self.fraction = fraction

    def words(self, data: Language) -> str | None:
        """The number in words, decimals included."""
        whole = integer_words(self.whole or "0", data)
        if not self.fraction or whole is None:
            return whole
        if "|" in data.point:
            return self._in_tenths(whole, data)
        if not data.point:
            number = Decimal(str(self))
            return _num2words(number, data.code, "cardinal", {}) if len(str(self)) <= MAX_DIGITS else None
        tail = _decimals(self.fraction, data)
        return data.joint.join((whole, data.point, tail)) if tail else None

    def _in_tenths(self, whole: str, data: Language) -> str | None:
        """ "дві цілих п'ять десятих", "dvě celé pět": the point is a noun that is counted."""
        tail = integer_words(self.fraction.lstrip("0") or "0", data) if data.tenths else _decimals(self.fraction, data)
        if tail is None or (data.tenths and len(self.fraction) > len(data.tenths)):
            return None
        forms = data.point.split("|")
        point = forms[0 if self.value in (0, 1) else 1 if self.value in (2, 3, 4) else 2]
        words = [_feminine(whole), point, _feminine(tail) if data.tenths else tail]
        if data.tenths:
            one, many = data.tenths[len(self.fraction) - 1].split("|")
            words.append(one if tail.split()[-1] == "один" else many)
        return " ".join(words)

    def __str__(self) -> str:
        return f"{self.whole or 0}.{self.fraction}" if self.fraction else self.whole or "0"

    @property
    def value(self) -> int:
        """The whole part."""
        return int(self.whole or 0)

    @property
    def one(self) -> bool:
        """Whether the noun after it stands in the singular."""
        return self.whole.lstrip("0") == "1" and not self.fraction


@lru_cache(maxsize=256)
def _patterns(decimal: str, thousands: str) -> tuple[re.Pattern[str], ...]:
    own = re.compile(rf"(\d{{1,3}}(?:[{re.escape(thousands)}]\d{{3}})+)(?:{re.escape(decimal)}(\d+))?")
    other = re.compile(
        r"(\d{1,3}(?:,\d{3}){2,}|\d{1,3}(?:,\d{3})+(?=\.))(?:\.(\d+))?|(\d{1,3}(?:\.\d{3}){2,})(?:,(\d+))?"
    )
    plain = re.compile(rf"(\d*)[{re.escape(decimal)}](\d+)|(\d+)[.,](\d+)")
    return own, plain, other


_INDIAN = frozenset(["hi", "bn", "gu", "kn", "ml", "mr", "ne", "pa", "ta", "te", "ur"])
_LAKH_GROUPS = re.compile(r"(\d{1,2}(?:,\d\d)+,\d{3})(?:\.(\d+))?")


def parse_number(text: str, data: Language) -> Number | None:
    """A number as its language writes it, else as another does where it can be meant in one way only."""
    if text.isdecimal():
        return Number(text)
    own, plain, other = _patterns(data.decimal, data.thousands)
    if data.code in _INDIAN and (match := _LAKH_GROUPS.fullmatch(text)):
        return Number(match[1].replace(",", ""), match[2] or "")
    if match := own.fullmatch(text):
        return Number(re.sub(r"\D", "", match[1]), match[2] or "")
    if match := plain.fullmatch(text):
        return Number(match[1] or match[3] or "", match[2] or match[4])
    if match := other.fullmatch(text):
        return Number(re.sub(r"\D", "", match[1] or match[3]), match[2] or match[4] or "")
    return None


@lru_cache(maxsize=64)
def blank_groups(data_thousands: str, decimal: str) -> re.Pattern[str] | None:
    """Matches a number grouped by blanks where the language writes so, with punctuation around it."""
    if " " not in data_thousands:
        return None
    return re.compile(rf"[^\w\s]*\d{{1,3}}(?: \d{{3}})+(?:{re.escape(decimal)}\d+)?[^\w\s]*")


_ROMAN = re.compile(r"(?=[IVXLC])(?:X{0,3}|XL|LX{0,3}|XC|C)(?:IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


def roman(text: str) -> int | None:
    """The value of a Roman numeral up to 100 in upper case, or None."""
    if not _ROMAN.fullmatch(text):
        return None
    values = [_ROMAN_VALUES[char] for char in text]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))

"""What SSML says of words (`sub`, `say-as`, `phoneme`), as a `Say`.

The values of `interpret-as` are those of the W3C's note "SSML 1.0 say-as attribute values" and those that other engines
have in common.
"""

from __future__ import annotations

import re

from f5_pipeline.speech.text.languages import Language, language_data
from f5_pipeline.speech.text.normalise import lone_symbols, read
from f5_pipeline.speech.text.numerals import blank_groups, digits_words, number_words, parse_number, roman
from f5_pipeline.speech.text.say import Say
from f5_pipeline.speech.text.words import written_words

_MAX_CHARACTERS = 60
"""Characters that are spelled out."""
_DATE_FIELDS = re.compile(r"\d{1,4}")


def say_as(element: str, value: str, form: str, text: str, language: str) -> Say | None:
    """How `text` is to be said; None where it cannot be said so.

    Args:
        element: sub, say-as or phoneme.
        value: of its attribute: an alias, the name of a kind of reading, or IPA.
        form: `format` of say-as: mdy, dmy or ymd of a date.
        language: BCP 47 tag.
    """
    if element == "sub":
        return Say(value)
    if element == "phoneme":
        return Say(ipa=value)
    data = language_data(language)
    spoken = {
        "characters": _spelled,
        "spell-out": _spelled,
        "digits": _digits,
        "telephone": _telephone,
        "cardinal": _cardinal,
        "ordinal": _ordinal,
    }.get(value)
    words = spoken(text, data) if spoken else _usual(_iso(text, form) if value == "date" else text, language)
    return Say(words) if words else None


def _spelled(text: str, data: Language) -> str | None:
    """Letter by letter; signs by their names."""
    if len(text) > _MAX_CHARACTERS:
        return None
    out: list[str] = []
    for char in text:
        if char.isdecimal():
            out.append(digits_words(char, data) or char)
        elif char.isalpha():
            out.append(char.upper() if len(char.upper()) == 1 else char)
        elif name := data.symbols.get(char):
            out.append(name)
    return " ".join(out) or None


def _digits(text: str, data: Language) -> str | None:
    digits = re.sub(r"[\s.,'-]", "", text)
    return digits_words(digits, data) if digits.isdecimal() and len(digits) <= _MAX_CHARACTERS else None


def _telephone(text: str, data: Language) -> str | None:
    """Digit by digit, a comma between the groups."""
    groups = re.findall(r"\d+", text)
    if not groups or sum(map(len, groups)) > 20 or re.search(r"[^\d\s()+./-]", text):
        return None
    words = [digits_words(group, data) for group in groups]
    plus = f"{data.symbols.get('+', '')} " if text.lstrip("( ").startswith("+") else ""
    return (plus + ", ".join(word for word in words if word)).strip() if all(words) else None


def _cardinal(text: str, data: Language) -> str | None:
    plain = text.strip().replace("−", "-")
    value = roman(plain) if plain.isascii() and plain.isupper() else None
    if value is not None:
        return number_words(value, data.code)
    number = parse_number(re.sub(r"[\s'’]", "", plain.lstrip("-")), data)
    words = number.words(data) if number else None
    sign = _minus(data) if plain.startswith("-") else ""
    return f"{sign} {words}".strip() if words and sign is not None else None


def _minus(data: Language) -> str | None:
    """The word before a number below zero, as the usual reading has it."""
    said = _usual("-5", data.code)
    five = number_words(5, data.code)
    return said.removesuffix(five).strip() if said and five and said.endswith(five) else None


def _ordinal(text: str, data: Language) -> str | None:
    match = re.fullmatch(r"(\d{1,9}|[IVXLC]{1,7})[.ºª°]?[^\W\d_]{0,3}\.?", text.strip())
    value = None if not match else int(match[1]) if match[1].isdecimal() else roman(match[1])
    return None if value is None else number_words(value, data.code, "ordinal")


def _iso(text: str, form: str) -> str:
    """A date as year, month and day, where `form` says what is which."""
    fields = _DATE_FIELDS.findall(text)
    if not (len(form) == len(fields) == 3 and set(form) == set("ymd") and len(text) <= 20):
        return text
    date = dict(zip(form, fields, strict=True))
    year = date["y"] if len(date["y"]) == 4 else ("19" if int(date["y"]) > 50 else "20") + date["y"].zfill(2)
    return f"{year}-{date['m'].zfill(2)}-{date['d'].zfill(2)}"


def _usual(text: str, language: str) -> str | None:
    """As it is read without markup; None where figures are left over."""
    data = language_data(language)
    words = written_words(" ".join(text.split()), lone_symbols(language), blank_groups(data.thousands, data.decimal))
    readings = read(words, language)
    said = " ".join(reading.spoken for reading in readings)
    return said if any(reading.changed for reading in readings) and not re.search(r"\d", said) else None

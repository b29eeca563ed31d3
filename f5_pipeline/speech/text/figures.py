"""Words with figures in them: dates, times, money, percentages, ranges, units, years, ordinals, telephone numbers."""

from __future__ import annotations

import re
import unicodedata

from f5_pipeline.speech.text import arabic, korean
from f5_pipeline.speech.text.amounts import read_currency_after, read_unit, unit_number
from f5_pipeline.speech.text.characters import CURRENCIES as SIGNS
from f5_pipeline.speech.text.characters import ascii_digits
from f5_pipeline.speech.text.cldr import currencies, units
from f5_pipeline.speech.text.clocks import clock_words, read_clock, read_span
from f5_pipeline.speech.text.counting import (
    FRACTION,
    count,
    counted,
    fraction,
    is_feminine,
    read_vulgar_fraction,
    unit_of,
)
from f5_pipeline.speech.text.dates import (
    is_month,
    read_date,
    read_decade,
    read_spaced_date,
)
from f5_pipeline.speech.text.declined import (
    before_counted,
    counted_case,
    declined_cardinal,
    german_article,
    read_ending,
    year_word,
)
from f5_pipeline.speech.text.languages import Language
from f5_pipeline.speech.text.money import (
    NUM,
    of_several,
    read_code_before,
    read_money,
)
from f5_pipeline.speech.text.numerals import Number, digits_words, integer_words, number_words, parse_number
from f5_pipeline.speech.text.ranges import power, read_range, read_ratio, read_section, version
from f5_pipeline.speech.text.reading import Part
from f5_pipeline.speech.text.telephones import read_grouped
from f5_pipeline.speech.text.years import day_or_year

_FEET = re.compile(r"(\d)['’′](\d{1,2})")
_FRACTION_OF = re.compile(r"(\d{1,2}/\d{1,2})-([a-z]+)")
_SIGNED = re.compile(rf"([-−–+~±≈<>≤≥#§]*)({NUM})([^\d\s]*)")
_SUPERSCRIPT = re.compile(r"(.*?)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_TEMPERATURES = frozenset(["temperature-celsius", "temperature-fahrenheit", "angle-degree"])
_ARTICLE = re.compile("الـ?(\\d{1,2})")
_BLANKS = re.compile(rf"(?<=[\d{SIGNS}]) (?=[\d{SIGNS}])")  # 1 000 000, 3,50 €


def read_figures(parts: list[Part], index: int, data: Language) -> None:
    """Read the word at `index`, which holds figures; leaves `spoken` None where it is none of the forms known here."""
    part = parts[index]
    before = parts[index - 1] if index else None
    after = parts[index + 1] if index + 1 < len(parts) else None
    if (data.suffix and _with_suffix(parts, index, data)) or read_spaced_date(parts, index, data):
        return
    if _with_half(parts, index, data) or (data.code == "ar" and _with_article(part)):
        return
    text = _BLANKS.sub("", ascii_digits(part.core))
    for reader in (
        read_date,
        read_clock,
        read_span,
        _ordinal,
        read_decade,
        read_money,
        read_vulgar_fraction,
        read_ratio,
        read_range,
    ):
        if reader(text, part, before, after, data):
            return
    if (spoken := fraction(text, after, data)) is not None:
        part.say(german_article(spoken, before, "", data))
        read_unit(part, Number("0", "5"), after, data)
        return
    if read_section(text, part, before, data):
        return
    if data.code == "en" and (match := _FEET.fullmatch(text)):
        part.say(f"{number_words(int(match[1]), 'en')} foot {number_words(int(match[2]), 'en')}")
        part.trail = part.trail.lstrip('"”″')
        return
    if data.code == "en" and (match := _FRACTION_OF.fullmatch(text)) and (words := fraction(match[1], None, data)):
        part.say(f"{words} {match[2]}".replace("quarters ", "quarter ").replace("one half", "half"))
        return
    for simple in (read_grouped, version, power):
        if (spoken := simple(text, data)) is not None:
            part.say(spoken)
            return
    _signed(text, part, before, after, data)
    read_currency_after(parts, index, data)


def _with_suffix(parts: list[Part], index: int, data: Language) -> bool:
    """Figures with an ending written to them, as in Korean and Turkish: it joins what is said of them."""
    part = parts[index]
    match = re.fullmatch(rf"(.*[\d%°℃]){data.suffix}", part.core)
    if not match:
        return False
    figures = ascii_digits(match[1])
    if data.code == "ko" and (words := korean.counted(figures, match[2], data)):
        part.say(words)
        return True
    if data.code == "sv":
        words = number_words(int(figures), "sv", "year") if figures.isdecimal() else None
        if words:
            part.say(words + match[2])
        return bool(words)
    if data.code == "tr" and match[2][0] in "td" and (words := clock_words(figures, data, None, dotted=True)):
        part.say(words + match[2])  # saat 14.30'da
        return True
    whole, kind = part.core, part.kind
    part.core, part.kind = match[1], kind[: len(match[1])]
    read_figures(parts, index, data)
    part.core, part.kind = whole, kind
    words = part.spoken
    if words is None and data.code == "ko":
        words = korean.equation(figures, data)
    if words is not None:
        part.say(korean.joined(words, match[2]) if data.code == "ko" else words + match[2], bound=part.bound)
    return words is not None


def _with_half(parts: list[Part], index: int, data: Language) -> bool:
    """ "1 ½ horas", where the half is said after the noun: "una hora y media"."""
    if data.code not in ("es", "pt") or index + 2 >= len(parts):
        return False
    part, half, noun = parts[index : index + 3]
    words = number_words(int(part.core), data.code) if re.fullmatch(r"[1-9]\d?", part.core) else None
    if not words or half.core != "½" or not _is_noun(noun):
        return False
    name = noun.core.removesuffix("s") if part.core == "1" else noun.core
    feminine = is_feminine(name, data)
    part.say(counted(words, int(part.core), name, data), bound=True)
    half.say(name, bound=True)
    noun.say(f"{data.symbols['&']} {data.fractions[2][0].split('|')[feminine]}")
    return True


def _is_noun(part: Part) -> bool:
    return part.kind[:1] == "L" and len(part.core) > 2


def _with_article(part: Part) -> bool:
    """Arabic "الـ21": an ordinal with its article."""
    match = _ARTICLE.fullmatch(ascii_digits(part.core))
    words = arabic.ordinal(int(match[1])) if match else None
    if words:
        part.say(words)
    return bool(words)


def _ordinal(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    if not data.ordinal or not (match := re.fullmatch(data.ordinal, text, re.IGNORECASE)):
        return False
    digits = re.sub(r"\D", "", match[1])
    if data.code in ("ru", "uk"):
        words = read_ending(digits, match[2], before, after, data) if len(digits) < 5 else None
        if words:
            part.say(words)
        return bool(words)
    if data.code == "fr" and digits == "1":
        words = "premier" if text.endswith("er") else "première"
    elif data.code == "es" and text.endswith("er"):
        words = (integer_words(digits, data, "ordinal") or "").removesuffix("o")
    elif text[-1] in "ªa" and data.code in ("es", "it", "pt"):
        words = re.sub(r"o\b", "a", integer_words(digits, data, "ordinal") or "")
    else:
        words = integer_words(digits, data, "ordinal")
    if not words:
        return False
    part.say(words, bound=is_month(before, data))
    return True


def _signed(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> None:
    """A plain number with a sign before it and a unit after it."""
    match = _SIGNED.fullmatch(text)
    if not match:
        _superscript(text, part, data)
        return
    sign, figures, suffix = match.groups()
    number = parse_number(figures, data)
    if number is None:
        return
    case = "n"
    if data.cases and figures.isdecimal() and not sign:
        case = counted_case(number.value, before, None if suffix else after, data)
    if suffix:
        words = number.words(data)
        suffix, particle = _particle(suffix, data)
        if data.cases and words:
            words = _in_case(words, number.value, case, before, None, data)
            number = unit_number(number, case, data)
        if suffix in data.units:
            name = of_several(*data.units[suffix], number, data)
            words = f"{counted(words, number.value, name, data)}{data.joint}{name}" if words else None
        elif unit := unit_of(suffix, data):
            words = (
                count(words, number, unit, data)
                or (words and suffix in data.symbols and f"{words}{data.joint}{data.symbols[suffix]}")
                or None
            )
        else:
            words = None
        if words is None:
            _superscript(text, part, data)
        else:
            below = data.below_zero if sign in ("-", "−") and unit_of(suffix, data) in _TEMPERATURES else ""
            part.say((below + data.joint if below else _front(sign, data)) + words + particle)
        return
    spoken = None if sign else day_or_year(number, figures, part, before, after, data)
    if spoken is not None:
        case = "n"
        if data.code == "ar":
            spoken = arabic.in_context(spoken, before, "", data)
    else:
        words = number.words(data)
        if data.cases and figures.isdecimal() and words:
            words = _in_case(words, number.value, case, before, after, data) or words
        if words is None:
            return
        if data.code == "en" and before is not None and before.key in ("dial", "call", "dialed", "called"):
            words = digits_words(figures, data) or words
        if (
            before is not None
            and before.core in currencies(data.code)
            and read_code_before(before, part, after, number, words, data)
        ):
            return
        if after is not None and not part.trail and data.code != "en":
            if (fraction := FRACTION.fullmatch(after.core)) and int(fraction[1]) < int(fraction[2]):
                words = f"{words} {data.symbols.get('&', '')}"
            elif case == "n" and _is_counted_noun(before, after, data):
                words = before_counted(words, number.value, after, data) or counted(
                    words, number.value, after.key, data
                )
        elif after is not None and not part.trail and re.fullmatch(r"1/[2-9]|3/4|2/3", after.core):
            words = f"{words} and"
        if part.trail.strip() in ("-", "−", "–") and part.trail[:1] == " " and after is not None and after.numeric:
            words = f"{words} {data.minus}"  # a sign that stands alone belongs to the word before it
            part.trail = ""
        spoken = _front(sign, data) + words
    part.say(spoken)
    if after is not None and after.dotted and (word := year_word(after.key, before, data)) and len(figures) == 4:
        after.say(word, stop=True)
    read_unit(part, number, after, data, before, declined=case not in ("n", "a") and data.code not in ("ar", "de"))


def _in_case(words: str, value: int, case: str, before: Part | None, after: Part | None, data: Language) -> str | None:
    """A plain number as the words beside it ask for it."""
    if data.code == "ar":
        return arabic.in_context(words, before, after.key if after is not None else "", data)
    return words if case == "n" or data.code == "de" else declined_cardinal(value, data, case)


def _particle(suffix: str, data: Language) -> tuple[str, str]:
    """A unit and what Korean writes after it without a blank: "kg이다"."""
    if data.code == "ko":
        known = units("ko").keys() | currencies("ko").keys()
        for size in range(len(suffix) - 1, 0, -1):
            if (suffix[:size] in known and not suffix[:size].isalpha()) or (
                suffix[:size].isascii() and suffix[:size] in known
            ):
                return suffix[:size], suffix[size:]
    return suffix, ""


def _is_counted_noun(before: Part | None, after: Part, data: Language) -> bool:
    if data.code == "de":
        noun = after.capital
    else:
        noun = after.kind[:1] == "L" and after.key not in data.conjunctions and after.key not in data.no_nouns
        noun = noun and len(after.key) > (2 if data.no_nouns else 3)
    return noun and not (
        before is not None and not before.trail and (before.key in data.numbered or before.key in data.before_number)
    )


def _front(sign: str, data: Language) -> str:
    names = [data.minus if char in "-−–" else data.symbols.get("≈" if char == "~" else char, "") for char in sign]
    words = " ".join(name for name in names if name)
    return f"{words}{data.joint}" if words else ""


def _superscript(text: str, part: Part, data: Language) -> None:
    match = _SUPERSCRIPT.fullmatch(text)
    if not match or not match[1]:
        return
    base, power = match[1], unicodedata.normalize("NFKC", match[2])
    letters = base.isalpha()
    if letters and len(base) > 1:
        part.say(base)  # a footnote mark
    elif data.code == "en" and (letters or base.isdecimal()):
        front = base if letters else (integer_words(base, data) or base)
        tail = {"2": "squared", "3": "cubed"}.get(power) or f"to the power of {integer_words(power, data)}"
        part.say(f"{front} {tail}")

"""Words with figures in them: dates, times, money, percentages, ranges, units, years, ordinals, telephone numbers."""

from __future__ import annotations

import re
import unicodedata

from f5_pipeline.speech.text import arabic, hindi, korean
from f5_pipeline.speech.text.characters import CURRENCIES as SIGNS
from f5_pipeline.speech.text.characters import ascii_digits
from f5_pipeline.speech.text.cldr import CURRENCIES, currencies, unit_words, units
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
    DAY_AND_MONTH,
    OBLIQUE,
    day_words,
    is_month,
    read_date,
    read_decade,
    read_spaced_date,
)
from f5_pipeline.speech.text.declined import (
    before_counted,
    case_of,
    counted_case,
    declined_cardinal,
    declined_ordinal,
    declined_year,
    gender_of,
    german_article,
    read_ending,
    scale_form,
    year_word,
)
from f5_pipeline.speech.text.languages import Language, word_set
from f5_pipeline.speech.text.money import (
    NUM,
    SCALE_LETTERS,
    SIGN,
    currency_name,
    money_parts,
    of_several,
    read_code_before,
    read_money,
    scale_word,
    with_of,
)
from f5_pipeline.speech.text.numerals import Number, digits_words, integer_words, number_words, parse_number
from f5_pipeline.speech.text.reading import Part
from f5_pipeline.speech.text.telephones import read_grouped

_RATIO = re.compile(r"(\d{1,3}):(\d{1,3})")
_SCORE = re.compile(r"(\d{1,2})[-–](\d{1,2})")
_POWER = re.compile(r"(\d+)\^(\d+)")
_FEET = re.compile(r"(\d)['’′](\d{1,2})")
_FRACTION_OF = re.compile(r"(\d{1,2}/\d{1,2})-([a-z]+)")
_RANGE = re.compile(rf"([-−]?)({SIGN}?)({NUM})([^\d\s–—-]*)[-–—‑−~]({SIGN}?)({NUM})([^\d\s]*)")
_VERSION = re.compile(r"v?(\d+(?:\.\d+){2,})", re.IGNORECASE)
_SIGNED = re.compile(rf"([-−–+~±≈<>≤≥#§]*)({NUM})([^\d\s]*)")
_SUPERSCRIPT = re.compile(r"(.*?)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_TEMPERATURES = frozenset(["temperature-celsius", "temperature-fahrenheit", "angle-degree"])
_ARTICLE = re.compile("الـ?(\\d{1,2})")
_BLANKS = re.compile(rf"(?<=[\d{SIGNS}]) (?=[\d{SIGNS}])")  # 1 000 000, 3,50 €
_YEAR_BEFORE = word_set(
    "in since from until till by of before after circa c around about during year early late mid spring "
    "summer autumn fall winter copyright im jahr jahre seit von bis ab en année depuis año desde nel dal "
    "anno em ano в году с до sinds jaar w roku"
)
_SECTIONS = word_set(
    "section chapter version figure table apartado sección capítulo paragrafo capitolo seção abschnitt kapitel chapitre"
)
_DOT = {"en": "point", "fr": "point", "es": "punto", "it": "punto", "pt": "ponto", "de": "Punkt"}
_WITHOUT_ENDING = frozenset(["ein", "kein", "mein", "dein", "sein", "ihr", "unser", "euer"])


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
        _ratio,
        _range,
    ):
        if reader(text, part, before, after, data):
            return
    if (spoken := fraction(text, after, data)) is not None:
        part.say(german_article(spoken, before, "", data))
        _read_unit(part, Number("0", "5"), after, data)
        return
    if _section(text, part, before, data):
        return
    if data.code == "en" and (match := _FEET.fullmatch(text)):
        part.say(f"{number_words(int(match[1]), 'en')} foot {number_words(int(match[2]), 'en')}")
        part.trail = part.trail.lstrip('"”″')
        return
    if data.code == "en" and (match := _FRACTION_OF.fullmatch(text)) and (words := fraction(match[1], None, data)):
        part.say(f"{words} {match[2]}".replace("quarters ", "quarter ").replace("one half", "half"))
        return
    for simple in (read_grouped, _version, _power):
        if (spoken := simple(text, data)) is not None:
            part.say(spoken)
            return
    _signed(text, part, before, after, data)
    _read_currency_after(parts, index, data)


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


def _is_score(before: Part | None) -> bool:
    return before is not None and before.key in ("por", "em", "de")


def _is_noun(part: Part) -> bool:
    return part.kind[:1] == "L" and len(part.core) > 2


def _with_article(part: Part) -> bool:
    """Arabic "الـ21": an ordinal with its article."""
    match = _ARTICLE.fullmatch(ascii_digits(part.core))
    words = arabic.ordinal(int(match[1])) if match else None
    if words:
        part.say(words)
    return bool(words)


def _ratio(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
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


def _power(text: str, data: Language) -> str | None:
    if match := _POWER.fullmatch(text):
        base, power = (integer_words(item, data) for item in match.groups())
        if base and power and data.power:
            return f"{base} {data.power} {power}"
    return None


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


def _range(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
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
        _read_unit(part, second, after, data)
    return True


def _version(text: str, data: Language) -> str | None:
    match = _VERSION.fullmatch(text)
    if not match or not data.point or parse_number(text, data) is not None:
        return None
    words = [integer_words(item, data) or item for item in match[1].split(".")]
    return ("v " if text[0] in "vV" else "") + f" {data.point} ".join(words)


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
            number = _unit_number(number, case, data)
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
    spoken = None if sign else _day_or_year(number, figures, part, before, after, data)
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
    _read_unit(part, number, after, data, before, declined=case not in ("n", "a") and data.code not in ("ar", "de"))


def _unit_number(number: Number, case: str, data: Language) -> Number:
    """The number that says the form of a unit: in another case than the nominative most ask for the genitive plural."""
    return number if case in ("n", "a") or data.code in ("ar", "de") else Number("5")


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


def _section(text: str, part: Part, before: Part | None, data: Language) -> bool:
    """The number of a section is none with decimals: "section two point three", "apartado dos punto tres"."""
    match = DAY_AND_MONTH.fullmatch(text)
    if not match or before is None or before.key not in _SECTIONS or data.code not in _DOT:
        return False
    first, second = (integer_words(item, data) or item for item in match.groups())
    part.say(f"{first} {_DOT[data.code]} {second}")
    return True


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


def _day_or_year(
    number: Number, figures: str, part: Part, before: Part | None, after: Part | None, data: Language
) -> str | None:
    """The day of a date, an ordinal with a full stop, or a year; None for a plain number."""
    if number.fraction or not figures.isdecimal():
        return None
    value = int(figures) if len(figures) <= 4 else 0
    near_month = 1 <= value <= 31 and is_month(after, data) and not part.trail.strip(".")
    if near_month and (words := day_words(value, before, data)):
        part.bound = part.stop_belongs = True
        if data.code != "en":
            return f"{words} من" if data.code == "ar" else words
        return f"{words} of" if before is not None and before.key == "the" else f"the {words} of"
    if data.code == "en" and 1 <= value <= 31 and is_month(before, data):
        part.bound = part.trail == "," and after is not None and after.numeric
        return number_words(value, "en", "ordinal")
    if data.decades and value and value % 10 == 0:
        for near in (after, before):
            if near is not None and near.key in data.decades and (near is before or part.dotted):
                part.stop_belongs = True
                return declined_ordinal(value, data, "p", data.decades[near.key])
    if data.ordinal_stop and part.dotted and after is not None and after.kind[:1] in ("U", "L") and 0 < value < 1000:
        case = case_of(before, data)
        words = declined_ordinal(value, data, gender_of(after, case, data), case)
        if words and before is not None and before.kind[:1] in ("U", "L"):
            part.stop_belongs = part.bound = True
            if data.code == "de" and (before.key in OBLIQUE or before.key.endswith(("en", "em"))):
                return f"{words}n"
            return f"{words}r" if data.code == "de" and before.key in _WITHOUT_ENDING else words
    if len(figures) == 4 and 1000 < value <= 2100 and data.year_words:
        named = after is not None and after.key in data.year_words
        if named or is_month(before, data):
            return declined_year(value, before, data, after.key if named and after is not None else "")
    if data.code == "hi" and len(figures) == 4 and (words := hindi.year(value, before, after)):
        return words
    if len(figures) == 4 and 1000 < value <= 2100 and _is_year(part, before, after, data):
        return number_words(value, data.code, "year")
    return None


def _is_year(part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    if part.trail:
        after = None  # what follows is not what is counted
    if data.code in ("zh", "ja", "ko"):
        return after is not None and after.core == "年"
    if int(part.core if part.core.isdecimal() else "1999") < 1100 and not (
        before is not None and before.key in ("in", "since", "until", "im", "anno")
    ):
        return False
    if before is not None and (before.key in _YEAR_BEFORE or is_month(before, data)):
        return not _counts(after, data)
    if before is not None and before.numeric and before.trail.startswith(",") and not _counts(after, data):
        return True
    if after is not None and (unit_of(after.core, data) or after.core in data.units or after.key in data.scales):
        return False
    return int(part.core) >= 1500 if part.core.isascii() and not _counts(after, data) else False


def _counts(after: Part | None, data: Language) -> bool:
    """Whether the next word looks like the thing that is counted: a plural in lower case."""
    if after is None or after.kind[:1] != "L":
        return False
    if data.code == "en":
        return after.key.endswith("s") and after.key not in ("was", "is", "as", "his", "its", "has", "this", "us")
    return unit_of(after.core, data) is not None


def _read_currency_after(parts: list[Part], index: int, data: Language) -> None:
    """The currency after "million": "5 mln zł"."""
    if index + 2 >= len(parts):
        return
    scale, sign = parts[index + 1 : index + 3]
    known = sign.core.isalpha() and sign.spoken is None and sign.core in currencies(data.code)
    scaled = scale.key in data.scales or scale.key in data.scale_forms
    if known and scaled and not sign.core.isascii() and (name := currency_name(sign.core, Number("5"), data)):
        sign.say(with_of(data, name), stop=True)


def _read_unit(
    part: Part,
    number: Number,
    after: Part | None,
    data: Language,
    before: Part | None = None,
    *,
    declined: bool = False,
) -> None:
    """The unit, sign or scale word after a number is bound to it and read in the right number.

    `declined`: the number is in another case than the nominative, and so is the unit.
    """
    if after is None or after.spoken is not None or part.trail or after.lead:
        return
    core = after.core
    if declined:
        number = _unit_number(number, "g", data)
    words = part.spoken or part.core
    if form := scale_form(after.key, str(number), data):
        after.say(form, stop=True)
        part.bound = True
        return
    scale = SCALE_LETTERS.get(data.code, {}).get(core[:-1], "") if core[-1:] in CURRENCIES else ""
    if scale:
        after.say(f"{scale} {with_of(data, currency_name(core[-1], Number('2'), data))}")
        part.bound = True
        return
    if (own := data.currencies.get(core)) and own.cent and len(number.fraction) == 2:
        whole, cents = money_parts(number, own, data)
        part.say(whole or cents, bound=True)
        after.say(cents if whole and cents else "", stop=core.isalpha())
        return
    if core in data.currencies or core in currencies(data.code):
        name = currency_name(core, number, data)
    elif core in data.units:
        name = of_several(*data.units[core], number, data)
    elif unit := unit_of(core, data):
        front, name = unit_words(unit, str(number), data.code)
        if front and not name:  # Turkish "yüzde beş": in the written order, the words change places
            front, name, words = "", words, front
        words = f"{front}{data.joint}{words}" if front else words
    else:
        part.bound |= after.key in data.scales
        return
    if name or core in data.symbols:
        after.say(name or data.symbols[core], stop=core.isalpha())
        part.bound = True
        unit = unit_of(core, data)
        noun = unit_words(unit, "1", data.code)[1] if unit else name
        part.spoken = words if declined else counted(words, number.value, noun or name, data)
        part.spoken = german_article(part.spoken, before, noun or name, data)


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

"""Words with figures in them: dates, times, money, percentages, ranges, units, years, ordinals, telephone numbers."""

from __future__ import annotations

import re
import unicodedata

from f5_pipeline.speech.text.languages import Currency, Language, word_set
from f5_pipeline.speech.text.numerals import Number, digits_words, integer_words, number_words, parse_number
from f5_pipeline.speech.text.reading import Part

_SIGN = r"(?:US\$|R\$|[$€£¥₹₽])"
_NUM = r"\d+(?:[.,'’]\d+)*|[.,]\d+"
_ISO_DATE = re.compile(r"(\d{4})-(\d\d?)-(\d\d?)")
_DATE = re.compile(r"(\d\d?)([./-])(\d\d?)\2(\d{4})")
_CLOCK = re.compile(r"(\d\d?)[:.](\d\d)(?::(\d\d))?\s?(am|pm|a\.m|p\.m|uhr|h)?", re.IGNORECASE)
_HOUR = re.compile(r"(\d\d?)(am|pm|a\.m|p\.m)", re.IGNORECASE)
_DECADE = re.compile(r"(\d{2}|\d{3}0)['’]?s")
_MONEY = re.compile(rf"([-−]?)({_SIGN})({_NUM})(k|K|M|m|bn|B|tn)?")
_MONEY_AFTER = re.compile(rf"([-−]?)({_NUM})({_SIGN})")
_RANGE = re.compile(rf"({_SIGN}?)({_NUM})[-–—‑−]({_SIGN}?)({_NUM})([^\d\s]*)")
_FRACTION = re.compile(r"(\d{1,3})[/⁄](\d{1,3})")
_VERSION = re.compile(r"v?(\d+(?:\.\d+){2,})", re.IGNORECASE)
_PHONE = re.compile(r"\+?\d{1,4}(?:[-–.()/]{1,2}\d{2,5}){2,6}|\d{3}-\d{4}")
_SIGNED = re.compile(rf"([-−–+~±≈<>≤≥#§]*)({_NUM})([^\d\s]*)")
_VULGAR = re.compile(r"(\d*)([½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
_SUPERSCRIPT = re.compile(r"(.*?)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_BLANKS = re.compile(r"(?<=[\d€$£¥₹₽]) (?=[\d€$£¥₹₽])")  # 1 000 000, 3,50 €
_SCALE_LETTERS = {
    "k": "thousand",
    "K": "thousand",
    "M": "million",
    "m": "million",
    "bn": "billion",
    "B": "billion",
    "tn": "trillion",
}
_EN_FRACTIONS = {2: ("half", "halves"), 4: ("quarter", "quarters")}
_YEAR_BEFORE = word_set(
    "in since from until till by of before after circa c around about during year early late mid spring "
    "summer autumn fall winter copyright im jahr jahre seit von bis ab en année depuis año desde nel dal "
    "anno em ano в году с до sinds jaar w roku"
)
_OBLIQUE = frozenset(["am", "vom", "dem", "den", "zum", "beim", "seit", "bis", "ab", "im", "des"])


def read_figures(parts: list[Part], index: int, data: Language) -> None:
    """Read the word at `index`, which holds figures; leaves `spoken` None where it is none of the forms known here."""
    part = parts[index]
    before = parts[index - 1] if index else None
    after = parts[index + 1] if index + 1 < len(parts) else None
    text = _BLANKS.sub("", _ascii_digits(part.core))
    for reader in (_date, _clock, _ordinal, _decade, _money, _vulgar):
        if reader(text, part, before, after, data):
            return
    for simple in (_range, _fraction, _phone, _version):
        if (spoken := simple(text, data)) is not None:
            part.say(spoken)
            if simple is _range:
                _read_unit(part, Number("2"), after, data)
            return
    _signed(text, part, before, after, data)


def _ascii_digits(text: str) -> str:
    """Decimal digits of every script as ASCII ones."""
    return (
        text
        if text.isascii()
        else "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)
    )


def _date(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    if match := _ISO_DATE.fullmatch(text):
        year, month, day = match[1], int(match[2]), int(match[3])
    elif match := _DATE.fullmatch(text):
        first, second, year = int(match[1]), int(match[3]), match[4]
        day_first = data.day_first or match[2] == "." or first > 12
        day, month = (first, second) if day_first and not second > 12 else (second, first)
    else:
        return False
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return False
    if data.code == "zh":
        year_words = number_words(int(year), "zh", "year") or year
        part.say(f"{year_words}年{number_words(month, 'zh')}月{number_words(day, 'zh')}日")
        return True
    if not data.months:
        return False
    day_words = _day(day, before, data)
    year_words = number_words(int(year), data.code, "year")
    if not day_words or not year_words:
        return False
    name = data.months[month - 1]
    if data.code == "en":
        part.say(
            f"{name} {day_words}, {year_words}" if not data.day_first else f"the {day_words} of {name}, {year_words}"
        )
    elif data.code in ("es", "pt"):
        part.say(f"{day_words} de {name} de {year_words}")
    else:
        part.say(f"{day_words} {name} {year_words}")
    return True


def _day(day: int, before: Part | None, data: Language) -> str | None:
    """The day of a month in words."""
    if data.code == "fr":
        return "premier" if day == 1 else number_words(day, "fr")
    if not data.day_ordinal:
        return number_words(day, data.code)
    words = number_words(day, data.code, "ordinal", "n")
    if words and data.code == "de" and before and before.key in _OBLIQUE:
        words += "n"
    return words


def _clock(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    if data.code == "en" and (match := _HOUR.fullmatch(text)):
        part.say(f"{number_words(int(match[1]), 'en')} {match[2][0].upper()} M", stop="." in match[2])
        return True
    match = _CLOCK.fullmatch(text)
    if not match or (not data.time[0] and data.code != "en"):
        return False
    if "." in text.split(match[2])[0] and not match[4]:
        return False  # 3.45 is a number
    hour, minute = int(match[1]), int(match[2])
    if hour > 24 or minute > 59 or match[3]:
        return False
    hours, minutes = number_words(hour, data.code), number_words(minute, data.code)
    if not hours or not minutes:
        return False
    if data.code != "en":
        words = data.time[0 if minute else 1].format(h=hours, m=minutes)
        if after and after.key in ("uhr", "uur", "horas", "heures"):
            words = f"{hours} {minutes}" if minute else hours
        part.say(words)
        return True
    half_day = (match[4] or "").lower()
    if half_day in ("uhr", "h"):
        return False
    named = bool(half_day) or (after is not None and after.key.replace(".", "") in ("am", "pm"))
    if minute == 0:
        words = hours if named else f"{hours} o'clock" if 1 <= hour <= 12 else f"{hours} hundred"
    else:
        words = f"{hours} oh {minutes}" if minute < 10 else f"{hours} {minutes}"
    part.say(f"{words} {half_day[0].upper()} M" if half_day else words, bound=named and not half_day)
    return True


def _ordinal(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    if not data.ordinal or not (match := re.fullmatch(data.ordinal, text, re.IGNORECASE)):
        return False
    digits = re.sub(r"\D", "", match[1])
    if data.code == "fr" and digits == "1":
        words: str | None = "premier" if text.endswith("er") else "première"
    else:
        words = integer_words(digits, data, "ordinal", _russian_gender(text))
    if not words:
        return False
    part.say(words, bound=_is_month(before, data))
    return True


def _russian_gender(text: str) -> str:
    return {"я": "f", "е": "n"}.get(text[-1], "m")


def _is_month(part: Part | None, data: Language) -> bool:
    return (
        part is not None
        and bool(part.core)
        and part.key in data.month_abbreviations
        and (part.capital or data.code not in ("en", "de"))
    )


def _decade(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    if data.code != "en" or not (match := _DECADE.fullmatch(text)):
        return False
    words = number_words(int(match[1]), "en", "year" if len(match[1]) == 4 else "cardinal")
    if not words:
        return False
    part.say(words[:-1] + "ies" if words.endswith("y") else words + "s")
    return True


def _money(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    if match := _MONEY.fullmatch(text):
        minus, sign, figures, scale = match.groups()
    elif match := _MONEY_AFTER.fullmatch(text):
        minus, figures, sign = match.groups()
        scale = None
    else:
        return False
    currency = data.currencies.get(sign)
    number = parse_number(figures, data)
    if number is None:
        return False
    if currency is None:
        name = data.symbols.get(sign[-1])
        words = number.words(data)
        if not name or not words:
            return False
        currency = Currency(name, name)
    front = f"{data.minus} " if minus and data.minus else ""
    if scale and data.code == "en":
        part.say(f"{front}{number.words(data)} {_SCALE_LETTERS[scale]} {currency.many}")
    elif after is not None and after.key in data.scales and after.spoken is None:
        part.say(front + (number.words(data) or figures), bound=True)
        after.say(f"{after.core} {currency.many}")
    else:
        amount = money_words(number, currency, data)
        if not amount:
            return False
        part.say(front + amount)
    return True


def money_words(number: Number, currency: Currency, data: Language) -> str | None:
    """An amount: two decimals are hundredths with a name of their own."""
    joint = "" if data.code == "zh" else " "
    name = currency.one if number.one else currency.many
    if len(number.fraction) != 2 or not currency.cent:
        words = number.words(data)
        return f"{_counted(words, number, data)}{joint}{name}" if words else None
    whole, cents = integer_words(number.whole or "0", data), int(number.fraction)
    name = currency.one if int(number.whole or 0) == 1 else currency.many
    if not whole:
        return None
    parts = []
    if int(number.whole or 0) or not cents:
        parts.append(f"{_counted(whole, Number(number.whole or '0'), data)} {name}")
    if cents:
        words = number_words(cents, data.code) or number.fraction
        cent = currency.cent if cents == 1 else currency.cents
        parts.append(f"{_counted(words, Number(str(cents)), data)} {cent}")
    return f" {data.symbols.get('&', '')} ".join(parts)


def _counted(words: str, number: Number, data: Language) -> str:
    """The number as it stands before a noun: German "eins" becomes "ein", Spanish "uno" becomes "un"."""
    shortened = {"de": ("eins", "ein"), "es": ("uno", "un")}.get(data.code)
    if shortened and not number.fraction and words.endswith(shortened[0]):
        return (words[: -len(shortened[0])] + shortened[1]).replace("veintiun", "veintiún")
    return words


def _vulgar(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    match = _VULGAR.fullmatch(text)
    if not match:
        return False
    if data.code == "en":
        top, bottom = (int(item) for item in unicodedata.normalize("NFKC", match[2]).split("⁄"))
        words = _en_fraction(top, bottom)
        if match[1]:
            words = f"{integer_words(match[1], data)} and {'a' + words[3:] if words.startswith('one ') else words}"
    else:
        value = f"{unicodedata.numeric(match[2]):.3f}".rstrip("0").split(".")[1]
        words = Number(match[1] or "0", value).words(data)
    if not words:
        return False
    part.say(words)
    return True


def _en_fraction(top: int, bottom: int) -> str:
    one, many = _EN_FRACTIONS.get(bottom) or (
        number_words(bottom, "en", "ordinal"),
        f"{number_words(bottom, 'en', 'ordinal')}s",
    )
    return f"{number_words(top, 'en')} {one if top == 1 else many}"


def _range(text: str, data: Language) -> str | None:
    match = _RANGE.fullmatch(text)
    if not match or not data.to:
        return None
    sign, low, second_sign, high, suffix = match.groups()
    if (suffix and suffix not in data.units and suffix not in data.currencies) or (
        low.isdecimal() and len(low) + len(high) >= 7 and len(low) != len(high)
    ):
        return None
    first, second = parse_number(low, data), parse_number(high, data)
    if first is None or second is None or max(len(first.whole), len(second.whole)) > 6:
        return None
    plain = low.isdecimal() and high.isdecimal()
    years = plain and all(len(digits) == 4 and digits[0] in "12" for digits in (low, high))
    if years or (plain and len(low) == 4 and len(high) == 2 and not suffix and not sign):
        words = [integer_words(low, data, "year"), integer_words(high, data, "year" if years else "cardinal")]
    else:
        words = [first.words(data), second.words(data)]
    if None in words:
        return None
    joint = "" if data.code == "zh" else " "
    spoken = joint.join((words[0] or low, data.to if data.to != "—" else "-", words[1] or high))
    unit = sign or second_sign or suffix
    if unit in data.currencies:
        return f"{spoken}{joint}{data.currencies[unit].many}"
    if unit and unit not in data.units:
        return None
    return f"{spoken}{joint}{data.units[unit][1]}" if unit else spoken


def _fraction(text: str, data: Language) -> str | None:
    match = _FRACTION.fullmatch(text)
    if not match or data.code != "en":
        return None
    top, bottom = int(match[1]), int(match[2])
    if 0 < top < bottom <= 20:
        return _en_fraction(top, bottom)
    return (
        f"{number_words(top, 'en')} {number_words(bottom, 'en')}"
        if text == "24/7"
        else f"{number_words(top, 'en')} over {number_words(bottom, 'en')}"
    )


def _phone(text: str, data: Language) -> str | None:
    if (
        not _PHONE.fullmatch(text)
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
    if _VERSION.fullmatch(text) and text.count(".") >= 3:
        return None
    groups = [digits_words(group, data) for group in re.findall(r"\d+", text)]
    if None in groups:
        return None
    plus = f"{data.symbols.get('+', '')} " if text.startswith("+") else ""
    return (plus + ", ".join(group for group in groups if group)).strip()


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
    if suffix:
        words = number.words(data)
        if words and data.code == "zh" and suffix == "%":
            part.say(f"{_front(sign, data)}百分之{words}")
        elif suffix not in data.units:
            _superscript(text, part, data)
        elif words:
            name = data.units[suffix][0 if number.one else 1]
            joint = "" if data.code == "zh" else " "
            part.say(f"{_front(sign, data)}{_counted(words, number, data)}{joint}{name}")
        return
    spoken = None if sign else _day_or_year(number, figures, part, before, after, data)
    if spoken is None:
        words = number.words(data)
        if words is None:
            return
        spoken = _front(sign, data) + words
    part.say(spoken)
    _read_unit(part, number, after, data)


def _front(sign: str, data: Language) -> str:
    names = [data.minus if char in "-−–" else data.symbols.get("≈" if char == "~" else char, "") for char in sign]
    words = " ".join(name for name in names if name)
    return f"{words}{'' if data.code == 'zh' else ' '}" if words else ""


def _day_or_year(
    number: Number, figures: str, part: Part, before: Part | None, after: Part | None, data: Language
) -> str | None:
    """The day of a date, an ordinal with a full stop, or a year; None for a plain number."""
    if number.fraction or not figures.isdecimal():
        return None
    value = int(figures) if len(figures) <= 4 else 0
    near_month = 1 <= value <= 31 and _is_month(after, data) and not part.trail.strip(".")
    if near_month and (words := _day(value, before, data)):
        part.bound = part.stop_belongs = True
        if data.code != "en":
            return words
        return f"{words} of" if before is not None and before.key == "the" else f"the {words} of"
    if data.code == "en" and 1 <= value <= 31 and _is_month(before, data):
        part.bound = part.trail == "," and after is not None and after.numeric
        return number_words(value, "en", "ordinal")
    if data.ordinal_stop and part.dotted and after is not None and after.kind[:1] in ("U", "L") and 0 < value < 1000:
        words = number_words(value, data.code, "ordinal")
        if words and before is not None and before.kind[:1] in ("U", "L"):
            part.stop_belongs = part.bound = True
            return words + "n" if data.code == "de" and before.key in _OBLIQUE else words
    if len(figures) == 4 and 1100 <= value <= 2100 and _is_year(part, before, after, data):
        return number_words(value, data.code, "year")
    return None


def _is_year(part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    if part.trail:
        after = None  # what follows is not what is counted
    if data.code in ("zh", "ja", "ko"):
        return after is not None and after.core == "年"
    if before is not None and (before.key in _YEAR_BEFORE or _is_month(before, data)):
        return not _counts(after, data)
    if before is not None and before.numeric and before.trail.startswith(",") and not _counts(after, data):
        return True
    if after is not None and (after.core in data.units or after.key in data.scales):
        return False
    return int(part.core) >= 1500 if part.core.isascii() and not _counts(after, data) else False


def _counts(after: Part | None, data: Language) -> bool:
    """Whether the next word looks like the thing that is counted: a plural in lower case."""
    if after is None or after.kind[:1] != "L":
        return False
    if data.code == "en":
        return after.key.endswith("s") and after.key not in ("was", "is", "as", "his", "its", "has", "this", "us")
    return after.core in data.units


def _read_unit(part: Part, number: Number, after: Part | None, data: Language) -> None:
    """The unit, sign or scale word after a number is bound to it and read in the right number."""
    if after is None or after.spoken is not None or part.trail or after.lead:
        return
    core = after.core
    if data.code == "ru" and core == "г" and after.dotted:
        after.say("года", stop=True)
        return
    currency = data.currencies.get(core)
    if currency is not None:
        after.say(currency.one if number.one else currency.many)
        part.bound = True
    elif core in data.units and not (data.code == "zh" and core == "%"):
        after.say(data.units[core][0 if number.one else 1], stop=core.isalpha())
        part.bound = True
    elif after.key in data.scales:
        part.bound = True
    if part.bound and part.spoken and (currency is not None or core in data.units):
        part.spoken = _counted(part.spoken, number, data)


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

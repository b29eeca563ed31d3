"""Words with figures in them: dates, times, money, percentages, ranges, units, years, ordinals, telephone numbers."""

from __future__ import annotations

import re
import unicodedata

from f5_pipeline.speech.text.cldr import CURRENCIES, currencies, currency_words, unit_words, units
from f5_pipeline.speech.text.languages import Language, word_set
from f5_pipeline.speech.text.numerals import Number, digits_words, integer_words, number_words, parse_number
from f5_pipeline.speech.text.reading import Part

_SIGN = r"(?:(?:US|AU?|CA?|NZ|HK|R)?\$|[€£¥￥₹₽₩₺฿₫₴₪])"
_NUM = r"\d+(?:[.,'’]\d+)*|[.,]\d+"
_ISO_DATE = re.compile(r"(\d{4})[-/](\d\d?)[-/](\d\d?)(?:T(\d\d:\d\d)(?::\d\d)?Z?)?")
_DATE = re.compile(r"(\d\d?)([./-])(\d\d?)\2(\d{4}|(?<=/)\d\d)")
_DAY_AND_MONTH = re.compile(r"(\d\d?)\.(\d\d?)")
_CLOCK = re.compile(r"(\d\d?)[:.](\d\d)(?::(\d\d))?\s?(am|pm|a\.m|p\.m|uhr|h)?", re.IGNORECASE)
_HOUR = re.compile(r"(\d\d?)(am|pm|a\.m|p\.m)", re.IGNORECASE)
_HOUR_H = re.compile(r"(\d\d?)\s?[hH](\d\d)?")
_RATIO = re.compile(r"(\d{1,3}):(\d{1,3})")
_SPAN = re.compile(r"(\d[^–—-]*)[-–—](\d[^–—-]*)")
_CENTS = re.compile(r"(\d+)¢")
_POWER = re.compile(r"(\d+)\^(\d+)")
_SEASON = re.compile(r"((?:19|20)\d\d)/(\d\d)")
_MID_DECADE = re.compile(r"(mid|early|late)-(\d0)s")
_FEET = re.compile(r"(\d)['’′](\d{1,2})")
_FRACTION_OF = re.compile(r"(\d{1,2}/\d{1,2})-([a-z]+)")
_HUNDREDS = re.compile(r"(10+)s")
_DECADE = re.compile(r"(\d{2}|\d{3}0)['’]?s")
_MONEY = re.compile(rf"([-−]?)({_SIGN})([-−]?)({_NUM})(k|K|M|m|bn|B|T|tn|Mio|Mrd|Md|mln|mld)?((?:/|-an?-)[^\W\d]+)?")
_MONEY_AFTER = re.compile(rf"([-−]?)({_NUM}) ?(k|M|Mio|Mrd|Md|mln|mld)?({_SIGN})")
_RANGE = re.compile(rf"([-−]?)({_SIGN}?)({_NUM})([^\d\s–—-]*)[-–—‑−~]({_SIGN}?)({_NUM})([^\d\s]*)")
_FRACTION = re.compile(r"(\d{1,3})[/⁄](\d{1,3})")
_VERSION = re.compile(r"v?(\d+(?:\.\d+){2,})", re.IGNORECASE)
_PHONE = re.compile(r"\+?\d{1,4}(?:[-–.()/]{1,2}\d{2,5}){2,6}|\d{3}-\d{4}")
_SIGNED = re.compile(rf"([-−–+~±≈<>≤≥#§]*)({_NUM})([^\d\s]*)")
_VULGAR = re.compile(r"(\d*)([½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
_SUPERSCRIPT = re.compile(r"(.*?)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_BLANKS = re.compile(r"(?<=[\d€$£¥￥₹₽₩₺฿₫₴₪]) (?=[\d€$£¥￥₹₽₩₺฿₫₴₪])")  # 1 000 000, 3,50 €
_SCALE_LETTERS = {
    "en": {"k": "thousand", "K": "thousand", "M": "million", "m": "million", "bn": "billion", "B": "billion",
           "tn": "trillion", "T": "trillion"},
    "de": {"Mio": "Millionen", "Mrd": "Milliarden"},
    "fr": {"k": "mille", "M": "millions", "Md": "milliards"},
    "es": {"M": "millones"},
    "it": {"mln": "milioni", "mld": "miliardi", "M": "milioni"},
    "pt": {"M": "milhões"},
    "nl": {"mln": "miljoen", "mld": "miljard"},
}  # fmt: skip
_GREAT = re.compile(r"(?:lli?[oó]n(?:es|i|s|e)?|lliards?|iard[io]|ilh(?:ão|ões))$")
_EN_FRACTIONS = {2: ("half", "halves"), 4: ("quarter", "quarters")}
_YEAR_BEFORE = word_set(
    "in since from until till by of before after circa c around about during year early late mid spring "
    "summer autumn fall winter copyright im jahr jahre seit von bis ab en année depuis año desde nel dal "
    "anno em ano в году с до sinds jaar w roku"
)
_OF_WHICH = {"ja": "{0}分の{1}", "ko": "{0}분의 {1}", "vi": "{1} phần {0}"}
_YEAR_WORDS = {
    "ru": word_set("год года году г"),
    "uk": word_set("рік року році р"),
    "pl": word_set("rok roku r"),
}
_YEAR_MONTH_DAY = {"ja": "年月日", "ko": "년월일", "zh": "年月日"}
_SECTIONS = word_set(
    "section chapter version figure table apartado sección capítulo paragrafo capitolo seção abschnitt kapitel chapitre"
)
_DOT = {"en": "point", "fr": "point", "es": "punto", "it": "punto", "pt": "ponto", "de": "Punkt"}
_CLOCK_BEFORE = word_set("alle dalle ore kl klo klokken um à om at ve o godzinie godz")
_HOUR_WORDS = frozenset(["uhr", "uur", "horas", "heures"])
_HOUR_NOUNS = {"fr": "heure", "es": "hora", "pt": "hora", "it": "ora"}
_WITHOUT_ENDING = frozenset(["ein", "kein", "mein", "dein", "sein", "ihr", "unser", "euer"])
_OBLIQUE = frozenset(["am", "vom", "dem", "den", "zum", "beim", "seit", "bis", "ab", "im", "des"])


def read_figures(parts: list[Part], index: int, data: Language) -> None:
    """Read the word at `index`, which holds figures; leaves `spoken` None where it is none of the forms known here."""
    part = parts[index]
    before = parts[index - 1] if index else None
    after = parts[index + 1] if index + 1 < len(parts) else None
    text = _BLANKS.sub("", _ascii_digits(part.core))
    for reader in (_date, _clock, _span, _ordinal, _decade, _money, _vulgar, _range):
        if reader(text, part, before, after, data):
            return
    if (spoken := _fraction(text, after, data)) is not None:
        part.say(spoken)
        _read_unit(part, Number("0", "5"), after, data)
        return
    if _section(text, part, before, data):
        return
    if data.code == "en" and (match := _FEET.fullmatch(text)):
        part.say(f"{number_words(int(match[1]), 'en')} foot {number_words(int(match[2]), 'en')}")
        part.trail = part.trail.lstrip('"”″')
        return
    if data.code == "en" and (match := _FRACTION_OF.fullmatch(text)) and (words := _fraction(match[1], None, data)):
        part.say(f"{words} {match[2]}".replace("quarters ", "quarter ").replace("one half", "half"))
        return
    for simple in (_ratio, _phone, _version, _power):
        if (spoken := simple(text, data)) is not None:
            part.say(spoken)
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
    time = None
    if match := _ISO_DATE.fullmatch(text):
        year, month, day, time = match[1], int(match[2]), int(match[3]), match[4]
    elif match := _DATE.fullmatch(text):
        first, second, year = int(match[1]), int(match[3]), match[4]
        day_first = data.day_first or match[2] == "." or first > 12
        day, month = (first, second) if day_first and not second > 12 else (second, first)
        if len(year) == 2:
            year = ("19" if int(year) > 50 else "20") + year
    elif match := _DAY_AND_MONTH.fullmatch(text):
        return _day_and_month(int(match[1]), int(match[2]), part, before, data)
    else:
        return False
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return False
    if data.code in _YEAR_MONTH_DAY:
        numbers = [integer_words(str(int(item)), data) for item in (year, month, day)]
        part.say(
            data.joint.join(f"{words}{sign}" for words, sign in zip(numbers, _YEAR_MONTH_DAY[data.code], strict=True))
        )
        return True
    if not data.months:
        return False
    day_words = _day(day, before, data)
    year_words = _year_of(int(year), None, data) or number_words(int(year), data.code, "year")
    if not day_words or not year_words:
        return False
    name = data.months[month - 1]
    if data.code == "en":
        words = (
            f"{name} {day_words}, {year_words}" if not data.day_first else f"the {day_words} of {name}, {year_words}"
        )
    elif data.code in ("es", "pt"):
        words = f"{day_words} de {name} de {year_words}"
    else:
        words = f"{day_words} {name} {year_words}"
    part.say(f"{words}, {_clock_words(time, data, None) or time}" if time else words)
    return True


def _day_and_month(day: int, month: int, part: Part, before: Part | None, data: Language) -> bool:
    """ "3.10." where days are written so."""
    if not (data.ordinal_stop and part.dotted and 1 <= day <= 31 and 1 <= month <= 12 and data.months):
        return False
    if data.code != "de":
        words = _day(day, before, data)
        part.say(f"{words} {data.months[month - 1]}", stop=True)
        return words is not None
    first, second = _day(day, before, data), _day(month, before, data)
    if before is None or before.key not in _OBLIQUE or not first or not second:
        return False
    part.say(f"{first} {second}", stop=True)
    return True


def _day(day: int, before: Part | None, data: Language) -> str | None:
    """The day of a month in words."""
    if data.code == "fr":
        return "premier" if day == 1 else number_words(day, "fr")
    if not data.day_ordinal:
        return number_words(day, data.code)
    words = number_words(day, data.code, "ordinal", "m" if data.code in _GENITIVE else "n", "g")
    if words and data.code == "de" and before and before.key in _OBLIQUE:
        words += "n"
    return _genitive(words, data) if words else None


_GENITIVE = {
    "pl": (("y", "ego"), ("i", "iego")),
    "uk": (("ій", "ього"), ("ий", "ого")),
    "cs": (("ý", "ého"), ("í", "ího")),
}
"""Languages whose dates are in the genitive, and how an ordinal makes it where num2words has no cases."""


def _genitive(words: str, data: Language) -> str:
    for ending, of in _GENITIVE.get(data.code, ()):
        words = re.sub(rf"{ending}\b", of, words)
    return words


def _year_of(year: int, before: Part | None, data: Language) -> str | None:
    """A year as it is said after "in" or "of" where the language declines it."""
    if data.code == "ru":
        return number_words(year, "ru", "ordinal", "m", "p" if before is not None and before.key in ("в", "о") else "g")
    words = number_words(year, data.code, "ordinal")
    if not words or data.code not in ("pl", "uk"):
        return None
    if before is not None and before.key in ("w", "we", "у", "в"):
        if data.code == "pl":
            return re.sub(r"i\b", "im", re.sub(r"y\b", "ym", words))
        return re.sub(r"ий\b", "ому", re.sub(r"ій\b", "ьому", words))
    return _genitive(words, data)


def _clock(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    dotted = (after is not None and after.key in _HOUR_WORDS) or (before is not None and before.key in _CLOCK_BEFORE)
    words = _clock_words(text, data, after, dotted=dotted)
    if words is None:
        return False
    match = _CLOCK.fullmatch(text)
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


def _clock_words(text: str, data: Language, after: Part | None, *, dotted: bool = False) -> str | None:
    """A time of day, a length of time with its seconds, or an hour: "9:05", "2:03:59", "9am", "14h30"; else None."""
    if data.code == "en" and (match := _HOUR.fullmatch(text)):
        return f"{number_words(int(match[1]), 'en')} {match[2][0].upper()} M"
    if data.code in ("fr", "pt") and (match := _HOUR_H.fullmatch(text)):
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
    hours, minutes = number_words(hour, data.code), number_words(minute, data.code)
    if not hours or not minutes:
        return None
    if data.code == "fr":
        minutes = _counted(minutes, minute, "minute", data)
    if data.code == "it" and hour == 1:
        hours = "una"
    if data.code != "en":
        words = data.time[0 if minute else 1].format(
            h=_counted(hours, hour, _HOUR_NOUNS.get(data.code, ""), data), m=minutes
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


def _duration(hours: int, minutes: int, seconds: int, data: Language) -> str | None:
    units = (("duration-hour", hours), ("duration-minute", minutes), ("duration-second", seconds))
    parts = [count(integer_words(str(value), data), Number(str(value)), unit, data) for unit, value in units if value]
    return ", ".join(part for part in parts if part) or None


def _span(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    """A span of times: "9:00-17:00", "9am-5pm", "9.00–12.30 Uhr"."""
    if not data.to or not (match := _SPAN.fullmatch(text)):
        return False
    first, second = match[1], match[2]
    if first.isdecimal() and (ending := re.search(r"[aApP]\.?[mM]$|[hH]$", second)):
        first += ending[0]
    named = after is not None and after.key in _HOUR_WORDS
    start, end = (_clock_words(time, data, None, dotted=named) for time in (first, second))
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
    to = data.to if data.to != "—" else "-"
    part.say(f"{start.removesuffix(o_clock)}{data.joint}{to}{data.joint}{end.removesuffix(o_clock)}", bound=named)
    return True


def _ratio(text: str, data: Language) -> str | None:
    if not (match := _RATIO.fullmatch(text)) or not data.ratio:
        return None
    first, second = (integer_words(item, data) for item in match.groups())
    return f"{first} {data.ratio} {second}".replace("  ", " ") if first and second else None


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
    if data.code == "fr" and digits == "1":
        words: str | None = "premier" if text.endswith("er") else "première"
    elif data.code == "es" and text.endswith("er"):
        words = (integer_words(digits, data, "ordinal") or "").removesuffix("o")
    elif text[-1] in "ªa" and data.code in ("es", "it", "pt"):
        words = re.sub(r"o\b", "a", integer_words(digits, data, "ordinal") or "")
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


def _money(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    rest = ""
    if match := _MONEY.fullmatch(text):
        minus, sign, second_minus, figures, scale, rest = match.groups()
        minus = minus or second_minus
    elif match := _MONEY_AFTER.fullmatch(text):
        minus, figures, scale, sign = match.groups()
    elif (match := _CENTS.fullmatch(text)) and "$" in data.currencies:
        minus, figures, sign, scale = "", "0." + match[1].zfill(2), "$", None
    else:
        return False
    number = parse_number(figures, data)
    if number is None or (words := number.words(data)) is None:
        return False
    name = currency_name(sign, number, data)
    front = f"{data.minus} " if minus and data.minus else ""
    each = f" a {rest.rpartition('-')[2].strip('/')}" if rest and data.code == "en" else ""
    scale = _SCALE_LETTERS.get(data.code, {}).get(scale or "") if scale else ""
    if not name or scale is None or (rest and not each):
        return False
    if scale:
        part.say(f"{front}{words} {scale} {with_of(data, currency_name(sign, Number('2'), data))}{each}")
    elif after is not None and after.key in data.scales and after.spoken is None and not part.trail:
        part.say(front + words, bound=True)
        after.say(f"{_scale(after, data)} {with_of(data, currency_name(sign, Number('2'), data))}")
    else:
        part.say(front + money_words(number, words, sign, data) + each)
    return True


def with_of(data: Language, noun: str) -> str:
    """What there are a million of: "millions d'euros"."""
    word = {"fr": "de", "es": "de", "it": "di", "pt": "de"}.get(data.code)
    if word is None:
        return noun
    return f"d'{noun}" if data.code == "fr" and noun[:1] in "aeéioyuh" else f"{word} {noun}"


def _scale(part: Part, data: Language) -> str:
    """A scale word as it is said: "mln." is "miljoen"."""
    return data.abbreviations.get(part.key) or _SCALE_LETTERS.get(data.code, {}).get(part.core) or part.core


def currency_name(sign: str, number: Number, data: Language) -> str:
    """The name of a currency after a number; empty where it has none here."""
    if own := data.currencies.get(sign):
        return own.one if number.one else own.many
    return currency_words(sign, str(number), data.code) or data.symbols.get(sign, "")


def money_words(number: Number, words: str, sign: str, data: Language) -> str:
    """An amount: two decimals are hundredths with a name of their own."""
    currency = data.currencies.get(sign)
    if len(number.fraction) != 2 or currency is None or not currency.cent:
        name = currency_name(sign, number, data)
        if _GREAT.search(words):
            return f"{words} {with_of(data, name)}"
        return f"{_counted(words, number.value, name, data)}{data.joint}{name}"
    whole, cents = Number(number.whole or "0"), Number(str(int(number.fraction)))
    parts = []
    for amount, one, many in ((whole, currency.one, currency.many), (cents, currency.cent, currency.cents)):
        name = one if amount.one else many
        if amount.value or (amount is whole and not cents.value):
            parts.append(f"{_counted(amount.words(data) or amount.whole, amount.value, name, data)} {name}")
    return f" {data.symbols.get('&', '')} ".join(parts)


_FEMININE = {
    "de": re.compile(r"(?:e|ung|heit|keit|schaft|tion|tät|frau|stadt|nacht|hand|wand|zeit|welt|stadt)$"),
    "es": re.compile(r"(?:[^m]a|as|ión|dad|tad|mujer|mujeres)$(?<!día)(?<!días)"),
    "it": re.compile(r"(?:[^m]a|ione|tà)$"),
    "pt": re.compile(r"(?:[^m]a|as|ção|dade|mulher|mulheres)$(?<!dia)(?<!dias)"),
    "fr": re.compile(r"(?:tion|té|ette|ure|esse|ance|ence|ille|ée|femme|heure|minute|seconde|tonne|livre|page|semaine|"
                     r"couronne|roupie|tasse|maison|rue|main|personne|chose|table|porte|voiture|lettre|étoile|fois)s?$"),
    "ru": re.compile(r"(?:[аяь])$"),
    "uk": re.compile(r"(?:[аяь])$"),
    "pl": re.compile(r"a$"),
    "cs": re.compile(r"a$"),
}  # fmt: skip
_BEFORE_NOUN = {
    "de": {"eins": ("ein", "eine")},
    "es": {"veintiuno": ("veintiún", "veintiuna"), "uno": ("un", "una"), "cientos": ("cientos", "cientas"),
           "quinientos": ("quinientos", "quinientas")},
    "it": {"uno": ("un", "una")},
    "pt": {"um": ("um", "uma"), "dois": ("dois", "duas"), "centos": ("centos", "centas"),
           "hentos": ("hentos", "hentas")},
    "fr": {"un": ("un", "une")},
    "ru": {"один": ("один", "одна"), "два": ("два", "две")},
    "uk": {"один": ("один", "одна"), "два": ("два", "дві")},
    "pl": {"jeden": ("jeden", "jedna"), "dwa": ("dwa", "dwie")},
    "cs": {"jeden": ("jeden", "jedna"), "jedna": ("jeden", "jedna"), "dva": ("dva", "dvě")},
}  # fmt: skip
"""Last word of a number -> as it stands before a masculine and a feminine noun."""


def _counted(words: str, value: int, noun: str, data: Language) -> str:
    """The number as it stands before a noun: German "eins" becomes "ein" or "eine", Spanish "uno" "un" or "una"."""
    first = noun.split(" ")[0].lower()
    feminine = data.code in _FEMININE and _FEMININE[data.code].search(first) is not None
    for ending, forms in _BEFORE_NOUN.get(data.code, {}).items():
        if words.endswith(ending):
            words = words[: -len(ending)] + forms[feminine]
            return words.replace("dois mil", "duas mil") if feminine else words
    return words


def count(words: str | None, number: Number, unit: str, data: Language) -> str | None:
    """A number in words with its unit (as in `cldr.UNITS`): "five kilometers", "摂氏五度"."""
    before, after = unit_words(unit, str(number), data.code)
    if not words or not (before or after):
        return None
    one = unit_words(unit, "1", data.code)[1]
    return data.joint.join(item for item in (before, _counted(words, number.value, one, data), after) if item)


def unit_of(sign: str, data: Language) -> str | None:
    """CLDR's unit of a symbol after a number."""
    return units(data.code).get(sign)


def _vulgar(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    match = _VULGAR.fullmatch(text)
    if not match:
        return False
    top, bottom = (int(item) for item in unicodedata.normalize("NFKC", match[2]).split("⁄"))
    words = _fraction_words(top, bottom, after, data)
    if words and match[1]:
        whole = integer_words(match[1], data) or match[1]
        half = words.replace("one ", "a ", 1) if data.code == "en" else words
        words = f"{whole} {data.symbols.get('&', '')} {half}"
        if data.code == "de" and bottom == 2:
            words = f"{whole.removesuffix('s')}einhalb"
    elif not words:
        value = f"{unicodedata.numeric(match[2]):.3f}".rstrip("0").split(".")[1]
        words = Number(match[1] or "0", value).words(data)
    if not words:
        return False
    part.say(words)
    return True


def _fraction_words(top: int, bottom: int, after: Part | None, data: Language) -> str | None:
    """ "three quarters"; None where this language's words for it are not known here."""
    if data.code == "de" and bottom > 4 and (ordinal := number_words(bottom, "de", "ordinal")):
        part_name = ordinal.removesuffix("te") + "tel"
        names: tuple[str, str] | None = (part_name, part_name)
    elif data.code == "en" and bottom not in data.fractions:
        ordinal = number_words(bottom, "en", "ordinal")
        names = (f"{ordinal}", f"{ordinal}s")
    else:
        names = data.fractions.get(bottom)
    count = number_words(top, data.code)
    if names is None or not count:
        return None
    if bottom == 2 and top == 1 and "|" in names[0]:
        masculine, feminine = names[0].split("|")
        pattern = _FEMININE.get(data.code)
        return feminine if pattern and after is not None and pattern.search(after.key) else masculine
    name = names[0 if top == 1 else 1]
    return f"{_counted(count, top, name, data)} {name}"


def _range(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    match = _RANGE.fullmatch(text)
    if not match or not data.to:
        return False
    minus, sign, low, low_suffix, second_sign, high, suffix = match.groups()
    unit = unit_of(suffix, data)
    scales = _SCALE_LETTERS.get(data.code, {})
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
    if words[0] is None or words[1] is None:
        return False
    front = f"{data.minus} " if minus and data.minus else ""
    spoken = front + data.joint.join((words[0], data.to if data.to != "—" else "-", words[1]))
    if scale:
        spoken += f" {scale}"
    if money and not scale and after is not None and after.key in data.scales and after.spoken is None:
        part.say(spoken, bound=True)
        after.say(f"{_scale(after, data)} {with_of(data, currency_name(money, Number('2'), data))}")
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


def _fraction(text: str, after: Part | None, data: Language) -> str | None:
    if data.code == "en" and (text in ("24/7", "9/11") or (match := _SEASON.fullmatch(text))):
        first, second = text.split("/")
        form = "year" if len(first) == 4 else "cardinal"
        return f"{number_words(int(first), 'en', form)} {number_words(int(second), 'en')}"
    match = _FRACTION.fullmatch(text)
    if not match:
        return None
    top, bottom = int(match[1]), int(match[2])
    if data.code in _OF_WHICH and 0 < top < bottom:
        return _OF_WHICH[data.code].format(integer_words(match[2], data), integer_words(match[1], data))
    if 0 < top < bottom <= 20 and (words := _fraction_words(top, bottom, after, data)):
        return words
    return f"{number_words(top, 'en')} over {number_words(bottom, 'en')}" if data.code == "en" else None


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
        suffix, particle = _particle(suffix, data)
        if suffix in data.units:
            name = data.units[suffix][0 if number.one else 1]
            words = f"{_counted(words, number.value, name, data)}{data.joint}{name}" if words else None
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
            part.say(_front(sign, data) + words + particle)
        return
    spoken = None if sign else _day_or_year(number, figures, part, before, after, data)
    if spoken is None:
        words = number.words(data)
        if words is None:
            return
        if data.code == "en" and before is not None and before.key in ("dial", "call", "dialed", "called"):
            words = digits_words(figures, data) or words
        if before is not None and before.core in CURRENCIES and _code_before(before, part, after, number, words, data):
            return
        if after is not None and not part.trail and data.code != "en":
            if (fraction := _FRACTION.fullmatch(after.core)) and int(fraction[1]) < int(fraction[2]):
                words = f"{words} {data.symbols.get('&', '')}"
            elif _is_counted_noun(before, after, data):
                words = _counted(words, number.value, after.key, data)
        elif after is not None and not part.trail and re.fullmatch(r"1/[2-9]|3/4|2/3", after.core):
            words = f"{words} and"
        if part.trail.strip() in ("-", "−", "–") and part.trail[:1] == " " and after is not None and after.numeric:
            words = f"{words} {data.minus}"  # a sign that stands alone belongs to the word before it
            part.trail = ""
        spoken = _front(sign, data) + words
    part.say(spoken)
    _read_unit(part, number, after, data)


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
    match = _DAY_AND_MONTH.fullmatch(text)
    if not match or before is None or before.key not in _SECTIONS or data.code not in _DOT:
        return False
    first, second = (integer_words(item, data) or item for item in match.groups())
    part.say(f"{first} {_DOT[data.code]} {second}")
    return True


def _is_counted_noun(before: Part | None, after: Part, data: Language) -> bool:
    if data.code == "de":
        noun = after.capital
    else:
        noun = after.kind[:1] == "L" and after.key not in data.conjunctions and len(after.key) > 3
    return noun and not (
        before is not None and not before.trail and (before.key in data.numbered or before.key in data.before_number)
    )


def _code_before(before: Part, part: Part, after: Part | None, number: Number, words: str, data: Language) -> bool:
    """ "CHF 200": the amount is said at the place of the code, the currency at that of the figures."""
    scaled = after is not None and after.key in data.scales
    name = currency_name(before.core, Number("2") if scaled else number, data)
    if not name:
        return False
    before.say(words, bound=True)
    if after is not None and scaled:
        part.say(_scale(after, data), bound=True)
        after.say(with_of(data, name))
    else:
        part.say(name)
    return True


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
            if data.code == "de" and (before.key in _OBLIQUE or before.key.endswith(("en", "em"))):
                return f"{words}n"
            return f"{words}r" if data.code == "de" and before.key in _WITHOUT_ENDING else words
    if len(figures) == 4 and 1000 < value <= 2100 and data.code in _YEAR_WORDS:
        named = after is not None and after.key in _YEAR_WORDS[data.code]
        if named or _is_month(before, data):
            return _year_of(value, before, data)
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
    if before is not None and (before.key in _YEAR_BEFORE or _is_month(before, data)):
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


def _read_unit(part: Part, number: Number, after: Part | None, data: Language) -> None:
    """The unit, sign or scale word after a number is bound to it and read in the right number."""
    if after is None or after.spoken is not None or part.trail or after.lead:
        return
    core = after.core
    if data.code == "ru" and core == "г" and after.dotted:
        after.say("года", stop=True)
        return
    words = part.spoken or part.core
    scale = _SCALE_LETTERS.get(data.code, {}).get(core[:-1], "") if core[-1:] in CURRENCIES else ""
    if scale:
        after.say(f"{scale} {with_of(data, currency_name(core[-1], Number('2'), data))}")
        part.bound = True
        return
    if core in data.currencies or core in currencies(data.code):
        name = currency_name(core, number, data)
    elif core in data.units:
        name = data.units[core][0 if number.one else 1]
    elif unit := unit_of(core, data):
        front, name = unit_words(unit, str(number), data.code)
        if front and not name:  # Turkish "yüzde beş": in the written order, the words change places
            front, name = "", words
            words = unit_words(unit, str(number), data.code)[0]
        words = f"{front}{data.joint}{words}" if front else words
    else:
        part.bound |= after.key in data.scales
        return
    if name or core in data.symbols:
        after.say(name or data.symbols[core], stop=core.isalpha())
        part.bound = True
        unit = unit_of(core, data)
        noun = unit_words(unit, "1", data.code)[1] if unit else name
        part.spoken = _counted(words, number.value, noun or name, data)


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

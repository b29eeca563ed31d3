"""What Unicode's CLDR knows of each language: months, separators, units, currencies and the names of signs.

By Babel (https://babel.pocoo.org). `signs.json` holds names for speech from CLDR 48's annotations (Unicode License v3).
Every function gives None or nothing where CLDR has nothing.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from babel import Locale

UNITS = {
    key: unit
    for unit, keys in {
        "length-kilometer": "km", "length-meter": "m", "length-centimeter": "cm", "length-millimeter": "mm",
        "length-micrometer": "µm μm", "length-nanometer": "nm", "length-mile": "mi", "length-foot": "ft",
        "length-yard": "yd", "mass-kilogram": "kg", "mass-gram": "g", "mass-milligram": "mg", "mass-tonne": "t",
        "mass-pound": "lb lbs", "mass-ounce": "oz", "volume-liter": "l L", "volume-milliliter": "ml mL",
        "volume-centiliter": "cl", "volume-hectoliter": "hl", "volume-teaspoon": "tsp", "volume-tablespoon": "tbsp",
        "volume-quart": "qt", "volume-gallon": "gal", "volume-cubic-meter": "m³ m3", "volume-cubic-centimeter": "cm³",
        "area-square-meter": "m² m2 qm", "area-square-kilometer": "km² km2", "area-square-centimeter": "cm² cm2",
        "area-square-foot": "ft²", "area-hectare": "ha", "speed-kilometer-per-hour": "km/h kmh kph",
        "speed-mile-per-hour": "mph", "speed-meter-per-second": "m/s", "duration-hour": "h hr hrs",
        "duration-minute": "min mins", "duration-second": "s sec secs", "duration-millisecond": "ms",
        "frequency-hertz": "Hz", "frequency-kilohertz": "kHz", "frequency-megahertz": "MHz",
        "frequency-gigahertz": "GHz", "power-watt": "W", "power-kilowatt": "kW", "power-megawatt": "MW",
        "power-gigawatt": "GW", "power-horsepower": "hp PS", "energy-kilowatt-hour": "kWh", "energy-kilojoule": "kJ",
        "energy-calorie": "cal", "energy-kilocalorie": "kcal", "electric-volt": "V", "electric-milliampere": "mA",
        "digital-kilobyte": "kB KB", "digital-megabyte": "MB",
        "digital-gigabyte": "GB", "digital-terabyte": "TB", "pressure-hectopascal": "hPa", "pressure-bar": "bar",
        "pressure-pound-force-per-square-inch": "psi", "temperature-celsius": "°C ℃", "temperature-fahrenheit": "°F ℉",
        "angle-degree": "°", "graphics-pixel": "px", "concentr-percent": "% ٪",
        "concentr-permille": "‰",
    }.items()
    for key in keys.split()
}  # fmt: skip
"""Symbols that every language writes alike -> CLDR's unit."""

CURRENCIES = {
    "$": "USD", "US$": "USD", "A$": "AUD", "AU$": "AUD", "C$": "CAD", "CA$": "CAD", "NZ$": "NZD", "HK$": "HKD",
    "R$": "BRL", "€": "EUR", "£": "GBP", "¥": "JPY", "￥": "JPY", "₹": "INR", "₽": "RUB", "₩": "KRW", "₺": "TRY",
    "฿": "THB", "₫": "VND", "₴": "UAH", "₪": "ILS",
    "USD": "USD", "EUR": "EUR", "GBP": "GBP", "JPY": "JPY", "CHF": "CHF", "AUD": "AUD", "CAD": "CAD", "NZD": "NZD",
    "HKD": "HKD", "CNY": "CNY", "RMB": "CNY", "INR": "INR", "RUB": "RUB", "KRW": "KRW", "TRY": "TRY", "THB": "THB",
    "VND": "VND", "UAH": "UAH", "ILS": "ILS", "SEK": "SEK", "NOK": "NOK", "DKK": "DKK", "PLN": "PLN", "CZK": "CZK",
    "HUF": "HUF", "BRL": "BRL", "MXN": "MXN", "ZAR": "ZAR",
}  # fmt: skip
"""Signs and codes of currencies -> ISO 4217."""

_LETTERS = frozenset("мгтлч度分秒")

_NUMBER = re.compile(r"\d[\d.,٫]*")


@lru_cache(maxsize=256)
def locale(language: str) -> Locale | None:
    """CLDR's data for a language (subtag or BCP 47 tag)."""
    from babel import Locale, UnknownLocaleError

    for tag in (language.replace("_", "-"), language.split("-")[0]):
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return None


def separators(language: str) -> tuple[str, str]:
    """The decimal sign and the signs between thousands; any blank between them is " "."""
    known = locale(language)
    if known is None:
        return ".", ", "
    symbols = known.number_symbols["latn"]
    return symbols["decimal"], " " if symbols["group"].isspace() else symbols["group"]


def months(language: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """Names of the months in a date, and every spelling in lower case without its full stop -> index from 0: those of
    CLDR, and what only one of them begins with ("sept")."""
    known = locale(language)
    if known is None:
        return (), {}
    names = known.months["format"]
    long = tuple(names["wide"][number] for number in range(1, 13))
    if long[0][:1].isdecimal():
        return (), {}
    spellings: dict[str, int] = {}
    for index, name in enumerate(long):
        others = [other.lower() for other in long if other != name]
        for size in range(3, len(name)):
            if not any(other.startswith(name[:size].lower()) for other in others):
                spellings[name[:size].lower()] = index
    for table in (names["abbreviated"], known.months["stand-alone"]["abbreviated"], names["wide"]):
        spellings.update({table[number].lower().rstrip("."): number - 1 for number in range(1, 13)})
    return long, spellings


@lru_cache(maxsize=64)
def weekdays(language: str) -> dict[str, str]:
    """The names of the days of a week by their abbreviations and themselves, in lower case without a full stop."""
    known = locale(language)
    if known is None:
        return {}
    names = known.days["format"]
    return {
        names[width][day].lower().rstrip("."): names["wide"][day]
        for width in ("wide", "abbreviated", "short")
        for day in range(7)
        if len(names[width][day]) > 1
    }


@lru_cache(maxsize=64)
def units(language: str) -> dict[str, str]:
    """Symbols as this language writes them -> CLDR's unit: `UNITS` and, for instance, "км", "Go", "Std"."""
    known = locale(language)
    own: dict[str, str] = {}
    if known is not None:
        for unit in dict.fromkeys(UNITS.values()):
            before, after = _around(unit, Decimal(5), "short", known)
            symbol = after.strip().rstrip(".")
            # One letter may be a word as well: "с" is "with" in Russian.
            plain = not before.strip() and " " not in symbol
            if plain and (len(symbol) > 1 or symbol in _LETTERS):
                own.setdefault(symbol, unit)
    return own | UNITS


@lru_cache(maxsize=4096)
def unit_words(unit: str, number: str, language: str) -> tuple[str, str]:
    """What is said before and after a number (ASCII, with "." for decimals) that counts a unit; empty where unknown."""
    known = locale(language)
    if known is None:
        return "", ""
    lengths: tuple[Literal["long", "short"], ...] = ("long", "short")
    for length in lengths:
        before, after = _around(unit, Decimal(number or 0), length, known)
        if any(char.isalpha() for char in before + after):
            return before.strip(), after.strip()
    return "", ""


def _around(unit: str, number: Decimal, length: Literal["long", "short"], known: Locale) -> tuple[str, str]:
    from babel.units import UnknownUnitError, format_unit

    try:
        text = format_unit(number, unit, length, format="0.##########", locale=known)
    except (UnknownUnitError, ValueError, LookupError):
        return "", ""
    parts = _NUMBER.split(text, maxsplit=1)
    if len(parts) != 2 or unit in text:  # Babel gives the unit's own name where a language has none
        return "", ""
    return parts[0], parts[1]


@lru_cache(maxsize=4096)
def plural(number: str, language: str) -> str:
    """CLDR's plural category of a number (ASCII, with "." for decimals): one, few, many, other."""
    known = locale(language)
    return known.plural_form(Decimal(number or 0)) if known is not None else "other"


_OF_THE_SAME_NAME = {
    "USD": "AUD", "GBP": "EGP", "RUB": "BYN", "KRW": "KPW", "SEK": "NOK", "NOK": "SEK", "DKK": "SEK", "CZK": "SEK",
    "INR": "PKR", "TRY": "TRL", "MXN": "ARS",
}  # fmt: skip
"""Another country's currency of the same name: what both share is the name without the country, "dollars"."""

_LOCAL_SIGNS = {
    "uk": {"грн": "UAH"}, "ru": {"руб": "RUB"}, "tr": {"TL": "TRY"}, "vi": {"đ": "VND"}, "ko": {"원": "KRW"},
    "hi": {"रु": "INR"},
}  # fmt: skip


@lru_cache(maxsize=64)
def currencies(language: str) -> dict[str, str]:
    """Signs and codes of currencies, as this language writes them -> ISO 4217: `CURRENCIES` and, for instance, "zł"."""
    from babel.numbers import get_currency_symbol, get_territory_currencies

    own = dict(_LOCAL_SIGNS.get(language, {}))
    if country := region(language):
        for currency in get_territory_currencies(country):
            own[get_currency_symbol(currency, locale(language)).rstrip(".")] = currency
    return CURRENCIES | own


@lru_cache(maxsize=1024)
def currency_words(sign: str, number: str, language: str) -> str:
    """The name of a currency after a number, without its country where only a sign is written; empty where unknown."""
    from babel.numbers import get_currency_name

    known, currency = locale(language), currencies(language).get(sign, "")
    if known is None or not currency:
        return ""
    names = [
        get_currency_name(code, Decimal(number or 0), known).split()
        for code in (currency, _OF_THE_SAME_NAME.get(currency, ""))
        if code
    ]
    shared = [word for word in names[0] if word in names[-1]]
    bare = (sign not in ("US$", "RMB") or language in ("es", "pt")) and not (
        sign.isascii() and sign.isalpha() and sign.isupper() and len(sign) == 3
    )
    if names[0] == [currency]:
        return ""
    if bare and len(names) == 1 and currency in _HOME:
        return names[0][_HOME[currency]]
    if bare and shared and currency == "KRW" and language.startswith("en"):
        shared = shared[-1:]  # "Korean" is shared by both wons
    return " ".join(shared if bare and shared else names[0])


_HOME = {"PLN": 0, "UAH": -1}
"""Where the name stands that needs no country, in currencies that no other country has."""


@lru_cache(maxsize=1)
def _signs() -> dict[str, dict[str, str]]:
    return json.loads((files("f5_pipeline.speech.text") / "signs.json").read_text(encoding="utf-8"))


def sign_names(language: str) -> dict[str, str]:
    """Names of signs for speech, for instance "%": "percent"."""
    return _signs().get(language.split("-")[0], {})


def region(tag: str) -> str:
    """The country that a language tag means, ISO 3166: "de" -> "DE", "en-GB" -> "GB"; empty where unknown."""
    from babel.core import get_global

    known = locale(tag)
    if known is None:
        return ""
    likely = get_global("likely_subtags").get(known.language, "")
    return known.territory or likely.rpartition("_")[2]

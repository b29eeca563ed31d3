"""Amounts of money."""

from __future__ import annotations

import re

from f5_pipeline.speech.text.cldr import currency_words, plural
from f5_pipeline.speech.text.counting import counted
from f5_pipeline.speech.text.declined import german_article
from f5_pipeline.speech.text.languages import Currency, Language
from f5_pipeline.speech.text.numerals import Number, parse_number
from f5_pipeline.speech.text.reading import Part

SIGN = r"(?:(?:US|AU?|CA?|NZ|HK|R)?\$|[€£¥￥₹₽₩₺฿₫₴₪đ]|Rp|TL|zł)"
NUM = r"\d+(?:[.,'’]\d+)*|[.,]\d+"
_CENTS = re.compile(r"(\d+)¢")
_MONEY = re.compile(rf"([-−]?)({SIGN})([-−]?)({NUM})(k|K|M|m|bn|B|T|tn|Mio|Mrd|Md|mln|mld)?((?:/|-an?-)[^\W\d]+)?")
_MONEY_AFTER = re.compile(rf"([-−]?)({NUM}) ?(k|M|Mio|Mrd|Md|mln|mld)?({SIGN})")
SCALE_LETTERS = {
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


def read_money(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
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
    scale = SCALE_LETTERS.get(data.code, {}).get(scale or "") if scale else ""
    if not name or scale is None or (rest and not each):
        return False
    if scale:
        part.say(f"{front}{words} {scale} {with_of(data, currency_name(sign, Number('2'), data))}{each}")
    elif after is not None and after.key in data.scales and after.spoken is None and not part.trail:
        part.say(front + words, bound=True)
        after.say(f"{scale_word(after, data)} {with_of(data, currency_name(sign, Number('2'), data))}")
    else:
        amount = money_words(number, words, sign, data)
        if data.code == "de" and amount == f"ein {name}":
            amount = f"{german_article('ein', before, name, data)} {name}"
        part.say(front + amount + each)
    return True


def with_of(data: Language, noun: str) -> str:
    """What there are a million of: "millions d'euros"."""
    word = {"fr": "de", "es": "de", "it": "di", "pt": "de"}.get(data.code)
    if word is None:
        return noun
    return f"d'{noun}" if data.code == "fr" and noun[:1] in "aeéioyuh" else f"{word} {noun}"


def scale_word(part: Part, data: Language) -> str:
    """A scale word as it is said: "mln." is "miljoen"."""
    return data.abbreviations.get(part.key) or SCALE_LETTERS.get(data.code, {}).get(part.core) or part.core


def currency_name(sign: str, number: Number, data: Language) -> str:
    """The name of a currency after a number; empty where it has none here."""
    if own := data.currencies.get(sign):
        return of_several(own.one, own.many, number, data)
    return currency_words(sign, str(number), data.code) or data.symbols.get(sign, "")


def of_several(one: str, many: str, number: Number, data: Language) -> str:
    """The form of a noun after a number; `many` may be those of CLDR's few, many and other."""
    if number.one:
        return one
    forms = many.split("|")
    category = plural(str(number), data.code)
    return forms[0 if category == "few" else -1 if category == "other" else 1] if len(forms) > 1 else many


def money_words(number: Number, words: str, sign: str, data: Language) -> str:
    """An amount: two decimals are hundredths with a name of their own."""
    currency = data.currencies.get(sign)
    if len(number.fraction) != 2 or currency is None or not currency.cent:
        name = currency_name(sign, number, data)
        if _GREAT.search(words):
            return f"{words} {with_of(data, name)}"
        return f"{counted(words, number.value, name, data)}{data.joint}{name}"
    joint = " " if data.code in ("pl", "tr") else f" {data.symbols.get('&', '')} "
    return joint.join(item for item in money_parts(number, currency, data) if item)


def money_parts(number: Number, currency: Currency, data: Language) -> tuple[str, str]:
    """What is said of an amount's whole part and of its hundredths; empty where there are none."""
    whole, cents = Number(number.whole or "0"), Number(str(int(number.fraction)))
    parts = []
    for amount, one, many in ((whole, currency.one, currency.many), (cents, currency.cent, currency.cents)):
        name = of_several(one, many, amount, data)
        spoken = amount.value or (amount is whole and not cents.value)
        words = counted(amount.words(data) or amount.whole, amount.value, name, data)
        parts.append(f"{words} {name}" if spoken else "")
    return parts[0], parts[1]


def read_code_before(before: Part, part: Part, after: Part | None, number: Number, words: str, data: Language) -> bool:
    """ "CHF 200": the amount is said at the place of the code, the currency at that of the figures."""
    scaled = after is not None and after.key in data.scales
    name = currency_name(before.core, Number("2") if scaled else number, data)
    if not name:
        return False
    before.say(words, bound=True)
    if after is not None and scaled:
        part.say(scale_word(after, data), bound=True)
        after.say(with_of(data, name))
    else:
        part.say(name)
    return True

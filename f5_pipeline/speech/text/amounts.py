"""The unit, currency or scale word that stands after a number as a word of its own."""

from __future__ import annotations

from f5_pipeline.speech.text.cldr import CURRENCIES, currencies, unit_words
from f5_pipeline.speech.text.counting import (
    counted,
    unit_of,
)
from f5_pipeline.speech.text.declined import (
    german_article,
    scale_form,
)
from f5_pipeline.speech.text.languages import Language
from f5_pipeline.speech.text.money import (
    SCALE_LETTERS,
    currency_name,
    money_parts,
    of_several,
    with_of,
)
from f5_pipeline.speech.text.numerals import Number
from f5_pipeline.speech.text.reading import Part


def unit_number(number: Number, case: str, data: Language) -> Number:
    """The number that says the form of a unit: in another case than the nominative most ask for the genitive plural."""
    return number if case in ("n", "a") or data.code in ("ar", "de") else Number("5")


def read_unit(
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
        number = unit_number(number, "g", data)
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


def read_currency_after(parts: list[Part], index: int, data: Language) -> None:
    """The currency after "million": "5 mln zł"."""
    if index + 2 >= len(parts):
        return
    scale, sign = parts[index + 1 : index + 3]
    known = sign.core.isalpha() and sign.spoken is None and sign.core in currencies(data.code)
    scaled = scale.key in data.scales or scale.key in data.scale_forms
    if known and scaled and not sign.core.isascii() and (name := currency_name(sign.core, Number("5"), data)):
        sign.say(with_of(data, name), stop=True)

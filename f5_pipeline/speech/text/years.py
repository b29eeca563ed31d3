"""Days of the month, ordinals with a full stop, decades and years: what a plain number may be beside other words."""

from __future__ import annotations

from f5_pipeline.speech.text import hindi
from f5_pipeline.speech.text.counting import (
    unit_of,
)
from f5_pipeline.speech.text.dates import (
    OBLIQUE,
    day_words,
    is_month,
    spans_from_month,
)
from f5_pipeline.speech.text.declined import (
    case_of,
    declined_ordinal,
    declined_year,
    gender_of,
)
from f5_pipeline.speech.text.languages import Language, word_set
from f5_pipeline.speech.text.numerals import Number, number_words
from f5_pipeline.speech.text.reading import Part

_YEAR_BEFORE = word_set(
    "in since from until till by of before after circa c around about during year early late mid spring "
    "summer autumn fall winter copyright im jahr jahre seit von bis ab en année depuis año desde nel dal "
    "anno em ano в году с до sinds jaar w roku"
)
_WITHOUT_ENDING = frozenset(["ein", "kein", "mein", "dein", "sein", "ihr", "unser", "euer"])


def day_or_year(
    number: Number, figures: str, part: Part, before: Part | None, after: Part | None, data: Language
) -> str | None:
    """The day of a date, an ordinal with a full stop, or a year; None for a plain number."""
    if number.fraction or not figures.isdecimal():
        return None
    value = int(figures) if len(figures) <= 4 else 0
    near_month = (
        1 <= value <= 31 and (is_month(after, data) or spans_from_month(after, data)) and not part.trail.strip(".")
    )
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
    # "2 000" is no year.
    return part.core.isascii() and part.core.isdecimal() and int(part.core) >= 1500 and not _counts(after, data)


def _counts(after: Part | None, data: Language) -> bool:
    """Whether the next word looks like the thing that is counted: a plural in lower case."""
    if after is None or after.kind[:1] != "L":
        return False
    if data.code == "en":
        return after.key.endswith("s") and after.key not in ("was", "is", "as", "his", "its", "has", "this", "us")
    return unit_of(after.core, data) is not None

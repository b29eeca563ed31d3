"""What is counted: numbers before nouns in their gender, units, fractions."""

from __future__ import annotations

import re
import unicodedata

from f5_pipeline.speech.text import arabic
from f5_pipeline.speech.text.cldr import unit_words, units
from f5_pipeline.speech.text.languages import Language
from f5_pipeline.speech.text.numerals import Number, integer_words, number_words
from f5_pipeline.speech.text.reading import Part

_SEASON = re.compile(r"((?:19|20)\d\d)/(\d\d)")
FRACTION = re.compile(r"(\d{1,3})[/⁄](\d{1,3})")
_VULGAR = re.compile(r"(\d*)([½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
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


def counted(words: str, value: int, noun: str, data: Language) -> str:
    """The number as it stands before a noun: German "eins" becomes "ein" or "eine", Spanish "uno" "un" or "una"."""
    first = noun.split(" ")[0].lower()
    if data.code == "cs" and words.endswith(" jedna"):  # of no gender before what it counts: "dvacet jedna procent"
        return words
    if data.code == "ar":
        return arabic.in_context(words, None, first, data)
    if data.code == "sv":
        return "en" if words == "ett" and first and first not in data.neuter else words
    feminine = is_feminine(first, data)
    for ending, forms in _BEFORE_NOUN.get(data.code, {}).items():
        if words.endswith(ending):
            words = words[: -len(ending)] + forms[feminine]
            return words.replace("dois mil", "duas mil") if feminine else words
    return words


def is_feminine(noun: str, data: Language) -> bool:
    """Whether a noun is feminine by its ending."""
    return data.code in _FEMININE and _FEMININE[data.code].search(noun) is not None


def count(words: str | None, number: Number, unit: str, data: Language) -> str | None:
    """A number in words with its unit (as in `cldr.UNITS`): "five kilometers", "摂氏五度"."""
    before, after = unit_words(unit, str(number), data.code)
    if not words or not (before or after):
        return None
    one = unit_words(unit, "1", data.code)[1]
    return data.joint.join(item for item in (before, counted(words, number.value, one, data), after) if item)


def unit_of(sign: str, data: Language) -> str | None:
    """CLDR's unit of a symbol after a number."""
    return units(data.code).get(sign)


def read_vulgar_fraction(text: str, part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
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
    if top == 1 and "|" in names[0]:
        masculine, feminine = names[0].split("|")
        pattern = _FEMININE.get(data.code)
        return feminine if pattern and after is not None and pattern.search(after.key) else masculine
    name = names[0 if top == 1 else 1]
    return f"{counted(count, top, name, data)} {name}"


def fraction(text: str, after: Part | None, data: Language) -> str | None:
    if data.code == "en" and (text in ("24/7", "9/11") or _SEASON.fullmatch(text)):
        first, second = text.split("/")
        form = "year" if len(first) == 4 else "cardinal"
        return f"{number_words(int(first), 'en', form)} {number_words(int(second), 'en')}"
    match = FRACTION.fullmatch(text)
    if not match:
        return None
    top, bottom = int(match[1]), int(match[2])
    if data.code == "ar" and 0 < top < bottom and (words := arabic.fraction(top, bottom, data)):
        return words
    if data.fraction_of and 0 < top < bottom and not (top == 1 and bottom in data.fractions):
        below = data.denominators.get(bottom) or (None if data.code == "tr" else integer_words(match[2], data))
        return data.fraction_of.format(bottom=below, top=integer_words(match[1], data)) if below else None
    if 0 < top < bottom <= 20 and (words := _fraction_words(top, bottom, after, data)):
        return words
    return f"{number_words(top, 'en')} over {number_words(bottom, 'en')}" if data.code == "en" else None

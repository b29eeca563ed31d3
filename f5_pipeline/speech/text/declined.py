"""Numbers that are declined, as in Russian, Ukrainian, Polish and Czech: "в 2024 году", "na 3. piętrze", "od 5 do 10".

The word before says the case, the ending or the noun after it the gender (`languages`). num2words2 declines Russian
numbers; those of the others are made from its nominatives by their endings.
"""

from __future__ import annotations

from f5_pipeline.speech.text.cldr import plural
from f5_pipeline.speech.text.languages import Language
from f5_pipeline.speech.text.numerals import number_words
from f5_pipeline.speech.text.reading import Part

_SUFFIXES = {
    "ru": {"го": "mg ng", "му": "md nd", "м": "mp mi", "ом": "mp", "ем": "mp", "й": "mn fp fg", "ый": "mn",
           "ой": "mn fp", "я": "fn", "ая": "fn", "ю": "fa", "е": "nn pn", "ые": "pn", "х": "pg", "ых": "pg"},
    "uk": {"го": "mg ng", "му": "mp md", "м": "mi mp", "им": "mi", "й": "mn fp fg", "ій": "mn fp fg", "я": "fn",
           "а": "fn", "ша": "fn", "га": "fn", "тя": "fn", "та": "fn", "е": "nn", "є": "nn", "ти": "pg",
           "х": "pg", "і": "pn"},
}  # fmt: skip
"""What is written after the figures -> the genders and cases that it may stand for, the usual one first."""
_CASES_OF_PLURALS = {"ах": "p", "ях": "p", "ами": "i", "ями": "i", "ach": "p", "ech": "p", "ích": "p", "ami": "i"}
_PREPOSITIONAL_FEMININE = {"cs": ("ce", "še", "ici", "sti"), "pl": ("ce", "dze", "sze", "ści")}
"""Endings of feminine nouns after "in" and "to": "zastávka" -> "zastávce"."""
_MASCULINE = frozenset({"roce"})
_GENITIVE_FEMININE = {"ru": "ыи", "uk": "иі", "pl": "yi", "cs": "ye"}


def case_of(before: Part | None, data: Language, usual: str = "n") -> str:
    """The case that the word before asks for: n, g, d, a, i or p; `usual` where it says nothing."""
    return usual if before is None or before.trail else data.cases.get(before.key, usual)


def german_article(words: str, before: Part | None, noun: str, data: Language) -> str:
    """ "ein Euro", "ein halber Liter" in another case: an amount is mostly an object, "kostet einen Euro"."""
    case = case_of(before, data, "a")
    masculine = words == "ein halber" or (words == "ein" and noun.split(" ")[0].lower() not in data.neuter)
    if data.code != "de" or before is None or not masculine or case not in ("a", "d"):
        return words
    article = {"a": "einen", "d": "einem"}[case]
    return f"{article} halben" if "halber" in words else article


def gender_of(noun: Part | None, case: str, data: Language) -> str:
    """The gender of a noun after an ordinal, by what its ending says in its case: m, f or n."""
    if noun is None:
        return "m"
    key = noun.key
    if key in data.feminine or key in data.neuter:
        return "f" if key in data.feminine else "n"
    if case == "n":
        return "f" if key[-1:] in ("a", "а", "я") else "n" if key[-1:] in ("o", "e", "о", "е", "í") else "m"
    if case in ("d", "p") and key.endswith(_PREPOSITIONAL_FEMININE.get(data.code, ())) and key not in _MASCULINE:
        return "f"
    return "f" if case == "g" and key[-1:] in _GENITIVE_FEMININE.get(data.code, "") else "m"


def declined_ordinal(value: int, data: Language, gender: str = "m", case: str = "n") -> str | None:
    """An ordinal in a gender (m, f, n; p: the plural) and a case."""
    if data.code == "ru":
        if case == "a":  # as of a thing, not of a person
            case = "a" if gender == "f" else "n"
        return number_words(value, "ru", "ordinal", gender, case)
    words = _ordinal(value, data)
    if not words or not data.adjectives:
        return words
    out = words.split()
    whole = data.code in ("pl", "cs")  # every word of "dwudziesty czwarty" is declined, in Ukrainian the last
    for place, word in enumerate(out):
        for ending, forms in sorted(data.adjectives.items(), key=lambda item: -len(item[0])):
            if word.endswith(ending) and (whole or place == len(out) - 1) and word not in ("tysiąc", "tři", "čtyři"):
                out[place] = word.removesuffix(ending) + forms[gender + case]
                break
    return " ".join(out)


def _ordinal(value: int, data: Language) -> str | None:
    if data.code == "cs" and 20 < value < 100 and value % 10:  # num2words2 has none of two words
        tens, units = (number_words(item, "cs", "ordinal") for item in (value - value % 10, value % 10))
        return f"{tens} {units}" if tens and units else None
    if data.code == "cs" and value > 100:
        return None
    return number_words(value, data.code, "ordinal")


def read_ending(digits: str, suffix: str, before: Part | None, after: Part | None, data: Language) -> str | None:
    """ "3-м", "5-го", "90-х": an ordinal whose ending says gender and case, or the words before and after it."""
    value, case = int(digits), case_of(before, data)
    if after is not None and after.key in data.decades:
        return declined_ordinal(value, data, "p", data.decades[after.key])
    if suffix in ("х", "ти") and value % 10 and value < 100:  # "из 3-х": a cardinal
        return declined_cardinal(value, data, "g" if case == "n" else case)
    forms = _SUFFIXES.get(data.code, {}).get(suffix.lower(), "mn").split()
    gender, written = next((form for form in forms if form[1] == case), forms[0])
    return declined_ordinal(value, data, gender, written)


def declined_cardinal(value: int, data: Language, case: str) -> str | None:
    """A cardinal in a case, of no gender in particular."""
    if data.code == "ru":
        return number_words(value, "ru", case=case)
    words = number_words(value, data.code)
    if not words or case not in "gdip":
        return words
    return " ".join(_declined(word, case, data) for word in _pairs(words, data))


def _pairs(words: str, data: Language) -> list[str]:
    """The words of a number; "dvě stě" is one."""
    out: list[str] = []
    for word in words.split():
        if out and f"{out[-1]} {word}" in data.declined:
            out[-1] += f" {word}"
        else:
            out.append(word)
    return out


def _declined(word: str, case: str, data: Language) -> str:
    for ending, forms in data.declined.items():
        if word.endswith(ending):
            return word.removesuffix(ending) + forms[case]
    return word


def counted_case(value: int, before: Part | None, after: Part | None, data: Language) -> str:
    """The case of a plain number; "n" where the word before it does not say it for certain."""
    case = case_of(before, data)
    noun = after.key if after is not None and after.kind[:1] in ("L", "U") else ""
    by_noun = next((of for ending, of in _CASES_OF_PLURALS.items() if noun.endswith(ending)), "")
    if case in ("p", "g", "i") and by_noun:
        return by_noun
    return "n" if case in ("p", "a") else case


def before_counted(words: str, value: int, noun: Part, data: Language) -> str | None:
    """One to four before a noun as written: "две женщины", "два мальчика"; None where its ending does not say more."""
    if value % 100 in (12, 13, 14) or value % 10 != 2 or data.code not in ("ru", "pl"):
        return None
    two, feminine = {"ru": ("два", "две"), "pl": ("dwa", "dwie")}[data.code]
    if not words.endswith(two):
        return None
    is_feminine = noun.key[-1:] in "ыи" if data.code == "ru" else noun.key[-1:] not in "ao"
    if data.code == "pl" and is_feminine:
        return None
    return words.removesuffix(two) + (feminine if is_feminine else two)


def declined_year(year: int, before: Part | None, data: Language, word: str = "") -> str | None:
    """A year in the case of the word before it; genitive after a month. `word`: "year", as written after it."""
    if data.code not in ("ru", "uk", "pl"):
        return None
    case = case_of(before, data)
    if word in ("год", "рік", "rok"):  # "на 2024 год"
        case = "n"
    elif case == "n":
        case = "g"
    return declined_ordinal(year, data, "m", case)


def year_word(written: str, before: Part | None, data: Language) -> str:
    """A shortened "year" after a year, in its case: "г." -> "году"; empty where it is written whole."""
    forms = data.year_words.get(written, "").split()
    case = case_of(before, data)
    return forms["ngdaip".index("g" if case == "n" else case)] if forms else ""


def hour_words(hour: int, before: Part | None, data: Language) -> str | None:
    """The hours of a time of day: "o czternastej", "с девяти", "od devíti"."""
    case = case_of(before, data)
    if data.ordinal_hours:
        return declined_ordinal(hour, data, "f", case) if case in "gdp" else None
    return declined_cardinal(hour, data, case) if data.declines and case in "gdi" else None


def scale_form(written: str, number: str, data: Language) -> str:
    """A shortened "million" after a number in figures: "2.3" "млрд" -> "миллиарда"; empty where none is known."""
    forms = data.scale_forms.get(written)
    if forms is None:
        return ""
    return forms.get(plural(number, data.code)) or forms["other"]

"""Normalisation word by word, from written to spoken form, with a map back.

Every written word gets its own spoken form, never an empty one, so that a time on the spoken text belongs to exactly
one written word. Words that are read together ("$5 million", "Jan. 5th, 2024") divide the reading among themselves and
are bound: a long sentence is not cut between them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import pairwise

from f5_pipeline.speech.text.addresses import read_address
from f5_pipeline.speech.text.characters import SYMBOLS, ascii_digits, kinds
from f5_pipeline.speech.text.chinese import read_chinese
from f5_pipeline.speech.text.dates import read_span_of_days
from f5_pipeline.speech.text.declined import case_of, declined_ordinal, gender_of
from f5_pipeline.speech.text.figures import read_figures
from f5_pipeline.speech.text.languages import Language, language_data, word_set
from f5_pipeline.speech.text.lexicon import Matcher
from f5_pipeline.speech.text.money import currency_name, with_of
from f5_pipeline.speech.text.numerals import Number, digits_words, number_words, parse_number, roman
from f5_pipeline.speech.text.reading import Part, Reading
from f5_pipeline.speech.text.spans import Span, say_spans
from f5_pipeline.speech.text.spelling import read_letters, shouted
from f5_pipeline.speech.text.telephones import read_telephones
from f5_pipeline.speech.text.words import Written

# Punctuation that guides prosody, as engines can read it; what is not named here is dropped.
_PUNCTUATION = {
    **dict.fromkeys('.,?!;:"。，、！？；：؟،؛۔।॥¿¡'),
    **dict.fromkeys("—―–", ","),
    **dict.fromkeys("“”„‟«»＂", '"'),
    "…": "...", "‥": "...", "．": "。", "‽": "?!", "‼": "!", "⁇": "?", "⁈": "?!", "⁉": "!?", "։": ".", "።": ".",
}  # fmt: skip
_PUNCTUATION = {sign: reading or sign for sign, reading in _PUNCTUATION.items()}
_TRAIL = 24
"""Characters of trailing punctuation that are read: a trail may be a megabyte of emoji."""

_LETTERS = frozenset("LUMC")
_SIGNS_ONLY = frozenset("PSM")
_DOTTED_LETTERS = re.compile(r"(?:[LU]M*P)+[LU]M*")
_RUNS = re.compile(r"[LUMC]+(?:'[LUMC]+)*|[D]+|[N]+|S|P")
_INNER_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_LONE_SYMBOLS = SYMBOLS - {"#"}
_COMPARISONS = {"!=": "≠", "<=": "≤", ">=": "≥", "==": "="}
_KINGS = word_set(
    "henry louis george edward elizabeth charles james william richard john paul pius benedict napoleon "
    "ludwig wilhelm friedrich karl heinrich otto louis françois felipe carlos alfonso fernando juan enrique luigi "
    "carlo umberto vittorio joão pedro luís manuel willem filips philip ivan alexander nicholas frederick leo gregory "
    "catherine peter innocent clement urban mary élisabeth isabel "
    "пётр николай екатерина александр павел иван карл людовик елизавета петро jan karel karol zygmunt "
    "kazimierz ferdinand"
)
_FRENCH_ROMAN = re.compile(r"([IVX]+)(er|re|e|ème|ᵉ)")
_TITLELESS = frozenset({"vs", "phd", "w/o", "c/o", "млн", "млрд", "mkr"})
"""Abbreviations without a full stop that need no name after them."""


def lone_symbols(language: str) -> frozenset[str]:
    """Symbols that are words of their own in `language` when they stand alone."""
    return _LONE_SYMBOLS & language_data(language).symbols.keys()


def read(
    words: Sequence[Written], language: str, lexicon: Matcher | None = None, spans: Sequence[Span] = ()
) -> list[Reading]:
    """Spoken forms of the words of one sentence, one for one.

    Args:
        words: the words of a sentence, the only context, so that a sentence is always read the same.
        language: BCP 47 tag.
        lexicon: has the last word, and leaves the reading of every other word as it is.
        spans: what markup says of words, by its place in the sentence; a lexicon does not touch these.
    """
    data = language_data(language)
    parts = [Part(word) for word in words]
    said = say_spans(parts, spans) if spans else {}
    read_telephones(parts, language, data)
    _digit_runs(parts, data)
    if data.code == "zh":
        read_chinese(parts)
    loud = shouted(parts, data)
    for index, part in enumerate(parts):
        if part.spoken is None:
            _read_part(parts, index, data, loud[index])
    for index, spoken in said.items():
        parts[index].spoken = spoken  # whatever a neighbour made of it
    if lexicon is not None:
        for run in _runs(parts, said):
            lexicon.apply(run, lambda text: read([Written(text, "")], language)[0].spoken)
    return [_finish(part, index == len(parts) - 1) for index, part in enumerate(parts)]


def _runs(parts: list[Part], said: Collection[int]) -> list[list[Part]]:
    """The parts between those of which something is said."""
    edges = [-1, *sorted(said), len(parts)]
    return [parts[left + 1 : right] for left, right in pairwise(edges) if right - left > 1]


def _finish(part: Part, last: bool) -> Reading:
    """Put the punctuation back around the spoken core."""
    lead = "".join(_PUNCTUATION[char] for char in part.lead[-_TRAIL:] if _PUNCTUATION.get(char) in ('"', "¿", "¡"))
    trail = part.trail[1:] if part.stop_belongs and part.dotted and not last else part.trail
    after = _punctuation(trail[:_TRAIL])
    spoken, plain = (" ".join(f"{lead}{core}{after}".split()) for core in (part.spoken or part.core, part.plain or ""))
    reading = Reading(part.word.text, part.word.space, spoken or part.core, part.bound, part.changed, part.glued)
    if part.plain is not None:
        reading.plain, reading.entry = plain or part.core, part.entry
    return reading


@lru_cache(maxsize=4096)
def _punctuation(trail: str) -> str:
    """Trailing punctuation as an engine reads it: one sign, or a pair that belongs together."""
    signs = "".join(_PUNCTUATION.get(char, "," if char == "-" and " " in trail else "") for char in trail)
    signs = re.sub(r"\.{2,}", lambda match: "..." if len(match[0]) > 2 else ".", signs)
    signs = re.sub(r"([!?。，、])\1+", r"\1", signs)
    signs = re.sub(r'([.!?;:。！？]"?)[,;:]+', r"\1", signs)  # a dash after a full stop
    signs = re.sub(r"[,;:]+(?=[.,!?;:])", "", signs)
    return re.sub(r'"{2,}', '"', signs)[:6]


def _digit_runs(parts: list[Part], data: Language) -> None:
    """Telephone numbers in blanks: three and more groups of figures in a row, seven to fifteen figures in all."""
    index = 0
    while index < len(parts):
        end = index
        while end < len(parts) and _digit_group(parts[end]) and (end == index or not parts[end - 1].trail.strip(")-–")):
            end += 1
        if (
            end - index >= 3
            and parts[index].spoken is None
            and 7 <= sum(len(part.core.lstrip("+")) for part in parts[index:end]) <= 15
        ):
            for part in parts[index:end]:
                plus = f"{data.symbols.get('+', '')} ".lstrip() if part.core.startswith("+") else ""
                if words := digits_words(part.core.lstrip("+"), data):
                    part.say(plus + words, bound=part is not parts[end - 1])
        index = max(end, index + 1)


def _digit_group(part: Part) -> bool:
    digits = part.core[1:] if part.core[:1] == "+" else part.core
    return digits.isascii() and digits.isdecimal() and len(digits) <= 5


def _read_part(parts: list[Part], index: int, data: Language, loud: bool) -> None:
    part = parts[index]
    before = parts[index - 1] if index else None
    after = parts[index + 1] if index + 1 < len(parts) else None
    if _SIGNS_ONLY.issuperset(part.kind):
        part.core = _COMPARISONS.get(part.lead[-1:] + part.core, part.core)
        if part.core == "§§" and data.code in ("de", "en"):
            part.say("Paragrafen" if data.code == "de" else "sections")
            return
        if before is not None and before.key in data.scales and part.core in data.currencies:
            part.say(with_of(data, currency_name(part.core, Number("2"), data)))
            return
        names = [data.symbols[char] for char in part.core if char in _LONE_SYMBOLS and char in data.symbols]
        part.say(names[0] if names else part.core)
        return
    if "P" in part.kind or "S" in part.kind:
        address = read_address(part.core, data)
        if address:
            part.say(address)
            return
    if (
        _abbreviation(part, before, after, data)
        or _month(part, before, after, data)
        or read_span_of_days(part, before, after, data)
    ):
        return
    if part.numeric:
        read_figures(parts, index, data)
        if part.spoken is not None:
            return
    if _roman_numeral(part, before, after, data):
        return
    if _LETTERS.issuperset(part.kind):
        part.say(read_letters(part.core, part.kind, data, loud, first=index == 0))
        return
    part.say(_mixed(part.core, data, loud))


def _abbreviation(part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    key, dotted = part.key, part.dotted
    if data.code == "es" and key == "c" and part.trail == "/" and after is not None and after.capital:
        part.trail = ""
        part.say("calle", bound=True)
        return True
    if not dotted and key not in data.bare and key not in data.before_number:
        return False
    if dotted and after is not None and after.dotted and (pair := data.pairs.get((key, after.key))):
        part.say(pair[0], bound=True, stop=True)
        after.say(pair[1], stop=True)
        return True
    if data.code == "en" and dotted and key in ("st", "dr"):
        after_street = before is not None and before.capital and not (after is not None and after.capital)
        part.say(
            ("Street" if key == "st" else "Drive") if after_street else "Saint" if key == "st" else "Doctor", stop=True
        )
        part.bound = not after_street
        return True
    if (
        key in data.before_number
        and after is not None
        and (after.numeric or (dotted and after.core.isupper() and roman(after.core) is not None))
        and (dotted or "°" in key or "º" in key)
    ):
        part.say(_as_written(data.before_number[key], part), bound=True, stop=True)
        return True
    if (
        key in data.before_name
        and dotted
        and (part.capital or data.code != "en")
        and after is not None
        and after.capital
    ):
        part.say(data.before_name[key], bound=True, stop=True)
        return True
    if data.code == "de" and dotted and key.endswith("str") and len(key) > 5:
        part.say(f"{part.core}aße", stop=True)
        return True
    if "." in key and key in data.bare:
        part.say(data.bare[key], stop=True)
        return True
    if dotted and key in data.abbreviations and part.core != "CA":
        part.say(data.abbreviations[key], stop=True)
        return True
    titled = after is not None and after.capital and part.capital and not part.core.isupper()
    if key in data.bare and (dotted or titled or key in _TITLELESS):
        part.say(data.bare[key], bound=after is not None, stop=True)
        return True
    if dotted and len(part.core) == 1 and part.capital and after is not None:
        part.say(part.core, bound=True, stop=True)  # an initial
        return True
    if dotted and _DOTTED_LETTERS.fullmatch(part.kind) and set(part.core[1::2]) == {"."}:
        part.say(" ".join(part.core.upper().replace(".", "")), stop=True)
        return True
    return False


def _as_written(words: str, part: Part) -> str:
    return words[0].upper() + words[1:] if part.capital else words


def _month(part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    """A shortened month beside a number, or with its full stop."""
    month = data.month_abbreviations.get(part.key)
    if month is None:
        return False
    near = (after is not None and after.numeric and not part.trail.strip(".")) or (
        before is not None and before.numeric
    )
    if part.key == data.months[month].lower():
        part.bound = bool(near and after is not None and after.numeric)
        return False
    if (near or part.dotted) and (part.capital or data.code not in ("en", "de")):
        name = data.months[month]
        if data.code in ("es", "pt") and before is not None and before.numeric:
            name = f"de {name}{' de' if after is not None and after.numeric else ''}"
        part.say(name, bound=near, stop=True)
        return True
    return False


def _roman_numeral(part: Part, before: Part | None, after: Part | None, data: Language) -> bool:
    """A Roman numeral: a chapter, a king, a century. Single letters and long numerals are so only where a word says."""
    core, possessive = (part.core[:-2], part.core[-2:]) if part.core[-2:] in ("'s", "’s") else (part.core, "")
    if data.code == "fr" and (match := _FRENCH_ROMAN.fullmatch(core)) and (value := roman(match[1])):
        part.say(
            ("première" if match[2] == "re" else "premier")
            if value == 1
            else number_words(value, "fr", "ordinal") or core
        )
        return True
    value = roman(core) if core.isascii() and core.isupper() else None
    if value is None:
        return False
    near = before if before is not None and not before.trail.strip(".") else None
    words = None
    if (near is not None and near.key in data.numbered) or (near is not None and near.kind == "C"):
        words = number_words(value, data.code)
    elif (after is not None and after.key in data.ordinal_words) or (
        near is not None and near.key in data.ordinal_words
    ):
        noun = after if after is not None and after.key in data.ordinal_words else None
        words = declined_ordinal(value, data, gender_of(noun, case := case_of(before, data), data), case)
        if words and data.code == "de" and near is not None and near.key in ("im", "des", "dem", "vom", "zum"):
            words += "n"
    elif data.code == "tr" and len(core) > 1 and part.dotted and after is not None and after.capital:
        words = number_words(value, "tr", "ordinal")  # IV. Murat
    elif near is not None and value < 40 and near.capital and "L" in near.kind:
        king = near.key in _KINGS
        if len(core) > 1 or (king and data.code != "en"):  # "Henry I met" is no king
            words = _king(value, data) if king or data.code != "en" else number_words(value, data.code)
    if not words:
        return False
    part.say(words + possessive, stop=data.ordinal_stop)
    if near is not None:
        near.bound = True
    return True


def _king(value: int, data: Language) -> str | None:
    """The number of a king, as his language says it."""
    if data.code == "en":
        return f"the {number_words(value, 'en', 'ordinal')}"
    if data.code == "fr":
        return "premier" if value == 1 else number_words(value, "fr")
    if data.code in ("es", "pt") and value > 10:
        return number_words(value, data.code)
    words = number_words(value, data.code, "ordinal", "m")
    article = {"de": "der ", "nl": "de ", "sv": "den "}.get(data.code, "")
    return article + (words.capitalize() if data.code == "de" else words) if words else None


def _mixed(core: str, data: Language, loud: bool) -> str:
    """A word with signs or figures inside: "COVID-19", "R&D", "word—word", "node.js"."""
    text = core.replace("’", "'")
    kind = "".join("'" if char == "'" else k for char, k in zip(text, kinds(text), strict=True))
    out: list[str] = []
    position = 0
    while position < len(text):
        if kind[position] == "D" and (match := _INNER_NUMBER.match(ascii_digits(text), position)):
            number = parse_number(match[0], data)
            words = number.words(data) if number and len(match[0]) <= 15 else digits_words(match[0], data)
            out.append(f" {words or match[0]} ")
            position = match.end()
            continue
        match = _RUNS.match(kind, position)
        end = match.end() if match else position + 1
        run = text[position:end]
        if kind[position] in _LETTERS:
            short = not loud and 1 < end - position <= 3 and set(kind[position:end]) == {"U"}
            letters = " ".join(run) if short else read_letters(run, kind[position:end].replace("'", "P"), data, loud)
            out.append(letters)
        elif kind[position] == "N":
            plain = unicodedata.normalize("NFKC", run)
            digits = re.sub(r"\D", "", plain)
            value = roman(plain.upper())
            words = digits_words(digits, data) if digits else number_words(value, data.code) if value else None
            out.append(f" {words or plain} ")
        elif kind[position] == "S":
            out.append(_sign(text, position, data))
        else:
            out.append(_inner_punctuation(text, kind, position))
        position = end
    spoken = " ".join("".join(out).split())
    spoken = re.sub(r" ([,.;:!?])", r"\1", spoken).strip(" ,;:-")
    return spoken if any(char.isalnum() for char in spoken) else core


def _sign(text: str, position: int, data: Language) -> str:
    sign = text[position]
    if len(text) == 1:
        return data.symbols.get(sign, sign)
    if sign == "#" and data.code == "en" and position == len(text) - 1 and text[position - 1].isalpha():
        return " sharp "
    if text[max(0, position - (2 if sign == "+" else 1)) : position] == sign * (2 if sign == "+" else 1):
        return ""  # said once; twice in C++
    name = data.symbols.get(sign)
    # Signs of a decoration (=====, <tag>) have no name worth hearing.
    if name is None or (sign in "<>=#" and (position == 0 or position == len(text) - 1)):
        return " "
    return f" {name} "


def _inner_punctuation(text: str, kind: str, position: int) -> str:
    char = text[position]
    before, after = kind[position - 1 : position], kind[position + 1 : position + 2]
    if char in "-‐‑":
        return "-" if before in ("L", "M") and after in ("L", "U", "M") else " "
    if char == "–":
        return " " if after in ("L", "U", "D") else ", "
    if char in "—―":
        return ", "
    if char in "…":
        return "... "
    if char == ".":
        if text[position - 1 : position] == "." or after == "P":
            return "." if before == "P" or after == "P" else ". "
        if before in ("L", "U") and after == "L" and text.count(".") == 1 and len(text) - position <= 6:
            return " dot " if text.isascii() and position >= 2 else " "
        return ". " if after == "U" and before == "L" else " "
    if char in ",;:!?،؛؟，。、：；！？":
        return f"{char} " if after != "P" else ""
    return "" if char in "'*" else " "

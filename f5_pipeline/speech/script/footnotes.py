"""Marks of footnotes within a line, which nobody wants to hear: text.12, here[3], [5–7], word[a], A¹."""

from __future__ import annotations

import re

from f5_pipeline.speech.text.languages import word_set

_NUMBERS = r"\d{1,3}(?:[ ]?[,;–-][ ]?\d{1,3}){0,12}"
_BRACKETS = re.compile(
    # Behind a word or a sign. A letter behind a word may be an editor's: dog[s], love[d].
    rf"(?<=[^\s\[(\\])\[(?:{_NUMBERS}|(?:note|nb|n|fn|Anm\.?|Fn\.?)[ ]?\d{{1,3}}|citation needed)\](?![\w(:])"
    r"|(?<=[^\W\d_])\[[abcfghijklm]\](?![\w(:])|(?<=[.,;:!?”\"’»])\[[a-z]\](?![\w(:])"
    # Behind a blank: a list or a span with which a part of the sentence ends.
    rf"|(?<=[^\W_])[ ]\[\d{{1,3}}[ ]?[,;–-][ ]?{_NUMBERS}\](?=[.,;:!?](?:\s|\Z))"
)
_AFTER_STOP = re.compile(
    r"(?:(?<=[^\W\d_]{3}[.!?…])|(?<=[^\W\d_][.!?…][”\"’»)]))\d{1,3}"
    r"(?=\s*\Z|[”\"’»)]?\s+[“„«\"‘(¿¡]?[^\W\d_])"
)
_DIGITS = "¹²³⁴-⁹⁰"
_RAISED = re.compile(rf"(?<=[^\s\d{_DIGITS}⁺⁻(])[{_DIGITS}]{{1,3}}(?:[,–][{_DIGITS}]{{1,3}}){{0,4}}(?![⁺⁻\w])")
_LETTERS = re.compile(rf"[^\W\d_{_DIGITS}]+\Z")
_UNITS = re.compile(
    r"(?:m[eèéê]t(?:er|re|ro|ri)s?|metrów|метр\w*|inch(?:es)?|feet|foot|yards?|miles?|quadrat"
    r"|cos|sin|tan|cot|sec|log)\Z",
    re.I,
)
_BEFORE_NUMBER = word_set(
    "abb abs alg anm art bsp bzgl cap chap col dept eq eqs ex ext fasc fig figs fol kap lib nos num nums obj para par "
    "pag pos prop sec sect seite ser tab teil thm tom vers vol vols ver zit ziff port file line page item step room "
    "version"
)
"""Words before a full stop and a number that belongs to them: Fig.3."""


def without_footnotes(line: str) -> str:
    """A line without the marks of its footnotes.

    Decimals, versions, sections (3.12) and powers (m², 10³) stay.
    """
    if "[" in line:
        line = _BRACKETS.sub("", line)
    line = _AFTER_STOP.sub(lambda found: "" if _ends_sentence(line, found) else found[0], line)
    return line if line.isascii() else _RAISED.sub(lambda found: found[0] if _is_power(line, found) else "", line)


def _ends_sentence(line: str, found: re.Match[str]) -> bool:
    """Whether the full stop before a figure ends a sentence, and is no part of an abbreviation."""
    start = found.start()
    if line[start - 1] != ".":
        return True
    word = line[max(0, start - 40) : start - 1].rpartition(" ")[2]
    if re.search(r"[\d._/@+=\\]", word):
        return False  # 0.7.0-beta.2
    words = re.findall(r"[^\W\d_]+", word)
    following = re.match(r"\W*(\w?)", line[found.end() : found.end() + 8])
    upper = following is None or not following[1] or following[1].isupper()
    return upper and (not words or words[-1].lower() not in _BEFORE_NUMBER)


def _is_power(line: str, found: re.Match[str]) -> bool:
    """Whether raised figures are a power or a unit's: m², x³, 10⁴; only the first power is none in print."""
    word = _LETTERS.search(line[max(0, found.start() - 40) : found.start()])
    if word is None:
        return line[found.start() - 1] not in '.,;:!?…”"’»)]'
    return found[0] != "¹" and (len(word[0]) < 3 or bool(_UNITS.search(word[0])))

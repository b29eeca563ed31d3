"""The words of a text that a voice may say wrong: names, acronyms, foreign and uncommon words.

How common a word is, wordfreq knows for forty languages (the extra `lexicon`). Without it, the spelling alone decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from f5_pipeline.speech.text.languages import base
from f5_pipeline.speech.text.normalise import lone_symbols
from f5_pipeline.speech.text.reading import Part
from f5_pipeline.speech.text.segment import sentences
from f5_pipeline.speech.text.words import written_words

_COMMON, _KNOWN_NAME = 2.7, 4.3
"""Zipf frequencies (log10 of occurrences in a billion words): below the first a word is uncommon; a name above the
second, like Monday or John, is known to every voice."""
_OTHERS = ("en", "fr", "de", "es", "it", "nl", "pt", "sv", "pl")
_FOREIGN = 1.0
"""How much more frequent a word is in another language, at least, to count as a word of it."""
_NOUNS_IN_CAPITALS = frozenset({"de", "lb"})


@dataclass
class Uncommon:
    """A word that may be said wrong.

    Attributes:
        written: as it stands first in the text, without punctuation.
        count: how often it is there.
        line: where it is first, as numbered by the caller.
        why: "misheard in 3 chunks", "name", "capitals", "letters and figures", "uncommon", or "foreign: fr".
    """

    written: str
    count: int
    line: int
    why: str


def has_frequencies() -> bool:
    """Whether wordfreq is installed."""
    from importlib.util import find_spec

    return find_spec("wordfreq") is not None


def uncommon_words(
    texts: Iterable[tuple[int, str]], language: str, misheard: Mapping[str, int] = MappingProxyType({})
) -> list[Uncommon]:
    """The uncommon words of `texts` (line and text each), those that were misheard before and the most frequent first.

    Args:
        language: BCP 47 tag.
        misheard: by word in lower case, the takes in which a listener heard something else, or nothing.
    """
    found: dict[str, Uncommon] = {}
    counts: Counter[str] = Counter()
    elsewhere: set[str] = set()  # also in lower case, or in the middle of a sentence
    symbols = lone_symbols(language)
    for line, text in texts:
        for sentence in sentences(" ".join(text.split()), language, symbols):
            for place, word in enumerate(written_words(sentence.rstrip(), symbols)):
                part = Part(word)
                core = part.core.removesuffix("'s").removesuffix("’s")
                if not any(kind in "LU" for kind in part.kind):
                    continue
                counts[core.lower()] += 1
                if place or not part.capital:
                    elsewhere.add(core)
                if core.lower() not in found:
                    found[core.lower()] = Uncommon(core, 0, line, "")
    frequency = _frequency(base(language)) if has_frequencies() else None
    out = []
    for lower, word in found.items():
        # A word that is lower-case somewhere is a common one at the beginning of a sentence.
        if lower in elsewhere:
            word.written = lower
        word.count = counts[lower]
        word.why = _why(word.written, word.written in elsewhere, base(language), frequency)
        if lower in misheard:
            word.why = f"misheard in {misheard[lower]} chunks"
        if word.why:
            out.append(word)
    return sorted(out, key=lambda word: (-misheard.get(word.written.lower(), 0), -word.count, word.line))


def _why(word: str, is_inside: bool, language: str, frequency: Callable[[str], float] | None) -> str:
    if any(char.isdigit() for char in word):
        return "letters and figures"
    if len(word) > 1 and word.isupper():
        return "capitals"
    zipf = frequency(word.lower()) if frequency else None
    is_name = word[:1].isupper() and is_inside and language not in _NOUNS_IN_CAPITALS
    if zipf is None:
        foreign = language == "en" and not word.replace("’", "'").isascii()
        return "name" if is_name else "foreign letters" if foreign else ""
    if zipf >= (_KNOWN_NAME if is_name else _COMMON):
        return ""
    frequencies = ((code, _frequency(code)) for code in _OTHERS if code != language)
    most, other = max((rival(word.lower()), code) for code, rival in frequencies if rival is not None)
    if most >= _COMMON and most >= zipf + _FOREIGN:
        return f"foreign: {other}"
    return "name" if is_name else "uncommon"


@lru_cache(maxsize=16)
def _frequency(language: str) -> Callable[[str], float] | None:
    """Zipf frequency of a word; None where wordfreq does not know the language."""
    from wordfreq import available_languages, zipf_frequency

    # Chinese, Japanese and Korean need more packages, and have no blanks between their own words.
    if language not in available_languages() or language in ("zh", "ja", "ko"):
        return None
    return lambda word: zipf_frequency(word, language, wordlist="small")

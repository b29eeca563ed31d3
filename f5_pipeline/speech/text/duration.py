"""Expected duration of spoken text, from syllables rather than bytes.

An estimate for planning (where to cut, how many minutes a narration has), good to about a tenth on average. Text is
counted by what a reader pronounces: vowel groups and the other letters in alphabetic scripts, letters in scripts that
leave vowels out, characters in Chinese, morae in Japanese, syllable blocks in Korean, syllables of Indic scripts; and
pauses at punctuation. The weights are a least-squares fit to espeak-ng at its own pace (see `_WEIGHTS`).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

from f5_pipeline.speech.text.ipa import MARK, plain
from f5_pipeline.speech.text.languages import base

# Seconds by kind of sound, fitted to the draft engine over 21 languages and two voices: the mean absolute error of a
# sentence is 10 %; by language the mean lies between -17 % (Finnish: long vowels) and +16 % (Russian).
_WEIGHTS: dict[str, float] = {
    "vowel": 0.095,  # a group of vowels: the core of a syllable
    "consonant": 0.033,
    "capital": 0.18,  # a letter that is spelled
    "abjad": 0.1,  # Arabic, Hebrew: short vowels are not written
    "han": 0.25,
    "kana": 0.115,
    "hangul": 0.19,
    "indic": 0.13,
    "thai": 0.145,
    "digit": 0.30,  # left by the normaliser where it has no words for it
    "word": 0.07,
}
_PAUSES = {
    **dict.fromkeys(",،、，;；:：؛—", 0.35),
    **dict.fromkeys(".?!。！？؟।॥۔…", 0.4),
}
_VOWELS = frozenset("aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýÿœαεηιουωάέήίόύώаеёиоуыэюяіїєıăąęůűőāēīōū")
_SILENT = frozenset("ьъ'’-\"")
_FINAL_MUTE = frozenset({"en", "fr"})


@lru_cache(maxsize=65536)
def _word_seconds(word: str, language: str) -> float:
    """Seconds of one word between blanks, with the pause after it."""
    counts = sounds(word, language)
    spoken = sum(_WEIGHTS[kind] * count for kind, count in counts.items())
    # No voice says more than 30 letters a second, whatever the letters are ("aaaa…" is one group of vowels).
    return max(spoken, len(word) / 30) + pause_after(word)


def sounds(word: str, language: str) -> dict[str, int]:
    """Counts of the sounds of a word, by kind (see `_WEIGHTS`)."""
    counts: Counter[str] = Counter()
    in_vowel = False
    alphabetic = False
    lower = word.lower()
    letters = [char for char in word if char.isalpha()]
    if len(letters) == 1 and letters[0].isupper() and letters[0] not in "AIOYÉÀÈЯИВКСУОАЕ":
        return {"capital": 1, "word": 1}
    for char in lower:
        kind = _kind(char)
        if kind is None:
            in_vowel = in_vowel and char in "'’"
            continue
        if kind == "letter":
            alphabetic = True
            vowel = char in _VOWELS or unicodedata.normalize("NFD", char)[0] in _VOWELS
            if vowel and not in_vowel:
                counts["vowel"] += 1
            elif not vowel and char not in _SILENT:
                counts["consonant"] += 1
            in_vowel = vowel
        else:
            counts[kind] += 1
            in_vowel = False
    if alphabetic:
        counts["word"] = 1
        bare = lower.rstrip(".,;:!?\"'")
        if (
            language in _FINAL_MUTE
            and counts["vowel"] > 1
            and bare.endswith(("e", "es"))
            and not bare.endswith(("ee", "le"))
        ):
            counts["vowel"] -= 1
        counts["vowel"] = counts["vowel"] or (1 if counts["consonant"] else 0)
    return {kind: count for kind, count in counts.items() if count}


@lru_cache(maxsize=8192)
def _kind(char: str) -> str | None:
    code = ord(char)
    if char.isdigit():
        return "digit"
    if not char.isalpha():
        # Vowel signs and viramas of Indic scripts are marks; they are part of the syllable counted with the letter.
        return None
    if code < 0x0590:
        return "letter"
    if code < 0x0800:
        return "abjad"
    if 0x0900 <= code < 0x0E00:
        return "indic"
    if 0x0E00 <= code < 0x0F00 or 0x1000 <= code < 0x10A0 or 0x1780 <= code < 0x1800:
        return "thai"
    if 0x3040 <= code <= 0x30FF:
        return "kana"
    if 0xAC00 <= code <= 0xD7A3:
        return "hangul"
    if code >= 0x2E80 and not 0xFE70 <= code <= 0xFEFF and not 0xFF00 <= code <= 0xFFEF:
        return "han"
    return "letter"


def pause_after(word: str) -> float:
    """Pause for the punctuation of a word, most of it after the word, s."""
    return max((_PAUSES.get(char, 0.0) for char in word[-3:]), default=0.0) + sum(
        _PAUSES.get(char, 0.0) for char in word[:-3] if char in "，、。！？；：,;"
    )


def expected_seconds(spoken: str, language: str, speed: float = 1.0) -> float:
    """Expected duration of normalised text.

    Args:
        spoken: text as the engine gets it.
        language: BCP 47 tag.
        speed: 1.0 is the usual pace of a narrator; twice the speed takes half the time.

    Returns:
        Seconds of speech, pauses included, without silence at the ends.
    """
    code = base(language)
    words = (plain(spoken) if MARK[0] in spoken else spoken).split()
    if not words:
        return 0.0
    total = sum(_word_seconds(word, code) if len(word) <= 64 else _uncached(word, code) for word in words)
    return max(total - pause_after(words[-1][-3:]), 0.05) / speed


def _uncached(word: str, language: str) -> float:
    return _word_seconds.__wrapped__(word, language)

"""Texts of references: how they end, and how many words and syllables they have."""

from __future__ import annotations

import re
import unicodedata

FINAL = ".!?…。！？．؟۔।॥։။።"
_FULL_WIDTH = "。！？．…"
CLOSING = "\"'”’»)]}」』）】》"
_SOFT = ",;:-–—、，；：،؛~"


def end_text(text: str) -> str:
    """A reference's text as F5 needs it: a final mark and one blank, a full-width mark alone.

    F5 joins reference and new text as they are. Without ". " it runs the first new word into the last old one and
    loses it (F5-TTS issues 460, 1185); after a full-width mark it adds no blank itself.
    """
    text = " ".join(text.split())
    while text and (text[-1] in _SOFT or text[-1].isspace()):
        text = text[:-1]
    core = text.rstrip(CLOSING)
    if core[-1:] not in FINAL or not core:
        chinese = bool(core) and is_character(core[-1])
        text = f"{core.rstrip(_SOFT + ' ')}{'。' if chinese else '.'}{text[len(core) :]}"
    return text if text[-1] in _FULL_WIDTH and text[-1] != "…" else f"{text} "


def is_character(character: str) -> bool:
    """Whether it is a Han character, kana or full-width mark."""
    return bool(character) and (
        unicodedata.east_asian_width(character) in "WF" and not "\uac00" <= character <= "\ud7af"
    )


def _counts_alone(character: str) -> bool:
    """Whether it counts as a word of its own: Han, kana, Thai, Lao, Khmer, Burmese letters."""
    return character.isalnum() and (is_character(character) or "\u0e00" <= character <= "\u0eff")


def count_words(text: str) -> int:
    """Words between blanks; each character where words are not written apart."""
    alone = sum(_counts_alone(character) for character in text)
    rest = "".join(" " if _counts_alone(character) else character for character in text)
    return alone + sum(any(map(str.isalnum, word)) for word in rest.split())


_VOWELS = set("aeiouyæøœıəαεηιουωаеёиоуыэюяіїєў")
_SMALL_KANA = set("ゃゅょぁぃぅぇぉャュョァィゥェォ")
_SILENT_E = re.compile(r"(?<=[^\W\d_])(?<![aeiouy])(?<![^aeiouy]l)es?$|(?<=[^tdaeiouy])ed$")


def count_syllables(text: str, language: str) -> float:
    """Syllables, as far as spelling shows them: good to about a tenth for the languages with vowel letters.

    Groups of vowel letters count one (less English and French silent e); a Hangul or Han character one (in Japanese a
    Han character 1.8 morae, a kana one); a letter of India's scripts 0.75, unless its vowel is struck out; letters of
    other scripts 0.45; a digit 1.6, as read in the mean.
    """
    base = re.split(r"[-_]", language.lower())[0]
    total = 0.0
    marked = "".join(" " if unicodedata.category(c)[0] in "ZPSC" and c not in "'’" else c for c in text.lower())
    for word in unicodedata.normalize("NFC", marked).split():
        groups, others, previous = 0, 0, False
        for character in word:
            plain = unicodedata.normalize("NFD", character)[0]
            if character.isdigit():
                total += 1.6
            elif "\uac00" <= character <= "\ud7af":
                total += 1
            elif is_character(character):
                kana = "\u3040" <= character <= "\u30ff"
                total += (0 if character in _SMALL_KANA else 1) if kana else (1.8 if base == "ja" else 1)
            elif "\u0900" <= character <= "\u0dff":
                struck = unicodedata.combining(character) == 9  # virama
                total += 0.75 * (character.isalpha() - struck)
            elif plain.isascii() or "\u00c0" <= plain <= "\u052f":
                vowel = plain in _VOWELS
                groups += vowel and not previous
                previous = vowel
                continue
            elif character.isalpha():
                others += 1
            previous = False
        if base in ("en", "fr") and groups > 1 and _SILENT_E.search(word):
            groups -= 1
        word = word.strip("'’")
        latin = any(character.isalpha() and ord(character) < 0x530 for character in word)
        total += max(groups, 1 if latin else 0) + 0.45 * others
    return total

"""What F5-TTS is given to read: normalised text in the characters that a model knows, and its tokens.

F5 reads characters, Chinese as pinyin. A character that the vocabulary lacks becomes token 0, a blank, without a word;
here it is first replaced by what sounds the same, and what is left is counted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from f5_pipeline.errors import InputError
from f5_pipeline.speech.chunks import iter_chunks
from f5_pipeline.speech.script.model import Script
from f5_pipeline.speech.text.endings import end_text
from f5_pipeline.speech.text.languages import language_data
from f5_pipeline.speech.text.spelling import spelled

_CAPITALS = re.compile(r"[^\W\d_]{2,}")

# Signs and what may stand for them, the nearest first; one that the vocabulary lacks altogether is dropped. What
# `convert_char_to_pinyin` of F5-TTS itself replaces is here too, so that it is not taken for unknown.
_STAND_INS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys("“”„‟«»＂″〃", ('"',)),
    **dict.fromkeys("‘’‚‛ʼ′＇", ("'",)),
    **dict.fromkeys("「」『』《》〈〉【】", ('"',)),
    **dict.fromkeys("；", ("，", ",")),
    **dict.fromkeys("：", ("，", ",")),
    **dict.fromkeys("、", ("，", ",")),
    **dict.fromkeys("，،", (",",)),
    ";": (",",),
    ":": (",",),
    "؛": (",",),
    **dict.fromkeys("。．۔।॥။።։", (".",)),
    **dict.fromkeys("！", ("!",)),
    **dict.fromkeys("？؟", ("?",)),
    **dict.fromkeys("—―–", (",",)),
    **dict.fromkeys("‐‑−", ("-",)),
    **dict.fromkeys("…‥", ("...",)),
}


def f5_text(spoken: str, language: str, vocabulary: Container[str]) -> str:
    """Normalised text as a model reads it.

    Words in capitals are written small, or letter by letter where they are acronyms: F5 spells what is in capitals
    (F5-TTS's own README; issues 49, 382). Signs and letters that the vocabulary lacks are replaced by their nearest:
    full-width and curly signs by plain ones, ligatures by their letters, a letter with an accent by the one without.
    A letter of a script that the vocabulary lacks stays, to be counted (`Vocabulary.unknown`).

    Args:
        spoken: text in which numbers, abbreviations and symbols are words already.
        language: BCP 47 tag.
        vocabulary: the model's tokens.

    Returns:
        The text, without blanks at its ends; empty if nothing of it can be read.
    """
    text = unicodedata.normalize("NFC", " ".join(spoken.split()))
    text = _without_capitals(text, language)
    return " ".join("".join(_known(char, vocabulary) for char in text).split())


def _without_capitals(text: str, language: str) -> str:
    data = language_data(language)

    def small(match: re.Match[str]) -> str:
        word = match[0]
        if not word.isupper():
            return word
        if spelled(word, data, False):
            return " ".join(word)
        return word.capitalize() if match.start() == 0 else word.lower()

    return _CAPITALS.sub(small, text)


def _known(char: str, vocabulary: Container[str]) -> str:
    """`char`, or what stands for it; empty for a sign or an accent that has no stand-in."""
    if char == " " or char in vocabulary or is_han(char):
        return char
    candidates = [*_STAND_INS.get(char, ()), unicodedata.normalize("NFKC", char)]
    # Accents and vowel points may be left out; nukta and virama (classes 7 and 9) make another letter.
    letter = unicodedata.category(char)[0] in "LMN" and unicodedata.combining(char) < 10
    if letter:
        plain = unicodedata.normalize("NFKD", char)
        candidates += [plain, "".join(mark for mark in plain if not unicodedata.combining(mark))]
    for candidate in candidates:
        if candidate and all(part == " " or part in vocabulary for part in candidate):
            return candidate
    return char if letter else ""


def is_han(char: str) -> bool:
    """Whether F5-TTS reads a character as pinyin, whatever the language (its own range)."""
    return "\u3100" <= char <= "\u9fff"


def reference_text(text: str, language: str, vocabulary: Container[str]) -> str:
    """The transcript of a reference as a model reads it before the new text.

    It is normalised like a script, since the recording says numbers and abbreviations as words, and ends in ". " (or a
    full-width mark alone): without it F5 runs the first new word into the last old one.

    Raises:
        InputError: it says nothing.
    """
    passage = {"text": text, "voice": "reference", "line": 1}
    script = Script.model_validate(
        {"name": "reference", "title": "", "language": language, "voices": ["reference"], "passages": [passage]}
    )
    # Chunks of Chinese follow each other without a blank, as their last words say.
    spoken = "".join(chunk.spoken + chunk.words[-1].space for chunk in iter_chunks(script))
    readable = f5_text(spoken, language, vocabulary)
    if not any(char.isalnum() for char in readable):
        raise InputError("the reference's transcript says nothing", hint="Add the voice again with its transcript.")
    return end_text(readable)


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a model.

    Attributes:
        indices: token -> index, as `f5_tts.model.utils.get_tokenizer` reads it from `vocab.txt`.
        split: text -> tokens: `f5_tts.model.utils.convert_char_to_pinyin`, for one text.
        size: tokens that the network has embeddings for, the filler not counted.
    """

    indices: Mapping[str, int]
    split: Callable[[str], list[str]]
    size: int

    def __contains__(self, token: object) -> bool:
        return token in self.indices

    def __len__(self) -> int:
        return self.size

    def encode(self, text: str) -> list[int]:
        """Indices of the tokens of `text`; 0 for what the vocabulary lacks, as in F5-TTS."""
        return [self.indices.get(token, 0) for token in self.split(text)]

    def unknown(self, text: str) -> tuple[list[str], int]:
        """Tokens of letters that the vocabulary lacks, each as often as it occurs, and how many tokens have letters."""
        letters = [token for token in self.split(text) if any(unicodedata.category(char)[0] in "LMN" for char in token)]
        return [token for token in letters if token not in self.indices], len(letters)

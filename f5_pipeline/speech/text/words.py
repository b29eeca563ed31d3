"""Words as the author wrote them, for captions and word times."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import chain
from typing import NamedTuple

from f5_pipeline.speech.text.characters import CURRENCIES, kinds, without_pictures

MAX_WORD = 48
"""Characters of the longest token kept whole; longer ones (base64, a book without blanks) are cut into pieces."""

MAX_LETTERS = 120
"""The same of a token of nothing but letters, which is more likely one word."""

_OPENING = frozenset("([{<«“‘„‚「『（《〈【〔［｛¿¡‹")
_ONE_WORD = re.compile("P{0,8}[LUM]+P{0,8}")
_LONE_SYMBOL = re.compile("P*S{1,2}P*")
_CURRENCY = re.compile(rf"[{CURRENCIES}][^\w\s]*")
_CURRENCY_FIRST = re.compile(rf"[^\w\s]*(?:US|R)?[{CURRENCIES}]")
_WIDE_STOPS = frozenset("、，。；：！？")
_PREPOSED_VOWELS = frozenset("เแโใไເແໂໃໄ")
_FOLLOWING_VOWELS = frozenset("ะาำຽະາຳ")


class Written(NamedTuple):
    """A word: its text, with punctuation and unspoken signs, and the space after it."""

    text: str
    space: str


def speakable(text: str, symbols: Collection[str] = ()) -> bool:
    """Whether anything in `text` can be spoken: a letter, a digit, or one of `symbols` standing alone."""
    plain = without_pictures(text)
    kind = kinds(plain)
    if any(k in kind for k in "LUDNC"):
        return True
    return bool(_LONE_SYMBOL.fullmatch(kind)) and any(char in symbols for char in plain)


def written_words(text: str, symbols: Collection[str] = (), group: re.Pattern[str] | None = None) -> list[Written]:
    """Split `text` (blanks collapsed) into words.

    A word is text between blanks; in scripts without blanks it is one character with its marks. Tokens that
    cannot be spoken (dashes, emoji) are attached to the word before them, or to the next where none is before.

    Args:
        text: one sentence or paragraph.
        symbols: symbols that are words when they stand alone.
        group: matches a number whose digits are grouped by blanks, as in "1 000 000"; it becomes one word.

    Returns:
        Words whose texts and spaces, joined, give `text`; empty where nothing can be spoken.
    """
    tokens = _grouped(text.split(" "), group)
    pieces = chain.from_iterable(_pieces(token) for token in tokens if token)
    return attach(pieces, symbols)


def attach(pieces, symbols: Collection[str] = ()) -> list[Written]:
    """Attach what cannot be spoken to a neighbour; see `written_words`."""
    words: list[Written] = []
    clinging: list[str] = []  # parts after the last word; joined once, so that a long run of emoji stays linear
    for piece in pieces:
        if speakable(piece.text, symbols):
            if clinging:
                if words:
                    last = words[-1]
                    joined = last.text + last.space + "".join(clinging)
                    words[-1] = Written(joined.rstrip(), _trailing(joined))
                    words.append(piece)
                else:
                    words.append(Written("".join(clinging) + piece.text, piece.space))
                clinging = []
            else:
                words.append(piece)
        else:
            clinging += (piece.text, piece.space)
    if clinging and words:
        last = words[-1]
        joined = last.text + last.space + "".join(clinging)
        words[-1] = Written(joined.rstrip(), _trailing(joined))
    return words


def _trailing(text: str) -> str:
    return " " if text.endswith(" ") else ""


def _grouped(tokens: list[str], group: re.Pattern[str] | None) -> list[str]:
    """Join amounts with blanks in them: "1 000 000", "3,50 €", "$ 5"."""
    out: list[str] = []
    index = 0
    while index < len(tokens):
        end = index + 1
        if group is not None and tokens[index][-1:].isdecimal():
            while end < len(tokens) and tokens[end][:1].isdecimal() and end - index < 6:
                end += 1
            while end > index + 1 and not group.fullmatch(" ".join(tokens[index:end])):
                end -= 1
        if end < len(tokens):
            # The sign of a currency belongs to the amount on either side of it.
            left, right = tokens[end - 1], tokens[end]
            if (left[-1:].isdecimal() and _CURRENCY.fullmatch(right)) or (
                _CURRENCY_FIRST.fullmatch(left) and right[:1].isdecimal()
            ):
                end += 1
        out.append(" ".join(tokens[index:end]))
        index = end
    return out


def _pieces(token: str) -> list[Written]:
    """The words of one token between blanks; the last one is followed by a blank."""
    kind = kinds(token)
    parts = _clusters(token, kind) if "C" in kind else [token]
    if any(len(part) > MAX_WORD for part in parts):
        parts = list(chain.from_iterable((part,) if _whole(part) else halves(part) for part in parts))
    return [Written(part, "") for part in parts[:-1]] + [Written(parts[-1], " ")]


def _whole(part: str) -> bool:
    return len(part) <= MAX_WORD or (len(part) <= MAX_LETTERS and bool(_ONE_WORD.fullmatch(kinds(part))))


def _clusters(token: str, kind: str) -> list[str]:
    """One part for each character of a script without blanks; runs of other scripts stay whole."""
    parts: list[str] = []
    start = 0  # start of the current part
    has_core = False  # whether it has a letter or digit
    in_run = False  # whether that letter is of a script with blanks
    for index, (char, k) in enumerate(zip(token, kind, strict=True)):
        if k == "C":
            joins = not in_run and has_core and (char in _FOLLOWING_VOWELS or (token[index - 1] in _PREPOSED_VOWELS))
            if has_core and not joins:
                parts.append(token[start:index])
                start = index
            has_core, in_run = True, False
        elif k in "LUDN":
            if has_core and (not in_run or token[index - 1] in _WIDE_STOPS):
                parts.append(token[start:index])
                start = index
            has_core, in_run = True, True
        elif k == "S" and has_core and not in_run and token[index + 1 : index + 2].isdecimal():
            parts.append(token[start:index])
            start = index
            has_core = False
        elif k == "P" and has_core and (char in _OPENING or (not in_run and _is_minus(token, index))):
            parts.append(token[start:index])
            start = index
            has_core = in_run = False
    parts.append(token[start:])
    return parts


def _is_minus(token: str, index: int) -> bool:
    return token[index] in "-−" and token[index + 1 : index + 2].isdecimal()


def halves(part: str, longest: int = MAX_WORD) -> list[str]:
    """Cut an over-long token into pieces, after punctuation where there is some, never before a combining mark."""
    kind = kinds(part)
    size = longest * 2 // 3
    pieces: list[str] = []
    start = 0
    while len(part) - start > longest:
        window = kind[start + size // 2 : start + size]
        cut = max(window.rfind("P"), window.rfind("S"))
        end = start + size // 2 + cut + 1 if cut >= 0 else start + size
        while end < len(part) and kind[end] == "M" and end - start < longest:
            end += 1
        pieces.append(part[start:end])
        start = end
    pieces.append(part[start:])
    return pieces

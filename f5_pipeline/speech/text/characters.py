"""Kinds of characters, by which words are split and read: one letter stands for each kind.

`kinds(text)` has the length of `text`; a regular expression over it is a fast way to ask about scripts that Python's
`\\w` knows nothing of (vowel signs of Indic scripts are marks, not letters).

| letter | kind                                                                 |
|--------|----------------------------------------------------------------------|
| L, U   | letter; letter in upper case                                         |
| M      | combining mark or joiner: belongs to the letter before it            |
| C      | letter of a script written without blanks (Chinese, Japanese, Thai…) |
| D, N   | decimal digit; other number (½, ², ①, Ⅳ)                             |
| S      | symbol that has a name worth speaking (&, %, $…)                      |
| P      | everything else: punctuation, emoji, blanks                          |
"""

from __future__ import annotations

import re
import unicodedata

CURRENCIES = "$€£¥￥₹₽₩₺฿₫₴₪"
CURRENCY_SIGNS = frozenset(CURRENCIES)
WIDE = str.maketrans({
    "％": "%", "￥": "¥", "＋": "+", "－": "-", "～": "~", "〜": "~", "：": ":", "／": "/",
    "㎡": "m²", "㎢": "km²", "㎥": "m³",
    "㎞": "km", "㎝": "cm", "㎜": "mm", "㎏": "kg", "㎎": "mg", "٪": "%",
})  # fmt: skip
"""Signs that have a plainer spelling of the same meaning."""
SYMBOLS = frozenset("&%％‰٪+＋=@¢#°×÷±§≈<>≤≥≠№℃℉∞√㎡㎢㎥㎞㎝㎜㎏㎎") | CURRENCY_SIGNS

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # 々〆〇
    (0x3040, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)
_JOINERS = (0x200C, 0x200D)
_VARIATION = (0xFE0E, 0xFE0F)


class _Kinds(dict):
    """A `str.translate` table that works out each character once."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        category = unicodedata.category(char)
        if char in SYMBOLS:
            kind = "S"
        elif code in _VARIATION:
            kind = "P"
        elif category[0] == "M" or code in _JOINERS or 0x1F3FB <= code <= 0x1F3FF:
            kind = "M"
        elif char.isdecimal():
            kind = "D"
        elif char.isalpha():
            if any(low <= code <= high for low, high in _UNSPACED):
                kind = "C"
            else:
                kind = "U" if category in ("Lu", "Lt") else "L"
        elif code == 0x3007:
            kind = "C"
        elif char.isnumeric():
            kind = "N"
        else:
            kind = "P"
        self[code] = kind
        return kind


_TABLE = _Kinds()
# A keycap (digit, variation selector, U+20E3) and a letter-like sign with the emoji selector are pictures, not text.
_PICTURES = re.compile("[0-9#*]\ufe0f?\u20e3|.\ufe0f")


def kinds(text: str) -> str:
    """The kind of each character; see the table at the top."""
    return text.translate(_TABLE)


def without_pictures(text: str) -> str:
    """`text` without emoji that are built on a digit or a letter; other emoji have kind P and need no care."""
    return _PICTURES.sub(lambda match: " " * len(match[0]), text) if ("\ufe0f" in text or "\u20e3" in text) else text


def unspaced(text: str, *, end: bool = False) -> bool:
    """Whether `text` begins (or ends) with a letter of a script that puts no blanks between words."""
    kind = kinds(text[-4:] if end else text[:4])
    return (kind.rstrip("M")[-1:] if end else kind.lstrip("M")[:1]) == "C"


def cjk(char: str) -> bool:
    """Whether `char` is a Chinese or Japanese character or their full-width punctuation."""
    code = ord(char)
    return (code >= 0x3000 and _TABLE[code] == "C") or 0x3000 <= code <= 0x303F or 0xFF00 <= code <= 0xFF65


def ascii_digits(text: str) -> str:
    """Decimal digits of every script as ASCII ones."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)

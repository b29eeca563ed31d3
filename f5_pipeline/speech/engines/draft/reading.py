"""What espeak-ng cannot read: Chinese characters outside Chinese, each of which it calls "Chinese letter".

Japanese is handed to it in kana, read by Open JTalk (pyopenjtalk-plus, https://github.com/tsukumijima/pyopenjtalk-plus,
MIT; Open JTalk and its dictionary, modified BSD), phrase by phrase: espeak then tells where each phrase begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech.text.languages import base

_HAN = re.compile("[々〆\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_JAPANESE = re.compile(
    "[々〆ー\u3041-\u309f\u30a1-\u30fa\u30fd-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_CHINESE = frozenset(["zh", "hak", "wuu", "nan"])
KANJI = "字"
"""A text that only a reader of kanji can read."""
_DEPENDENT = ("助詞", "助動詞")
"""Parts of speech that belong to the phrase before them."""
_MOST = 0.2
"""Share of Chinese characters among the letters of another language's text, up to which a draft is of use."""
_EXTRA = "Install the reader of Japanese: pip install 'f5-pipeline[ja]'."


def reads(language: str) -> bool:
    """Whether texts of a language can be read here: all but Japanese without its reader."""
    return base(language) != "ja" or find_spec("pyopenjtalk") is not None


def check_text(text: str, language: str) -> None:
    """Raise InputError where `text` is Japanese with kanji and its reader is not installed."""
    if not reads(language) and (match := _HAN.search(text)):
        raise InputError(f"espeak-ng reads no kanji: {match[0]!r}", hint=_EXTRA)


def mostly_unread(text: str, language: str) -> bool:
    """Whether espeak would spell so much of a text in another language that its draft is no measure of it."""
    if base(language) in _CHINESE or (base(language) == "ja" and reads(language)):
        return False
    return len(_HAN.findall(text)) > _MOST * sum(char.isalpha() for char in text)


def readable(text: str, language: str) -> tuple[str, list[int]]:
    """`text` as espeak can read it, and for each of its characters the position in `text`.

    Raises:
        InputError: see `check_text`.
    """
    check_text(text, language)
    if base(language) != "ja" or not _HAN.search(text):
        return text, list(range(len(text)))
    out: list[str] = []
    places: list[int] = []
    position = 0
    for run in _JAPANESE.finditer(text):
        out.append(text[position : run.start()])
        places += range(position, run.start())
        for start, size, kana in _read(run[0]):
            out.append(kana)
            places += [run.start() + start + index * size // len(kana) for index in range(len(kana))]
        position = run.end()
    out.append(text[position:])
    places += range(position, len(text))
    return "".join(out), places


@lru_cache(maxsize=4096)
def _read(run: str) -> tuple[tuple[int, int, str], ...]:
    """The morphemes of Japanese text without punctuation: start and length in it, kana, a blank before each phrase."""
    import pyopenjtalk

    morphemes = pyopenjtalk.run_frontend(run)
    if sum(len(one["string"]) for one in morphemes) != len(run):  # read as another text
        return ((0, len(run), _kana(morphemes, run)),)
    found: list[tuple[int, int, str]] = []
    start = 0
    for one in morphemes:
        size = len(one["string"])
        if found and one["pos"] not in _DEPENDENT and one["chain_flag"] != 1:
            found.append((start, 1, " "))
        found.append((start, size, _kana([one], run[start : start + size])))
        start += size
    return tuple(found)


def _kana(morphemes: Sequence[Mapping[str, Any]], written: str) -> str:
    """How morphemes are pronounced; as written where nobody knows, less what espeak would spell."""
    said = "".join(one["pron"] for one in morphemes).replace("’", "")
    return said if said.strip("、？！") else _HAN.sub("", written) or "、"

"""Chinese: figures and signs by WeTextProcessing's grammars (wetext), which know sign, unit, date, time and score.

https://github.com/pengzhendong/wetext (Apache-2.0). A grammar works on the whole sentence and tells which of its
characters each reading belongs to; the reading is then divided among the words that stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from f5_pipeline.speech.text.cldr import CURRENCIES, currency_words
from f5_pipeline.speech.text.numerals import number_words
from f5_pipeline.speech.text.reading import Part

_PLAIN = str.maketrans("—–～〜￥％：／＋－", "~~~~¥%:/+-")
_SPAN = re.compile(r"(?<![\d%.-])([\d.]+%?)-(?=[\d.]+%?(?![\d.-]))")  # and no date
_SCORE = re.compile(r"(?<![\d.%年月日-])(\d{1,2})-(?=(\d{1,2})(?![\d.%-]))")
_SCALED = re.compile(r"([$€£])(\d{1,12})")
_LENGTH = re.compile(r"(\d{1,2}):(\d\d):(\d\d)")
_TAKEN = re.compile(r"成绩|用时|耗时|纪录|历时")
_YEARS = re.compile(r"([12]\d{3})[-—–~]([12]\d{3})")
_AMOUNT = re.compile(r"[¥$€£]\d+,")
_LETTERS = re.compile(r"[A-Z]+")
_HAN = "\u4e00-\u9fff"
_WINDOW = re.compile(
    rf"[{_HAN}]{{0,4}}[-+±$¥€£]{{0,2}}\d[\d.,:/%~+=×²³°℃A-Za-z-]{{0,24}}"
    rf"(?:[{_HAN}]{{1,2}}\d[\d.,:/%~+=×²³°℃A-Za-z-]{{0,24}}){{0,4}}[{_HAN}]{{0,3}}"
)
MAX_WINDOW = 48
"""Characters that the grammar is asked to read at a time: it weighs every way to read them."""


def read_chinese(parts: Sequence[Part]) -> None:
    """Read what has figures in a sentence; words that are read already keep their reading."""
    text, places = "", []
    for part in parts:
        if match := _YEARS.fullmatch(part.core):
            part.say("到".join(number_words(int(year), "zh", "year") or year for year in match.groups()))
        start = len(text) + len(part.lead)
        places.append((start, start + len(part.core)))
        text += f"{part.lead}{part.core}{part.trail}{part.word.space}"
        _read_whole(parts, len(places) - 1)
    text = text.translate(_PLAIN)
    if "=" not in text:
        text = _SPAN.sub(r"\1~", _SCORE.sub(_score, text))
    groups: list[list[int]] = []  # the words of a reading, by index; those of one word are joined
    covered: dict[int, str] = {}  # where a reading begins -> the reading; the rest of a word is read as it stands
    skipped: set[int] = set()
    for start, end, spoken in _readings(text):
        covered[start] = spoken
        skipped.update(range(start, end))
        inside = [n for n, place in enumerate(places) if place[0] < end and start < place[1]]
        if groups and inside and groups[-1][-1] == inside[0]:
            groups[-1] += inside[1:]
        elif inside:
            groups.append(inside)
    for inside in groups:
        if all(parts[index].spoken is None for index in inside):
            region = range(places[inside[0]][0], places[inside[-1]][1])
            spoken = "".join(covered.get(at, "" if at in skipped else text[at]) for at in region)
            _divide(
                _LETTERS.sub(lambda letters: f" {' '.join(letters[0])}", spoken).strip(), [parts[n] for n in inside]
            )
    for part, following in pairwise(parts):
        if part.core in CURRENCIES and following.spoken and (name := currency_words(part.core, "2", "zh")):
            part.say(following.spoken, bound=True)
            following.say(name)
        if following.core in CURRENCIES and part.numeric and (name := currency_words(following.core, "2", "zh")):
            following.say(name)


def _read_whole(parts: Sequence[Part], index: int) -> None:
    """Read what the grammar takes for something else: great amounts, lengths of time, years before Christ."""
    part = parts[index]
    before = "".join(other.core for other in parts[max(0, index - 5) : index])
    following = parts[index + 1] if index + 1 < len(parts) else None
    after = following.core if following is not None else ""
    if following is not None and after in ("万", "亿") and (match := _SCALED.fullmatch(part.core)):
        name, words = currency_words(match[1], "2", "zh"), number_words(int(match[2]), "zh")
        if name and words:
            part.say(words, bound=True)
            following.say(f"{after}{name}")
    elif (match := _LENGTH.fullmatch(part.core)) and _TAKEN.search(before):
        items = zip(match.groups(), ("小时", "分", "秒"), strict=True)
        part.say("".join(_counted(int(value)) + unit for value, unit in items if int(value)))
    elif after == "年" and before.endswith("公元前") and part.core.isdecimal():
        part.say(number_words(int(part.core), "zh") or part.core)


def _counted(value: int) -> str:
    return "两" if value == 2 else number_words(value, "zh") or str(value)


def _score(match: re.Match[str]) -> str:
    """A score for the grammar: "2-0", which does not ascend as a range does, is "2:0"."""
    return f"{match[1]}:" if int(match[1]) > int(match[2]) else match[0]


def _readings(text: str) -> Iterator[tuple[int, int, str]]:
    """What stands around figures, as the grammar reads it: start, end, reading."""
    for window in _WINDOW.finditer(text):
        # An amount with commas is read as in other languages.
        if len(window[0]) <= MAX_WINDOW and not _AMOUNT.search(window[0]):
            for start, end, spoken in _normalize(window[0]):
                yield window.start() + start, window.start() + end, spoken


@lru_cache(maxsize=4096)
def _normalize(text: str) -> tuple[tuple[int, int, str], ...]:
    found = _grammar().normalize_with_mapping(text).mappings
    return tuple((one.input_start, one.input_end, one.output_text) for one in found)


@lru_cache(maxsize=1)
def _grammar() -> Any:
    from wetext import Normalizer

    return Normalizer(lang="zh", operator="tn")


def _divide(spoken: str, parts: Sequence[Part]) -> None:
    """Give each word its part of a reading: a character that is in both is itself, and figures are what is between.

    Where the reading has another order ("100公里/小时", 每小时一百公里), each word gets about as much as any other.
    """
    pieces = _anchored(spoken, parts)
    if pieces is None:
        size = len(spoken) / len(parts)
        cuts = [round(index * size) for index in range(len(parts) + 1)]
        pieces = [spoken[start:end] for start, end in pairwise(cuts)]
    if all(pieces):
        for part, piece in zip(parts, pieces, strict=True):
            part.say(piece, bound=part is not parts[-1])


def _anchored(spoken: str, parts: Sequence[Part]) -> list[str] | None:
    pieces: list[str] = []
    position = 0
    figures = False  # whether the word before takes what comes up to the next anchor
    for part in parts:
        if part.kind == "C":
            place = spoken.find(part.core, position + (1 if figures else 0))
            if place < 0:
                return None
            if figures:
                pieces[-1] = spoken[position:place]
            elif place != position:
                return None
            pieces.append(part.core)
            position, figures = place + len(part.core), False
        elif figures:
            return None
        else:
            pieces.append(spoken[position:])
            figures = True
    if not figures and position != len(spoken):
        return None
    return pieces

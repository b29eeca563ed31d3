"""Korean after figures: native numbers before counters ("세 개", "스무 살"), hours, months, and particles."""

from __future__ import annotations

import re

from f5_pipeline.speech.text.languages import Language, word_set
from f5_pipeline.speech.text.numerals import number_words, parse_number

_NATIVE = word_set(
    "개 살 명 시 시간 번째 번 잔 마리 권 병 장 대 달 가지 군데 그루 송이 벌 켤레 사람 채 척 자루 곳 쌍 줄 그릇 다발 "
    "모금 조각 통 봉지 상자 걸음 배 차례 끼"
)
"""Counters of native numbers; all others take Chinese ones."""
_SINO = ("개월", "시리즈", "배율", "명령", "대째", "장조", "장까지")
_PARTICLES = re.compile(r"(?:이|가|은|는|을|를|에|의|로|으로|와|과|만|까지|부터|보다|쯤|씩|마다|라|였|입|대)(?!대).*")
_MONTHS = {"6": "유월", "06": "유월", "10": "시월"}
_FINALS = 28
"""Forms of a syllable block by its final consonant; the first has none."""


def native(value: int) -> str | None:
    """A native number as it stands before a counter: "한", "스물한"; Chinese from a hundred on, as is usual."""
    if not 0 < value < 100:
        return number_words(value, "ko")
    if value == 1:
        return "한"
    words = number_words(value, "ko", "ordinal")
    return words.removesuffix("번째").strip() if words else None


def hour(value: int) -> str | None:
    """The hour of a clock: native up to twelve, Chinese on the clock of 24 hours."""
    return native(value) if 0 < value <= 12 else number_words(value, "ko")


def counted(figures: str, suffix: str, data: Language) -> str | None:
    """Plain figures and what is written to them: "3" "개를" -> "세 개를"; None where that is no counter."""
    number = parse_number(figures, data)
    if number is None or number.fraction:
        return None
    if suffix[0] == "월" and figures in _MONTHS:
        return _MONTHS[figures] + suffix[1:]
    if suffix.startswith(_SINO):
        return None
    size = next((size for size in (2, 1) if suffix[:size] in _NATIVE), 0)
    if not size:
        return None
    words = hour(number.value) if suffix[:size] == "시" else native(number.value)
    return f"{words} {suffix}" if words else None


def read_date_part(figures: str, sign: str, data: Language) -> str:
    """A year, month or day with its sign: "시월", "이천이십사 년"."""
    return counted(figures, sign, data) or f"{number_words(int(figures), 'ko')} {sign}"


def joined(words: str, suffix: str) -> str:
    """A number in words and what is written to it: a particle is part of the word, a unit is a word of its own."""
    if suffix[0] == "도":
        words = words.replace("마이너스", "영하")
    return f"{words}{suffix}" if _PARTICLES.fullmatch(suffix) else f"{words} {suffix}"


def equation(text: str, data: Language) -> str | None:
    """ "2+3=5" with the topic's particle as the number before it asks for."""
    words: list[str] = []
    for item in re.findall(r"\d+(?:\.\d+)?|[^\d.]", text):
        number = parse_number(item, data)
        said = number.words(data) if number else data.symbols.get(item)
        if not said:
            return None
        if item == "=" and words:
            words[-1] += "은" if (ord(words[-1][-1]) - ord("가")) % _FINALS else "는"
        else:
            words.append(said)
    return " ".join(words)

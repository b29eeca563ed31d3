"""Words with times for tests of captions: prose, and what breaks files."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

from f5_pipeline.speech.script.model import CaptionStyle
from f5_pipeline.speech.timeline import TimedWord

STYLE = CaptionStyle()

PROSE = (
    "The harbour lay quiet under the first snow of the year, and nobody on the quay had seen the ferry leave. "
    "Dr. Hale, who kept the light, said that it had gone before dawn. Why? He would not say. "
    "It was the sort of morning on which every sound carries across the water, although there was nothing to hear "
    "except the ice that ground against the piles and, far off, a dog."
)

NASTY = [
    '"quoted"', "it's", "a,b;c", "AT&T", "&amp;", "<b>bold</b>", "<", ">", "-->", "00:00:01,000", "->",
    "{\\an8}", "{y:i}", "{}", "\\N", "😀", "👩‍👩‍👧‍👦", "🇩🇪", "שָׁלוֹם", "עולם,", "مرحبا", "\u200fRTL\u200e", "x" * 80,
    "e\u0301te\u0301", "NOTE", "STYLE", "WEBVTT", "1", "42", "<v Bob>", "&lrm;", "a\u00a0b", "%", "$x$", "=1+1",
    "#", "_", "`", "|", "\ufeffbom", "ﷺ", "naïve",
]  # fmt: skip
CHINESE = list("今天天气很好，我们一起去公园散步吧。你觉得怎么样？")
BREAKING = ["two\nlines", "a\r\n\r\nb", "tab\there", "\x00nul", "u\u2028s", "v\u2029t", "\x85", "\x1b[0m", "\n\n"]


def timed(
    texts: Iterable[str], *, rate: float = 0.3, gap: float = 0.0, space: str = " ", at: float = 0.5, **fields
) -> list[TimedWord]:
    words = []
    for text in texts:
        words.append(
            TimedWord(
                text=text,
                space=space,
                start=at,
                end=at + rate,
                **{"chunk": 0, "paragraph": 0, "voice": "Ada", **fields},
            )
        )
        at += rate + gap
    return words


def random_words(seed: int, count: int) -> list[TimedWord]:
    rng, words, at, paragraph, voice = random.Random(seed), [], 0.0, 0, "Ada"
    prose = PROSE.split()
    while len(words) < count:
        if rng.random() < 0.05:
            paragraph += 1
            voice = rng.choice(["Ada", "Böb <&>", ""])
            at += rng.choice([0, 0.7, 3])
        chinese = rng.random() < 0.1
        for text in rng.choice([prose, NASTY, CHINESE])[: rng.randint(1, 30)] if not chinese else CHINESE:
            at += rng.choice([0, 0, 0, 0.05, 0.3, 1.2])
            end = at + rng.choice([0.0001, 0.02, 0.1, 0.3, 0.8, 9.0 if rng.random() < 0.02 else 0.4])
            words.append(
                TimedWord(
                    text=text,
                    space="" if chinese else " ",
                    start=at,
                    end=end,
                    chunk=0,
                    paragraph=paragraph,
                    voice=voice,
                )
            )
            at = end
    return words


def text_of(words: list[TimedWord]) -> str:
    return "".join("".join(word.text.split()) for word in words)


def bare(text: str) -> str:
    """Text without blanks, and without the hyphens of the one word that is longer than a line."""
    return re.sub("(?<=x)-(?=x)", "", "".join(text.replace("\u200b", "").split()))

"""Word times as tables: CSV for spreadsheets, JSON for programs. Both stream."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from f5_pipeline.speech.timeline import TimedWord

CSV_COLUMNS = ("index", "word", "start", "end", "chunk", "paragraph", "voice", "heading", "method", "confidence")


def write_words_csv(words: Iterable[TimedWord], out: TextIO) -> int:
    """Write one row a word under the names in CSV_COLUMNS, seconds with three decimals; returns the number of words.

    `out` is UTF-8, opened with newline="".
    """
    table = csv.writer(out, lineterminator="\n")
    table.writerow(CSV_COLUMNS)
    count = 0
    for word, start, end in milliseconds(words):
        table.writerow(
            (
                count,
                word.text,
                _seconds(start),
                _seconds(end),
                word.chunk,
                word.paragraph,
                word.voice,
                int(word.heading),
                word.method,
                word.confidence,
            )
        )
        count += 1
    return count


def write_words_json(words: Iterable[TimedWord], out: TextIO, meta: Mapping[str, Any]) -> int:
    """Write one object: the entries of `meta` (narration, audio, …), "words", then "methods", the number of words timed
    by each; returns the number of words.

    A word is {"word", "space", "start", "end", "chunk", "paragraph", "voice", "heading", "method", "confidence"}, times
    in seconds; the texts, each followed by its space, joined give the script. One word a line.
    """
    if {"words", "methods"} & meta.keys():
        raise ValueError("meta must not hold words or methods")
    out.write("{\n")
    for key, value in meta.items():
        out.write(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)},\n")
    out.write('"words": [')
    count = 0
    methods: Counter[str] = Counter()
    for word, start, end in milliseconds(words):
        entry = {
            "word": word.text,
            "space": word.space,
            "start": start / 1000,
            "end": end / 1000,
            "chunk": word.chunk,
            "paragraph": word.paragraph,
            "voice": word.voice,
            "heading": word.heading,
            "method": word.method,
            "confidence": word.confidence,
        }
        out.write(",\n" if count else "\n")
        out.write(json.dumps(entry, ensure_ascii=False))
        count += 1
        methods[word.method] += 1
    out.write(f'\n],\n"methods": {json.dumps(methods)}\n}}\n')
    return count


def milliseconds(words: Iterable[TimedWord]) -> Iterator[tuple[TimedWord, int, int]]:
    """Words with times rounded to ms, keeping start < end and no overlap."""
    last = 0
    for word in words:
        start = max(round(word.start * 1000), last)
        last = max(round(word.end * 1000), start + 1)
        yield word, start, last


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"

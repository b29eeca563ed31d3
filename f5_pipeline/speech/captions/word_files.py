"""Word times as tables: CSV for spreadsheets, JSON for programs, Parquet for data frames."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from f5_pipeline.speech.text.segment import sentence_ends
from f5_pipeline.speech.text.words import Written

if TYPE_CHECKING:
    from f5_pipeline.speech.timeline import TimedWord

CSV_COLUMNS = ("index", "word", "start", "end", "chunk", "paragraph", "voice", "heading", "method", "confidence")

ROWS_AT_A_TIME = 10_000
"""Words of a row group."""


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
    """Write one object: the entries of `meta` (narration, language, audio, …), "words", "sentences", "paragraphs",
    "chapters", then "methods", the number of words timed by each; returns the number of words.

    A word is {"word", "space", "start", "end", "chunk", "paragraph", "voice", "heading", "method", "confidence"}, times
    in seconds, and "cue", [start, end], where it belongs to a subtitle of the script; the texts, each followed by its
    space, joined give the script. One word a line. A sentence, paragraph or
    chapter is {"text", "start", "end", "words": [first, after the last]}; the text of a chapter is its heading; what
    comes before the first heading is in none. These parts are kept in memory until the words are written.
    """
    parts = ("words", "sentences", "paragraphs", "chapters", "methods")
    if meta.keys() & set(parts):
        raise ValueError(f"meta must not hold {' or '.join(parts)}")
    out.write("{\n")
    for key, value in meta.items():
        out.write(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)},\n")
    out.write('"words": [')
    methods: Counter[str] = Counter()
    count = 0
    sentences: list[str] = []
    paragraphs: list[str] = []
    chapters: list[dict[str, Any]] = []
    for block in paragraphs_of(words, meta.get("language") or "en"):
        for word, start, end in block.words:
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
                **({} if word.cue is None else {"cue": word.cue}),
            }
            out.write(("," if count else "") + "\n" + json.dumps(entry, ensure_ascii=False))
            methods[word.method] += 1
            count += 1
        first = count - len(block.words)
        paragraphs.append(json.dumps(_part(block.words, first), ensure_ascii=False))
        begin = 0
        for end in block.sentences:
            part = _part(block.words[begin : end + 1], first + begin)
            sentences.append(json.dumps(part, ensure_ascii=False))
            begin = end + 1
        if block.words[0][0].heading:
            chapters.append(_part(block.words, first))
        elif chapters:
            chapters[-1] |= {"end": block.words[-1][2] / 1000, "words": [chapters[-1]["words"][0], count]}
    out.write("\n],\n")
    rows = (sentences, paragraphs, [json.dumps(chapter, ensure_ascii=False) for chapter in chapters])
    for name, lines in zip(parts[1:], rows, strict=False):
        out.write(f'"{name}": [\n' + ",\n".join(lines) + "\n],\n")
    out.write(f'"methods": {json.dumps(methods)}\n}}\n')
    return count


class Paragraph(NamedTuple):
    """Its words with start and end in ms, and the indices of the last words of its sentences."""

    words: list[tuple[TimedWord, int, int]]
    sentences: list[int]


def paragraphs_of(words: Iterable[TimedWord], language: str) -> Iterator[Paragraph]:
    """Paragraphs; a sentence ends where the voice changes, too."""
    for _, timed in groupby(milliseconds(words), lambda item: item[0].paragraph):
        block = list(timed)
        ends: list[int] = []
        for _, run in groupby(block, lambda item: (item[0].voice, item[0].language)):
            own = [word for word, _, _ in run]
            first = ends[-1] + 1 if ends else 0
            found = sentence_ends([Written(word.text, word.space) for word in own], own[0].language or language)
            ends += [first + index for index in sorted({*found, len(own) - 1})]
        yield Paragraph(block, ends)


def _part(words: Sequence[tuple[TimedWord, int, int]], first: int) -> dict[str, Any]:
    return {
        "text": "".join(word.text + word.space for word, _, _ in words).rstrip(),
        "start": words[0][1] / 1000,
        "end": words[-1][2] / 1000,
        "words": [first, first + len(words)],
    }


def write_words_parquet(words: Iterable[TimedWord], path: Path) -> int:
    """Write a Parquet file, a row a word; returns the number of words. Needs the extra `tables`.

    Columns: word, start, end (s), speaker, chapter (from 1; 0 before the first heading), chunk, method, confidence.
    """
    import pyarrow
    from pyarrow import parquet

    types = {"word": "string", "start": "float64", "end": "float64", "speaker": "string", "chapter": "int32",
             "chunk": "int32", "method": "string", "confidence": "float32"}  # fmt: skip
    schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in types.items()])
    count = chapter = 0
    heading: int | None = None
    timed = milliseconds(words)
    with parquet.ParquetWriter(path, schema) as out:
        while batch := list(islice(timed, ROWS_AT_A_TIME)):
            rows = []
            for word, start, end in batch:
                if word.heading and word.paragraph != heading:
                    chapter, heading = chapter + 1, word.paragraph
                times = start / 1000, end / 1000
                rows.append((word.text, *times, word.voice, chapter, word.chunk, word.method, word.confidence))
            columns = dict(zip(types, map(list, zip(*rows, strict=True)), strict=True))
            out.write_table(pyarrow.table(columns, schema=schema))
            count += len(batch)
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

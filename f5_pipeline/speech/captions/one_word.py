"""Timing files with one word a cue, as programs that set captions themselves take them. They are not delivered: the
download service writes them when they are asked for."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from f5_pipeline.speech.captions.cues import Cue, Span
from f5_pipeline.speech.captions.formats import FORMATS, WORD_TIMES, CaptionFormat, TimedNarration, as_text
from f5_pipeline.speech.captions.text import one_line
from f5_pipeline.speech.captions.word_files import milliseconds

if TYPE_CHECKING:
    from f5_pipeline.speech.timeline import TimedWord


def word_cues(words: Iterable[TimedWord]) -> Iterator[Cue]:
    """A cue for each word, from its start to its end."""
    for index, (word, start, end) in enumerate(milliseconds(words), 1):
        times = start / 1000, end / 1000
        span = Span(one_line(word.text), *times)
        yield Cue(index=index, start=times[0], end=times[1], spans=((span,),), voice=word.voice)


def write_compact(words: Iterable[TimedWord], out: TextIO) -> None:
    """Write CSV under the names word, start_time and end_time; seconds with three decimals."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("word", "start_time", "end_time"))
    table.writerows((cue.lines[0], f"{cue.start:.3f}", f"{cue.end:.3f}") for cue in word_cues(words))


def write_entries(words: Iterable[TimedWord], out: TextIO) -> None:
    """Write a JSON list of {"word", "start_time", "end_time"}; seconds."""
    out.write("[")
    for cue in word_cues(words):
        entry = {"word": cue.lines[0], "start_time": cue.start, "end_time": cue.end}
        out.write((",\n" if cue.index > 1 else "\n") + json.dumps(entry, ensure_ascii=False))
    out.write("\n]\n")


def _by_word(suffix: str) -> CaptionFormat:
    """The format of the table with a cue for each word."""
    known = FORMATS[suffix]

    def write(narration: TimedNarration, path: Path) -> None:
        known.write(replace(narration, cues=lambda: word_cues(narration.words())), path)

    return replace(known, suffix=f".word{suffix}", label=f"{known.label}, one word a cue", write=write)


ONE_WORD: dict[str, CaptionFormat] = {
    "srt": _by_word(".srt"),
    "vtt": _by_word(".vtt"),
    "ass": _by_word(".ass"),
    "compact": CaptionFormat(
        ".compact.csv", "text/csv; charset=utf-8", WORD_TIMES, "compact CSV",
        as_text(lambda narration, out: write_compact(narration.words(), out)),
    ),
    "json": CaptionFormat(
        ".compact.json", "application/json", WORD_TIMES, "compact JSON",
        as_text(lambda narration, out: write_entries(narration.words(), out)),
    ),
}  # fmt: skip
"""By the name that the HTTP API has for them."""

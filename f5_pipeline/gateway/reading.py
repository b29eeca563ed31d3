"""The text of a narration to read along, from its delivered word times (JSON), in parts of some hundred words.

The table of a book is tens of MB. It is read once, in flat memory, to find where its parts begin; the words of a part
are read when they are asked for. A table never changes, so that what was found holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import Any, BinaryIO, NamedTuple

from pydantic import BaseModel, ValidationError

from f5_pipeline.errors import NotFoundError, StoreError
from f5_pipeline.gateway.delivery import DeliveredFile, ObjectReader

SUFFIX = ".words.json"

PART_WORDS = 400
"""Words after which a part ends with its paragraph; in a paragraph that goes on as long again, with a sentence."""

MAX_LINE_BYTES = 1 << 16
"""Length of a line of the table, which is a word and what is known of it."""

MAX_OUTLINES = 256
"""Outlines that are kept in memory, some 20 kB for a book."""


class _Word(BaseModel):
    """A line of the table."""

    word: str
    space: str = " "
    start: float
    end: float
    chunk: int = 0
    paragraph: int = 0
    voice: str = ""
    heading: bool = False


class Part(NamedTuple):
    """A part of the text: bytes of the file in [begin, close), first and last time in ms, number of words."""

    begin: int
    close: int
    start: int
    end: int
    words: int


class ReadingText:
    """The texts of delivered files of word times.

    Raises, each method:
        NotFoundError: there is no such file or part.
        StoreError: the store cannot be read, or the file is no table of word times.
    """

    def __init__(self, store: ObjectReader) -> None:
        self._store = store
        self.outline = lru_cache(MAX_OUTLINES)(self._outline)

    def _outline(self, file: DeliveredFile) -> tuple[Part, ...]:
        """The parts of a text, in order."""
        parts: list[Part] = []
        with self._store.open(file.key) as stream:
            before: _Word | None = None
            for begin, close, word in _words(stream, file.key):
                start, end = _milliseconds(word.start), _milliseconds(word.end)
                if before is None or _parts_here(parts[-1].words, before, word):
                    parts.append(Part(begin, close, start, end, 1))
                else:
                    parts[-1] = parts[-1]._replace(close=close, end=end, words=parts[-1].words + 1)
                before = word
        return tuple(parts)

    def part(self, file: DeliveredFile, number: int) -> list[dict[str, Any]]:
        """The paragraphs of a part: {"voice", "heading", "words", "times"}; words with the space after them, and the
        start and end of each in ms, one after the other."""
        parts = self.outline(file)
        if number >= len(parts):
            raise NotFoundError("there is no such part of the text", file=file.key)
        begin, close = parts[number][:2]
        with self._store.open(file.key, begin, close) as stream:
            words = [word for _, _, word in _words(stream, file.key, close - begin)]
        paragraphs = (list(group) for _, group in groupby(words, lambda word: (word.paragraph, word.voice)))
        return [
            {
                "voice": group[0].voice,
                "heading": group[0].heading,
                "words": [word.word + word.space for word in group],
                "times": [_milliseconds(time) for word in group for time in (word.start, word.end)],
            }
            for group in paragraphs
        ]


def _parts_here(words: int, before: _Word, word: _Word) -> bool:
    """Whether a part of so many words ends between two words."""
    return (words >= PART_WORDS and word.paragraph != before.paragraph) or (
        words >= 2 * PART_WORDS and word.chunk != before.chunk
    )


def _words(stream: BinaryIO, key: str, size: int | None = None) -> Iterator[tuple[int, int, _Word]]:
    """The words of a table, one a line, with the place of the line's first byte and of its end. `size`: bytes to read
    at most."""
    place = 0
    while size is None or place < size:
        line = stream.readline(MAX_LINE_BYTES)
        if not line:
            return
        begin, place = place, place + len(line)
        if line.startswith(b'{"word"'):  # other lines are the head, and tables of sentences and more
            try:
                yield begin, place, _Word.model_validate_json(line.rstrip(b",\r\n"))
            except ValidationError:
                raise StoreError("a line is no word with its times", file=key, place=f"byte {begin}") from None


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)

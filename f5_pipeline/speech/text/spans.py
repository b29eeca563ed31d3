"""Words of a sentence that are said as somebody asked for (see `say`), wherever in a word they begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from f5_pipeline.speech.text.reading import Part
from f5_pipeline.speech.text.say import say


class Span(NamedTuple):
    """Characters [start, end) of a text, and what is said for them."""

    start: int
    end: int
    spoken: str


def _in_core(span: Span, part: Part, start: int) -> bool:
    start += len(part.lead)
    return span.start < start + len(part.core) and start < span.end


def say_spans(parts: Sequence[Part], spans: Sequence[Span]) -> dict[int, str]:
    """Fix the spoken forms of the words that spans cover, each with what of the word stands outside of them.

    Args:
        parts: the words of a sentence.
        spans: in order, without overlap; places in the text that the words and their spaces make.

    Returns:
        The spoken form of each word that a span touches, by its index.
    """
    places, position = [], 0
    for part in parts:
        places.append(position)
        position += len(part.word.text) + len(part.word.space)
    pieces: dict[int, list[tuple[int, int, str]]] = {}
    for span in spans:
        inside = [
            index
            for index, start in enumerate(places)
            if span.start < start + len(parts[index].word.text) and start < span.end
        ]
        if not inside:
            continue
        # A word of which only the punctuation is touched says nothing of it, unless there is no other.
        inside = [index for index in inside if _in_core(span, parts[index], places[index])] or inside[:1]
        say([parts[index] for index in inside], span.spoken)
        for index in inside:
            part, start = parts[index], places[index] + len(parts[index].lead)
            begin, end = max(0, span.start - start), min(len(part.core), span.end - start)
            piece = part.spoken or ""
            if begin >= end:  # signs before or behind the word
                begin, end, piece = (0, 0, f"{piece} ") if begin < len(part.core) else (begin, begin, f" {piece}")
            elif span.end - start > len(part.core):
                part.stop_belongs = True
            pieces.setdefault(index, []).append((begin, end, piece))
    said: dict[int, str] = {}
    for index, found in pieces.items():
        part, out, position = parts[index], "", 0
        for begin, end, piece in found:
            out += part.core[position:begin] + piece
            position = end
        said[index] = part.spoken = (out + part.core[position:]).replace("’", "'")
        part.changed = True
    return said

"""PDF with a text layer, by PDFium: lines in the order of the file, put together into paragraphs by their places.

Page numbers, and lines that stand in the same place at the top or bottom of several pages, are not spoken. Chapters are
the entries of the outline; where there is none, lines in larger letters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.decoding import Block, listed, safe
from f5_pipeline.speech.script.front_matter import Header
from f5_pipeline.speech.script.sources import ScriptText
from f5_pipeline.speech.script.sources.pdf_pages import Line, read_pages
from f5_pipeline.speech.script.sources.text import join_hyphenated

MAX_PAGE_LINES = 200
"""Of a page, in which a title of the outline is looked for."""

_EDGE_LINES = 2
"""Lines at the top and at the bottom of a page that may be its header or footer."""

_ROMAN = r"(?=[ivxlc])(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})"
_PAGE_NUMBER = re.compile(
    rf"\W*(?:page |seite |p\. ?)?(?:\d{{1,4}}|{_ROMAN})(?: ?(?:of|/|von) ?\d{{1,4}})?\W*", re.IGNORECASE
)
_WORDS = re.compile(r"[^\W_]+")
_STOPS = tuple(".!?…:;\"'”’»)。！？")


def read(data: bytes, file: str, gen_file: Callable[[str], bytes] | None) -> ScriptText:
    """See `sources.read_source`. The number of a line is that of its page.

    Raises:
        InputError: it is no PDF, is locked or damaged, is too large, or has pictures of text only.
    """
    pages, outline, about = read_pages(data, file)
    empty = [page for page, lines in enumerate(pages, 1) if not lines]
    if len(empty) == len(pages):
        raise InputError(
            "the PDF has pictures of pages and no text",
            file=file,
            hint="Have a program for text recognition (OCR) add a text layer, for example: ocrmypdf IN.pdf OUT.pdf",
        )
    notes: list[str] = []
    if empty:
        notes.append(f"pages without text are not spoken (page{'s' * (len(empty) > 1)} {listed(map(str, empty), 5)})")
    kept, removed = _without_edges(pages)
    if removed:
        notes.append(f"page numbers and lines that stand on several pages are not spoken, for example {removed[0]!r}")
    blocks = list(_blocks([line for page in kept for line in page], outline))
    words = Counter(
        re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", "\n".join(line for block in blocks for _, line in block.lines))
    )
    for block in blocks:
        join_hyphenated(block.lines, words)
    header = Header(author=_said(about.get("Author")))
    title = _said(about.get("Title"))
    return ScriptText(header, blocks, file, title if title and " " in title else None, notes)


def _said(value: str | None) -> str | None:
    return " ".join(safe(value or "").replace("\0", "").split()) or None


def _without_edges(pages: list[list[Line]]) -> tuple[list[list[Line]], list[str]]:
    """Pages without page numbers and running headers and footers, and the texts that were removed."""

    def edges(page: list[Line]) -> tuple[list[Line], list[Line]]:
        by_height = sorted(page, key=lambda line: -line.bottom)
        return by_height[:_EDGE_LINES], by_height[-_EDGE_LINES:]

    def place(line: Line) -> tuple[str, int]:
        return re.sub(r"\d+|\b[ivxlc]+\b", "#", line.text.casefold()), round(line.bottom / 4)

    counts: Counter[tuple[str, int]] = Counter()
    for page in pages:
        top, bottom = edges(page)
        counts.update({place(line) for line in (*top, *bottom)})
    enough = 2 if len(pages) < 6 else 3
    kept, removed = [], []
    for page in pages:
        top, bottom = edges(page)
        outermost = {id(line) for line in (*top[:1], *bottom[-1:])}
        gone = {
            id(line): line.text
            for line in (*top, *bottom)
            if counts[place(line)] >= enough or (id(line) in outermost and _PAGE_NUMBER.fullmatch(line.text))
        }
        kept.append([line for line in page if id(line) not in gone])
        removed += gone.values()
    return kept, removed


def _blocks(lines: list[Line], outline: list[tuple[int, str]]) -> Iterator[Block]:
    """Paragraphs and headings from lines in reading order."""
    if not lines:
        return
    sizes: Counter[int] = Counter()
    for line in lines:
        sizes[round(line.size)] += len(line.text)
    body = sizes.most_common(1)[0][0]
    steps = [before.bottom - line.bottom for before, line in pairwise(lines)]
    leading = median([step for step in steps if 0 < step < 4 * body] or [1.2 * body])
    headings, missing = _headings(lines, outline, body)
    columns = _columns(lines)
    block: Block | None = None
    for index, line in enumerate(lines):
        before = lines[index - 1] if index else None
        for title in missing.get(index, ()):
            if block is not None:
                yield block
            block = None
            yield Block("heading", [(line.page, title.replace("[", "\\["))])
        kind = "heading" if index in headings else "paragraph"
        if (
            block is None
            or before is None
            or (
                index in headings.values()
                or kind != block.kind
                or (kind == "paragraph" and _parts(before, line, leading, columns))
            )
        ):
            if block is not None:
                yield block
            block = Block(kind, [])
        block.lines.append((line.page, line.text.replace("[", "\\[")))
    if block is not None:
        yield block


def _headings(
    lines: list[Line], outline: list[tuple[int, str]], body: float
) -> tuple[dict[int, int], dict[int, list[str]]]:
    """Indices of lines that are headings, each with that of its heading's first line; and titles of the outline that
    are not in the text, by the index of the line that they stand before.
    """
    found: dict[int, int] = {}
    missing: dict[int, list[str]] = {}
    first_of: dict[int, int] = {}
    for index, line in enumerate(lines):
        first_of.setdefault(line.page, index)
    for page, title in outline:
        start = first_of.get(page)
        if start is None:
            continue
        wanted = _WORDS.findall(title.casefold())
        ends = ((index, end) for index in range(start, start + MAX_PAGE_LINES) for end in range(index + 1, index + 4))
        spans = ((index, end) for index, end in ends if _is_title(lines[index:end], page, wanted))
        index, end = next(spans, (start, start))
        found.update(dict.fromkeys(range(index, end), index))
        if index == end:
            missing.setdefault(start, []).append(title)
    if not outline:
        for index, line in enumerate(lines):
            if line.size > 1.15 * body + 0.5 and len(line.text) < 120 and any(map(str.isalpha, line.text)):
                before = lines[index - 1]
                same = index - 1 in found and before.page == line.page and abs(before.size - line.size) < 1
                found[index] = found[index - 1] if same else index
    return found, missing


def _is_title(lines: list[Line], page: int, wanted: list[str]) -> bool:
    """Whether lines of a page say these words and no others."""
    if not wanted or any(line.page != page or len(line.text) > 300 for line in lines):
        return False
    return _WORDS.findall(" ".join(line.text for line in lines).casefold()) == wanted


def _columns(lines: list[Line]) -> dict[int, dict[int, float]]:
    """By page, the left edges at which three lines and more begin, in points, each with the right edge of its lines."""
    counts: dict[int, Counter[int]] = {}
    right: dict[int, dict[int, float]] = {}
    for line in lines:
        left = round(line.left)
        counts.setdefault(line.page, Counter())[left] += 1
        edges = right.setdefault(line.page, {})
        edges[left] = max(edges.get(left, 0.0), line.right)
    return {
        page: {left: edges[left] for left, lines in counts[page].most_common(20) if lines > 2}
        for page, edges in right.items()
    }


def _parts(before: Line, line: Line, leading: float, columns: dict[int, dict[int, float]]) -> bool:
    """Whether a paragraph begins with a line."""
    step = before.bottom - line.bottom
    if before.page == line.page and (step > 1.4 * leading or abs(before.size - line.size) > 0.15 * line.size + 0.5):
        return True
    margin = next((left for left in columns[line.page] if 0.4 * line.size < line.left - left < 4 * line.size), None)
    margin_before = next((left for left in columns[before.page] if -1.5 <= before.left - left < 4 * before.size), None)
    edge = columns[before.page][margin_before] if margin_before is not None else before.right
    start = margin_before if margin_before is not None else before.left
    ends_early = before.right < start + 0.85 * (edge - start) and before.text.endswith(_STOPS)
    if margin is None:
        return ends_early
    same_left = before.page == line.page and abs(before.left - line.left) < 1.5
    return not same_left or before.text.endswith(_STOPS)

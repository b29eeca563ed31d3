"""The lines of a PDF by PDFium, in a process of its own: a small file can claim any memory, and the library is native.

`read_pages` starts the process; what follows runs in it, reads the file from standard input and writes one JSON object.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from f5_pipeline.errors import InputError

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

MAX_MEMORY_BYTES = 2 << 30
MAX_CPU_SECONDS = 600
MAX_PAGES = 10_000
MAX_CHARS = 64 << 20
MAX_ENTRIES = 10_000
"""Of the outline."""

_HYPHENS = "\x02\ufffe\xad"
"""PDFium writes one of these in the place of a hyphen and the end of its line."""

_FIGURES = re.compile(r"\S\d{1,20}(?!\d)")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LINE = re.compile(f"[^\r\n{_HYPHENS}]*(?:\r\n?|\n|[{_HYPHENS}]|$)")
_START = """
import sys
sys.path[:] = sys.argv[2:]
from f5_pipeline.speech.script.sources.pdf_pages import main
main(int(sys.argv[1]))
"""


class Line(NamedTuple):
    """A line of a page; lengths in points, from the lower left.

    Attributes:
        page: from 1.
        size: height of a letter's box.
    """

    page: int
    left: float
    right: float
    bottom: float
    size: float
    text: str


class Pages(NamedTuple):
    """What is read of a PDF.

    Attributes:
        lines: of each page, in the order of the file.
        outline: page, from 1, and title of each entry of the outline.
        about: title, author and others, as the file states them.
    """

    lines: list[list[Line]]
    outline: list[tuple[int, str]]
    about: dict[str, str]


def read_pages(data: bytes, file: str) -> Pages:
    """Read a PDF.

    Raises:
        InputError: it is locked, damaged or too large. ImportError: PDFium is not installed.
    """
    import pypdfium2  # noqa: F401 - so that a missing package is told here

    process = subprocess.run(
        [sys.executable, "-I", "-c", _START, str(MAX_MEMORY_BYTES), *sys.path],
        input=data,
        capture_output=True,
        check=False,
    )
    if process.returncode:
        raise InputError(
            "the PDF cannot be read: it needs more memory or time than a book does, or is damaged",
            file=file,
            hint="Save it anew with another program.",
        )
    found = json.loads(process.stdout)
    if "problem" in found:
        raise InputError(found["problem"], file=file, hint=found["hint"])
    return Pages([[Line(*line) for line in page] for page in found["pages"]], found["outline"], found["about"])


def main(max_bytes: int) -> None:
    """Read a PDF from standard input and write what is in it, or `problem` and `hint`, to standard output.

    Args:
        max_bytes: memory that this process may use.
    """
    import pypdfium2

    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data = sys.stdin.buffer.read()
    try:
        document = pypdfium2.PdfDocument(data)
        if len(document) > MAX_PAGES:
            found: dict[str, Any] = _problem(f"the PDF has more than {MAX_PAGES} pages", "Split it into several.")
        else:
            lines = list(_pages(document))
            found = {"pages": lines, "outline": _outline(document), "about": document.get_metadata_dict()}
            if sum(len(line[-1]) for page in lines for line in page) > MAX_CHARS:
                found = _problem("the PDF has more text than 64 MiB", "Split it into several.")
    except pypdfium2.PdfiumError as error:
        if any(word in str(error).lower() for word in ("password", "security")):
            found = _problem("the PDF is locked with a password", "Give one that is not locked.")
        else:
            found = _problem(f"the PDF is damaged: {str(error).rstrip('.')}", "Copy or download it again.")
    json.dump(found, sys.stdout)


def _problem(problem: str, hint: str) -> dict[str, Any]:
    return {"problem": problem, "hint": hint}


def _pages(document: PdfDocument) -> Iterator[list[Line]]:
    for number in range(len(document)):
        page = document[number]
        text = page.get_textpage()
        yield list(_lines(text, number + 1))
        text.close()
        page.close()


def _lines(page: Any, number: int) -> Iterator[Line]:
    from pypdfium2 import raw

    at = 0
    for line in _LINE.findall(page.get_text_range()):
        # Places of letters are counted as PDFium's text is: in UTF-16.
        first = at + len(line) - len(line.lstrip())
        raised = _raised(page, line, at)
        at += len(line.encode("utf-16-le")) // 2
        words = re.sub(f"[{_HYPHENS}]", "-", raised.strip())
        if not words:
            continue
        last = at - 1 - (len(line) - len(line.rstrip()))
        start, end = (max(raw.FPDFText_GetCharIndexFromTextIndex(page, index), 0) for index in (first, last))
        left, bottom, _, top = page.get_charbox(start, loose=True)
        _, low, _, high = page.get_charbox((start + end) // 2, loose=True)
        right = page.get_charbox(end, loose=True)[2]
        yield Line(number, left, max(left, right), bottom, max(top - bottom, high - low), words)


def _raised(page: Any, line: str, at: int) -> str:
    """A line in which small figures above the words beside them, as marks of notes and powers are, are superscripts.

    Args:
        at: index of the line in PDFium's text, in UTF-16.
    """
    from pypdfium2 import raw

    def box(index: int) -> tuple[float, float]:
        place = at + len(line[:index].encode("utf-16-le")) // 2
        _, bottom, _, top = page.get_charbox(max(raw.FPDFText_GetCharIndexFromTextIndex(page, place), 0), loose=True)
        return bottom, top - bottom

    def mark(found: re.Match[str]) -> str:
        bottom, height = box(found.start())
        first = found.end()
        while first - 1 > found.start() and found.end() - first < 4:
            own_bottom, own_height = box(first - 1)
            if own_height > 0.85 * height or own_bottom < bottom + 0.15 * height:
                break
            first -= 1
        return line[found.start() : first] + line[first : found.end()].translate(_SUPERSCRIPTS)

    return _FIGURES.sub(mark, line)


def _outline(document: PdfDocument) -> list[tuple[int, str]]:
    import pypdfium2

    entries: list[tuple[int, str]] = []
    try:
        for bookmark in document.get_toc(max_depth=3):
            goal, title = bookmark.get_dest(), bookmark.get_title()
            page = goal.get_index() if goal is not None else None
            if page is not None and title:
                entries.append((page + 1, title[:1000]))
            if len(entries) == MAX_ENTRIES:
                break
    except pypdfium2.PdfiumError:  # chapters are found by the size of their letters then
        return []
    return entries

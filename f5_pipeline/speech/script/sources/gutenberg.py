"""Plain texts of Project Gutenberg: what is spoken of them, in place, so that the numbers of lines stay.

The header, the licence, the table of contents, marks of pictures and remarks of the transcriber become blank. Lines
such as `CHAPTER I.` are headings, with the title below them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from f5_pipeline.speech.script.decoding import Block
from f5_pipeline.speech.script.front_matter import Header

_START = re.compile(r"^[ \t]*\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG EBOOK\b", re.IGNORECASE | re.MULTILINE)
_END = re.compile(
    r"^[ \t]*(?:\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG|End of (?:the )?Project Gutenberg(?:'s|’s)?)\b",
    re.IGNORECASE | re.MULTILINE,
)
_FIELD = re.compile(r"(Title|Author|Language): {0,9}(\S[^\n]*(?:\n[ \t]+\S[^\n]*){0,5})")
_CREDIT = re.compile(r"\s*(?:E-text prepared|Produced) by\b", re.IGNORECASE)
_CONTENTS = re.compile(r"[ \t_]*(?:table of )?contents[.:_]?[ \t]*", re.IGNORECASE)
_REMARK = re.compile(
    r"\[(Illustrations?|Footnotes?|Transcriber[’']s Notes?|Sidenote)\b(?:[^\[\]]|\[[^\[\]]{0,400}\]){0,4000}\]",
    re.IGNORECASE,
)
_TRANSCRIBER = re.compile(r"[ \t_*]*transcriber[’']s notes?[.:_*]*[ \t]*", re.IGNORECASE)
_ITALICS = re.compile(r"(?<![\w_])_(?=[^\s_])|(?<=[^\s_])_(?![\w_])")
_NUMBER = r"(?:[IVXLC]{1,8}|\d{1,3}|the [A-Za-z]{3,12}|[A-Za-z]{3,9}(?:[- ][A-Za-z]{3,6})?)"
CHAPTER = re.compile(rf"(?:chapter|book|part|volume|letter|act|scene|stave|canto|adventure) {_NUMBER}\b", re.IGNORECASE)
"""The beginning of a line that opens a chapter, if it is a paragraph of its own."""

_ALONE = re.compile(r"[IVXLC]{1,8}\.|(?:prologue|epilogue|preface|introduction|conclusion|foreword)\.?", re.IGNORECASE)
_TITLE_CHARS, _CONTENTS_LINES = 70, 400


@dataclass
class Prepared:
    """A text whose unspoken lines are blank.

    Attributes:
        is_book: whether it is from Project Gutenberg; any other text is as it was.
        notes: what is not spoken.
    """

    text: str
    header: Header = field(default_factory=Header)
    notes: list[str] = field(default_factory=list)
    is_book: bool = False

    def with_headings(self, blocks: list[Block]) -> list[Block]:
        """The blocks of the text, those that open a chapter as headings, each joined with its title."""
        if not self.is_book:
            return blocks
        out: list[Block] = []
        for at, block in enumerate(blocks):
            line = block.lines[0][1] if block.lines else ""
            last = out[-1] if out else None
            if len(block.lines) <= 3 and len(line) <= _TITLE_CHARS and (_opens(line) or _ALONE.fullmatch(line)):
                block = Block("heading", block.lines)
            elif (
                last is not None and last.kind == "heading" and blocks[at - 1].lines is last.lines and _is_title(block)
            ):
                last.lines[-1] = (last.lines[-1][0], last.lines[-1][1].rstrip(". ") + ".")
                out[-1] = Block("heading", [*last.lines, *block.lines])
                continue
            out.append(block)
        return out


def prepared(text: str) -> Prepared:
    """The text of a file, and, where it is from Project Gutenberg, what it says of itself."""
    start = _START.search(text, 0, 1 << 16)
    if start is None:
        return Prepared(text)
    head = text[: start.start()]
    out = Prepared("", is_book=True)
    for key, value in _FIELD.findall(head):
        value = " ".join(value.split())
        if key == "Language":
            out.header.language = out.header.language or _language(value)
        elif getattr(out.header, key.lower()) is None:
            setattr(out.header, key.lower(), value)
    lines = text.split("\n")
    first = text.count("\n", 0, start.start()) + 1
    end = _END.search(text, start.end())
    last = text.count("\n", 0, end.start()) if end else len(lines)
    lines[:first] = [""] * first
    lines[last:] = [""] * (len(lines) - last)
    out.notes.append(
        f"the header and the licence of Project Gutenberg are not spoken (lines 1 to {first}, from {last + 1})"
    )
    _blank_credits(lines, first, out.notes)
    _blank_contents(lines, out.notes)
    _blank_remarks_at_end(lines, first, out.notes)
    remarks: dict[str, list[int]] = {}

    def blank(found: re.Match[str]) -> str:
        kind = found[1].lower().rstrip("s") + "s"
        remarks.setdefault(kind, []).append(found.start())
        return "\n" * found[0].count("\n")

    body = "\n".join(lines)
    out.text = _ITALICS.sub("", _REMARK.sub(blank, body))
    for kind, places in remarks.items():
        where = ", ".join(str(body.count("\n", 0, place) + 1) for place in places[:5]) + (", …" if places[5:] else "")
        out.notes.append(f"{kind} are not spoken (line{'s' if len(places) > 1 else ''} {where})")
    return out


def _language(name: str) -> str | None:
    from babel import Locale

    names = {spoken.casefold(): code for code, spoken in Locale("en").languages.items()}
    return names.get(name.casefold().partition(",")[0].strip(), "").replace("_", "-").lower() or None


def _blank_credits(lines: list[str], first: int, notes: list[str]) -> None:
    at = next((at for at in range(first, min(first + 20, len(lines))) if _CREDIT.match(lines[at])), None)
    while at is not None and at < len(lines) and lines[at].strip():
        lines[at] = ""
        at += 1


def _blank_contents(lines: list[str], notes: list[str]) -> None:
    """Blank a table of contents: from its heading to the line before its first entry stands again."""
    top = next((at for at, line in enumerate(lines[:2000]) if _CONTENTS.fullmatch(line)), None)
    if top is None:
        return
    entry = next((line for line in lines[top + 1 : top + 20] if line.strip()), "")
    label = CHAPTER.match(entry.strip())
    wanted = _folded(label[0] if label else entry)
    again = range(lines.index(entry, top + 1) + 1, min(top + _CONTENTS_LINES, len(lines)))
    bottom = next(
        (at for at in again if wanted and _starts(_folded(lines[at]), wanted) and not lines[at - 1].strip()), None
    )
    if bottom is not None and all(len(line) <= 90 for line in lines[top:bottom]):
        lines[top:bottom] = [""] * (bottom - top)
        notes.append(f"the table of contents is not spoken (lines {top + 1} to {bottom})")


def _blank_remarks_at_end(lines: list[str], first: int, notes: list[str]) -> None:
    start = max(first, len(lines) - max(len(lines) // 5, 50))
    at = next((at for at in range(start, len(lines)) if _TRANSCRIBER.fullmatch(lines[at])), None)
    if at is not None and any(line.strip() for line in lines[first:at]):
        lines[at:] = [""] * (len(lines) - at)
        notes.append(f"the transcriber's notes are not spoken (from line {at + 1})")


def _folded(line: str) -> str:
    return " ".join(re.findall(r"\w+", line.casefold()))


def _starts(line: str, wanted: str) -> bool:
    return line == wanted or line.startswith(wanted + " ")


def _opens(line: str) -> bool:
    found = CHAPTER.match(line)
    rest = line[found.end() :].strip() if found else ""
    # "Part of me" and "Act two was over." are sentences.
    return bool(found) and (not rest or rest[0] in ".:—–-" or line.isupper()) and line[:1].isupper()


def _is_title(block: Block) -> bool:
    if len(block.lines) > 2 or sum(len(line) for _, line in block.lines) > 2 * _TITLE_CHARS:
        return False
    text = block.lines[-1][1] if block.lines else ""
    if not text or text[0] in "\"'“‘—":
        return False
    words = re.findall(r"[^\W\d_]{4,}", text)
    return text.isupper() or (not text.endswith(("!", "?", ",", ";", ":")) and all(word[0].isupper() for word in words))

"""Plain text: paragraphs, parted by blank lines; within them lists, verse and headings, one line each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from f5_pipeline.speech.script.decoding import Block, decode
from f5_pipeline.speech.script.markup import Markup
from f5_pipeline.speech.script.sources import ScriptText, gutenberg

_ITEM = re.compile(r"[-*•–]\s+(?=\S)")
_ENDS = re.compile(r"[.!?…:;,。！？、，：；)\]\"'”’»—-]$")
_LAST_WORD = re.compile(r"[^\W\d_]{2,64}$")
_FIRST_WORD = re.compile(r"([^\W\d_]+)(\S*)\s*")
_KEEPS_HYPHEN = frozenset(
    ["self", "well", "half", "non", "ex", "all", "quasi", "vice", "mother", "father", "so-called", "anti", "semi"]
)
VERSE = 50
"""Characters of the longest line of a verse."""


def read(data: bytes, file: str, gen_file: Callable[[str], bytes] | None) -> ScriptText:
    """See `sources.read_source`."""
    book = gutenberg.prepared(decode(data, file))
    markup = Markup(file)
    text = book.text if book.is_book else markup.scan(markup.clean(book.text), 1)
    markup.end()
    words = Counter(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text))
    blocks = [part for block in paragraphs(text) for part in _parts(block)]
    for block in blocks:
        join_hyphenated(block.lines, words)
    notes = [*book.notes, *markup.notes()]
    return ScriptText(book.header, book.with_headings(blocks), file, notes=notes, markup=markup)


def paragraphs(text: str, lines_before: int = 0) -> list[Block]:
    """Paragraphs of a text.

    Args:
        lines_before: number of lines that stand before the text in its file.
    """
    blocks: list[Block] = []
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), lines_before + 1):
        if line.strip():
            lines.append((number, line.strip()))
        elif lines:
            blocks.append(Block("paragraph", lines))
            lines = []
    if lines:
        blocks.append(Block("paragraph", lines))
    return blocks


def _parts(block: Block) -> list[Block]:
    """Split a paragraph at its list items, after the lines of a verse, and after short lines without a mark."""
    longest = max(len(line) for _, line in block.lines)
    verse = longest <= (VERSE if len(block.lines) > 2 else VERSE // 2 + 5) and all(
        line[:1].isupper() for _, line in block.lines
    )
    out: list[Block] = []
    parted = True
    for index, (number, line) in enumerate(block.lines):
        item = _ITEM.match(line)
        if item:
            line = line[item.end() :]
        if parted or item:
            out.append(Block("paragraph", []))
        out[-1].lines.append((number, line))
        following = block.lines[index + 1][1] if index + 1 < len(block.lines) else ""
        short = verse or len(line) < 0.7 * longest
        parted = short and not _ENDS.search(line) and following[:1].isupper()
    return out


def join_hyphenated(lines: list[tuple[int, str]], words: Counter[str]) -> None:
    """Join a word that a line's end has parted ("beauti-", "ful"); a hyphen that belongs to the word stays."""
    for index in range(len(lines) - 1):
        number, line = lines[index]
        after, rest = lines[index + 1]
        # Only the line's end is searched: a line may be one word of a megabyte.
        first = _LAST_WORD.search(line[-65:-1]) if line[-1:] in ("-", "‐") else None
        second = _FIRST_WORD.match(rest)
        if not first or not second or not second[1][:1].islower():
            continue
        with_hyphen, without = words[f"{first[0]}-{second[1]}"], words[first[0] + second[1]]
        hyphen = "-" if with_hyphen > without or (not without and first[0].lower() in _KEEPS_HYPHEN) else ""
        lines[index] = (number, f"{line[:-1]}{hyphen}{second[1]}{second[2]}")
        lines[index + 1] = (after, rest[second.end() :])
    lines[:] = [(number, line) for number, line in lines if line]

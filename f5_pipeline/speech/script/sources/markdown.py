"""Markdown to blocks of plain lines, as they are spoken, each line with its number.

Spoken are paragraphs, headings, quotes, list items, table rows and the text of links and code spans. Not spoken are
pictures, fenced code, HTML tags, comments, link targets and footnotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script import front_matter
from f5_pipeline.speech.script.decoding import Block, decode, listed
from f5_pipeline.speech.script.sources import ScriptText

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

ESCAPED = "\ue5f0"
"""Stands for a bracket that begins no voice tag; put back by `voice_tags`."""

_FOOTNOTE = re.compile(r"\[\^[^\]\s]{1,64}\]")
_FOOTNOTE_TEXT = re.compile(r"\s*\[\^[^\]\s]{1,64}\]:")
_CHECKBOX = re.compile(r"\[[ xX]\]\s+")
_TAGS = re.compile(r"<[^<>]*>")
_UNSPOKEN_HTML = re.compile(r"\s*<(?:script|style|svg|math|iframe)\b", re.IGNORECASE)
# What Obsidian, Quarto and others add to Markdown, and how much of it is spoken.
_DIALECTS = [
    (re.compile(r"%%[^%]{0,2000}%%"), ""),
    (re.compile(r"==([^=\s][^=]{0,500})=="), r"\1"),
    (re.compile(r"!?\[\[(?:[^\]|\[]{1,200}\|)?([^\]|\[]{1,200})\]\]"), r"\1"),
    (re.compile(r"^\[(?:TOC|toc)\]$|^\[!\w{1,20}\][+-]?\s*"), ""),
    (re.compile(r"\s?\{[.#:][^{}]{1,100}\}"), ""),
    (re.compile(r"(?<!\w):[a-z][a-z0-9_+-]{1,30}:(?!\w)"), ""),
]
_LABEL = re.compile(r"[^\W\d][\w-]*")
_SENTENCE = re.compile(r"[^\s:/#.]+$")


def read(data: bytes, file: str, gen_file: Callable[[str], bytes] | None) -> ScriptText:
    """See `sources.read_source`. The title is the first heading of the first level."""
    head, body = front_matter.split(decode(data, file), file)
    header = front_matter.parse_header(head, file)
    notes: list[str] = []
    blocks, title = _blocks(body, file, notes)
    return ScriptText(header, blocks, file, title, notes)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"maxNesting": 100}).enable(["table", "strikethrough"])
    # Indented paragraphs of a pasted text are text; escapes are kept apart, so that \[ada] is no voice.
    parser.disable("code")
    parser.core.ruler.disable("text_join")
    return parser


def _blocks(text: str, file: str, notes: list[str]) -> tuple[list[Block], str | None]:
    """Blocks of a Markdown text, and its title.

    Args:
        text: the file, header lines left blank.
        file: for error messages.
        notes: gets a sentence for each kind of text that is not spoken, for people.

    Raises:
        InputError: a comment is not closed; a line such as `[bob]: Hello` names a voice in the wrong form.
    """
    env: dict = {}
    tokens = _parser().parse(text.replace(ESCAPED, " "), env)
    _check_references(env, file)
    out: list[Block] = []
    title: str | None = None
    heading: str | None = None
    row: list[tuple[int, str]] | None = None
    unspoken: dict[str, list[int]] = {}

    def leave_out(what: str, token: Token) -> None:
        unspoken.setdefault(what, []).append((token.map[0] if token.map else 0) + 1)

    for token in tokens:
        if token.type == "heading_open":
            heading = token.tag
        elif token.type == "heading_close":
            heading = None
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            if row:
                out.append(Block("paragraph", [(row[0][0], ", ".join(cell for _, cell in row))]))
            row = None
        elif token.type == "fence":
            leave_out("code blocks", token)
        elif token.type == "html_block":
            if _UNSPOKEN_HTML.match(token.content):
                leave_out("scripts and drawings", token)
            else:
                out += _html(token, file)
        elif token.type == "inline":
            if any(child.type == "image" for child in token.children or []):
                leave_out("pictures", token)
            verses = [lines for lines in _lines(token) if lines]
            if not verses:
                continue
            lines = [line for verse in verses for line in verse]
            if row is not None:
                row.append((lines[0][0], " ".join(line for _, line in lines)))
                continue
            if heading is None and _FOOTNOTE_TEXT.match(token.content):
                leave_out("footnotes", token)
                continue
            if heading is None and _CHECKBOX.match(lines[0][1]):
                lines[0] = (lines[0][0], _CHECKBOX.sub("", lines[0][1], count=1))
            if heading == "h1" and title is None:
                title = " ".join(" ".join(line for _, line in lines).replace(ESCAPED, "[").split())
            verses[0][0] = lines[0]
            out += [Block("heading" if heading else "paragraph", verse) for verse in verses]
    for what, at in unspoken.items():
        notes.append(f"{what} are not spoken (line{'s' if len(at) > 1 else ''} {listed(map(str, at), 5)})")
    return out, title


def _check_references(env: dict, file: str) -> None:
    """Markdown takes `[bob]: Hello` for the target of a link and drops it: that is a voice in the wrong form."""
    for label, reference in env.get("references", {}).items():
        target = str(reference.get("href", ""))
        if _LABEL.fullmatch(label) and _SENTENCE.fullmatch(target):
            place = reference.get("map") or [0]
            raise InputError(
                f"'[{label.lower()}]:' is the target of a link in Markdown, and is not spoken",
                file=file,
                place=place[0] + 1,
                hint="Write the voice without the colon.",
            )


def _lines(token: Token) -> list[list[tuple[int, str]]]:
    """The spoken lines of a paragraph, in groups that hard breaks part."""
    number = (token.map[0] if token.map else 0) + 1
    groups: list[list[tuple[int, str]]] = [[]]
    current: list[str] = []

    def end_line() -> None:
        line = _FOOTNOTE.sub("", "".join(current))
        for pattern, shown in _DIALECTS:
            line = pattern.sub(shown, line)
        if line.strip():
            groups[-1].append((number, line.strip()))
        current.clear()

    for child in token.children or []:
        if child.type in ("softbreak", "hardbreak"):
            end_line()
            number += 1
            if child.type == "hardbreak":
                groups.append([])
        elif child.type == "text":
            current.append(child.content)
        elif child.type == "text_special":
            current.append(ESCAPED if child.content == "[" else child.content)
        elif child.type == "code_inline":
            current.append(child.content.replace("[", ESCAPED))
        elif child.type == "html_inline":
            if child.content.lower().startswith("<br"):
                end_line()
                groups.append([])
            number += child.content.count("\n")
    end_line()
    return groups


def _html(token: Token, file: str) -> list[Block]:
    """Text within HTML, comments and tags left out."""
    number = (token.map[0] if token.map else 0) + 1
    content = token.content
    kept: list[str] = []
    position = 0
    while (start := content.find("<!--", position)) >= 0:
        end = content.find("-->", start + 4)
        if end < 0:
            raise InputError(
                "the comment is not closed",
                file=file,
                place=number + content.count("\n", 0, start),
                hint="Write --> where it ends.",
            )
        kept += (content[position:start], "\n" * content.count("\n", start, end))
        position = end + 3
    kept.append(content[position:])
    out: list[Block] = []
    import html

    for offset, line in enumerate("".join(kept).split("\n")):
        plain = html.unescape(_TAGS.sub(" ", line)).strip()
        if plain:
            out.append(Block("paragraph", [(number + offset, plain)]))
    return out

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
from f5_pipeline.speech.script.markup import ESCAPED, MARKS, OURS_ALONE, RAISED, End, Markup, Raw, pieces
from f5_pipeline.speech.script.sources import ScriptText

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_FOOTNOTE = re.compile(r"\[\^[^\]\s]{1,64}\]")
_FOOTNOTE_TEXT = re.compile(r"\s*\[\^[^\]\s]{1,64}\]:")
_PAUSE = re.compile(r"\[pause\b[^\[\]]{0,60}\]", re.IGNORECASE)
_CHECKBOX = re.compile(r"\[[ xX]\]\s+")
# What a Markdown parser is not to see: tags of SSML, which it takes for blocks of HTML, and formulas.
_HIDDEN = re.compile(
    r"<[^<>]*>|(?<![\\$])\$\$(?!\$)[^$]{1,5000}\$\$(?!\$)|(?<![\\$\w])\$(?=[^\s$])[^$\n]{1,300}(?<![\s\\])\$(?![\w$])"
)
_NAME = re.compile(r"</?([a-z-]{1,20})")
_FORMULA = re.compile(r"[\\^_={}]|\A\$+[^\W\d_]\w{0,2}\$|\A\$+[^\d].*[\w)]\s?[+*/<>−-]\s?[\w(]", re.DOTALL)
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
    notes: list[str] = [*header.notes]
    markup = Markup(file)
    blocks, title = _blocks(_hidden(markup.clean(body), markup), file, markup, notes)
    markup.end()
    return ScriptText(header, blocks, file, title, notes, markup)


def _hidden(text: str, markup: Markup) -> str:
    """The text with marks in place of what a Markdown parser is not to see."""

    def mark(found: re.Match[str]) -> str:
        raw = found[0]
        if raw[0] == "$":
            hidden = _FORMULA.search(raw) is not None and "\n\n" not in raw
        else:
            name = _NAME.match(raw)
            attribute = {"sub": "alias", "p": "xml:lang", "s": "xml:lang"}.get(name[1] if name else "")
            hidden = bool(name and name[1] in OURS_ALONE) or (attribute is not None and attribute in raw)
        return markup.mark(Raw(raw), 1) + "\n" * raw.count("\n") if hidden else raw

    return _HIDDEN.sub(mark, text)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"maxNesting": 100}).enable(["table", "strikethrough"])
    # Indented paragraphs of a pasted text are text; escapes are kept apart, so that \[ada] is no voice.
    parser.disable("code")
    parser.core.ruler.disable("text_join")
    return parser


def _blocks(text: str, file: str, markup: Markup, notes: list[str]) -> tuple[list[Block], str | None]:
    """Blocks of a Markdown text, and its title.

    Args:
        text: the file, header lines left blank.
        file: for error messages.
        markup: gives marks, and knows those in the text.
        notes: gets a sentence for each kind of text that is not spoken, for people.

    Raises:
        InputError: a comment is not closed; a line such as `[bob]: Hello` names a voice in the wrong form.
    """
    env: dict = {}
    tokens = _parser().parse(text, env)
    _check_references(env, file, markup)
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
                out += _html(token, markup)
        elif token.type == "inline":
            if any(child.type == "image" for child in token.children or []):
                leave_out("pictures", token)
            verses = [lines for lines in _lines(token, markup, leave_out) if lines]
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
                words = _PAUSE.sub("", MARKS.sub("", " ".join(line for _, line in lines)))
                title = " ".join(words.replace(ESCAPED, "[").split())
            verses[0][0] = lines[0]
            out += [Block("heading" if heading else "paragraph", verse) for verse in verses]
    for what, at in unspoken.items():
        lines = list(dict.fromkeys(at))
        notes.append(f"{what} are not spoken (line{'s' if len(lines) > 1 else ''} {listed(map(str, lines), 5)})")
    return out, title


def _check_references(env: dict, file: str, markup: Markup) -> None:
    """Markdown takes `[bob]: Hello` for the target of a link and drops it: it is a voice or a pause in a wrong form."""
    for label, reference in env.get("references", {}).items():
        target = str(reference.get("href", ""))
        place = reference.get("map") or [0]
        pause = markup.bracket(label, place[0] + 1) is not None
        if pause or (_LABEL.fullmatch(label) and _SENTENCE.fullmatch(target)):
            raise InputError(
                f"'[{label.lower()}]:' is the target of a link in Markdown, and is not spoken",
                file=file,
                place=place[0] + 1,
                hint=f"Write the {'pause' if pause else 'voice'} without the colon.",
            )


def _lines(token: Token, markup: Markup, leave_out: Callable[[str, Token], None]) -> list[list[tuple[int, str]]]:
    """The spoken lines of a paragraph, in groups that hard breaks part."""
    number = (token.map[0] if token.map else 0) + 1
    groups: list[list[tuple[int, str]]] = [[]]
    current: list[str] = []
    raised = False

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
            content = child.content.translate(RAISED) if raised and child.content.strip().isdecimal() else child.content
            for text, character in pieces(content):
                markup.check_closed(text, number)
                current.append(markup.text(text))
                raw = markup.of(character) if character else None
                if isinstance(raw, Raw) and raw.text.startswith("$"):
                    leave_out("formulas", token)
                elif isinstance(raw, Raw):
                    current.append(markup.tag(raw.text, number).replace("\n", " "))
        elif child.type == "text_special":
            current.append(ESCAPED if child.content == "[" else child.content)
        elif child.type == "code_inline":
            current.append(_shown(child.content, markup).replace("[", ESCAPED))
        elif child.type == "html_inline":
            raised = child.content.lower() == "<sup>"
            if child.content.lower().startswith("<br"):
                end_line()
                groups.append([])
            elif not child.content.startswith(("<!", "<?")):
                tag = markup.tag(_shown(child.content, markup), number)
                current.append("" if _is_html(tag, markup) else tag.replace("\n", " "))
            number += child.content.count("\n")
    end_line()
    return groups


def _is_html(marks: str, markup: Markup) -> bool:
    """Whether a tag within a paragraph is HTML's, which has no effect there."""
    marks = marks.strip()
    return not marks or (marks == markup.mark(End("paragraph"), 1))


def _shown(text: str, markup: Markup) -> str:
    """The text as it stands in the file."""
    raws = ((run, markup.of(character) if character else None) for run, character in pieces(text))
    return "".join(run + (raw.text.replace("\n", " ") if isinstance(raw, Raw) else "") for run, raw in raws)


def _html(token: Token, markup: Markup) -> list[Block]:
    """Text within HTML, comments and tags left out; each line is a paragraph."""
    import html

    number = (token.map[0] if token.map else 0) + 1
    plain = markup.scan(_shown(token.content, markup), number, escapes=False)
    plain = plain.replace(markup.mark(End("paragraph"), number), " ")
    return [
        Block("paragraph", [(number + offset, text)])
        for offset, line in enumerate(plain.split("\n"))
        if (text := html.unescape(line).strip())
    ]

"""HTML, and what other sources turn into HTML, to paragraphs and headings as they are spoken.

Not spoken are notes and the marks that point to them, pictures, formulas, code, page numbers, and what a web page has
around its text. A row of a table is a paragraph, its cells parted by commas, as in Markdown.
"""

from __future__ import annotations

import codecs
import html.entities
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.decoding import Block, decode, language_tag, listed, safe
from f5_pipeline.speech.script.front_matter import Header
from f5_pipeline.speech.script.sources import ScriptText
from f5_pipeline.speech.text.languages import word_set

if TYPE_CHECKING:
    from lxml.etree import _Element as Element
else:
    Element = Any

MAX_ELEMENTS = 300_000
"""In one document: the tree of a page takes many times its bytes."""

_DECLARED = re.compile(rb"(?:encoding|charset)\s{0,9}=\s{0,9}[\"']?([A-Za-z0-9_:.-]{1,40})")
_ENCODINGS = re.compile(
    r"utf-8|utf-16|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|gb\w+|big5\w*|shift_jis\w*|euc_\w+|iso2022_\w+"
)
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]{1,31};)")
_XML_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,200}\?>")

_BLOCKS = word_set(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure "
    "footer h1 h2 h3 h4 h5 h6 header hgroup hr html li main ol p pre section summary table tbody td tfoot th thead "
    "tr ul"
)
_SILENT = word_set("head script style template noscript rt rp button select input textarea datalist map col")
_UNSPOKEN = {
    **dict.fromkeys(["img", "picture", "image"], "pictures"),
    **dict.fromkeys(["svg", "canvas"], "drawings"),
    **dict.fromkeys(["audio", "video", "iframe", "object", "embed"], "films and sounds"),
    "math": "formulas",
    "form": "forms",
    "nav": "navigation",
}
_NOTES = "notes at the foot or the end"
TABLES_OF_CONTENTS = "tables of contents"
# Values of epub:type, and of role after "doc-": EPUB Structural Semantics Vocabulary 1.1, DPUB-ARIA 1.1.
_TYPES = {
    **dict.fromkeys(["footnote", "footnotes", "endnote", "endnotes", "rearnote", "rearnotes"], _NOTES),
    **dict.fromkeys(["pagebreak", "page-list", "pagelist"], "page numbers"),
    **dict.fromkeys(["toc", "toc-brief", "landmarks", "loi", "lot", "loa", "lov"], TABLES_OF_CONTENTS),
    **dict.fromkeys(["titlepage", "halftitlepage", "title-page"], "title pages"),
    **dict.fromkeys(["copyright-page", "copyright", "colophon", "imprint", "imprimatur"], "imprints"),
    "cover": "covers",
    "index": "indexes",
}
_GUTENBERG = frozenset(["pg-header", "pg-footer"])
CONTENTS = frozenset(
    [
        "contents",
        "table of contents",
        "inhalt",
        "inhaltsverzeichnis",
        "table des matières",
        "sommaire",
        "índice",
        "indice",
    ]
).union(["sommario", "inhoud", "spis treści", "содержание", "оглавление", "目录", "目次"])
"""What a table of contents is called, in lower case."""

_LABEL = re.compile(r"(?:[^\W\d_]{1,12} )?(?:[IVXLC]{1,8}|\d{1,4})\.?")
"""A heading that names no more than the number of a chapter."""

_MARK = re.compile(r"\s*([\[(]?)(?:\d{1,4}|[*†‡§¶#]{1,4}|[a-z]|[ivxlc]{1,6})[\])]?\s*")
_NOTE_CLASS = re.compile(r"note|(?:^|[\s_-])fn", re.IGNORECASE)
_BACK = re.compile(r"[↑↩⏎︎\s]*")
_PAGE_CLASS = re.compile(r"(?:^|\s)(?:pagenum|pageno|page-number|pagebreak|pb)(?:$|\s)", re.IGNORECASE)
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_STOPS = tuple(".!?…:;。！？：；")


def read(data: bytes, file: str, gen_file: Callable[[str], bytes] | None) -> ScriptText:
    """See `sources.read_source`. Of a web page, what is in its `main` or only `article`; headings are chapters."""
    root = parse(data, file)
    header = Header(language=page_language(root, file))
    authors = (meta.get("content", "") for meta in root.iter("{*}meta") if meta.get("name") == "author")
    header.author = one_line(next(authors, "")) or None
    mains = list(root.iter("{*}main")) or list(root.iter("{*}article"))
    reader = Reader()
    reader.read(mains[0] if len(mains) == 1 else root, note_targets(root), web_page=True)
    if len(mains) == 1:
        reader.leave_out("parts around the text of the page")
    title = next((one_line("".join(element.itertext())) for element in root.iter("{*}title")), "")
    return ScriptText(header, reader.blocks(), file, title or reader.first_heading(), reader.notes())


def one_line(text: str) -> str:
    """Safe text without line ends."""
    return " ".join(safe(text).split())


def known_language(tag: str, file: str) -> str | None:
    """A language that a book says it is in, as a tag; None where it says none ("und"), or it is none."""
    from babel.core import get_global

    try:
        language, _, rest = language_tag(tag, file, None).partition("-")
    except InputError:
        return None
    alias = str(get_global("language_aliases").get(language, language)).lower()  # "eng" is "en"
    return None if language in ("und", "zxx", "mul") else f"{alias}-{rest}" if rest else alias


def page_language(root: Element, file: str) -> str | None:
    """The language of a document."""
    tag = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang")
    return known_language(tag, file) if tag else None


def decode_markup(data: bytes, file: str) -> str:
    """The text of an XML or HTML file in the encoding that it declares; UTF-8 where it declares none.

    Raises:
        InputError: it is not in that encoding, or defines entities.
    """
    text = None
    declared = _DECLARED.search(data, 0, 2048)
    if declared and not data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            name = codecs.lookup(declared[1].decode()).name
        except LookupError:
            name = ""
        # As browsers do; and UTF-16 cannot be declared in letters that are readable as ASCII.
        name = "cp1252" if name in ("iso8859-1", "ascii") else name
        if _ENCODINGS.fullmatch(name) and not name.startswith("utf"):
            text = safe(data.decode(name, "replace").replace("\r\n", "\n").replace("\r", "\n").replace("\0", " "))
    text = decode(data, file) if text is None else text
    if "<!ENTITY" in text:
        raise InputError(
            "the file defines entities, which are not read",
            file=file,
            place=text.count("\n", 0, text.find("<!ENTITY")) + 1,
            hint="Save it without a document type.",
        )
    return _ENTITY.sub(_entity, _XML_DECLARATION.sub("", text, count=1))


def _entity(found: re.Match[str]) -> str:
    character = html.entities.html5.get(found[1], "")
    return character if character and character not in "<>&\"'" else found[0]


def parse(data: bytes, file: str, part: str = "", *, xml: bool = False) -> Element:
    """The root of an XML or HTML document, whose entities and whatever it names outside are not read.

    Args:
        file: the script's file; `part`: the document's name in it, for messages.
        xml: whether it must be XML; else it may be HTML of any quality.

    Raises:
        InputError: it cannot be parsed, defines entities or is nested too deeply.
    """
    import lxml.etree as etree

    where = f"{file}:{part}" if part else file
    if data.count(b"<") > 2 * MAX_ELEMENTS:
        raise InputError(f"the page has more than {MAX_ELEMENTS} elements", file=where, hint="Split it into several.")
    text = decode_markup(data, where).encode()
    safely = {"no_network": True, "huge_tree": False, "remove_comments": True, "remove_pis": True, "encoding": "utf-8"}
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, dtd_validation=False, **safely)
    try:
        return etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        if xml:
            raise InputError(f"it is no XML: {error.msg}", file=where, hint="Copy or download it again.") from None
    parser = etree.HTMLParser(**safely)
    try:
        root = etree.fromstring(text, parser)
    except etree.XMLSyntaxError:
        root = None
    if any("depth" in entry.message.lower() for entry in parser.error_log):
        raise InputError("the page is nested too deeply", file=where, hint="Save it with another program.")
    if root is None:
        raise InputError("the page is empty", file=where, hint="Write some text into it.")
    return root


@dataclass
class Piece:
    """A paragraph, or a heading of a level from 1 to 6; 0 is a paragraph."""

    text: str
    level: int = 0


@dataclass
class Reader:
    """Gathers the pieces of documents in their order.

    Attributes:
        tags: whether `[ada]` may name a voice; in a book from elsewhere it is a bracket.
        anchors: by document and id, the index of the piece in which an element begins, or before which it stands.
        starts: by document, the index of its first piece.
    """

    tags: bool = False
    pieces: list[Piece] = field(default_factory=list)
    anchors: dict[tuple[str, str], int] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    _unspoken: dict[str, list[int]] = field(default_factory=dict)
    _fresh: list[tuple[str, str]] = field(default_factory=list)
    """Anchors since the last piece was added."""

    def leave_out(self, what: str) -> None:
        """Note that something is not spoken here."""
        places = self._unspoken.setdefault(what, [])
        if places[-1:] != [len(self.pieces) + 1]:
            places.append(len(self.pieces) + 1)

    def notes(self) -> list[str]:
        """A sentence for each kind of thing that is not spoken."""
        return [
            f"{what} are not spoken (before or in paragraph{'s' if len(at) > 1 else ''} {listed(map(str, at), 5)})"
            for what, at in self._unspoken.items()
        ]

    def first_heading(self) -> str | None:
        """The text of the first heading."""
        return next((piece.text for piece in self.pieces if piece.level), None)

    def replace(self, pieces: list[Piece], moved: list[int]) -> None:
        """Put other pieces in the place of all; `moved` has the new index of each old one, and of their end."""
        self.pieces = pieces
        self._unspoken = {what: [moved[at - 1] + 1 for at in places] for what, places in self._unspoken.items()}

    def blocks(self) -> list[Block]:
        """The pieces as blocks; the number of a line is that of the paragraph or heading, from 1."""
        return [
            Block("heading" if piece.level else "paragraph", [(number, piece.text)])
            for number, piece in enumerate(self.pieces, 1)
        ]

    def read(
        self, root: Element, notes: Collection[tuple[str, str]], document: str = "", *, web_page: bool = False
    ) -> None:
        """Add the text of a document.

        Args:
            notes: document and id of each note; see `note_targets`.
            web_page: whether asides and footers are the page's, and no text.
        """
        import lxml.etree as etree

        self.starts[document] = len(self.pieces)
        text = _Text(self, document)
        skipped: Element | None = None
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            tag = _name(element)
            if event == "start":
                if element.get("id") and (document, element.get("id")) not in self.anchors:
                    self.anchors[document, element.get("id")] = len(self.pieces)
                    self._fresh.append((document, element.get("id")))
                what = _unspoken(element, tag, notes, document, web_page=web_page)
                if what is None:
                    text.open(element, tag)
                    continue
                if what:
                    self.leave_out(what)
                alt = element.get("alt", "").strip() if tag == "img" else ""
                if len(alt) == 1 and alt.isalpha():
                    text.say(alt)  # the picture of an initial
                skipped = element
                walk.skip_subtree()
                continue
            if element is not skipped:
                text.close(tag)
            elif tag in _BLOCKS:
                text.end()
            if element is not root:
                text.say(element.tail)
        text.end()

    def add(self, text: str, level: int, document: str) -> None:
        """Add a piece of a document; a heading right below a higher one, or below "Chapter 1", belongs to that."""
        if level and text.casefold().rstrip(".:") in CONTENTS:
            self.leave_out(TABLES_OF_CONTENTS)
            return
        text = text if self.tags else text.replace("[", "\\[")
        last = self.pieces[-1] if len(self.pieces) > self.starts[document] else None
        if last is not None and last.level and level and (last.level < level or _LABEL.fullmatch(last.text)):
            last.text += ("" if last.text.endswith(_STOPS) else ".") + f" {text}"
            self.anchors.update(dict.fromkeys(self._fresh, len(self.pieces) - 1))
        else:
            self.pieces.append(Piece(text, level))
        self._fresh.clear()


class _Text:
    """The text of a document, on its way from elements to pieces."""

    def __init__(self, reader: Reader, document: str) -> None:
        self._reader, self._document = reader, document
        self._parts: list[str] = []
        self._row: list[str] | None = None
        self._level = self._pre = 0

    def say(self, text: str | None) -> None:
        """Add text; within `pre`, line by line."""
        lines = (text or "").split("\n") if self._pre else [text or ""]
        for index, line in enumerate(lines):
            if index:
                self.end()
            if line:
                self._parts.append(line)

    def end(self) -> None:
        """End a paragraph or heading; in the row of a table, whatever is in a cell is one."""
        if self._row is not None:
            self._parts.append(" ")
            return
        line = one_line("".join(self._parts))
        self._parts = []
        if line:
            self._reader.add(line, self._level, self._document)

    def open(self, element: Element, tag: str) -> None:
        """Begin an element, with its text up to its first child."""
        if tag in _BLOCKS:
            self.end()
        if tag == "tr" and self._row is None and sum(_name(cell) in ("td", "th") for cell in element) > 1:
            self._row, self._parts = [], []
        elif tag in ("td", "th") and self._row is not None:
            self._parts = []
        elif len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self._level = int(tag[1])
        elif tag == "br" and self._level:
            before = "".join(self._parts).rstrip()
            self._parts.append(" " if not before or before.endswith(_STOPS) else ". ")
        elif tag == "br":
            self.end()
        elif tag == "q":
            self.say("“")
        elif tag == "pre":
            self._pre += 1
        text = element.text or ""
        self.say(text.strip().translate(_SUPERSCRIPTS) if tag == "sup" and text.strip().isdigit() else text)

    def close(self, tag: str) -> None:
        """End an element."""
        if tag in ("td", "th") and self._row is not None:
            self._row.append(one_line("".join(self._parts)))
            self._parts = []
        elif tag == "tr" and self._row is not None:
            self._parts, self._row = [", ".join(filter(None, self._row))], None
        elif tag == "q":
            self.say("”")
        if tag in _BLOCKS:
            self.end()
        if tag == "pre":
            self._pre -= 1
        elif len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self._level = 0


def note_targets(root: Element, document: str = "") -> set[tuple[str, str]]:
    """Document and id of every note that a mark in a document points to."""
    found: set[tuple[str, str]] = set()
    for element in root.iter("{*}a"):
        if _is_note_mark(element):
            path, _, anchor = element.get("href", "").partition("#")
            found.add((resolved(document, path) if path else document, anchor))
    return found


def resolved(base: str, href: str) -> str:
    """The name of the file that a link in another one means, both from the top of the book."""
    from posixpath import dirname, join, normpath
    from urllib.parse import unquote

    return normpath(join(dirname(base), unquote(href.partition("#")[0])))


def _name(element: Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def _types(element: Element) -> Iterator[str]:
    yield from element.get("{http://www.idpf.org/2007/ops}type", element.get("epub:type", "")).lower().split()
    yield from (role.removeprefix("doc-") for role in element.get("role", "").lower().split() if role[:4] == "doc-")


def types_of(element: Element) -> str | None:
    """What an element is by its epub:type or role, where that is not spoken."""
    return next((_TYPES[kind] for kind in _types(element) if kind in _TYPES), None)


def kind_of(name: str) -> str | None:
    """What a part of a book is by the name of its kind (epub:type, guide, landmarks), where that is not spoken."""
    return _TYPES.get(name.lower())


def _is_note_mark(element: Element) -> bool:
    if "noteref" in _types(element):
        return True
    href = element.get("href", "")
    if "#" not in href or href.startswith(("http:", "https:")):
        return False
    children = list(element.iterdescendants())
    text = "".join(element.itertext()) if len(children) < 5 else ""
    mark = _MARK.fullmatch(text)
    if not mark:
        return False
    parent = element.getparent()
    raised = (parent is not None and _name(parent) == "sup") or any(_name(child) == "sup" for child in children)
    return raised or bool(_NOTE_CLASS.search(element.get("class", ""))) or mark[1] == "["


def _unspoken(
    element: Element, tag: str, notes: Collection[tuple[str, str]], document: str, *, web_page: bool
) -> str | None:
    """What an element is, where it is not spoken; empty where nobody would miss it; None where it is spoken."""
    if not tag or tag in _SILENT or element.get("hidden") is not None:
        return ""
    if "display:none" in element.get("style", "").replace(" ", "").lower():
        return ""
    if tag in _UNSPOKEN:
        return _UNSPOKEN[tag]
    if web_page and tag in ("aside", "footer"):
        return "asides and footers"
    if element.get("id") in _GUTENBERG:
        return "the header and the licence of Project Gutenberg"
    if not web_page and (
        (tag in ("table", "ul", "ol") and _is_contents(element)) or (tag == "p" and _is_entry(element))
    ):
        return TABLES_OF_CONTENTS
    if what := types_of(element):
        return what if "".join(element.itertext()).strip() else ""
    if tag == "a" and (_is_note_mark(element) or _is_way_back(element)):
        return ""
    if (document, element.get("id", "")) in notes and tag not in ("a", "sup", "body", "html"):
        return _NOTES
    if _PAGE_CLASS.search(element.get("class", "")):
        return "page numbers"
    if tag == "pre" and any(_name(child) == "code" for child in element):
        return "code blocks"
    return None


def _is_contents(element: Element) -> bool:
    """Whether a table or a list has a link to a chapter in each row."""
    links = sum("http" not in link.get("href", "http") for link in element.iter("{*}a"))
    rows = sum(bool("".join(row.itertext()).strip()) for row in element.iter("{*}tr", "{*}li"))
    return links > 2 and rows <= 1.3 * links


def _is_entry(element: Element) -> bool:
    """Whether a paragraph is a link beside another that is one too, or a line of a table of contents that Word made."""
    if not _is_link(element):
        return False
    beside = [other for other in (element.getprevious(), element.getnext()) if other is not None]
    return element[0].get("href", "").startswith("#_Toc") or any(map(_is_link, beside))


def _is_link(element: Element) -> bool:
    if len(element) != 1 or _name(element[0]) != "a" or (element.text or "").strip() or (element[0].tail or "").strip():
        return False
    return "http" not in element[0].get("href", "http") and bool("".join(element[0].itertext()).strip())


def _is_way_back(element: Element) -> bool:
    text = element.text or ""
    return not len(element) and "#" in element.get("href", "") and bool(text.strip()) and bool(_BACK.fullmatch(text))

"""EPUB 2 and 3: the documents of the spine in their order, chapters as the navigation names them.

Left out, with a note, are the cover, title pages, tables of contents, imprints, indexes, notes, and documents beside
the reading order (`linear="no"`). The book is read in memory, in the bounds of `zipped`. Specification: EPUB 3.3, W3C.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.front_matter import Header
from f5_pipeline.speech.script.sources import ScriptText
from f5_pipeline.speech.script.sources.hypertext import (
    CONTENTS,
    TABLES_OF_CONTENTS,
    Piece,
    Reader,
    kind_of,
    known_language,
    note_targets,
    one_line,
    parse,
    resolved,
)
from f5_pipeline.speech.script.sources.zipped import Zipped

if TYPE_CHECKING:
    from lxml.etree import _Element as Element
else:
    Element = Any

_FONTS = frozenset(["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"])
"""Algorithms that obfuscate fonts; whatever else is encrypted is text."""

_TITLES = {
    **dict.fromkeys(CONTENTS, TABLES_OF_CONTENTS),
    **dict.fromkeys(["copyright", "copyright page", "colophon", "imprint", "impressum"], "imprints"),
    **dict.fromkeys(["title page", "titlepage", "titelseite", "page de titre", "portada"], "title pages"),
    **dict.fromkeys(["cover", "cover page", "umschlag", "couverture", "cubierta", "copertina"], "covers"),
    **dict.fromkeys(["index", "stichwortverzeichnis", "register"], "indexes"),
}
"""What entries of the navigation are called that lead to no text, by what is left out."""

MAX_COVER_BYTES = 16 << 20
_WORDS = re.compile(r"[^\W_]+")


def read(data: bytes, file: str, gen_file: Callable[[str], bytes] | None) -> ScriptText:
    """See `sources.read_source`. Title, author and language are those of the book's metadata.

    Raises:
        InputError: it is no EPUB, is damaged or locked (DRM), or unpacks to too much.
    """
    book = _Book(data, file)
    reader = Reader()
    documents = {path: book.zip.read(path) for path in book.spine(reader)}
    notes: set[tuple[str, str]] = set()
    for path, document in documents.items():  # twice, since trees are larger than their documents
        notes |= note_targets(parse(document, file, path), path)
    ends: dict[str, int] = {}
    for path, document in documents.items():
        reader.read(parse(document, file, path), notes, path)
        ends[path] = len(reader.pieces)
    _name_chapters(reader, book.contents, ends)
    header = Header(title=book.text("title"), author=", ".join(book.authors()) or None)
    header.language = known_language(book.text("language") or "und", file)
    return ScriptText(header, reader.blocks(), file, notes=reader.notes())


def cover(data: bytes, file: str) -> bytes | None:
    """The picture on the cover of a book, as it is in the file; None where it has none."""
    book = _Book(data, file)
    named = [meta.get("content") for meta in book.elements("meta") if meta.get("name") == "cover"]
    for item in book.items.values():
        if "cover-image" in item.properties or item.id in named:
            return book.zip.read(item.path, MAX_COVER_BYTES) if item.path in book.zip.names else None
    return None


@dataclass(frozen=True)
class _Item:
    """A file of a book as its manifest lists it."""

    id: str
    path: str
    media_type: str
    properties: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Entry:
    """An entry of a book's navigation."""

    title: str
    path: str
    anchor: str


@dataclass
class _Book:
    """The package of an EPUB: metadata, manifest, spine and navigation.

    Attributes:
        zip: its files.
        items: of the manifest, by id.
        contents: the entries of the table of contents, in order.
    """

    data: bytes = field(repr=False)
    file: str

    def __post_init__(self) -> None:
        self.zip = Zipped(self.data, self.file)
        self._refuse_locked()
        if "META-INF/container.xml" not in self.zip.names:
            raise InputError(
                "the file is no EPUB: it has no META-INF/container.xml", file=self.file, hint="Give a book."
            )
        container = self._xml("META-INF/container.xml")
        roots = [path for element in container.iter("{*}rootfile") if (path := element.get("full-path"))]
        if not roots:
            raise InputError("the file is no EPUB: it names no package", file=self.file, hint="Give a book.")
        self._path = roots[0]
        self._package = self._xml(self._path)
        self.items: dict[str, _Item] = {}
        for element in self.elements("item"):
            name, href = element.get("id", ""), element.get("href", "")
            properties = tuple(element.get("properties", "").split())
            self.items[name] = _Item(name, resolved(self._path, href), element.get("media-type", ""), properties)
        self.contents: list[_Entry] = []
        self._kinds: dict[str, str] = {}
        """Documents that are not spoken, each with what it is."""
        self._read_navigation()

    def _xml(self, path: str) -> Element:
        return parse(self.zip.read(path), self.file, path, xml=True)

    def elements(self, name: str) -> list[Element]:
        """Elements of the package, in order."""
        return list(self._package.iter(f"{{*}}{name}"))

    def text(self, name: str) -> str | None:
        """The first value of this name in the metadata."""
        return next((line for element in self.elements(name) if (line := one_line("".join(element.itertext())))), None)

    def authors(self) -> list[str]:
        """The creators who are not said to be something else than authors."""
        roles = {
            meta.get("refines", "").removeprefix("#"): one_line(meta.text or "")
            for meta in self.elements("meta")
            if meta.get("property") == "role"
        }
        creators = [
            (
                one_line("".join(element.itertext())),
                element.get("{http://www.idpf.org/2007/opf}role"),
                element.get("id"),
            )
            for element in self.elements("creator")
        ]
        return [name for name, role, at in creators if name and (role or roles.get(at or "", "aut")) == "aut"]

    def spine(self, reader: Reader) -> list[str]:
        """Paths of the documents to be read, in their order; what is left out becomes a note of the reader."""
        paths: list[str] = []
        for itemref in self.elements("itemref"):
            item = self.items.get(itemref.get("idref", ""))
            if item is None:
                continue
            what = self._kinds.get(item.path) or (TABLES_OF_CONTENTS if "nav" in item.properties else None)
            if item.media_type not in ("application/xhtml+xml", "text/html", "text/x-oeb1-document"):
                what = "pictures"
            elif what is None and itemref.get("linear", "yes").lower() == "no":
                what = "documents beside the reading order"
            if what:
                reader.leave_out(what)
            elif item.path not in paths:
                paths.append(item.path)
        return paths

    def _refuse_locked(self) -> None:
        name = "META-INF/encryption.xml"
        if name not in self.zip.names:
            return
        # Each algorithm stands in EncryptedData; those of keys within it belong to locks too.
        methods = {element.get("Algorithm") for element in self._xml(name).iter("{*}EncryptionMethod")}
        if methods - _FONTS:
            raise InputError(
                "the book is locked by digital rights management (DRM), and its text cannot be read",
                file=self.file,
                hint="Give an edition without DRM.",
            )

    def _read_navigation(self) -> None:
        for reference in self.elements("reference"):
            self._leave_out(resolved(self._path, reference.get("href", "")), kind_of(reference.get("type", "")))
        navigation = next((item for item in self.items.values() if "nav" in item.properties), None)
        tables = [item for item in self.items.values() if item.media_type == "application/x-dtbncx+xml"]
        if navigation is not None and navigation.path in self.zip.names:
            for nav in parse(self.zip.read(navigation.path), self.file, navigation.path).iter("{*}nav"):
                kind = nav.get("{http://www.idpf.org/2007/ops}type", nav.get("epub:type", ""))
                for link in nav.iter("{*}a"):
                    title, href = one_line("".join(link.itertext())), link.get("href", "")
                    if kind == "toc":
                        self._enter(title, navigation.path, href)
                    elif kind == "landmarks":
                        named = link.get("{http://www.idpf.org/2007/ops}type", link.get("epub:type", "")).split()
                        for what in filter(None, map(kind_of, named)):
                            self._leave_out(resolved(navigation.path, href), what)
        elif tables and tables[0].path in self.zip.names:
            for point in self._xml(tables[0].path).iter("{*}navPoint"):
                label, content = point.find("{*}navLabel"), point.find("{*}content")
                if label is not None and content is not None:
                    self._enter(one_line("".join(label.itertext())), tables[0].path, content.get("src", ""))

    def _enter(self, title: str, base: str, href: str) -> None:
        entry = _Entry(title, resolved(base, href), href.partition("#")[2])
        what = _TITLES.get(title.casefold())
        if title and not what:
            self.contents.append(entry)
        if not entry.anchor:
            self._leave_out(entry.path, what)

    def _leave_out(self, path: str, what: str | None) -> None:
        if what:
            self._kinds[path] = what


def _name_chapters(reader: Reader, contents: list[_Entry], ends: dict[str, int]) -> None:
    """Make the entries of a book's navigation the headings of its pieces.

    An entry's heading is in the text mostly; a paragraph that says the same becomes one, and where there is none the
    entry itself is put in. Headings below those in the navigation are paragraphs: they begin no chapter.
    """
    pieces = reader.pieces
    inserted: dict[int, list[str]] = {}
    dropped: set[int] = set()
    chosen: set[int] = set()
    levels: list[int] = []
    for entry in contents:
        start, end = reader.starts.get(entry.path), ends.get(entry.path, 0)
        if start is None or start == end:
            continue
        start = min(reader.anchors.get((entry.path, entry.anchor), start), end - 1)
        near = range(start, min(start + 3, end))
        heading = next((at for at in near if pieces[at].level), None)
        same = next((at for at in near if _says(pieces[start : at + 1], entry.title)), None)
        if same is not None and (heading is None or heading > start):
            stop = "" if same == start else " "
            pieces[start] = Piece(stop.join(_stopped(pieces[start:same])) + stop + pieces[same].text, 1)
            dropped.update(range(start + 1, same + 1))
            chosen.add(start)
        elif heading is not None:
            if heading not in chosen:
                levels.append(pieces[heading].level)
            chosen.add(heading)
        else:
            inserted.setdefault(start, []).append(entry.title.replace("[", "\\["))
    deepest = max(levels, default=6)
    out: list[Piece] = []
    moved: list[int] = []
    for at, piece in enumerate(pieces):
        moved.append(len(out))
        out += [Piece(title, 1) for title in inserted.get(at, ())]
        if at not in dropped:
            out.append(Piece(piece.text, piece.level if at in chosen or piece.level <= deepest else 0))
    reader.replace(out, [*moved, len(out)])


def _says(pieces: list[Piece], title: str) -> bool:
    if sum(len(piece.text) for piece in pieces) > 2 * len(title) + 100:
        return False
    return _WORDS.findall(" ".join(piece.text for piece in pieces).casefold()) == _WORDS.findall(title.casefold())


def _stopped(pieces: list[Piece]) -> list[str]:
    return [piece.text if piece.text.endswith((".", "!", "?", ":")) else f"{piece.text}." for piece in pieces]

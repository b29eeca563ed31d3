"""EPUB 3 with media overlays: a book whose sentences are lit by reading systems as they are said.

Source: W3C, "EPUB 3.3", chapter 9. The audio is one file; each sentence has a part of it, and the parts follow
each other without gaps, so that a reading system plays through.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from f5_pipeline.speech.captions.text import one_line, runs_from_right
from f5_pipeline.speech.captions.word_files import Paragraph, paragraphs_of
from f5_pipeline.speech.timeline import TimedWord

AUDIO_TYPES = {".mp3": "audio/mpeg", ".m4a": "audio/mp4"}
"""Audio that every reading system plays, by the ending of its file."""

_DATE = (1980, 1, 1, 0, 0, 0)  # of entries: the same book has the same bytes

_CONTAINER = """\
<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""

_STYLE = """\
body { margin: 5%; line-height: 1.5; }
h1 { line-height: 1.2; }
.-epub-media-overlay-active { background: #ffe49c; color: #000; }
"""

_PAGE = """\
<?xml version="1.0" encoding="UTF-8"?>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="{language}" \
xml:lang="{language}" dir="{direction}">
<head><title>{title}</title><link rel="stylesheet" href="style.css"/></head>
<body>
{body}
</body>
</html>
"""

_SMIL = """\
<?xml version="1.0" encoding="UTF-8"?>
<smil xmlns="http://www.w3.org/ns/SMIL" version="3.0">
<body>
{body}
</body>
</smil>
"""

_PACKAGE = """\
<?xml version="1.0" encoding="UTF-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="{language}">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">{identifier}</dc:identifier>
<dc:title>{title}</dc:title>
<dc:language>{language}</dc:language>
{more}
<meta property="dcterms:modified">{modified}</meta>
<meta property="media:active-class">-epub-media-overlay-active</meta>
<meta property="schema:accessMode">textual</meta>
<meta property="schema:accessMode">auditory</meta>
<meta property="schema:accessModeSufficient">textual</meta>
<meta property="schema:accessModeSufficient">auditory</meta>
<meta property="schema:accessibilityFeature">synchronizedAudioText</meta>
<meta property="schema:accessibilityFeature">tableOfContents</meta>
<meta property="schema:accessibilityHazard">none</meta>
<meta property="schema:accessibilitySummary">Text with synchronized audio. The voice is synthetic.</meta>
</metadata>
<manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="style" href="style.css" media-type="text/css"/>
{items}
</manifest>
<spine page-progression-direction="{direction}">
{spine}
</spine>
</package>
"""


@dataclass(frozen=True)
class Book:
    """What a book is made from.

    Attributes:
        identifier: a URI of its own for each content.
        modified: ISO 8601 in UTC, to the second, with a Z.
        seconds: duration of the audio.
        audio, audio_suffix: its file, and its kind, one of `AUDIO_TYPES`.
        cover: a JPEG.
    """

    identifier: str
    title: str
    language: str
    authors: Sequence[str]
    narrators: Sequence[str]
    description: str
    modified: str
    seconds: float
    audio: Path
    audio_suffix: str
    cover: bytes | None = None


class _Sentence(NamedTuple):
    text: str
    start: int  # ms
    last: bool  # of its paragraph
    heading: bool


def write_epub(words: Iterable[TimedWord], book: Book, path: Path) -> int:
    """Write a book; returns the number of its chapters. A chapter is kept in memory at a time.

    A chapter begins with each heading; what is before the first one is a chapter with the book's title.
    """
    direction = "rtl" if runs_from_right(book.language) else "ltr"
    page = {"language": _text(book.language), "direction": direction}
    audio = f"audio{book.audio_suffix}"
    items = [f'<item id="audio" href="{audio}" media-type="{AUDIO_TYPES[book.audio_suffix]}"/>']
    durations, titles = [], []
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        # Its first bytes tell the type of the file.
        archive.writestr(zipfile.ZipInfo("mimetype", _DATE), "application/epub+zip")
        _add(archive, "META-INF/container.xml", _CONTAINER)
        _add(archive, "EPUB/style.css", _STYLE)
        for number, (chapter, end) in enumerate(_chapters(words, book), 1):
            name = f"chapter{number:05d}"
            title = chapter[0].text if chapter[0].heading else book.title
            titles.append(title)
            starts = [0 if number == 1 else chapter[0].start, *(sentence.start for sentence in chapter[1:]), end]
            pars = (
                f'<par id="p{n}"><text src="{name}.xhtml#s{n}"/>'
                f'<audio src="{audio}" clipBegin="{begin / 1000:.3f}s" clipEnd="{stop / 1000:.3f}s"/></par>'
                for n, (begin, stop) in enumerate(pairwise(starts), 1)
            )
            _add(archive, f"EPUB/{name}.xhtml", _PAGE.format(**page, title=_text(title), body=_body(chapter)))
            _add(archive, f"EPUB/{name}.smil", _SMIL.format(body="\n".join(pars)))
            items.append(
                f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml" '
                f'media-overlay="o{number}"/>\n'
                f'<item id="o{number}" href="{name}.smil" media-type="application/smil+xml"/>'
            )
            durations.append((f' refines="#o{number}"', end - starts[0]))
        entries = "\n".join(
            f'<li><a href="chapter{number:05d}.xhtml">{_text(title)}</a></li>' for number, title in enumerate(titles, 1)
        )
        contents = f'<nav epub:type="toc" id="toc"><h1>{_text(book.title)}</h1><ol>\n{entries}\n</ol></nav>'
        _add(archive, "EPUB/nav.xhtml", _PAGE.format(**page, title=_text(book.title), body=contents))
        if book.cover:
            items.append('<item id="cover" href="cover.jpg" media-type="image/jpeg" properties="cover-image"/>')
            archive.writestr(zipfile.ZipInfo("EPUB/cover.jpg", _DATE), book.cover)
        durations.append(("", sum(duration for _, duration in durations)))
        more = [f"<dc:creator>{_text(author)}</dc:creator>" for author in book.authors]
        more += [f'<meta property="media:narrator">{_text(narrator)}</meta>' for narrator in book.narrators]
        more += [f"<dc:description>{_text(book.description)}</dc:description>"] if book.description else []
        more += [
            f'<meta property="media:duration"{refines}>{duration / 1000:.3f}s</meta>' for refines, duration in durations
        ]
        package = _PACKAGE.format(
            **page,
            identifier=_text(book.identifier),
            title=_text(book.title),
            modified=book.modified,
            more="\n".join(more),
            items="\n".join(items),
            spine="\n".join(f'<itemref idref="chapter{number:05d}"/>' for number in range(1, len(titles) + 1)),
        )
        _add(archive, "EPUB/package.opf", package)
        info = zipfile.ZipInfo(f"EPUB/{audio}", _DATE)
        info.file_size = book.audio.stat().st_size  # more than 4 GiB need another header
        with book.audio.open("rb") as source, archive.open(info, "w") as out:
            while block := source.read(1 << 20):
                out.write(block)
    return len(titles)


def _chapters(words: Iterable[TimedWord], book: Book) -> Iterator[tuple[list[_Sentence], int]]:
    """The sentences of each chapter, and where it ends, ms. Headings without text go with the chapter after them."""
    chapter: list[_Sentence] = []
    for paragraph in paragraphs_of(words, book.language):
        sentences = list(_sentences(paragraph))
        if sentences[0].heading and not all(sentence.heading for sentence in chapter):
            yield chapter, sentences[0].start
            chapter = []
        chapter += sentences
    if chapter:
        yield chapter, max(round(book.seconds * 1000), chapter[-1].start + 1)


def _sentences(paragraph: Paragraph) -> Iterator[_Sentence]:
    first = 0
    for end in paragraph.sentences:
        part = paragraph.words[first : end + 1]
        text = one_line("".join(word.text + word.space for word, _, _ in part)).strip()
        yield _Sentence(text, part[0][1], end == paragraph.sentences[-1], part[0][0].heading)
        first = end + 1


def _body(chapter: Sequence[_Sentence]) -> str:
    parts, begins, headings, tag = [], True, 0, "p"
    for number, sentence in enumerate(chapter, 1):
        if begins:
            headings += sentence.heading
            tag = ("h1" if headings == 1 else "h2") if sentence.heading else "p"
            parts.append(f"<{tag}>")
        parts.append(f'<span id="s{number}">{_text(sentence.text)}</span>' + (f"</{tag}>\n" if sentence.last else " "))
        begins = sentence.last
    return "".join(parts)


def _text(text: str) -> str:
    return escape(one_line(text).strip())


def _add(archive: zipfile.ZipFile, name: str, content: str) -> None:
    archive.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED)

"""EPUB: what is spoken of a book, in which chapters, and books that are not what they seem."""

from __future__ import annotations

import zlib

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.sources import cover_of
from f5_pipeline.speech.script.sources.zipped import MAX_UNPACKED_BYTES, Zipped
from f5_pipeline_tests.support.books import CONTAINER, PANDOC, epub, parsed, spoken, zip_of

TEXT = {"a.xhtml": "<h1>One</h1><p>Text.</p>"}


def test_a_book_that_pandoc_made() -> None:
    script = parsed((PANDOC / "pandoc.epub").read_bytes(), "pandoc.epub")
    assert (script.title, script.author, script.language) == (
        "The Lamp of Penhallow",
        "Ada Example, Ben Example",
        "en-gb",
    )
    assert spoken(script) == [
        "# The storm",
        "It was a dark night. [He] saw H2O and x².",
        "Ship, Lost",
        "Rose, 1704",
        "# Below deck",
        "A lamp & a rope.",
        "A lamp in the window",
        "# The calm",
        "Roses are red",
        "Violets are blue",
    ]
    assert [passage.line for passage in script.passages] == list(range(1, 11))
    for what in ("covers", "title pages", "tables of contents", "notes at the foot", "pictures"):
        assert any(note.startswith(what) for note in script.notes), what


def test_the_order_is_that_of_the_spine_and_what_is_no_text_is_left_out_with_a_note() -> None:
    data = epub(
        {
            "1.xhtml": "<p>Last.</p>",
            "copy.xhtml": "<p>All rights reserved.</p>",
            "toc.xhtml": "<p>Contents as a page.</p>",
            "map.xhtml": "<p>A map.</p>",
            "2%20b.xhtml": '<section epub:type="titlepage"><h1>T</h1></section><p>First.</p>',
            "index.xhtml": "<section role='doc-index'><p>apples, 3</p></section>",
        },
        spine='<itemref idref="4"/><itemref idref="0"/><itemref idref="5"/><itemref idref="1"/><itemref idref="2"/>'
        '<itemref idref="3" linear="no"/><itemref idref="lost"/>',
        guide='<reference type="copyright-page" href="copy.xhtml"/>',
        contents={"Contents": "toc.xhtml"},
        others={"b/2 b.xhtml": '<html><section role="doc-titlepage"><h1>T</h1></section><p>First.</p></html>'},
    )
    script = parsed(data, "a.epub")
    assert spoken(script) == ["First.", "Last."]
    told = "\n".join(script.notes)
    for what in ("title pages", "indexes", "imprints", "tables of contents", "documents beside the reading order"):
        assert what in told, what


def test_chapters_are_what_the_navigation_names() -> None:
    data = epub(
        {
            "a.xhtml": "<p class='c'>CHAPTER I</p><p>The Storm</p><p>Text a.</p><h3>A section</h3><p>More.</p>",
            "b.xhtml": "<img src='two.png' alt='Two'/><p>Text b.</p><p id='x'>Still text b.</p>",
            "c.xhtml": "<h2>Chapter 3</h2><h3>The Calm</h3><p>Text c.</p>",
            "d.xhtml": "<h2 id='d'>Unlisted</h2><p>Text d.</p>",
        },
        contents={"Chapter I. The storm": "a.xhtml", "Two [II]": "b.xhtml", "After x": "b.xhtml#x", "3": "c.xhtml"},
    )
    assert spoken(parsed(data, "a.epub")) == [
        "# CHAPTER I. The Storm", "Text a.", "A section", "More.", "# Two [II]", "Text b.", "# After x",
        "Still text b.", "# Chapter 3. The Calm", "Text c.", "# Unlisted", "Text d.",
    ]  # fmt: skip


def test_a_book_of_project_gutenberg() -> None:
    links = "".join(f'<tr><td><a href="b.xhtml#c{n}">CHAPTER {n}.</a></td><td>Part {n}</td></tr>' for n in range(3))
    data = epub(
        {
            "a.xhtml": '<section id="pg-header"><h2>The eBook</h2><p>For anyone.</p></section>'
            f"<h1>Alice</h1><h2>by Ada</h2><h4 id='e'>Third edition</h4><h2>Contents</h2><table>{links}</table>"
            "<p>A note to the reader.</p><p><a href='#e'>One</a></p><p><a href='#e'>Two</a></p>",
            "b.xhtml": "<h2 id='c'>CHAPTER I.</h2><h2>Down the Hole</h2><p>Text.</p><p id='pg-footer'>Licence</p>",
        },
        contents={"Alice": "a.xhtml", "Third edition": "a.xhtml#e", "Contents": "a.xhtml#c", "I": "b.xhtml#c"},
    )
    script = parsed(data, "a.epub")
    assert spoken(script) == [
        "# Alice. by Ada. Third edition", "A note to the reader.", "# CHAPTER I. Down the Hole", "Text.",
    ]  # fmt: skip
    assert script.notes == [
        "the header and the licence of Project Gutenberg are not spoken (before or in paragraphs 1, 5)",
        "tables of contents are not spoken (before or in paragraphs 2, 3)",
    ]


def test_notes_at_the_end_of_the_book_are_not_spoken_and_other_links_are() -> None:
    data = epub(
        {
            "a.xhtml": '<p>A fact<a href="notes.xhtml#n1"><sup>1</sup></a> and <a href="b.xhtml#i">see there</a>.</p>'
            '<p>Born in <a href="b.xhtml#y">1704</a>.<sup>12</sup></p>',
            "b.xhtml": "<p id='i'>There.</p><p id='y'>A year.</p>",
            "notes.xhtml": "<h2>Notes</h2><p id='n1'>1. A note.</p>",
        }
    )
    assert spoken(parsed(data, "a.epub")) == [
        "A fact and see there.", "Born in 1704.", "There.", "A year.", "# Notes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "language"), [("de-AT", "de-at"), ("eng", "en"), ("und", "en"), ("no tag at all", "en"), ("", "en")]
)
def test_the_language_is_that_of_the_metadata(tag: str, language: str) -> None:
    assert parsed(epub(TEXT, metadata=f"<dc:language>{tag}</dc:language>"), "a.epub").language == language


def test_the_cover_can_be_had() -> None:
    data = (PANDOC / "pandoc.epub").read_bytes()
    assert (cover_of(data, ".epub") or b"")[:4] == b"\x89PNG"
    assert cover_of(epub(TEXT), ".epub") is None
    assert cover_of(b"text", ".txt") is None


def _encrypted(algorithm: str) -> bytes:
    return epub(
        TEXT,
        others={
            "META-INF/encryption.xml": "<encryption><EncryptedData><EncryptionMethod "
            f'Algorithm="{algorithm}"/></EncryptedData></encryption>'
        },
    )


def test_obfuscated_fonts_are_no_lock() -> None:
    assert spoken(parsed(_encrypted("http://www.idpf.org/2008/embedding"), "a.epub")) == ["# One", "Text."]


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><html><body><p>&b;</p></body></html>'
FILES = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><html><body><p>&f;</p></body></html>'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_encrypted("http://www.w3.org/2001/04/xmlenc#aes256-cbc"), "digital rights management"),
        (epub(TEXT, others={"b/a.xhtml": LAUGHS}), r"a.epub:b/a.xhtml:1: the file defines entities"),
        (epub(TEXT, others={"b/a.xhtml": FILES.encode("utf-16")}), "defines entities"),
        (epub(TEXT, others={"b/o.opf": LAUGHS}), "defines entities"),
        (epub(TEXT, others={"b/a.xhtml": b" " * (MAX_UNPACKED_BYTES + 1)}), "unpacks to more than 6. MiB"),
        (epub(TEXT, others={"b/a.xhtml": "<div>" * 5000 + "Hi"}), "nested too deeply"),
        (epub(TEXT)[:-200], "not a zip file"),
        (epub(TEXT)[200:], "damaged"),
        (b"", "not a zip file"),
        (zip_of({"a.txt": "Text."}), "no EPUB"),
        (zip_of({"META-INF/container.xml": CONTAINER}), "b/o.opf is missing"),
        (zip_of({"META-INF/container.xml": CONTAINER.replace(b"b/", b"../../etc/")}), "is missing"),
        (epub(TEXT, others={"b/o.opf": "<package><manifest>"}), "it is no XML"),
        (epub({"a.xhtml": "<p> </p>"}), "nothing to speak"),
    ],
)
def test_a_book_that_cannot_be_read_says_why(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parsed(data, "a.epub")
    assert error.value.hint


def test_sizes_that_a_book_claims_are_not_believed() -> None:
    data = bytearray(epub({"a.xhtml": "<p>" + "Text. " * 100_000 + "</p>"}))
    entry = data.rfind(b"b/a.xhtml") - 46
    assert data[entry : entry + 4] == b"PK\x01\x02"
    data[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    with pytest.raises(InputError, match="damaged"):
        parsed(bytes(data), "a.epub")


def test_a_file_within_a_book_that_is_broken_is_named() -> None:
    data = bytearray(epub(TEXT))
    start = data.find(b"b/a.xhtml") + 9
    data[start : start + 8] = b"\xff" * 8
    with pytest.raises(InputError, match=r"b/a\.xhtml"):
        parsed(bytes(data), "a.epub")


def test_a_book_of_very_many_files_is_refused_before_they_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zip_of({f"{number}.xhtml": "" for number in range(2000)})
    monkeypatch.setattr("f5_pipeline.speech.script.sources.zipped.MAX_DIRECTORY_BYTES", 50_000)
    with pytest.raises(InputError, match="too many files"):
        Zipped(data, "a.epub")


def test_a_cover_that_is_a_bomb_is_refused() -> None:
    from f5_pipeline.speech.script.sources.epub import MAX_COVER_BYTES

    bomb = b"\x89PNG" + bytes(MAX_COVER_BYTES)
    assert len(zlib.compress(bomb)) < 20_000
    data = epub(
        TEXT,
        others={
            "b/o.opf": '<package><manifest><item id="c" href="c.png" properties="cover-image"/></manifest></package>',
            "b/c.png": bomb,
        },
    )
    with pytest.raises(InputError, match="unpacks to more than 16 MiB"):
        cover_of(data, ".epub")

"""HTML and DOCX: what is spoken of a page and of a document."""

from __future__ import annotations

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.sources.zipped import MAX_UNPACKED_BYTES
from f5_pipeline_tests.support.books import PANDOC, docx, parsed, spoken, zip_of

PAGE = """<!doctype html><html lang="de-AT"><head><title>A page</title><meta name="author" content="Ada"></head><body>
<nav><a href="/">Home</a></nav><main><h1>Mind<br>the gap</h1><p>One&nbsp;&amp; two<br>three</p>
<p>A <q>quote</q> of H<sub>2</sub>O, the 1<sup>st</sup>.<aside>Buy now!</aside></p><p hidden>Hidden.</p>
<table><tr><th>a<th>b<tr><td><p>1</p><p>2</p><td>3</table><table><tr><td><p>Alone.</p></table>
<pre>In verse
line by line</pre><pre><code>x = 1</code></pre><p><img alt="O" src="o.png">nce more.</p><svg><text>no</text></svg>
<ruby>漢<rt>kan</rt></ruby></main><footer>Imprint</footer></body></html>"""


def test_what_is_spoken_of_a_page() -> None:
    script = parsed(PAGE, "a.html")
    assert (script.title, script.author, script.language) == ("A page", "Ada", "de-at")
    assert spoken(script) == [
        "# Mind. the gap", "One & two", "three", "A “quote” of H2O, the 1st.", "a, b", "1 2, 3", "Alone.", "In verse",
        "line by line", "Once more.", "漢",
    ]  # fmt: skip
    told = "\n".join(script.notes)
    for what in ("parts around the text", "asides and footers", "code blocks", "pictures", "drawings"):
        assert what in told, what


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>Größe".encode(), "Größe"),
        ("<meta charset=iso-8859-1><p>Größe “”".encode("cp1252"), "Größe “”"),
        ('<?xml version="1.0" encoding="koi8-r"?><p>мир</p>'.encode("koi8-r"), "мир"),
        ("<p>Größe".encode("utf-16"), "Größe"),
        (b"<meta charset=unicode_escape><p>\\u0041", "\\u0041"),
    ],
)
def test_encodings_are_those_that_pages_declare(page: bytes, text: str) -> None:
    assert spoken(parsed(page, "a.htm")) == [text]


def test_brackets_of_a_page_are_no_voices() -> None:
    assert parsed("<p>[ben] is here.<p>[He] too.", "a.xhtml").voices == ["ada"]


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (b"<div>" * 5000 + b"x", "nested too deeply"),
        (b"<a/>" * 600_001, "more than 300000 elements"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]>\n<p>&a;", r"a.html:1: the file defines entities"),
        (b"<p>\xff", "not UTF-8"),
        (b"", "the page is empty|nothing to speak"),
    ],
)
def test_a_page_that_cannot_be_read_says_why(page: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parsed(page, "a.html")


def test_links_to_notes_by_the_thousand_end_soon() -> None:
    assert spoken(parsed(b"<p>" + b'<a href="#x">1</a>' * 5_000, "a.html")) == ["1" * 5_000]


def test_a_document_that_pandoc_made() -> None:
    script = parsed((PANDOC / "pandoc.docx").read_bytes(), "pandoc.docx")
    assert (script.title, script.author) == ("The Lamp of Penhallow", "Ada Example; Ben Example")
    assert script.language == "en-gb"
    assert spoken(script)[3:] == [
        "# The storm", "It was a dark night. [He] saw H2O and x².", "Ship, Lost", "Rose, 1704", "# Below deck",
        "A lamp & a rope.", "A lamp in the window", "# The calm", "Roses are red", "Violets are blue",
    ]  # fmt: skip
    assert any(note.startswith("notes at the foot") for note in script.notes)


def test_a_document_can_name_voices_and_tracked_changes_are_accepted() -> None:
    run = "<w:r><w:t xml:space='preserve'>{}</w:t></w:r>".format
    changed = f"<w:del><w:r><w:delText>no</w:delText></w:r></w:del><w:ins>{run('yes.')}</w:ins>"
    script = parsed(docx(f"<w:p>{run('[ben] He said ')}{changed}</w:p>"), "a.docx")
    assert [(passage.voice, passage.text) for passage in script.passages] == [("ben", "He said yes.")]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (docx("<w:p/>", '<!DOCTYPE x [<!ENTITY a "b">]>'), "a.docx:word/document.xml: the document defines entities"),
        (docx("<w:p>" + " " * MAX_UNPACKED_BYTES + "</w:p>"), "unpacks to more than 32 MiB"),
        (docx("<w:p>"), "the document is damaged"),
        (docx("<w:p/>")[:-30], "not a zip file"),
        (zip_of({"a.txt": "Text."}), "no DOCX"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "locked with a password, or is of an old kind"),
        (docx("<w:p/>"), "nothing to speak"),
    ],
)
def test_a_document_that_cannot_be_read_says_why(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parsed(data, "a.docx")
    assert error.value.hint

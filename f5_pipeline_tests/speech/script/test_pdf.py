"""PDF: paragraphs and chapters by their places on the page, and files without a text."""

from __future__ import annotations

import textwrap
import zlib

import pytest
from fpdf import FPDF

from f5_pipeline.errors import InputError
from f5_pipeline_tests.support.books import parsed, spoken

STORY = (
    "The keeper climbed the stairs every evening with a lantern, and he counted the steps as he had done for years. "
    "The self-appointed watchman of the lighthouse wrote down every extraordinary circumstance of that November night."
)


def test_raised_figures_are_marks_of_notes_or_powers() -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Times", size=11)
    text = "He was late.^12| The keeper,^3| on 40 m^2| of floor, drank H_2|O. In 10^4| years in Room101, 1999.^7|"
    for part in text.replace("^", "|^").replace("_", "|_").split("|"):
        pdf.char_vpos = {"^": "SUP", "_": "SUB"}.get(part[:1], "LINE")
        pdf.write(5, part.lstrip("^_"))
    script = parsed(bytes(pdf.output()), "a.pdf")
    said = "He was late. The keeper, on 40 m² of floor, drank H2O. In 10⁴ years in Room101, 1999."
    assert spoken(script) == [said] and "marks of footnotes are not spoken (line 1)" in script.notes


class _Book(FPDF):
    """Pages with a running header and a page number."""

    def header(self) -> None:
        self.set_font("Times", size=8)
        self.cell(0, 5, f"{self.page_no()} THE LIGHTHOUSE BOOK")
        self.ln(12)

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Times", size=8)
        self.cell(0, 5, f"- {self.page_no()} -")


def _hyphenated(text: str) -> list[str]:
    """Lines of 40 letters, with words parted at their ends; the first is indented."""
    lines, current = [], ""
    for word in text.split():
        room = 40 - len(current) - 2
        if len(current) + len(word) < 40:
            current = f"{current} {word}".strip()
        elif len(word) > 8 and room > 3 and "-" not in word:
            lines.append(f"{current} {word[:room]}-")
            current = word[room:]
        else:
            lines.append(current)
            current = word
    return [f"    {lines[0]}", *lines[1:], current]


def _two_columns(*, outline: bool) -> bytes:
    pdf = _Book()
    pdf.set_title("The Lighthouse Book")
    pdf.set_author("Ada Example")
    lines = [line for _ in range(10) for line in _hyphenated(STORY)]
    for page in range(2):
        pdf.add_page()
        if outline:
            pdf.start_section("The storm" if page == 0 else "The calm: a chapter whose title is not in the text")
        if page == 0:
            pdf.set_font("Times", "B", 18)
            pdf.cell(0, 10, "The storm")
            pdf.ln(14)
        pdf.set_font("Times", size=11)
        top = pdf.get_y()
        for column in range(2):
            pdf.set_y(top)
            for _ in range(min(18, len(lines))):
                line = lines.pop(0)
                pdf.set_x(15 + 95 * column + (6 if line.startswith(" ") else 0))
                pdf.cell(90, 5, line.strip())
                pdf.ln(5)
    return bytes(pdf.output())


def test_two_columns_with_hyphens_headers_and_page_numbers() -> None:
    script = parsed(_two_columns(outline=False), "a.pdf")
    assert (script.title, script.author) == ("The Lighthouse Book", "Ada Example")
    assert spoken(script) == ["# The storm", *[STORY] * 10]
    assert {passage.line for passage in script.passages} == {1, 2}
    assert any("page numbers and lines that stand on several pages" in note for note in script.notes)


def test_chapters_are_those_of_the_outline() -> None:
    texts = spoken(parsed(_two_columns(outline=True), "a.pdf"))
    assert [text for text in texts if text[0] == "#"] == [
        "# The storm",
        "# The calm: a chapter whose title is not in the text",
    ]


def test_paragraphs_by_blank_lines_and_speech_by_indent() -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Times", size=11)
    for block in ("The first paragraph " * 9 + "ends.", "[ben] The second paragraph " * 6 + "ends."):
        for line in textwrap.wrap(block, 80):
            pdf.cell(0, 5, line)
            pdf.ln(5)
        pdf.ln(5)
    script = parsed(bytes(pdf.output()), "a.pdf")
    assert [text[:9] for text in spoken(script)] == ["The first", "[ben] The"]
    assert script.voices == ["ada"]


def _stream(content: bytes) -> bytes:
    """A page with this content."""
    packed = zlib.compress(content, 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<<>>>>",
        b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(packed), packed),
    ]
    out, places = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%sendobj\n" % (number, text)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"xref\n0 5\n0000000000 65535 f \n%strailer<</Size 5/Root 1 0 R>>startxref\n%d\n%%%%EOF" % (
        table,
        len(out),
    )


def _locked() -> bytes:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_encryption(owner_password="a", user_password="b")
    return bytes(pdf.output())


def _picture() -> bytes:
    pdf = FPDF()
    pdf.add_page()
    pdf.rect(10, 10, 50, 50, style="F")
    return bytes(pdf.output())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_picture(), "pictures of pages and no text.*ocrmypdf"),
        (_locked(), "locked with a password"),
        (_two_columns(outline=False)[:500], "the PDF is damaged"),
        (b"%PDF-1.4 and no more", "the PDF is damaged"),
        (b"", "the PDF is damaged"),
    ],
    ids=["picture", "locked", "truncated", "no PDF", "empty"],
)
def test_a_pdf_that_cannot_be_read_says_why(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parsed(data, "a.pdf")
    assert error.value.hint


def test_a_pdf_that_unpacks_to_more_than_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from f5_pipeline.speech.script.sources import pdf_pages

    monkeypatch.setattr(pdf_pages, "MAX_MEMORY_BYTES", 128 << 20)
    with pytest.raises(InputError, match="pictures of pages"):
        parsed(_stream(b" "), "a.pdf")
    bomb = _stream(b" " * (128 << 20))
    assert len(bomb) < 1 << 18
    with pytest.raises(InputError, match="more memory or time"):
        parsed(bomb, "a.pdf")

"""The table of sources: what reads it, and what it may cost to read it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from fpdf import FPDF

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.model import ScriptOptions, parse_script
from f5_pipeline.speech.script.sources import SOURCES
from f5_pipeline.store.layout import SCRIPT_EXTENSIONS
from f5_pipeline_tests.support.books import docx, epub


def _hello_pdf() -> bytes:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Times")
    pdf.cell(text="Hello.")
    return bytes(pdf.output())


_HELLO = {
    ".toml": lambda: b'gen_text = "Hello."',
    ".ssml": lambda: b"<speak>Hello.</speak>",
    ".epub": lambda: epub({"a.xhtml": "<p>Hello.</p>"}),
    ".docx": lambda: docx("<w:p><w:r><w:t>Hello.</w:t></w:r></w:p>"),
    ".pdf": _hello_pdf,
    ".srt": lambda: b"1\n00:00:01,000 --> 00:00:02,000\nHello.",
    ".vtt": lambda: b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello.",
}


@pytest.mark.parametrize("suffix", SOURCES)
def test_each_source_is_kept_and_read(suffix: str) -> None:
    assert suffix in SCRIPT_EXTENSIONS
    data = _HELLO.get(suffix, lambda: b"Hello.")()
    script = parse_script(data, f"a{suffix.upper()}", ScriptOptions(voice="ada"))
    assert [passage.text for passage in script.passages] == ["Hello."]


def told(text: str | bytes, name: str = "a.txt") -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    return [passage.text for passage in parse_script(data, name, ScriptOptions(voice="ada")).passages]


@pytest.mark.parametrize(
    ("text", "passages"),
    [
        ("This was a beauti-\nful day for a re-\nunion.", ["This was a beautiful day for a reunion."]),
        ("They need self-\nhelp.", ["They need self-help."]),
        ("A well-known twenty-\nfour. Well, twenty-four.", ["A well-known twenty-four. Well, twenty-four."]),
        ("Chapter One\nIt was a dark and stormy night.", ["Chapter One", "It was a dark and stormy night."]),
        ("Roses are red\nViolets are blue\nSugar is sweet", ["Roses are red", "Violets are blue", "Sugar is sweet"]),
        ("To buy:\n- apples\n* pears\n- red\n  plums", ["To buy:", "apples", "pears", "red plums"]),
        ("He met the man whom everybody knew as\nBob and went home with him at once.", None),
        ("𝐁𝐨𝐥𝐝 oﬃce Ｆｕｌｌ １５", ["Bold office Full 15"]),
        ("Itâ€™s a cafÃ©.", ["It’s a café."]),
        ("Une pâte à l’âme.", ["Une pâte à l’âme."]),
    ],
)
def test_the_layout_of_plain_text(text: str, passages: list[str] | None) -> None:
    assert told(text) == (passages or [text.replace("\n", " ")])


def test_a_line_that_is_one_endless_word_is_read_in_time_that_grows_with_its_length() -> None:
    # Minutes where the search for a hyphen at its end begins at every letter.
    assert len("".join(told("a" * 200_000 + "\nb"))) >= 200_000


def test_utf_16_is_known_by_its_mark() -> None:
    assert told("Größe.".encode("utf-16")) == ["Größe."]


def test_what_was_mended_is_told() -> None:
    script = parse_script("One.\n\nItâ€™s late.".encode(), "a.txt", ScriptOptions(voice="ada"))
    assert any("line 3" in note and "It’s late." in note for note in script.notes)


@pytest.mark.parametrize(
    ("text", "passages"),
    [
        ("A ==marked== word %%hidden%% here.", ["A marked word here."]),
        ("See [[Some Page|that page]] and [[Home]].", ["See that page and Home."]),
        ("> [!NOTE]\n> Mind the gap.", ["Mind the gap."]),
        ("[TOC]\n\nText{.lead} :smile: at 5:30:10.", ["Text at 5:30:10."]),
        ("First line\\\nsecond line<br>third", ["First line", "second line", "third"]),
    ],
)
def test_dialects_of_markdown(text: str, passages: list[str]) -> None:
    assert [" ".join(one.split()) for one in told(text, "a.md")] == passages


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lxml", "mammoth", "pypdfium2"):
        monkeypatch.setitem(sys.modules, name, None)
    for suffix in (".epub", ".docx", ".html", ".pdf"):
        with pytest.raises(InputError, match=r"extra 'books' only.*pip install 'f5-pipeline\[books\]'"):
            parse_script(_HELLO.get(suffix, lambda: b"Hello.")(), f"a{suffix}", ScriptOptions(voice="ada"))


def test_keys_are_made_without_the_readers() -> None:
    readers = {"pydantic", "yaml", "markdown_it", "lxml", "mammoth", "pypdfium2"}
    code = f"import sys, f5_pipeline.store.layout; print({readers} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

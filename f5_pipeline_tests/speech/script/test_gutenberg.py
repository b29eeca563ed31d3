"""Plain texts of Project Gutenberg, and texts that only look like one."""

from __future__ import annotations

import pytest

from f5_pipeline.speech.script.sources.gutenberg import prepared
from f5_pipeline_tests.support.books import parsed, spoken

BOOK = """The Project Gutenberg eBook of The Lamp

This ebook is for the use of anyone anywhere.

Title: The Lamp
        and Other Things

Author: Ada Example

Language: French

*** START OF THE PROJECT GUTENBERG EBOOK THE LAMP ***

Produced by Somebody and the
Distributed Proofreaders

[Illustration]

THE LAMP

CONTENTS

 CHAPTER I.     The Storm
 CHAPTER II.    The Calm

CHAPTER I.
The Storm

It was a _very dark_ night, and snake_case
stayed. [Illustration: A lamp
on a table [Copyright 1894]]

“Come,” she said.

[Footnote 1: Nobody
came.]

CHAPTER II.

The Calm

Part of me was calm.

Act two was over.

Transcriber's Notes

Spelling was kept.

*** END OF THE PROJECT GUTENBERG EBOOK THE LAMP ***

START: FULL LICENSE
"""


def test_what_is_spoken_of_a_book() -> None:
    script = parsed(BOOK, "lamp.txt")
    assert (script.title, script.author, script.language) == ("The Lamp and Other Things", "Ada Example", "fr")
    assert spoken(script) == [
        "THE LAMP", "# CHAPTER I. The Storm", "It was a very dark night, and snake_case stayed.", "“Come,” she said.",
        "# CHAPTER II. The Calm", "Part of me was calm.", "Act two was over.",
    ]  # fmt: skip
    lines = BOOK.split("\n")
    assert [lines[passage.line - 1].split(" ")[0] for passage in script.passages][1:3] == ["CHAPTER", "It"]
    told = "\n".join(script.notes)
    for what in ("header and the licence", "table of contents", "illustrations", "footnotes", "transcriber's notes"):
        assert what in told, what


@pytest.mark.parametrize(
    "text", ["CHAPTER I.\n\nA _text_ of our own.\n", "Contents\n\nOne\n\n[Illustration: x]", "*** START OF THE DAY ***"]
)
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert prepared(text).text == text


def test_a_book_without_an_end_or_a_licence_is_read_to_its_last_line() -> None:
    text = "***START OF THIS PROJECT GUTENBERG EBOOK X***\n\nSTAVE ONE.\n\nMarley was dead: to begin with.\n"
    assert spoken(parsed(text, "a.txt")) == ["# STAVE ONE.", "Marley was dead: to begin with."]


def test_marks_without_end_are_read_in_time_that_grows_with_their_length() -> None:
    start = "*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\n"
    for rest in ("[Illustration " * 20_000, "_a" * 100_000, " " * 300_000 + "x", "contents\n" * 20_000, "\n[" * 50_000):
        prepared(start + rest)

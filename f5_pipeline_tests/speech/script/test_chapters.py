"""The choice of chapters."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.chapters import chapters_of
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline_tests.support.books import parsed, spoken

TEXT = "Before.\n\n# One\n\nText 1.\n\n# Two [ben] and a half\n\nText 2.\n\n[ada]\n\n# Three\n\nText 3.\n\n# Four\n"


def test_chapters_are_counted_by_their_headings() -> None:
    chapters = chapters_of(parsed(TEXT, "a.md").passages)
    assert [(number, title) for number, title, _ in chapters] == [
        (0, "(before the first heading)"), (1, "One"), (2, "Two and a half"), (3, "Three"), (4, "Four"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "texts"),
    [
        ("1", ["# One", "Text 1."]),
        (" 3 - 4 ", ["# Three", "Text 3.", "# Four"]),
        ("0,3,3-3", ["Before.", "# Three", "Text 3."]),
    ],
)
def test_chosen_chapters_are_spoken_in_their_order(choice: str, texts: list[str]) -> None:
    script = parsed(TEXT, "a.md", chapters=choice)
    assert spoken(script) == texts
    assert any("these chapters are not chosen" in note for note in script.notes)
    assert script.voices == ["ada"]


def test_all_is_no_choice() -> None:
    assert ScriptOptions(chapters="ALL") == ScriptOptions()
    assert "chapters" in ScriptOptions(chapters="all").model_fields_set, "so that it replaces a kept choice"
    assert spoken(parsed(TEXT, "a.md", chapters="all")) == spoken(parsed(TEXT, "a.md"))


@pytest.mark.parametrize("choice", ["one", "1-", "-1", "1,,2", "", "list", "1;2", "1-2-3", "9" * 6])
def test_what_is_no_choice_is_refused(choice: str) -> None:
    with pytest.raises(ValidationError, match="written as 1-3,5 or all"):
        ScriptOptions(chapters=choice)


@pytest.mark.parametrize(
    ("choice", "message"), [("3-5", "no chapter 5"), ("9", "no chapter 9"), ("3-1", "3-1 runs backwards")]
)
def test_a_chapter_that_is_not_there_is_named_with_those_that_are(choice: str, message: str) -> None:
    with pytest.raises(InputError, match=f"{message}.*: 0 .before the first heading.; 1 One; 2 Two and a half; 3"):
        parsed(TEXT, "a.md", chapters=choice)

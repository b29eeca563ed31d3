"""Chapters of a script, and the choice of some of them by number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from f5_pipeline.errors import InputError

if TYPE_CHECKING:
    from f5_pipeline.speech.script.model import Passage

_CHOICE = re.compile(r"\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?){0,99}")


class Chapter(NamedTuple):
    """A heading and the text up to the next one.

    Attributes:
        number: from 1; what stands before the first heading is chapter 0.
        passages: of the heading and its text.
    """

    number: int
    title: str
    passages: list[Passage]


def written_choice(value: object) -> str | None:
    """Numbers of chapters as written by a person, without blanks; None for "all".

    Raises:
        ValueError: it is no such list.
    """
    if value is None:
        return None
    text = re.sub(r"\s", "", str(value)[:1000]).lower()
    if text == "all":
        return None
    if not _CHOICE.fullmatch(text):
        raise ValueError("chapters are written as 1-3,5 or all")
    return text


def chapters_of(passages: Sequence[Passage]) -> list[Chapter]:
    """The chapters of a script, in order; their headings are those in its timing files."""
    chapters: list[Chapter] = []
    before: Passage | None = None
    for passage in passages:
        heading = passage.kind == "heading"
        if heading and not (before is not None and before.kind == "heading" and before.continues):
            number = chapters[-1].number + 1 if chapters else 1
            chapters.append(Chapter(number, passage.text, []))
        elif not chapters:
            chapters.append(Chapter(0, "(before the first heading)", []))
        elif heading:  # another voice speaks on in it
            chapters[-1] = chapters[-1]._replace(title=f"{chapters[-1].title} {passage.text}")
        chapters[-1].passages.append(passage)
        before = passage
    return chapters


def select(passages: Sequence[Passage], choice: str) -> tuple[list[Passage], list[str]]:
    """The passages of chosen chapters, and a note about the others.

    Args:
        choice: for example "1-3,5".

    Raises:
        InputError: there is no such chapter; names those that there are.
    """
    chapters = chapters_of(passages)
    numbers = {chapter.number for chapter in chapters}
    chosen: set[int] = set()
    for part in choice.split(","):
        first, _, last = part.partition("-")
        wanted = range(int(first), int(last or first) + 1)
        if not wanted or not {wanted[0], wanted[-1]} <= numbers:
            missing = next((number for number in wanted[:1] if number not in numbers), int(last or first))
            titles = "; ".join(f"{chapter.number} {chapter.title[:40]}" for chapter in chapters[:20])
            more = "; …" if len(chapters) > 20 else ""
            problem = f"there is no chapter {missing}" if wanted else f"{part} runs backwards"
            raise InputError(problem, hint=f"The chapters are: {titles}{more}.")
        chosen.update(wanted)
    left_out = [str(number) for number in sorted(numbers - chosen)]
    shown = ", ".join(left_out[:12]) + (", …" if len(left_out) > 12 else "")
    notes = [f"these chapters are not chosen, and not spoken: {shown}"] if left_out else []
    return [passage for chapter in chapters if chapter.number in chosen for passage in chapter.passages], notes

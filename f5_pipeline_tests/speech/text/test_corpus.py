"""The corpus of written and spoken expressions: how much of it is right, and that no sign vanishes."""

from __future__ import annotations

import pytest

from benchmarks.text import CORPUS, HELD_OUT, dropped, is_right, rows, said

RIGHT = {"en": 0.98, "es": 0.98, "fr": 0.98}
"""The share that is right in each language; it only grows. In the others it is all."""

LANGUAGES = [path.stem for path in sorted(CORPUS.glob("*.tsv"))]

SAID_ONCE = {
    "Rates rose by 3.5%–4% that year.",  # "percent" is said once for both
    "Smith & Sons sell hats.",  # the comparison hears no "and"
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_is_read_right(language):
    found = list(rows(language))
    wrong = _wrong(found)
    assert 1 - len(wrong) / len(found) >= RIGHT.get(language, 1.0), "\n".join(wrong)


def test_what_was_written_apart_from_the_rules_is_read_right():
    found = list(rows(folder=HELD_OUT))
    wrong = _wrong(found)
    assert len(found) > 230
    assert len(wrong) <= 0.02 * len(found), "\n".join(wrong)


def _wrong(found) -> list[str]:
    readings = ((row, said(row.written, row.language)) for row in found)
    return [f"{row.written} -> {spoken}" for row, spoken in readings if not is_right(row, spoken)]


def test_no_sign_vanishes():
    assert {row.written for row in rows() if dropped(row)} <= SAID_ONCE

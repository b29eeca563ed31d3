"""What is heard against what was to be said."""

from __future__ import annotations

import pytest

from f5_pipeline.speech.listening.words import compare


@pytest.mark.parametrize(
    ("said", "heard", "sentences"),
    [
        ("Lamps flickered out.", "Lamps, lamps out", ["“flickered” is missing.", "“lamps” is heard twice."]),
        ("the bridge was closed", "the page was closed", ["“bridge” is heard as “page”."]),
        ("nobody knew it", "so nobody knew it", ["“so” is heard, and is not in the text."]),
        ("it was very very cold", "it was very very cold", []),
        ("someone came to the harbour at forty two o'clock", "Some one came to the harbor at 42 o'clock.", []),
        ("one hundred and five pounds", "£105", []),
        ("Er öffnete den Brief zweimal.", "Er öffnete den Brief.", ["“zweimal” is missing."]),
        ("他打开信，读了两遍。", "他打开信，读了遍。", ["“两” is missing."]),
        ("a b c", "", ["“a b c” is missing."]),
    ],
)  # fmt: skip
def test_differences_are_told_by_word(said: str, heard: str, sentences: list[str]):
    language = "zh" if "信" in said else "de" if "ö" in said else "en"
    assert compare(said, heard, language).sentences() == sentences


def test_word_errors_are_counted_as_a_word_error_rate_does():
    differences = compare("he opened the letter and read it twice", "he opened opened the latter and read", "en")
    assert (differences.words, differences.errors) == (8, 4)
    assert differences.error_rate == 0.5
    assert 0 < differences.distance < 0.5, "letter and latter are much alike"

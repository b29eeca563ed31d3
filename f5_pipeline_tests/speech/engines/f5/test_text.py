"""What F5 is given to read: capitals, signs and letters that a vocabulary lacks, the reference's text, tokens."""

from __future__ import annotations

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.engines.f5.text import Vocabulary, f5_text, reference_text

PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,!?'\"-")


@pytest.mark.parametrize(
    ("spoken", "language", "read"),
    [
        ("It was a HUGE success.", "en", "It was a huge success."),
        ("STOP right there!", "en", "Stop right there!"),
        ("He works for the FBI now.", "en", "He works for the F B I now."),
        ("ÉTAIT il là ?", "fr", "Etait il la ?"),
        ("A cat and I", "en", "A cat and I"),
        ("McDonald said so", "en", "McDonald said so"),
    ],
)
def test_capitals_are_not_spelled(spoken: str, language: str, read: str):
    assert f5_text(spoken, language, PLAIN) == read


@pytest.mark.parametrize(
    ("spoken", "read"),
    [
        ("“Well” — she’s fine…", '"Well" , she\'s fine...'),
        ("¿Qué? ¡Sí!", "Que? Si!"),
        ("Dvořák, Łódź", "Dvorak, Łodz"),  # a stroke is no mark: the letter stays, to be counted
        ("gar\u0303a", "gara"),  # an accent that no letter goes with
        ("ﬁne ① Ａ", "fine 1 A"),
        ("مرحبا؟", "مرحبا?"),
        ("नमस्ते।", "नमस्ते."),
        ("a: b; c", "a, b, c"),
        ("smile 😀 now", "smile now"),
        ("  two\n blanks ", "two blanks"),
        ("😀 ★", ""),
        ("", ""),
    ],
)
def test_what_the_vocabulary_lacks_is_replaced(spoken: str, read: str):
    assert f5_text(spoken, "und", PLAIN) == read


def test_what_the_vocabulary_has_stays(vocabulary: Vocabulary):
    for text, language in (
        ("Größe über Straße, „nein”.", "de"),
        ("Привет, мир!", "ru"),
        ("Zażółć gęślą jaźń.", "pl"),
        ("¿Qué tal?", "es"),
        ("你好，世界。", "zh"),
        ("Wait… what—now?", "en"),
    ):
        assert f5_text(text, language, vocabulary).replace('"', "”").replace("„", "”") == text.replace("„", "”")


def test_chinese_is_read_as_pinyin(vocabulary: Vocabulary):
    text = f5_text("你好；世界。", "zh", vocabulary)
    assert text == "你好，世界。"
    tokens = vocabulary.split(text)
    assert tokens == [" ", "ni2", " ", "hao3", "，", " ", "shi4", " ", "jie4", "。"]
    assert vocabulary.encode(text) == [vocabulary.indices[token] for token in tokens]
    assert vocabulary.unknown(text) == ([], 4)


def test_unknown_letters_are_counted(vocabulary: Vocabulary):
    text = f5_text("Russian да, Hindi न", "en", vocabulary)
    unknown, letters = vocabulary.unknown(text)
    assert unknown == ["न"]
    assert letters == len("RussianдаHindiн")
    assert vocabulary.encode("न") == [0]


@pytest.mark.parametrize(
    ("text", "language", "read"),
    [
        ("Some call me nature", "en", "Some call me nature. "),
        ("Dr. Lee was born in 1984!", "en", "Doctor Lee was born in nineteen eighty-four! "),
        ("One. Two, three.", "en", "One. Two, three. "),
        ("IT WAS DARK,", "en", "It was dark. "),
        ("你好。今天是二零二四年", "zh", "你好。今天是二零二四年。"),
        ("Он сказал: «Да».", "ru", 'Он сказал: "Да". '),
    ],
)
def test_reference_text_is_normalised_and_ends_as_f5_needs_it(
    text: str, language: str, read: str, vocabulary: Vocabulary
):
    assert reference_text(text, language, vocabulary) == read


def test_a_long_reference_text_is_kept_whole(vocabulary: Vocabulary):
    words = " ".join(["the river runs under the old bridge and"] * 20)
    assert reference_text(words, "en", vocabulary) == f"{words}. "


@pytest.mark.parametrize("text", ["", " … ", "😀"])
def test_a_reference_that_says_nothing_is_refused(text: str, vocabulary: Vocabulary):
    with pytest.raises(InputError, match="says nothing"):
        reference_text(text, "en", vocabulary)

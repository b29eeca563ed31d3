from __future__ import annotations

import pytest

from f5_pipeline.errors import NotFoundError, StoreError
from f5_pipeline.gateway.reading import PART_WORDS, ReadingText
from f5_pipeline.speech.timeline import TimedWord
from f5_pipeline_tests.support.gateway_studio import SPOKEN, Studio, spoken_words, words_json


def text_of(studio: Studio, words: bytes):
    studio.files.pop("t.words.json", None)
    return ReadingText(studio.store), studio.add("t.words.json", words)


def words_of(paragraphs: list[int], chunk_words: int = 10):
    """Words in paragraphs of these lengths, in chunks of so many."""
    numbers = [paragraph for paragraph, length in enumerate(paragraphs) for _ in range(length)]
    return [
        TimedWord(text=f"w{n}", start=n, end=n + 0.5, chunk=n // chunk_words, paragraph=paragraph, voice="ada")
        for n, paragraph in enumerate(numbers)
    ]


def test_words_come_with_their_times_in_paragraphs(studio):
    reading, file = text_of(studio, words_json(spoken_words(SPOKEN)))
    assert [(part.start, part.end, part.words) for part in reading.outline(file)] == [(400, 6900, 26)]
    first, second = reading.part(file, 0)
    assert "".join(first["words"]).endswith("Jacquard loom weaves flowers & leaves. ")
    assert (first["voice"], second["voice"], first["heading"]) == ("Ada", "Charles", False)
    assert first["times"][:4] == [400, 700, 700, 1000] and len(first["times"]) == 2 * len(first["words"])


@pytest.mark.parametrize(
    ("paragraphs", "parts"),
    [
        ([50] * 20, [PART_WORDS, PART_WORDS, 200]),
        ([PART_WORDS - 1, 300, 5], [PART_WORDS + 299, 5]),
        ([3 * PART_WORDS], [2 * PART_WORDS, PART_WORDS]),
        ([1], [1]),
        ([], []),
    ],
)
def test_parts_end_with_paragraphs_and_long_ones_with_sentences(studio, paragraphs, parts):
    words = words_of(paragraphs)
    reading, file = text_of(studio, words_json(words))
    assert [part.words for part in reading.outline(file)] == parts
    read = [word for n in range(len(parts)) for row in reading.part(file, n) for word in row["words"]]
    assert read == [word.text + " " for word in words]
    with pytest.raises(NotFoundError):
        reading.part(file, len(parts))


@pytest.mark.parametrize(
    "line", [b'{"word": "a", "start": 1}', b'{"word": "' + b"a" * 70_000 + b'", "start": 0, "end": 1}']
)
def test_what_is_no_word_is_an_error_with_its_place(studio, line):
    reading, file = text_of(studio, b'{\n"words": [\n' + line + b"\n]}\n")
    with pytest.raises(StoreError) as caught:
        reading.outline(file)
    assert (caught.value.file, caught.value.place) == (file.key, "byte 13")

"""Chunks: where text is cut, and that no word is lost, doubled or without a voice."""

from __future__ import annotations

import pytest

from f5_pipeline.speech.chunks import Chunk, ChunkLimits, expected_seconds, iter_chunks
from f5_pipeline.speech.script.model import Passage, Script
from f5_pipeline.speech.text.segment import sentences

LIMITS = ChunkLimits()


def script(*texts: str, language: str = "en", speed: float = 1.0) -> Script:
    passages = [Passage(text=text, voice="ada", line=index + 1, speed=speed) for index, text in enumerate(texts)]
    return Script(name="a", title="a", language=language, voices=["ada"], passages=passages)


def chunks(*texts: str, language: str = "en", speed: float = 1.0, limits: ChunkLimits = LIMITS) -> list[Chunk]:
    out = list(iter_chunks(script(*texts, language=language, speed=speed), limits=limits))
    check(out, limits)
    return out


def check(found: list[Chunk], limits: ChunkLimits) -> None:
    for index, chunk in enumerate(found):
        assert chunk.index == index
        assert chunk.words and chunk.spoken == chunk.spoken.strip()
        assert 0 < chunk.expected_seconds <= limits.hard, chunk.spoken[:200]
        position = 0
        for word in chunk.words:
            start, end = word.spoken
            assert position <= start < end <= len(chunk.spoken)
            assert not chunk.spoken[position:start].strip()
            assert any(char.isalnum() for char in chunk.spoken[start:end])
            position = end
        assert position == len(chunk.spoken)


def written(found: list[Chunk]) -> str:
    return "".join(word.text + word.space for chunk in found for word in chunk.words).rstrip()


@pytest.mark.parametrize(
    ("language", "text", "count"),
    [
        ("en", "He came on Jan. 5th, 2024, at noon. She left.", 2),
        ("en", "It rose 3.4% vs. 2.1% last year. Fine then.", 2),
        ("en", "Dr. Smith met Mr. J. R. R. Tolkien. They ate, e.g. bread.", 2),
        ("en", "The U.S. Army came. It took approx. 5 days. Fig. 3 shows it.", 3),
        ("en", "See https://a.com/b?c=d.e&f=1. Next one. Gen. Lee came.", 3),
        ("en", "Wait... what? Well… yes. 1. First item.", 3),
        ("en", "“One is. Two was.” He said so. hello. you.", 5),
        ("en", "At 3:45 p.m. he left. Pi is 3.14. Version 1.2.3.4 is out.", 3),
        ("en", "It opens at 10 a.m. Monday. We met at 5 p.m. She left.", 3),
        ("de", "Das ist z. B. gut. Am 3. Mai kam er. Der 2. Weltkrieg endete. Er kam am 5. Dann ging er.", 5),
        ("fr", "M. Dupont est là. Mme. Curie aussi. C'est p. ex. bon.", 3),
        ("es", "El Sr. López vino. ¿Qué tal? EE. UU. es grande.", 3),
        ("ru", "Это т. е. пример. Он родился в 1999 г. в Москве. А. С. Пушкин писал.", 3),
        ("zh", "你好。我叫李明！你好吗？价格是3.5元。", 4),
        ("ja", "こんにちは。元気ですか？", 2),
        ("ar", "مرحبا بكم. كيف حالك؟ د. أحمد هنا.", 3),
        ("hi", "यह एक वाक्य है। क्या आप ठीक हैं? डॉ. शर्मा आए।", 3),
    ],
)
def test_sentences(language, text, count):
    found = sentences(text, language)
    assert "".join(found) == text
    assert len(found) == count, found


def test_a_sentence_is_a_chunk_and_short_ones_are_joined():
    found = chunks("Yes. I think it was the wind. The keeper wrote it down. No.")
    assert [chunk.written for chunk in found] == [
        "Yes. I think it was the wind.",
        "The keeper wrote it down. No.",
    ]
    assert [chunk.pause for chunk in found] == ["sentence", "paragraph"]
    assert [chunk.written for chunk in chunks("Yes.")] == ["Yes."]


LONG = (
    "Because the engineers could not agree on the foundations of the tower, which had been drawn three times by three "
    "different hands, construction was put off until the following spring, when the tides were gentler and the men, "
    "who had been waiting in the village since May, could finally be paid the $5 million that they had been promised."
)


def test_long_sentences_are_cut_at_the_best_place():
    found = chunks(LONG)
    assert len(found) == 2
    assert found[0].written.endswith(",")
    assert [chunk.pause for chunk in found] == ["none", "paragraph"]
    assert max(chunk.expected_seconds for chunk in found) <= LIMITS.longest
    assert written(found) == LONG


def test_numbers_and_names_are_not_torn():
    text = " ".join(f"then $5 million on Jan. 5th, 2024 for 12 km to Dr. Smith {i}" for i in range(30))
    found = chunks(text)
    assert len(found) > 4
    for chunk in found[:-1]:
        last = chunk.words[-1].text
        assert last not in ("$5", "Jan.", "12", "Dr.", "5th,"), chunk.written


def test_no_tail_of_a_word_or_two():
    for extra in range(1, 30):
        found = chunks("the keeper of the light " * 8 + "word " * extra)
        assert min(chunk.expected_seconds for chunk in found) >= LIMITS.shortest


def test_an_edited_sentence_changes_its_own_chunk_only():
    book = [f"Sentence {i} of the tale is neither long nor short." for i in range(40)]
    before = [chunk.spoken for chunk in chunks(" ".join(book))]
    book[20] = "This one is quite another thing now, and longer than it was before it was changed."
    after = [chunk.spoken for chunk in chunks(" ".join(book))]
    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_an_edit_among_short_sentences_stays_near():
    book = ["Yes." if i % 3 == 0 else f"Sentence {i} of the tale is neither long nor short." for i in range(60)]
    before = [chunk.spoken for chunk in chunks(" ".join(book))]
    del book[30]
    after = [chunk.spoken for chunk in chunks(" ".join(book))]
    assert len(set(before) ^ set(after)) <= 2


def test_pauses_around_headings_and_voices():
    tale = Script(
        name="a",
        title="a",
        voices=["ada", "ben"],
        passages=[
            Passage(text="One", voice="ada", line=1, kind="heading"),
            Passage(text="The first part is here.", voice="ada", line=3, continues=True),
            Passage(text="And the other voice is here.", voice="ben", line=3),
            Passage(text="😀 * * *", voice="ada", line=4),
            Passage(text="A second paragraph stands here.", voice="ada", line=5),
            Passage(text="Two", voice="ada", line=7, kind="heading"),
            Passage(text="The end of the tale.", voice="ada", line=9),
        ],
    )
    found = list(iter_chunks(tale))
    check(found, LIMITS)
    assert [(chunk.paragraph, chunk.passage, chunk.pause) for chunk in found] == [
        (0, 0, "chapter"),
        (1, 1, "sentence"),
        (1, 2, "paragraph"),
        (2, 4, "chapter"),
        (3, 5, "chapter"),
        (4, 6, "paragraph"),
    ]
    assert [chunk.heading for chunk in found] == [True, False, False, False, True, False]


def test_captions_can_show_what_was_written():
    (chunk,) = chunks("— On Jan. 5th, 2024 — yes 😀 — it cost $5 million …")
    spans = {word.text: chunk.spoken[slice(*word.spoken)] for word in chunk.words}
    assert spans == {
        "— On": "On", "Jan.": "January", "5th,": "fifth,", "2024 —": "twenty twenty-four,",
        "yes 😀 —": "yes,", "it": "it",
        "cost": "cost", "$5": "five", "million …": "million dollars...",
    }  # fmt: skip
    assert chunk.written == "— On Jan. 5th, 2024 — yes 😀 — it cost $5 million …"


def test_chinese_is_one_word_a_character():
    (chunk,) = chunks("他花了3.5元，“好”。", language="zh")
    assert [word.text for word in chunk.words] == ["他", "花", "了", "3.5", "元，", "“好”。"]
    assert chunk.spoken == '他花了三点五元，"好"。'
    assert chunk.written == "他花了3.5元，“好”。"


def test_thai_marks_stay_with_their_letters():
    (chunk,) = chunks("ฉันมีเก้าอี้", language="th")
    assert "".join(word.text for word in chunk.words) == "ฉันมีเก้าอี้" == chunk.spoken
    assert all(not (0x0E31 <= ord(word.text[0]) <= 0x0E3A or ord(word.text[0]) >= 0x0E47) for word in chunk.words)


NASTY = {
    "no punctuation": "word and then " * 4000,
    "no blanks": "abcdefghij" * 5000,
    "digits": "1234567890" * 2000,
    "emoji": "a " + "😀" * 50_000 + " b",
    "chinese": "灯塔矗立在" * 3000,
    "chinese, punctuated": "灯塔，矗立在路的尽头。" * 800,
    "percent": "5% " * 3000,
    "signs": "%" * 5000 + " a " + "&" * 5000,
    "full stops": "a. " * 3000,
    "marks": "e\u0301" * 10_000 + "x" + "\u0301" * 5000,
    "dashes": "— " * 5000 + "a",
    "a long word": "Donau" * 1000 + " endet.",
    "quotes": "“He said “so”. " * 500,
    "arabic": "مرحبا بالعالم، كيف حالك؟ أنا بخير. " * 200,
    "hebrew": "שלום עולם. מה שלומך? " * 200,
    "hindi": "यह एक वाक्य है। क्या आप ठीक हैं? " * 200,
    "thai": "สวัสดีครับผมชื่อสมชาย" * 300,
    "korean": "등대는 좁은 길 끝에 서 있었다. " * 200,
    "japanese": "とうだいは、ほそいみちのおわりに。" * 200,
    "mixed": "A灯b 塔5% (😀) [x] “y” 3.5€ Ünï ٣ ½ x² http://a.b/c 🇩🇪 ﬁ\u00a0z " * 100,
    "control": "a\x00b \x1b[0m c\x07 \u202ed\u202c \ufeffe " * 100,
    "shouting": "STOP THE NASA FBI NOW! " * 300,
    "numbers": "$5 million on Jan. 5th, 2024 at 3:45 p.m. for 1,234.5 km – 10–20% of No. 5! " * 100,
}


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("language", ["en", "zh", "ru"])
def test_every_word_is_spoken_once_whatever_the_text(name, language):
    text = " ".join(NASTY[name].split())
    found = chunks(text, language=language)
    assert written(found) == text
    assert [chunk.spoken for chunk in found] == [
        chunk.spoken for chunk in iter_chunks(script(text, language=language))
    ], "not deterministic"


def test_slow_speech_is_cut_shorter():
    assert len(chunks(LONG, speed=0.5)) > len(chunks(LONG))
    assert max(chunk.expected_seconds for chunk in chunks(LONG, speed=0.5)) <= LIMITS.hard


def test_chunks_are_made_one_paragraph_at_a_time():
    def passages():
        yield Passage(text="The first paragraph.", voice="ada", line=1)
        yield Passage(text="The second paragraph.", voice="ada", line=2)
        raise AssertionError("read ahead")

    tale = script("x")
    object.__setattr__(tale, "passages", passages())
    assert next(iter(iter_chunks(tale))).written == "The first paragraph."


def test_nothing_to_speak_gives_no_chunk():
    assert chunks("* * *", "😀", "…") == []


def test_limits_are_checked():
    with pytest.raises(ValueError, match="longest"):
        ChunkLimits(longest=2)


@pytest.mark.parametrize(
    ("language", "text", "low", "high"),
    [
        # Measured on the draft engine at its own pace, within a quarter.
        ("en", "Every evening the keeper climbed two hundred and twelve steps, and lit the lamp.", 3.3, 5.5),
        ("de", "Niemand wusste, ob jemals jemand lesen würde, was er geschrieben hatte.", 3.2, 5.3),
        ("zh", "每天晚上，看守人都要爬两百一十二级台阶。", 4.0, 6.7),
        ("ru", "Никто не знал, прочтёт ли кто-нибудь когда-нибудь то, что он написал.", 3.4, 5.9),
    ],
)
def test_expected_seconds_are_about_right(language, text, low, high):
    assert low < expected_seconds(text, language) < high
    assert expected_seconds(text, language, 2.0) == pytest.approx(expected_seconds(text, language) / 2)


def test_digits_count_as_what_is_said_not_as_bytes():
    assert chunks("It was 1,234,567.")[0].expected_seconds > 2.0
    assert expected_seconds("", "en") == 0.0

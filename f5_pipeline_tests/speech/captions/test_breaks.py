"""Where captions and lines may end: sentences, abbreviations, marks, phrases; words counted out."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks.captions import HARD, measure
from f5_pipeline.speech.captions.breaks import INSIDE, NEVER, SENTENCE, end_costs, settle_marks
from f5_pipeline.speech.captions.cues import Cue, iter_cues, norm_of
from f5_pipeline.speech.captions.text import width
from f5_pipeline.speech.script.model import CaptionStyle, parse_script
from f5_pipeline.speech.text.words import written_words
from f5_pipeline_tests.support.timed_words import STYLE, timed


def cues_of(text: str, language: str, style: CaptionStyle = STYLE, rate: float = 0.35, **fields) -> list[Cue]:
    words = timed([word.text for word in written_words(text)], rate=rate, **fields)
    for word, written in zip(words, written_words(text), strict=True):
        word.space = written.space
    return list(iter_cues(words, style, language=language))


def ends(cues: list[Cue]) -> list[str]:
    return [line for cue in cues for line in cue.lines]


@pytest.mark.parametrize(
    ("language", "text", "stops"),
    [
        ("en", "The desk of Capt. Hook was read by Rev. Jones, e.g. by two. It was J. R. R. Ray.", "two. Ray."),
        ("en", "It came about Oct. 12th with approx. 40 men, i.e. 31 people. No. 5 left.", "people. left."),
        ("de", "Am 3. Mai kam Dr. Brandt, d. h. er blieb bis zum 12. Oktober. Er ging.", "Oktober. ging."),
        ("fr", "Selon M. Lefèvre et Mme Duval, env. 30 caisses av. J.-C. sont là. Elle part.", "là. part."),
        ("es", "El Sr. Molina vio la pág. 12 de la Dra. Rivas. Se fue.", "Rivas. fue."),
        ("it", "Il dott. Rossi vide il sig. Bianchi. Poi partì.", "Bianchi. partì."),
        ("pl", "Wczoraj prof. Nowak pokazał str. 12 i rys. 3 na ul. Długiej. Potem wrócił.", "Długiej. wrócił."),
        ("pt", "O Sr. Lima leu a p. 12 do vol. 3 hoje. Depois saiu.", "hoje. saiu."),
        ("sv", "Hon kom kl. 12 med t.ex. bröd och osv. med smör. Sedan gick hon.", "smör. hon."),
    ],
)  # fmt: skip
def test_sentences_end_where_the_planner_ends_them(language: str, text: str, stops: str):
    words = timed([word.text for word in written_words(text)])
    costs = end_costs(words, [word.text for word in words], language)
    assert [word.text for word, cost in zip(words, costs, strict=True) if cost == SENTENCE] == stops.split()
    stopped = [cost for word, cost in zip(words, costs, strict=True) if word.text.endswith(".")]
    assert set(stopped) == {SENTENCE, NEVER}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("fr", "Le gardien demanda : « Qui donc est là ? » puis il ferma la porte ; « Personne ne viendra plus ! »"),
        ("fr", "Le gardien ( celui du phare, je crois ) vendait alors des pommes ; « « Non ! » cria le facteur. »"),
        ("es", "Mi tío Ramón dijo con calma: « ¿ Quién sabe ya ? » y nadie quiso responder: « ¡ Nadie ! »"),
        ("en", 'The keeper of the lighthouse asked her: " Who is there now? " and then she said: " Nobody at all ! "'),
        ("en", "The keeper of the lighthouse asked her: “ Who is there now? ” and then she said: “ Nobody at all ! ”"),
        ("de", "Der Wärter des alten Turms fragte leise: » Wer ist denn da? « und sie antwortete ihm: » Niemand! «"),
        ("de", "Der Wärter des alten Turms fragte leise: „ Wer ist denn da? “ und sie antwortete ihm: „ Niemand! “"),
        ("de", "Der Wärter des Turms fragte:„ Wer ist da? “ und sie antwortete ihm:( Niemand ) sagte sie dann leise."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("style", [STYLE, CaptionStyle(max_chars=24), CaptionStyle(words_per_cue=1)])
def test_marks_stay_with_what_they_enclose(language: str, text: str, style: CaptionStyle):
    cues = cues_of(text, language, style)
    inward = language == "de"
    opening = "([¿¡„" + ("»" if inward else "«“")
    closing = ")]?!;:,." + ("«“" if inward else "»”")
    for line in ends(cues):
        assert line[-1] not in opening and line[0] not in closing, ends(cues)
    plain = [line for line in ends(cues) if line[0] == '"' or line[-1] == '"']
    assert all((line[0] == '"' and line[1] == " ") or line[-2] == " " for line in plain)
    assert "".join("".join(ends(cues)).split()) == "".join(text.split())


def test_moved_marks_give_the_same_text():
    texts, spaces = ["dit: «", "Non ! » (", "b", "c:„", "d"], [" ", " ", "", " ", ""]
    before = "".join(text + space for text, space in zip(texts, spaces, strict=True))
    settle_marks(texts, spaces, "fr")
    assert texts == ["dit:", "« Non ! »", "( b", "c:", "„ d"]
    assert "".join(text + space for text, space in zip(texts, spaces, strict=True)) == before


@pytest.mark.parametrize(
    ("language", "text", "whole"),
    [
        ("ja", "学生たちは毎日プログラミングを勉強しなければなりません。向側の座席から娘が立って来て、窓を開けました。",
         "プログラミングを 勉強しなければ 座席から 立って"),
        ("zh", "新的技术正在慢慢改变着我们的日常生活，以及社会的各个方面和人们工作的方式。",
         "我们 日常 社会 各个 方面"),
        ("th", "วันนี้อากาศดีมาก เราไปเดินเล่นในสวนสาธารณะกันเถอะ คุณคิดว่าอย่างไร", "อากาศ สาธารณะ อย่างไร"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("columns", [42, 20])
def test_scripts_without_blanks_break_at_phrases(language: str, text: str, whole: str, columns: int):
    lines = ends(cues_of(text, language, CaptionStyle(max_chars=columns), rate=0.16))
    assert len(lines) >= 2 and max(map(width, lines)) <= min(norm_of(language).columns, columns)
    for word in whole.split():
        assert any(word in line for line in lines), (word, lines)


def test_norms_of_languages():
    assert [norm_of(tag) for tag in ("ja", "zh-TW", "ko", "th")] == [(26, 8), (32, 18), (32, 24), (35, 17)]
    assert norm_of("ar") == norm_of("en-GB") == norm_of("xx") == (42, 17)
    (cue,) = iter_cues(timed(["밤의", "바다는", "조용했다."], rate=0.1), STYLE, language="ko", audio_seconds=9)
    assert cue.end - cue.start == pytest.approx(21 / 24, abs=0.001)


def test_one_word_per_cue_has_the_times_of_the_word():
    text = "Capt. Hook asked: « Is it No. 5? » and left."
    words = timed([word.text for word in written_words(text)], gap=0.04, rate=0.21)
    cues = list(iter_cues(words, CaptionStyle(words_per_cue=1), language="fr"))
    assert [(cue.start, cue.end) for cue in cues] == [(round(w.start, 3), round(w.end, 3)) for w in words]
    assert ends(cues) == ["Capt.", "Hook", "asked:", "« Is", "it", "No.", "5? »", "and", "left."]


def test_words_per_cue_end_with_the_sentence_and_fit_a_cue():
    words = timed(["One", "two", "three", "four", "five.", "Six", "seven", "internationalization."])
    cues = list(iter_cues(words, CaptionStyle(words_per_cue=3)))
    assert ends(cues) == ["One two three", "four five.", "Six seven internationalization."]
    narrow = CaptionStyle(words_per_cue=9, max_chars=12, max_lines=1)
    assert ends(list(iter_cues(words[:5], narrow))) == ["One two", "three four", "five."]
    assert len(cues_of("今天天气很好，我们去公园。", "zh", CaptionStyle(words_per_cue=1))) == 7


def test_a_word_longer_than_a_line_is_hyphenated_in_one_cue():
    word = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
    text = f"Die {word} tagt."
    assert [written.text for written in written_words(text)] == text.split()
    cues = cues_of(text, "de", rate=1.5)
    (cue,) = (cue for cue in cues if "Donau" in "".join(cue.lines))
    assert cue.lines[-2].endswith("haupt-") and max(map(width, cue.lines)) <= 42
    assert "".join(cue.lines).replace("-", "").replace(" ", "").removeprefix("Die").removesuffix("tagt.") == word
    address = "https://example.com/a/path/that/goes/on/index.html"
    assert "".join(ends(cues_of(address, "en"))) == address
    one = ends(cues_of(text, "de", CaptionStyle(words_per_cue=1)))
    assert one[0] == "Die" and one[-1] == "tagt." and len(one) == 4


def test_names_stand_where_the_voice_changes():
    words = timed(["Hello", "there."]) + timed(["Good", "day."], at=2, voice="Ben", paragraph=1)
    words += timed(["And?"], at=4, voice="Ben", paragraph=2) + timed(["So."], at=6, paragraph=3)
    lines = ends(list(iter_cues(words, STYLE, speakers=True)))
    assert lines == ["[Ada] Hello there.", "[Ben] Good day.", "And?", "[Ada] So."]


def test_another_language_has_its_own_sentences():
    words = timed(["Er", "kam", "am", "3.", "Mai."], language="de") + timed(["He", "left."], at=3)
    cues = list(iter_cues(words, CaptionStyle(max_chars=12), language="en"))
    assert ends(cues) == ["Er kam am", "3. Mai.", "He left."]


def test_phrases_and_abbreviations_cost_more_than_anything():
    words = timed(list("今天天气很好"), space="")
    assert INSIDE in end_costs(words, [word.text for word in words], "zh")
    assert all(cost < INSIDE for cost in end_costs(words, [word.text for word in words], "km")[:-1])


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "ja", "zh", "th", "ar"])
def test_generated_prose_keeps_every_norm(language: str):
    counts, cues, _ = measure(language, 500)
    assert not {kind: counts[kind] for kind in HARD if counts[kind]}
    assert all(a.end <= b.start for a, b in pairwise(cues))


def test_a_header_asks_for_words_per_cue_and_files():
    def style(captions: str) -> CaptionStyle:
        header = f"---\nvoice: ada\ncaptions: {captions}\n---\nHello."
        return parse_script(header.encode(), "a.md").captions

    assert (
        style("{words_per_cue: 1, formats: [SRT, ass]}").formats
        == style("{formats: 'srt ass'}").formats
        == ["srt", "ass"]
    )
    assert style("{words_per_cue: 1}").words_per_cue == 1
    old = {"max_lines": 2, "max_chars": 42, "max_seconds": 7.0, "min_seconds": 5 / 6}
    assert style("{max_lines: 2}").model_dump() == old == CaptionStyle.model_validate(old).model_dump()

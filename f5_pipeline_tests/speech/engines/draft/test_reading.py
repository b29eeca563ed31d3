"""The draft of Japanese: kanji are read, and refused by name where their reader is not installed."""

from __future__ import annotations

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.alignment.renderings import Drafts, NoDraft
from f5_pipeline.speech.engine import Failed, Request, Speech
from f5_pipeline.speech.engines.draft import reading
from f5_pipeline.speech.engines.draft.engine import DraftEngine
from f5_pipeline.speech.engines.draft.reading import mostly_unread, readable

TEXT = "営業時間は九時から十七時です。ABCと、東京へ行く。"


def test_kanji_become_kana_at_their_places():
    spoken, places = readable(TEXT, "ja-JP")
    assert spoken == "エーギョージカンワ クジカラ ジューシチジデス。ABCト、トーキョーエ イク。"
    assert [TEXT[places[spoken.index(kana)]] for kana in ("エ", "ク", "ABC"[0], "トー", "イ")] == list("営九A東行")
    assert places == sorted(places) and len(places) == len(spoken)
    assert readable("きょうは、いいてんき。", "ja")[0] == "きょうは、いいてんき。"  # as it was drafted before


def test_text_that_nobody_can_read_keeps_its_place():
    spoken, places = readable("𠮷野家の鬱な☃々々 日々", "ja")
    assert len(spoken) == len(places) and places == sorted(places)
    assert not reading._HAN.search(spoken)


def test_each_kanji_has_a_time_and_is_no_chinese_letter():
    engine = DraftEngine(1)
    try:
        (speech,) = engine.speak([Request(key="", text=TEXT, language="ja", voice="")])
    finally:
        engine.close()
    assert isinstance(speech, Speech) and speech.tokens
    assert [TEXT[token.start_char : token.end_char] for token in speech.tokens][:5] == list("営業時間は")
    assert len(speech.samples) / 24_000 < 7  # eleven times "Chinese letter" take longer


@pytest.fixture
def without_reader(monkeypatch):
    monkeypatch.setattr(reading, "find_spec", lambda name: None)


def test_without_its_reader_kanji_are_refused(without_reader):
    engine = DraftEngine(1)
    with pytest.raises(InputError, match="reads no kanji") as caught:
        engine.check_text(TEXT, "ja")
    assert "f5-pipeline[ja]" in str(caught.value.hint)
    engine.check_text("きょうは、いいてんき。", "ja")
    (failed,) = engine.speak([Request(key="", text=TEXT, language="ja", voice="")])
    engine.close()
    assert isinstance(failed, Failed) and "kanji" in failed.reason


def test_without_its_reader_nothing_is_measured_by_a_draft_of_japanese(without_reader):
    drafts = Drafts(1)
    with pytest.raises(NoDraft, match="kanji"):
        drafts.check_language("ja")
    with pytest.raises(NoDraft):
        drafts.template("今日は", "ja")


def test_a_draft_that_spells_much_of_its_text_is_no_measure():
    assert mostly_unread("漢字 漢字 말", "ko")
    assert not mostly_unread("The word 漢字 means Chinese characters", "en")
    assert not mostly_unread("今天", "zh-TW")
    with pytest.raises(NoDraft, match="Chinese characters"):
        Drafts(1).template("漢字 漢字 말", "ko")

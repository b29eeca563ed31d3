"""The draft engine speaks IPA: what espeak-ng itself says of it is what was written."""

from __future__ import annotations

import re

import pytest

from f5_pipeline.speech.engine import Request, Speech
from f5_pipeline.speech.engines.draft.engine import DraftEngine, transcribe
from f5_pipeline.speech.text.ipa import marked

WORDS = {
    "en": "ˈniːtʃə θˈɔːt wˈɜːld dʒˈʌdʒ tʃˈɜːtʃ jˈɛləʊ bˈɒtəl fˈaɪə bˈɔɪ nˈaʊ kwˈaɪə fˈɪzɪks kˈɜːnəl mˈɛʒə ðˈɪs sˈɪŋɪŋ",
    "de": "ˈniːtʃə mˈɛtçən bˈyːçɜ ˈɪç ˈax hˈɔøzɜ ʃˈøːn kˈœln ˈyːbɜmuːt zˈɪŋən",
    "fr": "bɔ̃ʒˈuʁ ɑ̃fˈɑ̃ vˈɛ̃ pˈø pˈœʁ lyˈi mɔ̃tˈaɲ ʃˈɛz ɡaʁsˈɔ̃ vɛʁsˈaj",
    "es": "nˈiɲo pˈero kˈaʎe θeɾβˈeθa xiɾˈafa tʃˈiko ɡitˈara kˈeso",
}


def unstressed(ipa: str) -> str:
    return re.sub("[ˈˌ]", "", ipa)


@pytest.mark.parametrize("language", WORDS)
def test_espeak_says_what_the_ipa_says(language):
    words = WORDS[language].split()
    assert list(map(unstressed, transcribe([marked(word) for word in words], language))) == list(map(unstressed, words))


def test_a_sound_that_a_language_lacks_is_said_as_the_nearest():
    assert transcribe([marked("sjøː"), marked("ˈbʏçɐ")], "en") == ["sjɜː", "bˈʊçɐ"]


def test_ipa_takes_the_time_of_its_word():
    text = "I read [[ˈniː]][[tʃə]], today, [[ˈniːtʃə]]."
    requests = [
        Request(str(index), words, "en", "ada") for index, words in enumerate((text, "I read Neecha, today, Neecha."))
    ]
    engine = DraftEngine(workers=1)
    try:
        speech = {result.key: result for result in engine.speak(requests)}
    finally:
        engine.close()
    ipa, letters = speech["0"], speech["1"]
    assert isinstance(ipa, Speech) and isinstance(letters, Speech) and ipa.tokens and letters.tokens
    assert [text[token.start_char : token.end_char] for token in ipa.tokens] == text.split()
    assert len(ipa.samples) == len(letters.samples)
    assert [token.start for token in ipa.tokens] == pytest.approx([token.start for token in letters.tokens], abs=0.02)

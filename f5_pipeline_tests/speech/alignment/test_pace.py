"""How long a text lasts in a voice, against what other draft voices exactly take for it."""

from __future__ import annotations

import numpy as np
import pytest

from f5_pipeline.speech.alignment.pace import measure_rate, speech_seconds, voice_rate
from f5_pipeline.speech.alignment.renderings import NoDraft
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.spoken import SENTENCES, say

# What bytes cannot tell: digits, abbreviations, one word, several bytes a letter.
LINES = {
    "en": ["It opened on 21 March 1987 at 10:45.", "Dr. Smith of the BBC paid $4,500.", "3.14159265", "Not yet."],
    "de": ["Am 21. März 1987 um 10 Uhr 45.", "Dr. Schmidt von der ARD zahlte 4500 Euro.", "Noch nicht."],
    "fr": ["Le 21 mars 1987 à 10 h 45.", "Pas encore, dit-elle."],
    "ru": ["Это было 21 марта 1987 года.", "Нет, ещё нет."],
    "zh": ["一九八七年三月二十一日上午十点四十五分。", "还没有。"],
    "hi": ["यह 21 मार्च 1987 की बात है।", "अभी नहीं, उसने कहा।"],
    "ar": ["كان ذلك في 21 مارس 1987.", "ليس بعد، قالت."],
    "ja": ["せんきゅうひゃくはちじゅうななねんさんがつ。", "まだです、とかのじょはいった。"],
}


def spoken(samples: np.ndarray) -> float:
    first, last = some(audio.speech_bounds(samples))
    return last - first


@pytest.mark.parametrize("language", LINES)
@pytest.mark.parametrize("voice", ["slow", "fast"])
def test_lines_come_out_at_the_right_pace(engine, drafts, language, voice):
    reference = say(engine, SENTENCES[language], language, voice).samples
    rate = voice_rate(reference, SENTENCES[language], language, drafts)
    drafted, by_bytes = [], []
    for line in LINES[language]:
        exact = spoken(say(engine, line, language, voice).samples)
        drafted.append(abs(speech_seconds(line, language, rate, drafts) / exact - 1))
        by_bytes.append(abs(spoken(reference) * len(line.encode()) / len(SENTENCES[language].encode()) / exact - 1))
    assert np.mean(drafted) < 0.15 and max(drafted) < 0.3
    if language not in ("zh", "ja"):  # there each syllable has three bytes
        assert np.mean(drafted) < np.mean(by_bytes)


def test_rate_is_the_voices_whatever_its_pauses(engine, drafts):
    text = SENTENCES["en"]
    rates = {
        voice: voice_rate(say(engine, text, voice=voice).samples, text, "en", drafts) for voice in ("slow", "fast")
    }
    assert rates["slow"] > 1.1 > 0.9 > rates["fast"]
    speech = say(engine, text, voice="slow")
    last = round(some(speech.tokens)[-3].start * SAMPLE_RATE)  # "Then she left."
    pause = np.zeros(3 * SAMPLE_RATE, np.float32)
    longer = np.concatenate([pause, speech.samples[:last], pause, speech.samples[last:], pause])
    assert voice_rate(longer, text, "en", drafts) == pytest.approx(rates["slow"], rel=0.02)
    own = drafts.speech(text, "en").samples
    assert voice_rate(own, text, "en", drafts) == pytest.approx(1, abs=0.01)


def test_speed_divides(drafts):
    plain = speech_seconds(SENTENCES["en"], "en", 1.0, drafts)
    assert plain == drafts.template(SENTENCES["en"], "en").seconds
    assert speech_seconds(SENTENCES["en"], "en", 1.2, drafts, speed=1.5) == pytest.approx(plain * 1.2 / 1.5)


@pytest.mark.parametrize(("times", "value", "way"), [(4, 2.5, "slowly"), (0.2, 0.45, "fast")])
def test_a_pace_that_no_one_has_is_bounded_and_told(engine, drafts, times, value, way):
    text = SENTENCES["en"] if times < 1 else "Then she left."
    other = "Then she left." if times < 1 else SENTENCES["en"]
    rate = measure_rate(say(engine, other).samples, text, "en", drafts)
    assert rate.value == value
    assert rate.measured is not None and (rate.measured > value) == (times > 1)
    assert rate.reason and way in rate.reason


def test_what_tells_no_pace(engine, drafts):
    silence = measure_rate(np.zeros(SAMPLE_RATE, np.float32), SENTENCES["en"], "en", drafts)
    assert silence.value == 1.0 and silence.measured is None and "0.00 s of speech" in str(silence.reason)
    with pytest.raises(NoDraft):
        voice_rate(say(engine, "Hello.").samples, "Hello.", "tlh", drafts)
    with pytest.raises(NoDraft):
        speech_seconds("…", "en", 1.0, drafts)

"""Sentences in many languages, and draft voices other than the template's that say them with exact times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from f5_pipeline.speech.engine import SAMPLE_RATE, Request, Speech, Token
from f5_pipeline.speech.engines.draft.engine import DraftEngine

SENTENCES = {
    "en": "She opened the ledger, counted twice, and wrote down what she had been told to forget. Then she left.",
    "de": "Sie öffnete das Buch, zählte zweimal und schrieb auf, was sie vergessen sollte. Dann ging sie.",
    "fr": "Elle ouvrit le registre, compta deux fois, puis nota ce qu'on lui avait dit d'oublier. Elle partit.",
    "es": "Abrió el libro, contó dos veces y anotó lo que le habían dicho que olvidara. Luego se fue.",
    "ru": "Она открыла книгу, дважды пересчитала и записала то, что ей велели забыть. Потом она ушла.",
    "zh": "她打开账本，数了两遍，写下别人叫她忘记的事。然后她走了。",
    "hi": "उसने बही खोली, दो बार गिना और वह लिख दिया जो उसे भूलने को कहा गया था। फिर वह चली गई।",
    "ar": "فتحت الدفتر وعدت مرتين وكتبت ما قيل لها أن تنساه. ثم غادرت.",
    "ja": "かのじょはちょうぼをひらき、にどかぞえて、わすれろといわれたことをかいた。",
}

VOICES = {
    "slow": {"variant": "f5", "pitch": 62, "rate": 135},
    "woman": {"variant": "f2", "pitch": 50, "rate": 165},
    "fast": {"variant": "f3", "pitch": 56, "rate": 215},
    "man": {"variant": "m7", "pitch": 40, "rate": 190},
}


def speakers() -> DraftEngine:
    """An engine whose voices are VOICES."""
    return DraftEngine(workers=1, manner=VOICES.__getitem__)


def say(engine: DraftEngine, text: str, language: str = "en", voice: str = "woman") -> Speech:
    (speech,) = engine.speak([Request(key="", text=text, language=language, voice=voice)])
    assert isinstance(speech, Speech), speech
    return speech


def with_pauses(
    samples: np.ndarray, exact: Sequence[Token], rng: np.random.Generator, share: float = 0.3
) -> tuple[np.ndarray, list[Token]]:
    """With 0.3 to 1 s of silence before some of its words, and its own pauses cut to 60 ms."""
    parts, tokens = [], []
    done, moved = 0, 0.0
    for number, token in enumerate(exact):
        before = exact[number - 1].end if number else token.start
        cut = more = 0
        at = round(token.start * SAMPLE_RATE)
        if token.start - before > 0.12:
            at = round((before + 0.03) * SAMPLE_RATE)
            cut = round((token.start - 0.03) * SAMPLE_RATE) - at
        elif number and rng.random() < share:
            more = round(rng.uniform(0.3, 1) * SAMPLE_RATE)
        parts += [samples[done:at], np.zeros(more, np.float32)]
        done = at + cut
        moved += (more - cut) / SAMPLE_RATE
        tokens.append(Token(token.start_char, token.end_char, token.start + moved, token.end + moved))
    parts.append(samples[done:])
    return np.concatenate(parts), tokens


def with_noise(samples: np.ndarray, rng: np.random.Generator, decibels: float) -> np.ndarray:
    """With white noise so many dB below the speech."""
    power = np.square(samples[np.abs(samples) > 1e-3]).mean()
    noise = rng.standard_normal(len(samples)) * np.sqrt(power / 10 ** (decibels / 10))
    return (samples + noise).astype(np.float32)

"""A third engine, whole: a beep for each word, as long as the word is. What another package would bring."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from f5_pipeline.speech.engine import SAMPLE_RATE, Cancelled, Failed, Request, Speech, Token
from f5_pipeline.speech.engines import EngineFacts, EngineSpec

LETTER_SECONDS = 0.05
PAUSE_SECONDS = 0.05


class ToyEngine:
    name = "toy"

    def sound(self, voice: str) -> dict[str, Any]:
        return {"engine": self.name, "hertz": 220 + 40 * (sum(voice.encode()) % 12)}

    def check_language(self, language: str) -> None:
        pass

    def speak(
        self, requests: Iterable[Request], *, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Speech | Failed]:
        for request in requests:
            if cancelled():
                raise Cancelled
            yield self._beeps(request)  # each attempt is higher than the one before

    def close(self) -> None:
        pass

    def _beeps(self, request: Request) -> Speech:
        tokens, parts, now = [], [np.zeros(0, np.float32)], 0.0
        hertz = self.sound(request.voice)["hertz"] + request.attempt
        for word in re.finditer(r"\S+", request.text):
            seconds = LETTER_SECONDS * len(word[0]) / request.speed
            times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
            beep = 0.3 * np.sin(2 * np.pi * hertz * times)
            parts += [beep.astype(np.float32), np.zeros(round(PAUSE_SECONDS * SAMPLE_RATE), np.float32)]
            tokens.append(Token(word.start(), word.end(), now, now + seconds))
            now += (len(parts[-2]) + len(parts[-1])) / SAMPLE_RATE
        return Speech(request.key, np.concatenate(parts), tokens)


def _facts() -> EngineFacts:
    code = Path(__file__).read_bytes()
    return EngineFacts(
        name="beeps",
        version="1",
        sha256=hashlib.sha256(code).hexdigest(),
        size=len(code),
        languages=None,
        licence="Apache-2.0",
        commercial_use="yes",
        source="the tests",
    )


TOY = EngineSpec(
    name="toy", label="beeps", make=lambda context: ToyEngine(), times_itself=True, retakes=True, facts=_facts
)

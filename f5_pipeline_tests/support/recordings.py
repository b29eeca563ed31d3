"""Recordings for tests: spoken by the draft engine, which knows to the sample where each word is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from f5_pipeline.speech.engine import SAMPLE_RATE, Request, Speech
from f5_pipeline.speech.engines.draft.engine import DraftEngine
from f5_pipeline.speech.references.prepare import Reference, prepare_reference
from f5_pipeline.speech.transcripts.reader import Transcript, read_transcript

SENTENCES = [
    "The harbour lay quiet under a thin grey mist.",
    "Nobody had expected the boat to come back before the evening, least of all the old keeper of the light.",
    "He counted the lamps twice, wrote the number in his book, and closed the door.",
    "Then the bell began to ring.",
    "It rang for a long time, and the gulls answered it.",
]


@dataclass
class Spoken:
    """A recording in which every word's time is known."""

    samples: np.ndarray
    sentences: list[tuple[str, float, float]]
    words: list[tuple[str, float, float]]

    def srt(self, count: int | None = None) -> bytes:
        cues = [
            f"{number}\n{_clock(start)} --> {_clock(end)}\n{text}\n"
            for number, (text, start, end) in enumerate(self.sentences[:count], 1)
        ]
        return "\n".join(cues).encode()

    def csv(self) -> bytes:
        rows = [f'{start:.3f},{end:.3f},"{text}"' for text, start, end in self.sentences]
        return "\n".join(["start,end,text", *rows]).encode()

    def text(self) -> bytes:
        return " ".join(text for text, _, _ in self.sentences).encode()

    def whisper(self) -> bytes:
        segments = []
        for text, start, end in self.sentences:
            words = [
                {"word": f" {word}", "start": begin, "end": stop}
                for word, begin, stop in self.words
                if start - 1e-6 <= begin < end
            ]
            segments.append({"start": start, "end": end, "text": f" {text}", "words": words})
        return json.dumps({"segments": segments}).encode()

    def heard(self, start: float, end: float) -> str:
        """The words that sound between two times, by their middles."""
        return " ".join(word for word, begin, stop in self.words if start <= (begin + stop) / 2 < end)

    def touched(self, start: float, end: float) -> str:
        """The words of which anything sounds between two times (20 ms at an edge are its decay)."""
        return " ".join(word for word, begin, stop in self.words if stop > start + 0.02 and begin < end - 0.02)


def _clock(seconds: float) -> str:
    millis = round(seconds * 1000)
    return f"{millis // 3600000:02}:{millis // 60000 % 60:02}:{millis // 1000 % 60:02},{millis % 1000:03}"


def speak(texts: list[str], language: str = "en", pause: float = 0.45, lead: float = 0.6, speed: float = 1.0) -> Spoken:
    engine = DraftEngine(workers=1)
    try:
        results = {
            result.key: result
            for result in engine.speak(Request(str(n), text, language, "keeper", speed) for n, text in enumerate(texts))
        }
    finally:
        engine.close()
    rng = np.random.default_rng(7)
    parts = [np.zeros(round(lead * SAMPLE_RATE), np.float32)]
    sentences, words, position = [], [], len(parts[0])
    for number, text in enumerate(texts):
        speech = results[str(number)]
        assert isinstance(speech, Speech), speech
        assert speech.tokens
        offset = position / SAMPLE_RATE
        starts = [token.start_char for token in speech.tokens] + [len(text)]
        for token, following in zip(speech.tokens, starts[1:], strict=True):
            words.append((text[token.start_char : following].strip(), offset + token.start, offset + token.end))
        sentences.append((text, offset + speech.tokens[0].start, offset + speech.tokens[-1].end))
        parts += [speech.samples, np.zeros(round(pause * SAMPLE_RATE), np.float32)]
        position += len(parts[-2]) + len(parts[-1])
    samples = np.concatenate(parts)
    return Spoken(samples + rng.normal(0, 0.0004, len(samples)).astype(np.float32), sentences, words)


def write(path: Path, samples: np.ndarray, rate: int = SAMPLE_RATE, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def prepare(
    tmp_path: Path, spoken: Spoken, transcript: bytes | Transcript | None, name: str = "t.srt", **options
) -> Reference:
    """The reference of a recording and a transcript, by default without alignment."""
    recording = write(tmp_path / "recording.flac", spoken.samples)
    if isinstance(transcript, bytes):
        transcript = read_transcript(transcript, name)
    return prepare_reference(recording, transcript, **{"language": "en", "name": "keeper", **options})

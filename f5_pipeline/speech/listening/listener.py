"""Listeners: what they hear of a take is a record beside its measures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pydantic import BaseModel, Field

from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.listening import whisper
from f5_pipeline.speech.listening.words import Differences, compare, compared

if TYPE_CHECKING:
    import numpy as np
    from faster_whisper import WhisperModel

    from f5_pipeline.speech.listening.speaker import SpeakerEncoder

MAX_BATCH = 8
"""Pieces that are listened to at once."""


class Piece(NamedTuple):
    """Speech, and what it should be. `samples`: float32, mono, SAMPLE_RATE Hz; `language`: BCP 47 tag."""

    samples: np.ndarray
    text: str
    language: str
    voice: str


class Hearing(BaseModel):
    """What is heard in a take, kept in its record."""

    by: str = Field(description="the listener's models")
    text: str = Field(description="what is heard, as the listener spells it")
    certainty: float = Field(description="mean log probability of what is heard: 0 is certain")
    gain: float = Field(description="logarithm of how much likelier what is heard is than the text; 0: they agree")
    differences: Differences
    similarity: float | None = Field(
        default=None, description="of the speaker with the voice's reference, -1 to 1; None: not compared"
    )


class Listener(Protocol):
    """Hears what is said in takes, and by whom. Threads may share one."""

    def hears(self, language: str) -> bool:
        """Whether it knows a language (BCP 47 tag)."""
        ...

    def listen(self, pieces: Sequence[Piece]) -> list[Hearing]:
        """What is heard in each piece, in order, all of languages that it knows."""
        ...

    def likeness(self, first: np.ndarray, second: np.ndarray) -> float | None:
        """Likeness of two speakers, -1 to 1; None where they are not compared. float32, mono, SAMPLE_RATE Hz."""
        ...


class WhisperListener:
    """Words by Whisper; the speaker, where there is an encoder, against the voices' references."""

    def __init__(
        self,
        model: WhisperModel,
        name: str,
        encoder: SpeakerEncoder | None = None,
        references: Mapping[str, Callable[[], np.ndarray]] = {},
    ) -> None:
        """
        Args:
            name: of the model.
            references: by voice, loads its samples: float32, mono, SAMPLE_RATE Hz.
        """
        from f5_pipeline.speech.listening.speaker import NAME

        self._model, self._encoder, self._references = model, encoder, references
        self.by = name if encoder is None else f"{name}, {NAME}"
        self._speakers: dict[str, np.ndarray | None] = {}
        self._lock = threading.Lock()

    def hears(self, language: str) -> bool:
        return whisper.code_of(self._model, language) is not None

    def listen(self, pieces: Sequence[Piece]) -> list[Hearing]:
        heard: dict[int, Hearing] = {}
        # Pieces of about one length together, as the longest of a batch decides its cost.
        order = sorted(range(len(pieces)), key=lambda n: (pieces[n].language, len(pieces[n].samples)))
        while order:
            language = pieces[order[0]].language
            batch = [n for n in order[:MAX_BATCH] if pieces[n].language == language]
            del order[: len(batch)]
            heard.update(zip(batch, self._batch([pieces[n] for n in batch], language), strict=True))
        return [heard[n] for n in range(len(pieces))]

    def likeness(self, first: np.ndarray, second: np.ndarray) -> float | None:
        """Likeness of two speakers, -1 to 1, from samples at SAMPLE_RATE; None where there is too little speech."""
        if self._encoder is None:
            return None
        one, other = self._encoder.embed([_resampled(first), _resampled(second)])
        return None if one is None or other is None else round(float(one @ other), 3)

    def _batch(self, pieces: Sequence[Piece], language: str) -> list[Hearing]:
        samples = [_resampled(piece.samples) for piece in pieces]
        found: dict[int, Differences] = {}

        def pair(index: int, text: str) -> tuple[str, str] | None:
            found[index] = compare(pieces[index].text, text, language)
            if not found[index].errors:
                return None
            said, heard = (" ".join(compared(side, language)) for side in (pieces[index].text, text))
            return said, heard

        code = whisper.code_of(self._model, language) or "en"
        heard = whisper.transcribe(self._model, samples, code, pair)
        return [
            Hearing(
                by=self.by,
                text=words.text,
                certainty=round(words.certainty, 3),
                gain=words.gain,
                differences=found[index],
                similarity=similarity,
            )
            for index, (words, similarity) in enumerate(zip(heard, self._similarities(pieces, samples), strict=True))
        ]

    def _similarities(self, pieces: Sequence[Piece], samples: Sequence[np.ndarray]) -> list[float | None]:
        if self._encoder is None:
            return [None] * len(pieces)
        speakers = [self._speaker(piece.voice) for piece in pieces]
        return [
            None if own is None or speaker is None else round(float(own @ speaker), 3)
            for own, speaker in zip(self._encoder.embed(samples), speakers, strict=True)
        ]

    def _speaker(self, voice: str) -> np.ndarray | None:
        with self._lock:
            if voice not in self._speakers:
                load = self._references.get(voice)
                self._speakers[voice] = self._encoder.embed([_resampled(load())])[0] if load and self._encoder else None
            return self._speakers[voice]


def _resampled(samples: np.ndarray) -> np.ndarray:
    import numpy as np
    import soxr

    return soxr.resample(np.asarray(samples, np.float32), SAMPLE_RATE, whisper.RATE)

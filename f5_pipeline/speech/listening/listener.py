"""Listeners: what they hear of a take is a record beside its measures."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pydantic import BaseModel, Field

from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.listening.recogniser import RATE, Recogniser, Transcription
from f5_pipeline.speech.listening.words import Differences, Kind, compare, compared, doubled

if TYPE_CHECKING:
    import numpy as np

    from f5_pipeline.speech.listening.speaker import SpeakerEncoder

MAX_BATCH = 8
"""Pieces that are listened to at once."""


MAX_COMPARED = 12
"""Differences of a piece whose probabilities are compared."""

SURE_GAIN = 1.0
"""Gain of a difference from which it is surely heard."""

SURE_UNHEARD = -2.0
"""`Hearing.unheard` below which a word is surely not said."""

SURE_TWICE = -3.0
"""Gain of a word said twice from which it is said to be heard twice; of a word said once it is -6 and less."""


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
    gains: dict[Kind, float] = Field(
        description="by kind, of the surest difference: logarithm of how much likelier the sound is with it than with "
        "the text, by token of its words"
    )
    doubled: float | None = Field(
        description="the same of the text with its likeliest word said twice, which Whisper itself leaves out"
    )
    weakest: float | None = Field(description="log probability of the least likely word of the text, by token")
    unheard: float | None = Field(
        description="how much likelier the sound makes a word of the text than the words before it do, by token: the "
        "least of all words, below 0 where something else is said",
    )
    unheard_word: str | None = Field(default=None, description="that word")
    differences: Differences
    similarity: float | None = Field(
        default=None, description="of the speaker with the voice's reference, -1 to 1; None: not compared"
    )

    @property
    def gain(self) -> float:
        """Of the surest difference; 0 where there is none."""
        return max(self.gains.values(), default=0.0)

    def sentences(self) -> list[str]:
        """What is surely heard otherwise, for people."""
        kinds = {kind for kind, gain in self.gains.items() if gain > SURE_GAIN}
        told = self.differences.sentences({*kinds, "repeated"})
        if not told and self.unheard is not None and self.unheard < SURE_UNHEARD:
            return [f"Something else is heard near “{self.unheard_word}”."]
        return told


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


class SpeechListener:
    """Words by recognisers; the speaker, where there is an encoder, against the voices' references."""

    def __init__(
        self,
        recogniser_of: Callable[[str], Recogniser | None],
        encoder: SpeakerEncoder | None = None,
        references: Mapping[str, Callable[[], np.ndarray]] = {},
    ) -> None:
        """
        Args:
            recogniser_of: called with a language (BCP 47 tag), finds what hears it.
            references: by voice, loads its samples: float32, mono, SAMPLE_RATE Hz.
        """
        from f5_pipeline.speech.listening.speaker import NAME

        self._recogniser_of, self._encoder, self._references = recogniser_of, encoder, references
        self._by = "" if encoder is None else f", {NAME}"
        self._speakers: dict[str, np.ndarray | None] = {}
        self._lock = threading.Lock()

    def hears(self, language: str) -> bool:
        return self._recogniser_of(language) is not None

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
        one, other = self._encoder.embed([resampled(first), resampled(second)])
        return None if one is None or other is None else round(float(one @ other), 3)

    def _batch(self, pieces: Sequence[Piece], language: str) -> list[Hearing]:
        if (recogniser := self._recogniser_of(language)) is None:
            raise ValueError(f"nothing here hears {language}")
        samples = [resampled(piece.samples) for piece in pieces]
        found: dict[int, Differences] = {}

        def others(index: int, text: str) -> list[str]:
            piece = pieces[index]
            found[index] = compare(piece.text, text, language)
            texts = [text for *_, text in found[index].texts[:MAX_COMPARED]]
            twice = [text for _, text in doubled(piece.text, language)]
            return [" ".join(compared(piece.text, language)), *texts, *twice]

        heard = recogniser.transcribe(samples, language, others)
        similarities = self._similarities(pieces, samples)
        return [
            self._hearing(recogniser, pieces[index], words, found[index], similarities[index])
            for index, words in enumerate(heard)
        ]

    def _hearing(
        self,
        recogniser: Recogniser,
        piece: Piece,
        words: Transcription,
        differences: Differences,
        similarity: float | None,
    ) -> Hearing:
        listed = differences.texts[:MAX_COMPARED]
        gains: dict[Kind, float] = {}
        for (kind, run, _), gain in zip(listed, words.gains, strict=False):
            by_token = round(gain / max(recogniser.count_tokens(run), 1), 2)
            gains[kind] = max(gains.get(kind, by_token), by_token)
        twice = list(zip(doubled(piece.text, piece.language), words.gains[len(listed) :], strict=False))
        likeliest = max(twice, key=lambda pair: pair[1], default=None)
        if likeliest and likeliest[1] > SURE_TWICE and not differences.repeated:
            differences.repeated.append(likeliest[0][0])
        heard = map(operator.sub, words.likely, words.expected)
        unheard, word = min(zip(heard, compared(piece.text, piece.language), strict=False), default=(None, None))
        return Hearing(
            by=recogniser.name + self._by,
            text=words.text,
            certainty=round(words.certainty, 3),
            gains=gains,
            doubled=likeliest[1] if likeliest else None,
            weakest=round(min(words.likely), 2) if words.likely else None,
            unheard=None if unheard is None else round(unheard, 2),
            unheard_word=word,
            differences=differences,
            similarity=similarity,
        )

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
                self._speakers[voice] = self._encoder.embed([resampled(load())])[0] if load and self._encoder else None
            return self._speakers[voice]


def resampled(samples: np.ndarray) -> np.ndarray:
    """Samples at SAMPLE_RATE as listeners need them, at `recogniser.RATE`."""
    import numpy as np
    import soxr

    return soxr.resample(np.asarray(samples, np.float32), SAMPLE_RATE, RATE)

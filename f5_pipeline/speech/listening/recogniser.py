"""What writes speech down and says how likely texts are by its sound: Whisper, Moonshine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np

RATE = 16000
"""Sampling rate of what recognisers take, Hz."""

MAX_SECONDS = 30.0
"""Length up to which a piece of speech is written down, s: Whisper's window."""

Others = Callable[[int, str], list[str]]
"""Called with the index of a piece and what is written: the text that was to be said, and others that could have been,
in words as they are compared, whose probabilities are wanted."""


class Transcription(NamedTuple):
    """What is written.

    Attributes:
        certainty: mean log probability of its tokens.
        gains: of each other text: logarithm of how much likelier it is, by the sound, than the first.
        likely: of each word of the first text, by token: log probability by the sound.
        expected: the same by the words before it alone: of silence.
    """

    text: str
    certainty: float
    gains: Sequence[float] = ()
    likely: Sequence[float] = ()
    expected: Sequence[float] = ()


class Recogniser(Protocol):
    """Threads may share one. `name`: of the model; verdicts know its family by how it begins, see `quality.verdict`."""

    name: str

    def hears(self, language: str) -> bool:
        """Whether it knows a language (BCP 47 tag)."""
        ...

    def transcribe(self, pieces: Sequence[np.ndarray], language: str, others: Others) -> list[Transcription]:
        """Write down pieces of speech of a language that it knows: float32, mono, RATE Hz, up to MAX_SECONDS each; what
        is longer is cut."""
        ...

    def count_tokens(self, words: str) -> int:
        """Tokens in which it writes words: names that it does not know have several each."""
        ...

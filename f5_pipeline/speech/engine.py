"""The engine protocol: a stream of chunks in, speech out, chunk by chunk.

It is designed for batches on a device: an engine takes the whole stream of requests, groups them as suits its device,
and yields results in any order. A chunk that fails yields a `Failed` and does not affect others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

MIN_FIT, MAX_FIT = 0.9, 1.3
"""Bounds of the factor by which speech is slowed down or sped up to fill its slot. Slower sounds drawn out, faster is
hard to follow; subtitles often stand longer than their words last, so the lower bound is the narrower one."""

SAMPLE_RATE = 24_000
"""Sample rate of references, takes and masters, Hz: F5-TTS's own rate."""


@dataclass(frozen=True)
class Request:
    """One chunk to speak.

    Attributes:
        key: the key of the take to make.
        text: normalised text.
        language: BCP 47 tag.
        voice: name of the voice.
        speed: 1.0 is the voice's own pace.
        attempt: 0 for the first take of a chunk, 1 for the first retake, and so on.
        expected_seconds: expected duration of the speech, s.
        speech_seconds: target duration of the speech in this voice, s; None: only `expected_seconds` is known.
        room_seconds: of the slot that the speech should fill, its speed changed within MIN_FIT and MAX_FIT; None: no
            slot. `speech_seconds` is fitted already.
    """

    key: str
    text: str
    language: str
    voice: str
    speed: float = 1.0
    attempt: int = 0
    expected_seconds: float = 0.0
    speech_seconds: float | None = None
    room_seconds: float | None = None

    def fitted(self, seconds: float) -> float:
        """The duration nearest to the slot's of speech that lasts `seconds` at its own speed."""
        if self.room_seconds is None:
            return seconds
        return min(max(self.room_seconds, seconds / MAX_FIT), seconds / MIN_FIT)


@dataclass(frozen=True)
class Token:
    """Time of one piece of the spoken text: characters [start_char, end_char), seconds [start, end).

    `divided`: only the time of several pieces together is known, and was divided by their letters.
    """

    start_char: int
    end_char: int
    start: float
    end: float
    divided: bool = False


@dataclass
class Speech:
    """Result of a request.

    Attributes:
        key: the request's key.
        samples: float32, shape (n,), mono, SAMPLE_RATE Hz, within -1..1.
        tokens: times in order; None where the engine does not know them and an aligner must measure them.
        method: where the times come from, for example "engine" (exact).
        details: small facts for the take's record (seed, engine voice, …); JSON values only.
        confidences: of each token's time, 0..1; empty: all are exact.
    """

    key: str
    samples: np.ndarray
    tokens: list[Token] | None = None
    method: str = "engine"
    details: dict[str, Any] = field(default_factory=dict)
    confidences: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class ReferenceVoice:
    """The reference that a voice is cloned from.

    Attributes:
        name: of the voice, for messages.
        sha256: of samples and text, in hex.
        text: spoken in the recording.
        language: BCP 47 tag of the text.
        load: returns the recording: float32, shape (n,), mono, 24 kHz.
        speed: of the voice's own pace, by the recording's: `Request.speech_seconds` has it already. Part of `sound`
            where it is not 1.0.
    """

    name: str
    sha256: str
    text: str
    language: str
    load: Callable[[], np.ndarray]
    speed: float = 1.0


@dataclass(frozen=True)
class Failed:
    """A request that could not be spoken.

    Attributes:
        key: the request's key.
        reason: a sentence for the user.
        another_seed: whether a retake may succeed.
    """

    key: str
    reason: str
    another_seed: bool = False


class Cancelled(Exception):
    """Raised by `Engine.speak` after the batch in flight when `cancelled()` has become true."""


class Engine(Protocol):
    """A speech engine. Construction is cheap; models are loaded by the first `speak` and kept.

    One that has an attribute `phonemes = True` is handed words in IPA between [[ and ]] where a lexicon has IPA; others
    are handed a respelling.
    """

    name: str

    def sound(self, voice: str) -> dict[str, Any]:
        """Everything but text, language, speed and attempt that decides the sound of `voice`; part of take keys."""
        ...

    def check_language(self, language: str) -> None:
        """Raise InputError, with the nearest tags that the engine knows, where it cannot speak a language."""
        ...

    def speak(
        self, requests: Iterable[Request], *, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Speech | Failed]:
        """Yield one result a request, in any order, as soon as it is ready.

        Raises:
            Cancelled: `cancelled()` became true; results already yielded remain valid.
            EngineError: the engine itself cannot go on.
        """
        ...

    def close(self) -> None:
        """Free the device and end worker processes."""
        ...


@contextmanager
def speaking(
    engine: Engine, requests: Iterable[Request], *, cancelled: Callable[[], bool] = lambda: False
) -> Iterator[Iterator[Speech | Failed]]:
    """What `Engine.speak` yields; given up where the caller stops, and not when it is collected, see `ahead.Ahead`."""
    results = engine.speak(requests, cancelled=cancelled)
    try:
        yield results
    finally:
        if close := getattr(results, "close", None):  # any iterator will do
            close()

"""The engine protocol: batches of chunks in, speech out, chunk by chunk.

Made for batches on a device: an engine takes the whole stream of requests, groups them as its device likes best and
yields results in any order. One chunk that fails yields a `Failed` and disturbs no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

SAMPLE_RATE = 24_000
"""Samples a second of everything between reference and master, in Hz: F5-TTS's own rate."""


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
        speech_seconds: how long the speech should last in this voice, s; None where only `expected_seconds` is known.
    """

    key: str
    text: str
    language: str
    voice: str
    speed: float = 1.0
    attempt: int = 0
    expected_seconds: float = 0.0
    speech_seconds: float | None = None


@dataclass(frozen=True)
class Token:
    """Time of one piece of the spoken text: characters [start_char, end_char), seconds [start, end)."""

    start_char: int
    end_char: int
    start: float
    end: float


@dataclass
class Speech:
    """What an engine made of a request.

    Attributes:
        key: the request's key.
        samples: float32, shape (n,), mono, SAMPLE_RATE Hz, within -1..1.
        tokens: times in order, or None where the engine does not know them and an aligner must measure them.
        method: where the times come from, for example "engine" (exact).
        details: small facts for the take's record (seed, engine voice, …); JSON values only.
        confidences: how sure each token's time is, 0..1; empty: all of them exact.
    """

    key: str
    samples: np.ndarray
    tokens: list[Token] | None = None
    method: str = "engine"
    details: dict[str, Any] = field(default_factory=dict)
    confidences: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class ReferenceVoice:
    """What a voice is cloned from.

    Attributes:
        name: of the voice, for messages.
        sha256: of samples and text, in hex.
        text: what is said in the recording.
        language: BCP 47 tag of the text.
        load: the recording: float32, shape (n,), mono, 24 kHz.
    """

    name: str
    sha256: str
    text: str
    language: str
    load: Callable[[], np.ndarray]


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
    """A speech engine. Construction is cheap; what is heavy is loaded on the first `speak` and kept."""

    name: str

    def sound(self, voice: str) -> dict[str, Any]:
        """Everything but text, language, speed and attempt that decides how `voice` sounds: goes into take keys."""
        ...

    def check_language(self, language: str) -> None:
        """Raise InputError, with the nearest tags that the engine knows, where it cannot speak a language."""
        ...

    def speak(
        self, requests: Iterable[Request], *, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Speech | Failed]:
        """Yield one result a request, in any order, as soon as each is there.

        Raises:
            Cancelled: `cancelled()` became true; results already yielded stand.
            EngineError: the engine itself cannot go on.
        """
        ...

    def close(self) -> None:
        """Free the device and end worker processes."""
        ...

"""Draft renderings of any text by one fixed espeak voice: the standard for alignment, durations and quality measures.

The voice is independent of the narration's, so that a text has one draft for all voices. Its words and times are exact
(see `draft`), and the same text always gives the same template.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech.audio import features
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.engine import SAMPLE_RATE, Request, Speech, Token
from f5_pipeline.speech.engines.draft.engine import DraftEngine, espeak_voice
from f5_pipeline.speech.engines.draft.reading import KANJI, check_text, mostly_unread

if TYPE_CHECKING:
    import numpy as np

# A male voice without breath or effects, at espeak's middle pitch and a narrator's pace, words a minute.
_VOICE: dict[str, Any] = {"variant": "m3", "pitch": 50, "rate": 165}

_PAUSE_FRAMES = 15  # shorter silence belongs to the sounds around it (a plosive's closure lasts up to 0.1 s)


class NoDraft(InputError):
    """espeak cannot speak a text or a language, so there is no draft of it."""


@dataclass(frozen=True)
class Template:
    """A draft rendering, from its first to its last sound.

    Attributes:
        features: float32, shape (n, features.BANDS): its `features.log_mel`, not normalised.
        tokens: exact times of its words from the first sound on, in order.
        seconds: from the first to the last sound, pauses included.
        articulation: the same without its pauses, s; see `articulation_seconds`.
    """

    features: np.ndarray
    tokens: tuple[Token, ...]
    seconds: float
    articulation: float


class Drafts:
    """Draft renderings, the latest kept in memory. Threads may share one; a text is rendered once for all of them.

    Attributes:
        workers: renderings made at the same time.
    """

    def __init__(self, workers: int | None = None, cache_bytes: int = 64 << 20) -> None:
        """
        Args:
            workers: renderings made at the same time, each in its own process; by default one a processor.
            cache_bytes: memory for templates; the least recently used are dropped first.
        """
        self._engine = DraftEngine(workers, manner=lambda voice: _VOICE)
        self.workers = workers or os.cpu_count() or 1
        self._slots = threading.BoundedSemaphore(self.workers)
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Template] = OrderedDict()
        self._bytes = 0
        self._max_bytes = cache_bytes
        self._making: dict[tuple[str, str], Future[Template]] = {}

    def check_language(self, language: str) -> None:
        """Raise NoDraft, with the nearest tags, where espeak does not speak a language or cannot read it here."""
        try:
            espeak_voice(language)
            check_text(KANJI, language)
        except InputError as error:
            raise NoDraft(error.message, hint=error.hint) from error

    def template(self, text: str, language: str) -> Template:
        """The draft of a text.

        Args:
            text: normalised text, up to `draft.MAX_TEXT` characters.
            language: BCP 47 tag.

        Raises:
            NoDraft: espeak does not speak the language, cannot read the text, or the text makes no sound.
            EngineError: espeak cannot be started.
        """
        key = (text, language)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return _widened(kept)
            future = self._making.get(key)
            first = future is None
            if future is None:
                future = self._making[key] = Future()
        if not first:
            return _widened(future.result())
        try:
            template = _narrowed(template_of(self.speech(text, language)))
        except BaseException as error:
            with self._lock:
                del self._making[key]
            future.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            self._kept[key] = template
            self._bytes += _size(key, template)
            while self._bytes > self._max_bytes and self._kept:
                self._bytes -= _size(*self._kept.popitem(last=False))
        future.set_result(template)
        return _widened(template)

    def speech(self, text: str, language: str) -> Speech:
        """The rendering itself, which is not kept.

        Raises: as `template`.
        """
        self.check_language(language)
        if mostly_unread(text, language):
            raise NoDraft(f"espeak-ng reads no Chinese characters in {language}")
        with self._slots:
            (result,) = self._engine.speak([Request(key="", text=text, language=language, voice="")])
        if not isinstance(result, Speech):
            raise NoDraft(result.reason.rstrip("."))
        return result

    def close(self) -> None:
        """End the worker processes and forget the templates; a later `template` starts new ones."""
        self._engine.close()
        with self._lock:
            self._kept.clear()
            self._bytes = 0


def rendering() -> str:
    """Identity of all that decides the sound of a draft besides text and language: espeak, its data, the voice."""
    voice = "-".join(str(value) for value in _VOICE.values())
    return f"{DraftEngine(1).sound('')['espeak']}/{voice}"


def template_of(speech: Speech) -> Template:
    """The template of any rendering with exact times.

    Raises:
        NoDraft: there is no sound in it.
    """
    levels = audio.frame_levels(speech.samples)
    bounds = audio.loud_bounds(levels)
    if bounds is None:
        raise NoDraft("there is no sound in the draft")
    size = round(features.HOP * SAMPLE_RATE)
    cut = speech.samples[bounds[0] * size : bounds[1] * size]
    first, seconds = bounds[0] * features.HOP, len(cut) / SAMPLE_RATE
    tokens = []
    for token in speech.tokens or ():
        start, end = (min(max(time - first, 0.0), seconds) for time in (token.start, token.end))
        tokens.append(replace(token, start=start, end=end))
    return Template(features.log_mel(cut), tuple(tokens), seconds, _articulation(levels, bounds))


def articulation_seconds(samples: np.ndarray) -> float:
    """Seconds of speech in mono samples at SAMPLE_RATE, without edges and without pauses of 0.15 s and more.

    Measured alike on drafts and recordings, so that their ratio is that of the paces, whatever their pauses.
    """
    levels = audio.frame_levels(samples)
    bounds = audio.loud_bounds(levels)
    return 0.0 if bounds is None else _articulation(levels, bounds)


def _articulation(levels: np.ndarray, bounds: tuple[int, int]) -> float:
    inside = levels[bounds[0] : bounds[1]]
    quiet = audio.loud_runs(-inside, -audio.speech_threshold(levels) + 1e-6)
    return (len(inside) - sum(last - first for first, last in quiet if last - first >= _PAUSE_FRAMES)) * features.HOP


def _narrowed(template: Template) -> Template:
    """With float16 features, as kept: the error is at most 0.01, a twentieth of that of noise 40 dB below."""
    import numpy as np

    return replace(template, features=template.features.astype(np.float16))


def _widened(template: Template) -> Template:
    import numpy as np

    return replace(template, features=template.features.astype(np.float32))


def _size(key: tuple[str, str], template: Template) -> int:
    """Approximate bytes in memory; a token takes about 200."""
    return template.features.nbytes + 200 * len(template.tokens) + 4 * len(key[0]) + 500

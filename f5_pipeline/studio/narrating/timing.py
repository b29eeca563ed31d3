"""Durations of chunks, word times and measures of the quality gate, all against a draft rendering of the same text."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from f5_pipeline.errors import InputError
from f5_pipeline.speech import engines
from f5_pipeline.speech.ahead import ahead
from f5_pipeline.speech.alignment.forced import Alignment, AlignmentError, align, proportional
from f5_pipeline.speech.alignment.pace import speech_seconds, voice_rate
from f5_pipeline.speech.alignment.renderings import Drafts, NoDraft
from f5_pipeline.speech.engine import SAMPLE_RATE, Request, Speech, Token
from f5_pipeline.speech.quality.gate import ReferenceTail, measure
from f5_pipeline.speech.takes import MIN_WORD_SECONDS
from f5_pipeline.store.base import Store
from f5_pipeline.studio.narrating.engines import references_of
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Shard

if TYPE_CHECKING:
    import numpy as np

Line = TypeVar("Line")

_MAX_AHEAD = 600
"""Drafts that are rendered ahead of the engine: more than the f5 engine pulls at a time (512)."""

_DRAFT_BYTES = 128 << 20
"""Memory for drafts between rendering and alignment: two windows of chunks of 7 s take half of it."""


class _Voice:
    """Measures of a voice's reference: its rate against the draft, and its last sounds."""

    def __init__(self, samples: np.ndarray, rate: float) -> None:
        self.rate = rate
        self.tail = ReferenceTail.of(samples)


class Timer:
    """Durations, word times and measures of takes in given voices. Threads may share one; close it after use."""

    def __init__(self, store: Store, voices: Iterable[str], workers: int) -> None:
        """
        Args:
            voices: names; one without a reference fails when it is used.
            workers: processes that render drafts.
        """
        self._drafts = Drafts(workers, _DRAFT_BYTES)
        self._workers = workers
        self._references = references_of(store, voices)
        self._voices: dict[str, _Voice] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Timer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._drafts.close()

    def ahead(self, lines: Iterable[Line], request_of: Callable[[Line], Request]) -> Iterator[tuple[Line, float | str]]:
        """Each line with its speech seconds, or with the reason why it cannot be spoken; computed ahead in threads."""

        def outcome(line: Line) -> tuple[Line, float | str]:
            try:
                return line, self.seconds(request_of(line))
            except InputError as error:
                return line, str(error)

        return ahead(outcome, lines, threads=self._workers, max_pending=_MAX_AHEAD, name="draft")

    def seconds(self, request: Request) -> float:
        """How long a chunk should last in its voice, pauses included and fitted to its slot if any, s.

        Raises:
            InputError: the voice has no reference.
        """
        voice = self._voice(request.voice)
        try:
            seconds = speech_seconds(request.text, request.language, voice.rate, self._drafts, request.speed)
        except NoDraft:  # espeak does not speak the language: estimate by syllables
            seconds = request.expected_seconds * voice.rate
        return request.fitted(seconds)

    def time(self, request: Request, speech: Speech) -> dict[str, Any] | None:
        """Time the words of a take, in place, and return what the quality gate measures of it.

        None where espeak does not speak the language: then nothing can be measured, and times are proportional.

        Raises:
            InputError: the take is silent.
        """
        alignment: Alignment | AlignmentError
        measures = None
        try:
            template = self._drafts.template(request.text, request.language)
        except NoDraft as error:
            alignment = AlignmentError(str(error))
        else:
            try:
                alignment = align(speech.samples, template)
            except AlignmentError as error:
                alignment = error
            expected = request.speech_seconds or request.expected_seconds
            tail = self._voice(request.voice).tail
            measured = measure(speech.samples, template, alignment, expected_seconds=expected, reference=tail)
            measures = measured.model_dump(exclude_none=True)
        if isinstance(alignment, AlignmentError):
            alignment = proportional(request.text, speech.samples, request.language)
        speech.tokens, speech.confidences = _in_order(alignment, len(speech.samples) / SAMPLE_RATE)
        speech.method = alignment.method
        return measures

    def _voice(self, name: str) -> _Voice:
        with self._lock:
            if name not in self._voices:
                reference = self._references.get(name)
                if reference is None:
                    raise InputError(
                        f"voice {name!r} has no reference", hint=f"Run: f5-pipeline voices prepare {name}."
                    )
                samples = reference.load()
                try:
                    rate = voice_rate(samples, reference.text, reference.language, self._drafts)
                except NoDraft:
                    rate = 1.0
                self._voices[name] = _Voice(samples, rate / reference.speed)
            return self._voices[name]


def timer_of(store: Store, shard: Shard, options: StudioOptions) -> AbstractContextManager[Timer | None]:
    """The timer of a shard, None where its engine knows its own times."""
    if engines.spec_of(shard.engine).times_itself:
        return nullcontext()
    return Timer(store, shard.voices, options.workers_beside(options.shards))


def _in_order(alignment: Alignment, seconds: float) -> tuple[list[Token], list[float]]:
    """Tokens and confidences, each token at least MIN_WORD_SECONDS long and within the audio; others are left out."""
    tokens, confidences, last = [], [], 0.0
    for token, confidence in zip(alignment.tokens, alignment.confidence, strict=True):
        start = max(token.start, last)
        end = max(min(token.end, seconds), start + MIN_WORD_SECONDS)
        if end <= seconds:
            tokens.append(replace(token, start=start, end=end))
            confidences.append(confidence)
            last = end
    return tokens, confidences

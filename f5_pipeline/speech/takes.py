"""Takes: the audio of one chunk in one attempt, addressed by everything that decides its sound."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from f5_pipeline.errors import InputError
from f5_pipeline.speech.chunks import Word
from f5_pipeline.speech.engine import SAMPLE_RATE, Request, Speech, Token

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
"""Version of the key's recipe; a new version invalidates all takes."""

MIN_WORD_SECONDS = 0.001
"""Shortest duration of a word (less only where a take has more words than fit)."""

_FRAME, _HOP = 0.010, 0.005  # s, of the level meter
_THRESHOLD = -40.0  # dB below the loudest frame: limit of sound
_MIN_THRESHOLD = -30.0  # dB: as far as a noisy recording may raise it
_MARGIN_BEFORE, _MARGIN_AFTER = 0.015, 0.025  # s: soft onsets, dying away
CHECKSUM = "checksum"
"""Field of a kept take record: checksum over all other fields."""

_ROUNDING_SECONDS = 1e-6
_FULL_SCALE = 0.999
_MAX_CLIPPED = 0.01  # share of samples


class Take(BaseModel):
    """The record of a take; its audio is a FLAC file (mono, 24 kHz, 16 bit) under the same key.

    `tokens` holds [start_char, end_char, start_s, end_s] for each timed piece of `text`, in order, without overlap.
    """

    key: str
    text: str
    language: str
    voice: str
    engine: str
    samples: int = Field(description="length of the audio in samples at 24 kHz")
    speech_start: float = Field(description="first sound, seconds from the take's start")
    speech_end: float = Field(description="end of the last sound, seconds from the take's start")
    tokens: list[tuple[int, int, float, float]]
    method: str = Field(description="source of the times: engine, dtw, proportional; none: not timed yet")
    confidences: list[float] = Field(default=[], description="of each token's time, 0..1; empty: all are exact")
    divided: list[int] = Field(default=[], description="tokens, from 0, that share one time, divided by their letters")
    peak: float = Field(description="largest absolute sample, 1.0 is full scale")
    rms_dbfs: float = Field(description="level of the speech, dB relative to full scale")
    sha256: str = Field(description="of the FLAC file")
    details: dict[str, Any] = {}
    measures: dict[str, Any] | None = Field(default=None, description="of the quality gate; None: not measured")
    heard: dict[str, Any] | None = Field(default=None, description="by a listener, `Hearing`; None: not listened to")


def take_key(
    *, text: str, language: str, sound: dict[str, Any], speed: float, attempt: int, room: float | None = None
) -> str:
    """The key of a take: sha256, in hex, over everything that decides its sound.

    Args:
        text: normalised text, as handed to the engine.
        language: BCP 47 tag.
        sound: `Engine.sound` of the voice; JSON values only.
        speed: 1.0 is the voice's own pace.
        attempt: 0 for the first take of a chunk.
        room: of the slot that its speech fills, s; None: no slot.

    Raises:
        ValueError: a number is not finite. TypeError: `sound` holds a value that is not JSON.
    """
    recipe = {
        "format": FORMAT,
        "text": text,
        "language": language.lower(),
        "sound": sound,
        "speed": float(speed),
        "attempt": int(attempt),
        **({} if room is None else {"room": float(room)}),
    }
    canonical = json.dumps(recipe, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def seed_of(key: str) -> int:
    """The seed of the take with this key, 0 <= seed < 2**63."""
    return int(hashlib.sha256(f"seed:{key}".encode()).hexdigest()[:16], 16) >> 1


def make_take(
    request: Request, speech: Speech, engine_name: str, measures: dict[str, Any] | None = None
) -> tuple[Take, bytes]:
    """The record and the FLAC file of a take. The same speech gives the same bytes.

    Args:
        measures: of the quality gate.

    Raises:
        InputError: the audio is unusable (empty, not finite, out of range, clipped, silent), or the times are not
            in order inside the text and the audio.
    """
    import numpy as np

    from f5_pipeline.speech.libsndfile import soundfile

    samples = np.asarray(speech.samples)
    _check_audio(samples)
    pcm = np.clip(np.rint(samples.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)
    rounded = pcm.astype(np.float32) / np.float32(32768)
    if not pcm.any():
        raise InputError("The engine gave silence")
    seconds = pcm.size / SAMPLE_RATE
    tokens = [(token.start_char, token.end_char, float(token.start), float(token.end)) for token in speech.tokens or []]
    tokens = _checked_tokens(tokens, len(request.text), seconds)
    start, end = _speech_bounds(rounded)
    if tokens:
        start, end = min(start, tokens[0][2]), max(end, tokens[-1][3])
    spoken = rounded[int(start * SAMPLE_RATE) : math.ceil(end * SAMPLE_RATE)].astype(np.float64)
    file = io.BytesIO()
    soundfile.write(file, pcm, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    audio = file.getvalue()
    take = Take(
        key=request.key,
        text=request.text,
        language=request.language,
        voice=request.voice,
        engine=engine_name,
        samples=pcm.size,
        speech_start=start,
        speech_end=end,
        tokens=tokens,
        method="none" if speech.tokens is None else speech.method,
        confidences=_checked_confidences(speech.confidences, len(tokens)),
        divided=[index for index, token in enumerate(speech.tokens or ()) if token.divided],
        peak=float(np.abs(rounded).max()),
        rms_dbfs=round(float(10 * np.log10(np.mean(spoken**2))), 2),
        sha256=hashlib.sha256(audio).hexdigest(),
        details={**speech.details, "speed": request.speed, "attempt": request.attempt},
        measures=measures,
    )
    return take, audio


def take_json(take: Take) -> bytes:
    """A take's record as it is kept: JSON with a `checksum` over the other fields."""
    fields = json.loads(take.model_dump_json())
    return json.dumps({**fields, CHECKSUM: _checksum(fields)}, ensure_ascii=False, separators=(",", ":")).encode()


def problem_of(take: Take, data: bytes) -> str | None:
    """The fault of a take's record, None where there is none.

    Records of older versions have no checksum; only the plausibility of their times is checked.

    Args:
        take: parsed from `data`, the record as it is kept.
    """
    fields = json.loads(data)
    checksum = fields.pop(CHECKSUM, None)
    if checksum is not None:
        return None if checksum == _checksum(fields) else "its checksum is not that of its content"
    seconds = take.samples / SAMPLE_RATE
    if not 0 <= take.speech_start <= take.speech_end <= seconds + _ROUNDING_SECONDS:
        return f"its speech goes from {take.speech_start} s to {take.speech_end} s of {seconds:.3f} s"
    if not take.tokens and take.method != "none":
        return "it has no times"
    try:
        _checked_tokens(take.tokens, len(take.text), seconds)
        _checked_confidences(take.confidences, len(take.tokens))
    except InputError as error:
        return error.message
    return None


def _checksum(fields: dict[str, Any]) -> str:
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def read_take_audio(source: bytes | str | Path) -> np.ndarray:
    """The audio of a take: float32, shape (n,), SAMPLE_RATE Hz.

    Args:
        source: the FLAC file's content, or its path.

    Raises:
        InputError: it is not the audio of a take, or is damaged.
    """
    from f5_pipeline.speech.libsndfile import soundfile

    file = None if isinstance(source, bytes) else str(source)
    try:
        samples, rate = soundfile.read(
            io.BytesIO(source) if isinstance(source, bytes) else str(source), dtype="float32"
        )
    except (soundfile.SoundFileError, OSError) as error:
        raise InputError(
            f"The audio of a take cannot be read ({error})", file=file, hint="Delete the take; it is made again."
        ) from error
    if rate != SAMPLE_RATE or samples.ndim != 1 or not samples.size:
        raise InputError(
            f"Not the audio of a take: {rate} Hz, shape {samples.shape}; mono of {SAMPLE_RATE} Hz was expected",
            file=file,
        )
    return samples


def _check_audio(samples: np.ndarray) -> None:
    import numpy as np

    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise InputError(f"The engine gave {samples.dtype} of shape {samples.shape} instead of mono float samples")
    if not samples.size:
        raise InputError("The engine gave no audio")
    if not np.isfinite(samples).all():
        raise InputError("The engine gave samples that are not numbers")
    peak = float(np.abs(samples).max())
    if peak > 1.0:
        raise InputError(f"The engine gave samples out of range (peak {peak:.3g})")
    share = float(np.mean(np.abs(samples) >= _FULL_SCALE))
    if share > _MAX_CLIPPED:
        raise InputError(f"The audio is clipped: {share:.0%} of its samples are at full scale")


def _checked_tokens(
    tokens: list[tuple[int, int, float, float]], characters: int, seconds: float
) -> list[tuple[int, int, float, float]]:
    """The tokens, cut at the audio's end where they exceed it by rounding. Raises InputError for times out of order."""
    checked: list[tuple[int, int, float, float]] = []
    place, time = 0, 0.0
    for first, last, start, end in tokens:
        end = seconds if seconds < end < seconds + 0.01 else end
        if not (place <= first < last <= characters and time <= start < end <= seconds):
            raise InputError(
                f"the times are out of order: characters {first} to {last}, {start:.3f} s to {end:.3f} s "
                f"(text of {characters} characters, audio of {seconds:.3f} s)"
            )
        checked.append((first, last, start, end))
        place, time = last, end
    return checked


def _checked_confidences(confidences: list[float], tokens: int) -> list[float]:
    if confidences and len(confidences) != tokens:
        raise InputError(f"{tokens} tokens have {len(confidences)} confidences")
    return [round(min(1.0, max(0.0, float(confidence))), 3) for confidence in confidences]


def speech_span(samples: np.ndarray, tokens: Sequence[Token] | None) -> tuple[float, float]:
    """First and last sound of speech, s, as a take records them."""
    start, end = _speech_bounds(samples)
    return (min(start, tokens[0].start), max(end, tokens[-1].end)) if tokens else (start, end)


def _speech_bounds(samples: np.ndarray) -> tuple[float, float]:
    """Start and end of the sound, s, by the level of 10 ms frames against the loudest frame and the noise floor."""
    import numpy as np

    hop, frame = round(_HOP * SAMPLE_RATE), round(_FRAME * SAMPLE_RATE)
    energy = np.concatenate(([0.0], np.cumsum(samples.astype(np.float64) ** 2)))
    starts = np.arange(0, max(1, samples.size - frame + hop), hop)
    ends = np.minimum(starts + frame, samples.size)
    level = 10 * np.log10(np.maximum((energy[ends] - energy[starts]) / (ends - starts), 1e-12))
    loudest = float(level.max())
    noise = float(np.percentile(level, 10)) + 6
    loud = np.flatnonzero(level >= min(max(loudest + _THRESHOLD, noise), loudest + _MIN_THRESHOLD))
    first, last = int(starts[loud[0]]), int(ends[loud[-1]])
    return (
        max(0.0, first / SAMPLE_RATE - _MARGIN_BEFORE),
        min(samples.size / SAMPLE_RATE, last / SAMPLE_RATE + _MARGIN_AFTER),
    )


INTERPOLATED = "interpolated"
"""Method of a word without a time of its own: it is placed between its neighbours, or has its part of the time that is
known of several words together."""
_INTERPOLATED_CONFIDENCE = 0.5


def word_methods(words: list[Word], take: Take) -> list[tuple[str, float]]:
    """Method and confidence (0..1, the lowest of its tokens) of each word's time."""
    if not take.tokens:
        return [(take.method, 0.0)] * len(words)
    methods: list[tuple[str, float]] = []
    divided = frozenset(take.divided)
    first = 0
    for word in words:
        start, end = word.spoken
        while first < len(take.tokens) and take.tokens[first][1] <= start:
            first += 1
        confidences: list[float] = []
        shared = False
        place = first
        while place < len(take.tokens) and take.tokens[place][0] < end:
            confidences.append(take.confidences[place] if take.confidences else 1.0)
            shared |= place in divided
            place += 1
        if shared or not confidences:
            methods.append((INTERPOLATED, min([*confidences, _INTERPOLATED_CONFIDENCE])))
        else:
            methods.append((take.method, min(confidences)))
    return methods


def word_times(words: list[Word], take: Take) -> list[tuple[float, float]]:
    """Start and end of each word, seconds from the take's start.

    A word lasts from the first to the last token that overlaps its span; words that share a token divide its time by
    their characters in it. Words without a token (an emoji, a dash; every word of a take that is not timed yet) are
    placed between their neighbours, or inside the word before where those touch.

    Args:
        words: in order; their spans are in `take.text`.

    Returns:
        One (start, end) a word: start < end, each starts at or after the end of the one before, all within the take.
    """
    if not words:
        return []
    seconds = take.samples / SAMPLE_RATE
    if seconds <= 0:
        raise InputError("A take without audio has no word times")
    return _in_order(_fill(words, _from_tokens(words, take), take), seconds)


def _from_tokens(words: list[Word], take: Take) -> list[tuple[float, float] | None]:
    times: list[tuple[float, float] | None] = [None] * len(words)
    first_word = 0
    for token_start, token_end, start, end in take.tokens:
        while first_word < len(words) and words[first_word].spoken[1] <= token_start:
            first_word += 1
        shares: list[tuple[int, int]] = []
        place = first_word
        while place < len(words) and words[place].spoken[0] < token_end:
            low, high = words[place].spoken
            overlap = min(high, token_end) - max(low, token_start)
            if overlap > 0:
                shares.append((place, overlap))
            place += 1
        total = sum(overlap for _, overlap in shares)
        done = 0
        for index, overlap in shares:
            begin = start + (end - start) * done / total
            done += overlap
            stop = start + (end - start) * done / total
            before = times[index]
            times[index] = (begin if before is None else before[0], stop)
    return times


def _fill(words: list[Word], partial: list[tuple[float, float] | None], take: Take) -> list[tuple[float, float]]:
    times = list(partial)
    index = 0
    while index < len(words):
        if times[index] is not None:
            index += 1
            continue
        first, last = index, index
        while last < len(words) and times[last] is None:
            last += 1
        index = last
        before = times[first - 1] if first else None
        after = times[last] if last < len(words) else None
        low = before[1] if before else take.speech_start
        high = after[0] if after else take.speech_end
        if high - low < MIN_WORD_SECONDS * (last - first):
            # No room: share the time of the word before, else of the word after, else of the whole take.
            if before:
                first, low, high = first - 1, before[0], before[1]
            elif after:
                last, low, high = last + 1, after[0], after[1]
            else:
                low, high = 0.0, take.samples / SAMPLE_RATE
        weights = [
            max(1, len(words[place].text), words[place].spoken[1] - words[place].spoken[0])
            for place in range(first, last)
        ]
        total, done = sum(weights), 0
        for place, weight in zip(range(first, last), weights, strict=True):
            times[place] = (low + (high - low) * done / total, low + (high - low) * (done + weight) / total)
            done += weight
    return [time for time in times if time is not None]


def _in_order(times: list[tuple[float, float]], seconds: float) -> list[tuple[float, float]]:
    """Word times, each at least MIN_WORD_SECONDS long, in order, without overlap, within the take."""
    shortest = min(MIN_WORD_SECONDS, seconds / (4 * len(times)))
    forward: list[tuple[float, float]] = []
    earliest = 0.0
    for start, end in times:
        start = max(start, earliest)
        earliest = max(end, start + shortest)
        forward.append((start, earliest))
    ordered: list[tuple[float, float]] = []
    latest = seconds
    for start, end in reversed(forward):
        end = min(end, latest)
        latest = min(start, end - shortest)
        ordered.append((latest, end))
    return ordered[::-1]

"""/v1/audio/speech: a text spoken at once, as OpenAI's clients ask for it.

The draft voice answers sentence by sentence, from workers that are kept. Other engines speak what the store has no
takes of in this process, as a run would, and keep the takes; that takes as long as it takes.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Iterator
from functools import cache
from io import RawIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from f5_pipeline.errors import EngineError, InputError
from f5_pipeline.gateway.api.access import Narrator
from f5_pipeline.gateway.api.fetching import BusyError
from f5_pipeline.gateway.api.models import Options, SpeechRequest
from f5_pipeline.gateway.api.narrations import At
from f5_pipeline.gateway.api.service import Service
from f5_pipeline.gateway.app import AUDIT
from f5_pipeline.speech import engines
from f5_pipeline.speech.chunks import iter_chunks
from f5_pipeline.speech.engine import SAMPLE_RATE, Cancelled, Engine, Failed
from f5_pipeline.speech.engines.draft.engine import DraftEngine
from f5_pipeline.speech.takes import Take, make_take, read_take_audio
from f5_pipeline.store import layout
from f5_pipeline.store.records import put_lines
from f5_pipeline.studio.keys import charge
from f5_pipeline.studio.narrating.engines import EngineChoice, chosen_engine, retakes_of
from f5_pipeline.studio.narrating.gate import Bands, choose, keys_of
from f5_pipeline.studio.narrating.planning import MissingTake, lexicon_of, missing_chunks, planned_chunks
from f5_pipeline.studio.narrating.scripts import LoadedScript, check_language
from f5_pipeline.studio.narrating.shards import ShardLine, request_of
from f5_pipeline.studio.narrating.synthesis import synthesize_shard
from f5_pipeline.studio.records import PlannedChunk, Shard

if TYPE_CHECKING:
    import numpy as np

router = APIRouter(tags=["speech"])

DEFAULT_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "auto")
"""Names that mean the engine of this installation."""

_MP3_LEVEL = 0.5
"""Of libsndfile: in the middle of the bit rates that 24 kHz has, 84 kbit/s."""

MAX_DEVICE_SECONDS = 120.0
"""How long another engine may take, and wait for a device, before the request is given up."""

MAX_SPEAKERS = 8
"""Requests that are spoken at once."""

_MEDIA = {"mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac", "opus": "audio/ogg", "pcm": "audio/pcm"}
_SPEAKERS = threading.BoundedSemaphore(MAX_SPEAKERS)


@cache
def warm_draft() -> DraftEngine:
    """The draft engine of this process: its workers are kept between requests."""
    return DraftEngine()


@router.post(
    "/v1/audio/speech",
    summary="Speak a text at once",
    response_class=StreamingResponse,
    responses={200: {"content": {"audio/mpeg": {"schema": {"type": "string", "format": "binary"}}}}},
)
def speak(given: SpeechRequest, caller: Narrator, service: At, request: Request) -> StreamingResponse:
    """Audio as it is spoken. `pcm` is mono, 24 kHz, 16 bit, little-endian."""
    request.scope[AUDIT] |= {"model": given.model, "characters": len(given.input)}
    values: dict[str, Any] = {"voice": given.voice, "speed": given.speed, "language": given.language, "title": "speech"}
    if any(spec.name == given.model for spec in engines.all_specs()):
        values["engine"] = given.model
    elif given.model not in DEFAULT_MODELS:
        values |= {"engine": "f5", "model": given.model}
    options = Options.model_validate({name: value for name, value in values.items() if value is not None})
    loaded = service.load(given.input.encode(), ".md", options, "speech")
    if not _SPEAKERS.acquire(timeout=2):
        raise BusyError("as many are spoken to as can be", hint="Try again in a moment.")
    try:
        pieces = _pieces(service, loaded)
        first = next(pieces, None)  # an error before the first sound is an answer, not a cut stream
        if first is None:
            raise InputError("there is nothing to speak in it", file="input", hint="Write some words.")
        charge(service.store, caller, sum(chunk.expected_seconds for chunk in iter_chunks(loaded.script)))
    except BaseException:
        _SPEAKERS.release()
        raise
    body = _released(encoded(itertools.chain([first], pieces), given.response_format))
    return StreamingResponse(body, media_type=_MEDIA[given.response_format])


def _released(blocks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from blocks
    finally:
        _SPEAKERS.release()


def _pieces(service: Service, loaded: LoadedScript) -> Iterator[np.ndarray]:
    """Speech and silence in order: float32, mono, SAMPLE_RATE Hz."""
    import numpy as np

    def silence(seconds: float) -> np.ndarray:
        return np.zeros(round(seconds * SAMPLE_RATE), np.float32)

    with chosen_engine(service.store, loaded, service.options) as (planner, choice):
        is_draft = choice.engine == "draft"
        engine = warm_draft() if is_draft else planner
        check_language(engine, loaded)
        chunks = planned_chunks(loaded.script, engine, lexicon_of(loaded, engine))
        if not is_draft:
            planned = list(chunks)
            _make_missing(service, loaded, engine, planned, choice)
            chunks = iter(planned)
        pause = 0.0
        for planned in chunks:
            chunk = planned.chunk
            if is_draft:
                take, samples = _spoken(engine, planned)
            else:
                take, samples = _kept(service, engine, planned, choice.engine)
            yield silence(pause + (chunk.lead or 0.0))
            yield samples[round(take.speech_start * SAMPLE_RATE) : round(take.speech_end * SAMPLE_RATE)]
            pause = loaded.script.pauses.after(chunk.pause) if chunk.silence is None else chunk.silence


def _spoken(engine: Engine, planned: PlannedChunk) -> tuple[Take, np.ndarray]:
    request = request_of(planned.chunk, planned.key, 0)
    (result,) = engine.speak([request])
    if isinstance(result, Failed):
        raise EngineError(result.reason)
    take, _ = make_take(request, result, engine.name)
    return take, result.samples


def _kept(service: Service, engine: Engine, planned: PlannedChunk, name: str) -> tuple[Take, np.ndarray]:
    sound, chunk = engine.sound(planned.chunk.voice), planned.chunk
    band = Bands(service.store).of(chunk.voice, sound)
    choice = choose(service.store, keys_of(chunk, sound), band, retakes_of(name, service.options))
    if choice is None:
        raise EngineError(f"it cannot be spoken: {chunk.written[:60]!r}", hint="Narrate it: the run says why.")
    return choice.take, read_take_audio(service.store.get_bytes(layout.take_audio(choice.take.key)))


def _make_missing(
    service: Service, loaded: LoadedScript, engine: Engine, planned: list[PlannedChunk], choice: EngineChoice
) -> None:
    """Make the takes that the store lacks, in this process, as a step of a run does."""
    store, sounds = service.store, {voice: engine.sound(voice) for voice in loaded.script.voices}
    missing: list[MissingTake] = list(
        missing_chunks(store, planned, sounds, retakes_of(choice.engine, service.options), {})
    )
    missing = [take for take in missing if take.attempt == 0]  # what is doubtful is good enough here
    if not missing:
        return
    run = f"speech-{secrets.token_hex(8)}"
    lines = (
        ShardLine(request=request_of(take.planned.chunk, take.key, 0), narration=run, line=take.planned.chunk.line)
        for take in missing
    )
    key, _ = put_lines(store, lambda _: layout.run_value(run, "shards", "000.jsonl"), lines)
    end = time.monotonic() + MAX_DEVICE_SECONDS
    shard = Shard(
        index=0,
        requests_key=key,
        requests=len(missing),
        expected_seconds=sum(take.planned.chunk.expected_seconds for take in missing),
        engine=choice.engine,
        model=choice.model,
        sampler=choice.sampler,
        voices=loaded.script.voices,
    )
    try:
        synthesize_shard(store, shard, service.options, cancelled=lambda: time.monotonic() > end)
    except Cancelled:
        raise EngineError("no device is free, or the text is too long for that", hint="Submit a narration.") from None
    finally:
        store.delete(key)


class _Pipe(RawIOBase):
    """What an encoder writes to: what is there can be taken. What it corrects of that in the end, as the length in a
    header, is lost: a stream has no known length."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._at = self._taken = 0

    def write(self, data: Any) -> int:
        data = bytes(data)
        if (begin := self._at - self._taken) >= 0:
            self._kept[begin : begin + len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._taken + len(self._kept))[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def taken(self) -> bytes:
        block, self._kept = bytes(self._kept), bytearray()
        self._taken += len(block)
        return block


def encoded(pieces: Iterator[np.ndarray], file_format: str) -> Iterator[bytes]:
    """Encode audio (float32, mono, SAMPLE_RATE Hz) as it comes."""
    import numpy as np

    if file_format in ("pcm", "wav"):
        if file_format == "wav":
            yield _wav_header()
        for piece in pieces:
            yield np.clip(np.rint(piece * 32768), -32768, 32767).astype("<i2").tobytes()
        return
    from f5_pipeline.speech.libsndfile import soundfile

    subtype = {"mp3": "MPEG_LAYER_III", "flac": "PCM_16", "opus": "OPUS"}[file_format]
    container = {"mp3": "MP3", "flac": "FLAC", "opus": "OGG"}[file_format]
    pipe = _Pipe()
    # Players tell the length of a stream of MP3 by its bit rate.
    rate: dict[str, Any] = {"bitrate_mode": "CONSTANT", "compression_level": _MP3_LEVEL} if file_format == "mp3" else {}
    with soundfile.SoundFile(cast("BinaryIO", pipe), "w", SAMPLE_RATE, 1, subtype, format=container, **rate) as encoder:
        for piece in pieces:
            encoder.write(piece)
            # FLAC is kept to its end: readers refuse one that does not say its length.
            if file_format != "flac" and (block := pipe.taken()):
                yield block
    if block := pipe.taken():
        yield block


def _wav_header() -> bytes:
    """Of a stream: 16 bit, mono, and the greatest length there is."""
    import struct

    endless, rate = 0xFFFFFFFF, SAMPLE_RATE
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", endless, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return head + struct.pack("<4sI", b"data", endless - 36)

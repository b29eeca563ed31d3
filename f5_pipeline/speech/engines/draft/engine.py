"""The draft engine: espeak-ng, to check a script, its timing and its delivery on any CPU in seconds.

Words and times are exact, the voice is synthetic. espeak-ng runs in worker processes (`draft.worker`), one request at a
time each; threads here control them and resample the audio. The same request always gives the same samples, whatever
was spoken before and on however many workers.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from f5_pipeline.errors import EngineError, InputError
from f5_pipeline.speech.engine import MAX_FIT, MIN_FIT, SAMPLE_RATE, Cancelled, Failed, Request, Speech
from f5_pipeline.speech.engines.draft import worker as draft_worker
from f5_pipeline.speech.engines.draft.phonemes import as_mnemonics, table_of
from f5_pipeline.speech.engines.draft.reading import check_text, readable
from f5_pipeline.speech.engines.draft.times import has_speech, speakable, tokens_of
from f5_pipeline.speech.takes import speech_span
from f5_pipeline.speech.text.ipa import MARK

MAX_TEXT = 10_000
"""Maximum number of characters of a request."""

_GRACE = 5.0  # s that a worker has beyond the time it gives its child
_INSTALL = "Install it with: pip install espeakng-loader."

# Variants without effects such as whisper, croak or echo, in range without clipping and alike in level. Two voices can
# still meet in one: then pitch and rate tell them apart.
_MALE = ("m1", "m2", "m3", "m4", "m5", "m7", "m8", "adam", "david", "Lee")
_FEMALE = ("f1", "f2", "f3", "f4", "f5", "Annie", "aunty", "shelby", "steph")
VARIANTS = _MALE + _FEMALE
_ASSIGNMENT = "3"  # a change gives every voice another sound

# Listed by espeak, but their dictionaries are not in the package: they are mute.
_MUTE = frozenset({"fo", "kaa", "xex"})

# Tags that mean a language under another name than espeak's.
_SAME_LANGUAGE = {
    "zh-tw": "cmn", "zh-cn": "cmn", "zh-sg": "cmn", "zh-hk": "yue", "zh-mo": "yue", "zh": "cmn", "zh-hans-hk": "yue",
    "zh-hant-hk": "yue", "zh-hant-mo": "yue", "zh-min-nan": "hak", "en-gb": "en", "en-au": "en", "en-ie": "en",
    "en-ca": "en-us", "en-ph": "en-us", "en-pr": "en-us", "nn": "nb", "iw": "he", "in": "id", "mo": "ro", "ji": "yi",
    "sh": "hr", "es-latn": "es", "es-us": "es-419", "es-ar": "es-419", "es-co": "es-419", "es-cl": "es-419",
    "es-pe": "es-419", "es-ve": "es-419", "es-uy": "es-419", "fr-fr": "fr", "prs": "fa", "pes": "fa", "arb": "ar",
}  # fmt: skip


@dataclass(frozen=True)
class _Assets:
    """What espeak itself says: its version and, for each language tag in lower case, the voice that speaks it."""

    version: str
    voices: dict[str, str]
    names: dict[str, str]


def _library() -> tuple[str, str]:
    try:
        import espeakng_loader
    except ImportError as error:
        raise EngineError("The draft engine needs espeak-ng, which is not installed", hint=_INSTALL) from error
    try:
        library, data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    except RuntimeError as error:
        raise EngineError(f"espeak-ng is incomplete: {error}", hint=_INSTALL) from error
    if not Path(library).is_file():
        raise EngineError(f"espeak-ng is incomplete: there is no {library}", hint=_INSTALL)
    return library, data


class _Died(Exception):
    """The worker process ended, or did not respond and was killed."""


class Worker:
    """A worker process and the connection to it. Not for use by two threads at once."""

    def __init__(self) -> None:
        library, data = _library()
        if not hasattr(os, "fork"):
            raise EngineError("The draft engine needs Linux or macOS", hint="Run it there, in WSL or in the image.")
        self._ending = threading.Lock()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        # By file and isolated: nothing of this environment but the standard library is imported there. In a session of
        # its own, so that Ctrl-C reaches only this process, which ends the workers in order.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", draft_worker.__file__, library, data],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,
            bufsize=0,
        )
        try:
            greeting, _ = self._receive(time.monotonic() + 30)
        except _Died as error:
            self.end()
            raise EngineError(f"espeak-ng's worker process did not start: {error}") from error
        except BaseException:
            self.end()
            raise
        if not greeting["ok"]:
            self.end()
            raise EngineError(f"espeak-ng could not be loaded: {greeting['error']}", hint=_INSTALL)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Send a request and wait for the response.

        Raises:
            _Died: there is no response; the process has ended.
        """
        deadline = time.monotonic() + header["timeout"] + _GRACE
        try:
            assert self._process.stdin is not None
            message = memoryview(draft_worker.frame(header))
            while message:
                message = message[self._process.stdin.write(message) :]
            return self._receive(deadline)
        except OSError as error:
            self.end()
            raise _Died(str(error)) from error
        except BaseException:
            self.end()
            raise

    def _receive(self, deadline: float) -> tuple[dict[str, Any], bytes]:
        prefix = self._read(draft_worker.FRAME.size, deadline)
        head, body = draft_worker.FRAME.unpack(prefix)
        return json.loads(self._read(head, deadline)), self._read(body, deadline)

    def _read(self, count: int, deadline: float) -> bytes:
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        parts = []
        while count:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise _Died("it did not answer in time")
            part = os.read(handle, min(count, 1 << 20))
            if not part:
                raise _Died(self._last_words())
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _last_words(self) -> str:
        try:
            self._stderr.seek(0, os.SEEK_END)
            self._stderr.seek(max(0, self._stderr.tell() - 500))
            stderr = self._stderr.read().decode(errors="replace").strip()
        except (OSError, ValueError):
            stderr = ""
        return f"it ended{': ' + stderr.splitlines()[-1] if stderr else ' without a word'}"

    def kill(self) -> None:
        """End the process and its child at once. May be called from another thread: its `ask` then raises."""
        with self._ending:
            if self._process.returncode is None:  # not waited for yet, so that the number is still ours
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """End the process and free its resources."""
        self.kill()
        with self._ending:
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._stderr):
            if pipe is not None:
                pipe.close()


class _Workers:
    """The worker processes of an engine: idle ones are kept for the next request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._calls = 0

    def take(self) -> Worker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Worker()

    def give_back(self, worker: Worker) -> None:
        with self._lock:
            self._idle.append(worker)

    def end_idle(self) -> None:
        with self._lock:
            ending, self._idle = self._idle, []
        for worker in ending:
            worker.end()


class _Call:
    """The workers in use by one `speak`, so that they can be ended with it."""

    def __init__(self, workers: _Workers) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._busy: set[Worker] = set()
        self._over = False

    def ask(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        worker = self._workers.take()
        with self._lock:
            over = self._over
            if not over:
                self._busy.add(worker)
        if over:
            worker.end()
            raise _Died("the work was given up")
        try:
            answer = worker.ask(header)
        finally:
            with self._lock:
                self._busy.discard(worker)
        self._workers.give_back(worker)
        return answer

    @property
    def over(self) -> bool:
        return self._over

    def give_up(self) -> None:
        with self._lock:
            self._over = True
            for worker in self._busy:
                worker.kill()


class DraftEngine:
    """espeak-ng behind the engine protocol.

    Attributes:
        name: "draft".
        phonemes: it reads IPA between [[ and ]].
        patience, patience_a_character: timeout of a chunk, s.
    """

    name = "draft"
    phonemes = True
    patience = 10.0
    patience_a_character = 0.02  # about a hundred times what espeak needs

    def __init__(self, workers: int | None = None, manner: Callable[[str], dict[str, Any]] | None = None) -> None:
        """
        Args:
            workers: processes that speak at the same time; as many as there are processors by default.
            manner: variant, pitch and rate of a voice, by its name; `variant_of` by default.
        """
        if workers is not None and workers < 1:
            raise InputError(f"{workers} draft workers", hint="Give at least one.")
        self._count = workers or os.cpu_count() or 1
        self._manner = manner or variant_of
        self._workers = _Workers()
        # Also at the end of the interpreter, where nobody has called close().
        self._ending = weakref.finalize(self, _Workers.end_idle, self._workers)

    def sound(self, voice: str) -> dict[str, Any]:
        """See `Engine.sound`: which espeak-ng with which data, and the variant, pitch and rate of the voice."""
        return {"engine": self.name, "espeak": f"{_assets().version}-{_digest()[0][:12]}", **self._manner(voice)}

    def speak(
        self, requests: Iterable[Request], *, cancelled: Callable[[], bool] = lambda: False
    ) -> Generator[Speech | Failed, None, None]:
        """See `Engine.speak`. Requests are pulled two a worker ahead of the results, never all at once."""
        call = _Call(self._workers)
        source = iter(requests)
        pending: set[Future[Speech | Failed]] = set()
        threads = ThreadPoolExecutor(self._count, thread_name_prefix="draft")
        finished = False
        try:
            more = True
            while more or pending:
                while more and len(pending) < 2 * self._count:
                    request = next(source, None)
                    if request is None:
                        more = False
                    else:
                        pending.add(threads.submit(self._one, call, request))
                done, pending = wait(pending, return_when=FIRST_COMPLETED) if pending else (set(), pending)
                for future in done:
                    yield future.result()
                if cancelled():
                    raise Cancelled
            finished = True
        finally:
            if not finished:
                for future in pending:
                    future.cancel()
                call.give_up()
            threads.shutdown(wait=True)
            if not finished:
                self._workers.end_idle()

    def check_language(self, language: str) -> None:
        espeak_voice(language)

    def check_text(self, text: str, language: str) -> None:
        """Raise InputError where `text` cannot be read here."""
        check_text(text, language)

    def close(self) -> None:
        """End the worker processes; a later `speak` starts new ones."""
        self._workers.end_idle()

    def _one(self, call: _Call, request: Request) -> Speech | Failed:
        if len(request.text) > MAX_TEXT:
            return Failed(request.key, f"The text has {len(request.text)} characters; {MAX_TEXT} are the most.")
        try:
            espeak_name = espeak_voice(request.language)
            reading, origins = readable(request.text, request.language)
        except InputError as error:
            return Failed(request.key, str(error))
        text, places = speakable(reading)
        if not has_speech(text):
            return Failed(request.key, f"There is nothing to speak in {request.text[:40]!r}.")
        places = [origins[place] for place in places]
        phonemes = MARK[0] in text
        if phonemes:
            text, places = as_mnemonics(text, places, _phonemes(espeak_name), request.language)
        chosen = self._manner(request.voice)
        usual = chosen["rate"] * request.speed
        header = {
            "op": "speak",
            "text": text,
            "phonemes": phonemes,
            "voice": f"{espeak_name}+{chosen['variant']}",
            "pitch": chosen["pitch"],
            "rate": _rate(usual),
            "timeout": self.patience + self.patience_a_character * len(text),
            # A runaway: no language takes 3 s a character. Digits at the slowest rate come nearest.
            "max_samples": draft_worker.ESPEAK_RATE * (30 + 3 * len(text)),
        }
        speech = _spoken(call, request, header, places)
        if request.room_seconds is None or isinstance(speech, Failed):
            return speech
        spoken = {header["rate"]: speech}
        for _ in range(_MAX_FITTINGS):
            share = _share(speech, request.room_seconds)
            rate = _rate(min(max(header["rate"] * share / _FULL, usual * MIN_FIT), usual * MAX_FIT))
            if _FULL - 0.02 <= share <= 1 or rate in spoken:
                break
            header = {**header, "rate": rate}
            speech = _spoken(call, request, header, places)
            if isinstance(speech, Failed):
                return speech
            spoken[rate] = speech
        shares = ((_share(speech, request.room_seconds), speech) for speech in spoken.values())
        # speech that fits before speech that does not, then the nearest
        return min(shares, key=lambda pair: (pair[0] > 1, abs(pair[0] - 1)))[1]


_MAX_FITTINGS = 4
"""Times that a text is spoken again to find the rate at which it fills its slot."""
_FULL = 0.985
"""Part of a slot that is aimed at: rates are whole words a minute."""


def _share(speech: Speech, room_seconds: float) -> float:
    """The part of a slot that speech takes."""
    start, end = speech_span(speech.samples, speech.tokens)
    return (end - start) / room_seconds


def _rate(rate: float) -> int:
    """Words a minute within espeak's own bounds."""
    return max(80, min(450, round(rate)))


def _spoken(call: _Call, request: Request, header: dict[str, Any], places: list[int]) -> Speech | Failed:
    try:
        try:
            answer, pcm = call.ask(header)
        except _Died:
            if call.over:
                raise
            # Not this chunk's fault, as far as one can tell: a fresh worker, once.
            answer, pcm = call.ask(header)
    except _Died as error:
        return Failed(request.key, f"espeak-ng's worker process died: {error}.")
    if not answer["ok"]:
        return Failed(request.key, f"{answer['error']}.")
    return _speech(request, header, answer, pcm, places)


def _speech(
    request: Request, header: dict[str, Any], answer: dict[str, Any], pcm: bytes, places: list[int]
) -> Speech | Failed:
    import numpy as np
    import soxr

    heard = np.frombuffer(pcm, "<i2")
    if not heard.any():
        return Failed(request.key, f"espeak-ng made no sound of {request.text[:40]!r}.")
    rate = draft_worker.ESPEAK_RATE
    samples = soxr.resample(heard.astype(np.float32) / 32768, rate, SAMPLE_RATE, quality="HQ")
    words, phones = ([(place, value) for place, value in answer[name]] for name in ("words", "phones"))
    tokens = tokens_of(request.text, places, words, phones, heard.size, rate, header["text"])
    details = {name: header[name] for name in ("voice", "pitch", "rate")}
    return Speech(request.key, np.clip(samples, -1, 1), tokens, "engine", {"espeak": details})


def variant_of(voice: str) -> dict[str, Any]:
    """The espeak voice that stands for `voice`, always the same for the same name.

    Returns:
        variant: one of `VARIANTS`; pitch: 0 to 99, espeak's own scale, 50 is the variant's; rate: words a minute.
    """
    name = f"{_ASSIGNMENT}:{voice}".encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.sha256(name).digest()[:8], "big")
    number, variant = divmod(number, len(VARIANTS))
    number, pitch = divmod(number, 9)
    return {"variant": VARIANTS[variant], "pitch": 38 + 3 * pitch, "rate": 160 + 4 * (number % 6)}


def _ask_once(header: dict[str, Any]) -> dict[str, Any]:
    worker = Worker()
    try:
        answer, _ = worker.ask({**header, "timeout": 30.0})
    except _Died as error:
        raise EngineError(f"espeak-ng does not answer: {error}") from error
    finally:
        worker.end()
    if not answer["ok"]:
        raise EngineError(f"espeak-ng does not answer: {answer['error']}")
    return answer


@lru_cache(maxsize=64)
def _phonemes(espeak_name: str) -> dict[str, str]:
    """espeak's mnemonic of each sound of a voice, by its IPA; none where espeak breaks down over them (Greenlandic)."""
    try:
        return table_of(_ask_once({"op": "sounds", "voice": espeak_name})["sounds"])
    except EngineError:
        return {}


@lru_cache(maxsize=1)
def _assets() -> _Assets:
    answer = _ask_once({"op": "info"})
    best: dict[str, tuple[int, int, str, str]] = {}
    for identifier, name, tags in answer["voices"]:
        own = identifier.rpartition("/")[2].lower()
        for priority, tag in tags:
            key = tag.lower()
            if key in _MUTE:
                continue
            # The voice that is named like the tag before one that only serves it too.
            rank = (0 if own == key else 1, priority, identifier, name)
            best[key] = min(best.get(key, rank), rank)
    for tag, rank in list(best.items()):  # "chr" for espeak's only Cherokee, "chr-us-qaaa-x-west"
        best.setdefault(tag.split("-")[0], rank)
    return _Assets(
        answer["version"],
        {tag: rank[2] for tag, rank in sorted(best.items())},
        {tag: rank[3] for tag, rank in sorted(best.items())},
    )


def espeak_voice(language: str) -> str:
    """The identifier of the espeak voice for a BCP 47 tag, for example "gmw/en-US" for en-US.

    The tag itself, then shorter and shorter ones ("de-at" is spoken as "de").

    Raises:
        InputError: espeak does not speak the language.
    """
    voices = _assets().voices
    tag = re.sub(r"[_-]+", "-", language.strip()).lower().strip("-")
    subtags = tag.split("-")
    # A script subtag (four letters) seldom matters to speech: "zh-Hant-HK" is "zh-HK", "sr-Latn" is "sr".
    unscripted = subtags[:1] + [subtag for subtag in subtags[1:] if not re.fullmatch("[a-z]{4}", subtag)]
    shorter = [whole[:length] for length in range(len(subtags), 0, -1) for whole in (subtags, unscripted)]
    for candidate in ("-".join(some) for some in shorter):
        for name in (_SAME_LANGUAGE.get(candidate), candidate):
            if name in voices:
                return voices[name]
    # A language may also have been given by its name: English, japanese.
    named = {name.split(" (")[0].lower(): key for key, name in reversed(_assets().names.items())}
    near = [named[name] for name in difflib.get_close_matches(tag, named, n=3, cutoff=0.7)]
    near += [key for key in difflib.get_close_matches(tag, voices, n=5, cutoff=0.6) if key not in near]
    raise InputError(
        f"Unknown language {language!r}",
        hint=f"Did you mean {' or '.join(near)}?" if near else "Give a BCP 47 tag such as en, de or pt-br.",
    )


def transcribe(texts: Sequence[str], language: str) -> list[str]:
    """How the draft engine says each text, in IPA as espeak-ng writes it.

    Args:
        texts: normalised, with IPA between [[ and ]] if any.
        language: BCP 47 tag.

    Raises:
        InputError: espeak does not speak the language. EngineError: it does not answer.
    """
    voice = espeak_voice(language)
    written = []
    for text in texts:
        plain, places = speakable(text[:MAX_TEXT])
        written.append(as_mnemonics(plain, places, _phonemes(voice), language)[0] if MARK[0] in plain else plain)
    return _ask_once({"op": "transcribe", "voice": voice, "texts": written})["ipa"]


def languages() -> dict[str, str]:
    """Language tags of the draft engine, in lower case, with espeak's names for them."""
    return dict(_assets().names)


@lru_cache(maxsize=1)
def _digest() -> tuple[str, int]:
    """sha256 over the library and every file of its data, and their size in bytes."""
    library, data = _library()
    whole = hashlib.sha256()
    size = 0
    root = Path(data)
    named = [(path.relative_to(root).as_posix(), path) for path in root.rglob("*") if path.is_file()]
    for name, path in [("", Path(library)), *sorted(named)]:
        content = path.read_bytes()
        whole.update(f"{name}\0{len(content)}\0".encode())
        whole.update(content)
        size += len(content)
    return whole.hexdigest(), size


def espeak_facts() -> dict[str, Any]:
    """Facts about espeak-ng: version, sha256 and size (bytes) of library and data, languages, licence."""
    digest, size = _digest()
    assets = _assets()
    return {
        "name": "espeak-ng",
        "version": assets.version,
        "sha256": digest,
        "size": size,
        "languages": len({tag.split("-")[0] for tag in assets.voices}),
        "licence": "GPL-3.0-or-later",
    }


def problem() -> str | None:
    """Why the draft engine does not work here, or None. Speaks a word as a test."""
    engine = DraftEngine(workers=1)
    try:
        for result in engine.speak([Request(key="", text="Ready.", language="en", voice="check")]):
            if isinstance(result, Failed):
                return result.reason
    except EngineError as error:
        return str(error)
    finally:
        engine.close()
    return None

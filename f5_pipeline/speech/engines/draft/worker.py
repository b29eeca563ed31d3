"""The process in which espeak-ng lives: requests on stdin, audio and events on stdout.

espeak-ng is GPL-3.0 and a C library with global state, so it is only ever loaded here, apart from everything else. It
also remembers what it has said: the same sentence twice in one process gives different bytes. A worker therefore never
speaks itself: it initialises the library once and forks a pristine child for every request, which also starts the
library's random numbers anew. The same request gives the same bytes each time, and a crash or a hang costs that
request alone.

A frame is two little-endian uint32 (bytes of header, bytes of body), the header as JSON, the body. The worker greets
with a frame `{"ok": true}`, answers every request with one frame, and ends when stdin ends.

Run as `worker.py LIBRARY DATA`. Imports the standard library only.
Names of the C interface: espeak-ng's speak_lib.h.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import struct
import sys
import time
from typing import Any, NoReturn

FRAME = struct.Struct("<II")
ESPEAK_RATE = 22_050

_OUTPUT_SYNCHRONOUS = 2
_INIT_PHONEME_EVENTS = 0x0001
_INIT_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_PHONEMES = 0x100
_ENDPAUSE = 0x1000
_POS_CHARACTER = 1
_AS_IPA = 0x02
_RATE, _PITCH = 1, 3
_EVENT_WORD, _EVENT_PHONEME = 1, 7
_NO_SOUNDS = (0, 1)  # types of phonemes: pauses, stress
_PR_SET_PDEATHSIG = 1


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


class _Voice(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """The library, initialised, with its output collected in memory."""

    def __init__(self, library: str, data: str) -> None:
        self._lib = ctypes.CDLL(library)
        self._data = data
        self._pcm: list[bytes] = []
        self._samples = 0
        self._most = 0
        self._words: list[tuple[int, int]] = []
        self._phones: list[tuple[int, int]] = []
        rate = self._lib.espeak_Initialize(
            _OUTPUT_SYNCHRONOUS, 0, os.fsencode(data), _INIT_PHONEME_EVENTS | _INIT_DONT_EXIT
        )
        if rate != ESPEAK_RATE:
            raise RuntimeError(f"espeak-ng could not be initialised with the data at {data} (it returned {rate})")
        self._callback = _Callback(self._collect)  # kept: the library holds only a bare pointer to it
        self._lib.espeak_SetSynthCallback(self._callback)

    def _collect(self, wave: Any, count: int, events: Any) -> int:
        if wave and count > 0:
            self._pcm.append(ctypes.string_at(wave, count * 2))
            self._samples += count
        place = 0
        while events[place].type:
            event = events[place]
            if event.type == _EVENT_WORD:
                self._words.append((event.text_position, event.sample))
            elif event.type == _EVENT_PHONEME:
                # Names of pauses begin with an underscore.
                self._phones.append((event.sample, int(bytes(event.id.string).startswith(b"_"))))
            place += 1
        return int(self._samples > self._most)  # anything but 0 stops the synthesis

    def speak(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Speak `text` with `voice` (an espeak identifier with an optional +variant), `rate` and `pitch`; with
        `phonemes`, what is between [[ and ]] in it is espeak's own mnemonics.

        Returns a header with `words` [[text_position from 1, sample], …] and `phones` [[sample, 1 for a pause], …], and
        the audio as int16, 22,050 Hz, mono.
        """
        self._most = request["max_samples"]
        # Breath and hiss are drawn at random, seeded with the clock when the library is initialised.
        self._lib.espeak_ng_SetRandSeed(ctypes.c_long(1))
        if self._lib.espeak_SetVoiceByName(request["voice"].encode()) != 0:
            return {"ok": False, "error": f"espeak-ng has no voice {request['voice']!r}"}, b""
        self._lib.espeak_SetParameter(_RATE, request["rate"], 0)
        self._lib.espeak_SetParameter(_PITCH, request["pitch"], 0)
        text = request["text"].encode() + b"\0"
        flags = _CHARS_UTF8 | _ENDPAUSE | (_PHONEMES if request.get("phonemes") else 0)
        code = self._lib.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, _POS_CHARACTER, 0, flags, None, None)
        if code != 0:
            return {"ok": False, "error": f"espeak-ng refused the text (code {code})"}, b""
        self._lib.espeak_Synchronize()
        if self._samples > self._most:
            seconds = self._samples // ESPEAK_RATE
            return {"ok": False, "error": f"espeak-ng had not come to an end after {seconds} s of audio"}, b""
        return {"ok": True, "words": self._words, "phones": self._phones}, b"".join(self._pcm)

    def sounds(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The IPA of every mnemonic that `voice` knows, [[mnemonic, IPA, IPA], …], as the library itself writes it.

        A sound is asked for before a vowel too, since German and others say the last consonant of a word in another
        way, and then alone, since English links a vowel to the next by an r.
        """
        if self._lib.espeak_SetVoiceByName(request["voice"].encode()) != 0:
            return {"ok": False, "error": f"espeak-ng has no voice {request['voice']!r}"}, b""
        vowel = self._ipa("[[a]]")
        found = []
        for mnemonic in self._mnemonics():
            ipa = self._ipa(f"[[{mnemonic}|a]]")
            found.append((mnemonic, ipa[: -len(vowel)] if ipa.endswith(vowel) else "", self._ipa(f"[[{mnemonic}]]")))
        return {"ok": True, "sounds": found}, b""

    def transcribe(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """How `voice` says each of `texts`, in IPA; with mnemonics between [[ and ]]."""
        if self._lib.espeak_SetVoiceByName(request["voice"].encode()) != 0:
            return {"ok": False, "error": f"espeak-ng has no voice {request['voice']!r}"}, b""
        return {"ok": True, "ipa": [self._ipa(text) for text in request["texts"]]}, b""

    def _ipa(self, text: str) -> str:
        if self._lib.espeak_TextToPhonemes.restype is not ctypes.c_char_p:
            # The library reads mnemonics from the first text on that is spoken with this flag.
            flags = _CHARS_UTF8 | _PHONEMES
            self._lib.espeak_Synth(b" \0", ctypes.c_size_t(2), 0, _POS_CHARACTER, 0, flags, None, None)
            self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        rest = ctypes.c_char_p(text.encode())
        clauses: list[str] = []
        while rest.value:
            clauses.append(
                self._lib.espeak_TextToPhonemes(ctypes.byref(rest), _CHARS_UTF8 | _PHONEMES, _AS_IPA).decode()
            )
        return " ".join(" ".join(clauses).split())

    def _mnemonics(self) -> list[str]:
        """The mnemonics of all languages, by length, from the library's phoneme tables: a count of tables; for each a
        count of records, 3 bytes, a name of 32 bytes, and records of 16 bytes that begin with a mnemonic of 4 bytes and
        have their type at byte 11 (espeak-ng 1.52, phoneme.h and synthdata.c)."""
        with open(os.path.join(self._data, "phontab"), "rb") as file:  # noqa: PTH118, PTH123 (nothing else is imported)
            content = file.read()
        found: set[str] = set()
        place = 4
        for _ in range(content[0]):
            first = place + 36
            place = first + 16 * content[place]
            for at in range(first, place, 16):
                mnemonic = content[at : at + 4].rstrip(b"\0")
                if (
                    content[at + 11] not in _NO_SOUNDS
                    and mnemonic.isascii()
                    and mnemonic[:1].isalnum() | (mnemonic[:1] == b"@")
                ):
                    found.add(mnemonic.decode())
        return sorted(found, key=lambda mnemonic: (not mnemonic.isalnum(), len(mnemonic), mnemonic))

    def info(self) -> tuple[dict[str, Any], bytes]:
        """Version of the library and its voices as [identifier, name, [[priority, language tag], …]]."""
        self._lib.espeak_Info.restype = ctypes.c_char_p
        version = self._lib.espeak_Info(None).decode().split()[0]
        self._lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        listed = self._lib.espeak_ListVoices(None)
        voices = []
        place = 0
        while listed[place]:
            voice = listed[place].contents
            tags: list[tuple[int, str]] = []
            # A byte of priority and a C string for each language, closed by a zero byte.
            address = voice.languages
            while priority := ctypes.string_at(address, 1)[0]:
                tag = ctypes.string_at(address + 1)
                tags.append((priority, tag.decode()))
                address += len(tag) + 2
            voices.append((voice.identifier.decode(), voice.name.decode(), tags))
            place += 1
        return {"ok": True, "version": version, "voices": voices}, b""


def frame(header: dict[str, Any], body: bytes = b"") -> bytes:
    """One frame as bytes."""
    head = json.dumps(header).encode()
    return FRAME.pack(len(head), len(body)) + head + body


def _read(handle: int, count: int) -> bytes | None:
    """`count` bytes, or None where the other side has ended."""
    parts = []
    while count:
        part = os.read(handle, min(count, 1 << 20))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _die_with_parent(seconds: float) -> None:
    """A child must not outlive a worker that was killed: on Linux the kernel sees to it, elsewhere the CPU limit."""
    import resource

    limit = int(seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _child(espeak: Espeak, request: dict[str, Any], out: int, parent: int) -> NoReturn:
    try:
        _die_with_parent(request["timeout"])
        if os.getppid() == parent:  # else the worker died before the kernel was asked
            ops = {"speak": espeak.speak, "sounds": espeak.sounds, "transcribe": espeak.transcribe}
            header, body = espeak.info() if request["op"] == "info" else ops[request["op"]](request)
            _write(out, frame(header, body))
    except Exception as error:
        _write(out, frame({"ok": False, "error": f"{type(error).__name__}: {error}"}))
    finally:
        os._exit(0)


def _answer(espeak: Espeak, request: dict[str, Any], requests: int) -> bytes | None:
    """The child's frame for one request, or one that says why there is none; None where the parent has gone."""
    pid = os.getpid()
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        _child(espeak, request, sink, pid)
    os.close(sink)
    deadline = time.monotonic() + request["timeout"]
    poll = select.poll()
    poll.register(source, select.POLLIN)
    # The parent sends nothing before it has its answer: what can be read there now is its end.
    poll.register(requests, select.POLLIN)
    parts: list[bytes] = []
    problem = None
    gone = False
    while not problem and not gone:
        left = deadline - time.monotonic()
        ready = [handle for handle, _ in poll.poll(max(0, left) * 1000)] if left > 0 else []
        if not ready:
            problem = f"espeak-ng had not finished after {request['timeout']:.3g} s"
        elif source in ready:
            part = os.read(source, 1 << 20)
            if not part:
                break
            parts.append(part)
        else:
            gone = True
    if problem or gone:
        os.kill(child, signal.SIGKILL)
    os.close(source)
    _, status = os.waitpid(child, 0)
    if gone:
        return None
    if problem:
        return frame({"ok": False, "error": problem})
    data = b"".join(parts)
    if os.WIFSIGNALED(status):
        return frame({"ok": False, "error": f"espeak-ng crashed (signal {os.WTERMSIG(status)})"})
    if len(data) < FRAME.size or len(data) != FRAME.size + sum(FRAME.unpack_from(data)):
        return frame({"ok": False, "error": "espeak-ng ended without a result"})
    return data


def main(library: str, data: str) -> int:
    """Serve until stdin ends."""
    requests = 0
    # espeak-ng and the C library may print: only frames may reach the parent.
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        espeak = Espeak(library, data)
    except (OSError, RuntimeError, AttributeError) as error:
        _write(answers, frame({"ok": False, "error": str(error)}))
        return 1
    try:
        _write(answers, frame({"ok": True}))
        while (prefix := _read(requests, FRAME.size)) is not None:
            header, body = FRAME.unpack(prefix)
            data_read = _read(requests, header + body)
            if data_read is None:
                break
            answer = _answer(espeak, json.loads(data_read[:header]), requests)
            if answer is None:
                break
            _write(answers, answer)
    except BrokenPipeError:  # the parent has gone in the middle of an answer
        return 0
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: draft_worker LIBRARY DATA (espeak-ng's shared library and its data folder)")
    sys.exit(main(sys.argv[1], sys.argv[2]))

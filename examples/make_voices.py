"""Make the two recordings of `examples/voices`: voices of our own, so that nobody's voice has to be asked for.

    python examples/make_voices.py

espeak-ng speaks; a little room, a microphone's bandwidth and a noise floor make recordings of it that reference
preparation has to treat like any other: `ada.flac` with its words as text, `ben.ogg`, too long for a reference, with
subtitles whose times are those of espeak's own events.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import soxr

from f5_pipeline.speech.engines.draft.engine import Worker
from f5_pipeline.speech.engines.draft.times import speakable, tokens_of
from f5_pipeline.speech.engines.draft.worker import ESPEAK_RATE

FOLDER = Path(__file__).parent / "voices"
HEAD, TAIL = 0.45, 0.6  # s of room tone around the speech
SPEECH_DBFS = -20.0  # RMS while speaking
ROOM_DBFS = -65.0  # RMS of the noise floor


@dataclass(frozen=True)
class Recording:
    """Who speaks, how it is recorded, and what is said: pieces, each with the pause after it in s."""

    file: str
    espeak: str
    pitch: int
    words_a_minute: int
    rate: int
    room_seconds: float
    pieces: tuple[tuple[str, float], ...]


ADA = Recording(
    file="ada.flac",
    espeak="gmw/en-US+Annie",
    pitch=40,
    words_a_minute=168,
    rate=44_100,
    room_seconds=0.12,
    pieces=(
        ("I like to read in the early morning, while the kettle is warm and the street is still quiet.", 0.45),
        ("By noon, every page has found its voice.", 0.0),
    ),
)
BEN = Recording(
    file="ben.ogg",
    espeak="gmw/en-GB-x-rp+adam",
    pitch=44,
    words_a_minute=172,
    rate=48_000,
    room_seconds=0.2,
    pieces=(
        ("My grandfather kept bees behind the old railway station,", 0.3),
        ("and every spring he let me paint the hives.", 0.6),
        ("One year I chose yellow, the next year green.", 0.5),
        ("The bees never seemed to mind,", 0.3),
        ("but the neighbours had opinions.", 0.6),
        ("I still think of him whenever something hums.", 0.0),
    ),
)


def speak(worker: Worker, recording: Recording, text: str) -> tuple[np.ndarray, float]:
    """One piece from its first sound to the end of its last word, at espeak's rate; and its length in s."""
    spoken, places = speakable(text)
    answer, pcm = worker.ask(
        {
            "op": "speak",
            "text": spoken,
            "voice": recording.espeak,
            "pitch": recording.pitch,
            "rate": recording.words_a_minute,
            "timeout": 30.0,
            "max_samples": 60 * ESPEAK_RATE,
        }
    )
    if not answer["ok"]:
        raise SystemExit(answer["error"])
    samples = np.frombuffer(pcm, "<i2") / 32768
    words, phones = ([(place, value) for place, value in answer[name]] for name in ("words", "phones"))
    end = tokens_of(text, places, words, phones, samples.size, ESPEAK_RATE)[-1].end
    # The last sound may ring on for a moment: into the pause, not into the time of the word.
    return samples[: round((end + 0.05) * ESPEAK_RATE)], end


def assemble(recording: Recording) -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """The dry speech at the recording's rate, and start, end and text of each piece."""
    worker = Worker()
    try:
        spoken = [(text, pause, *speak(worker, recording, text)) for text, pause in recording.pieces]
    finally:
        worker.end()
    total = HEAD + sum(seconds + pause for _, pause, _, seconds in spoken) + TAIL
    dry = np.zeros(round(total * ESPEAK_RATE))
    cues = []
    time = HEAD
    for text, pause, samples, seconds in spoken:
        # On whole milliseconds, which is what subtitles can say.
        time = round(time, 3)
        place = round(time * ESPEAK_RATE)
        dry[place : place + samples.size] += samples
        cues.append((time, round(time + seconds, 3), text))
        time += seconds + pause
    return soxr.resample(dry, ESPEAK_RATE, recording.rate, quality="VHQ"), cues


def record(recording: Recording, dry: np.ndarray) -> np.ndarray:
    """The dry speech in a small room, before a microphone, at a usual level."""
    noise = np.random.default_rng(hash_of(recording.file))
    rate = recording.rate
    # Early and late reflections, decaying by 60 dB in room_seconds, well below the direct sound at time 0.
    time = np.arange(round(recording.room_seconds * rate)) / rate
    room = noise.normal(size=time.size) * 10 ** (-3 * time / recording.room_seconds)
    room[: round(0.004 * rate)] = 0
    room *= 0.12 / np.sqrt(np.sum(room**2))
    room[0] = 1
    wet = scipy.signal.fftconvolve(dry, room)[: dry.size]
    wet = np.asarray(scipy.signal.sosfilt(scipy.signal.butter(2, 75, "highpass", fs=rate, output="sos"), wet))
    speaking = np.abs(dry) > 0.005
    wet *= 10 ** (SPEECH_DBFS / 20) / np.sqrt(np.mean(wet[speaking] ** 2))
    # Room tone: white noise through a one-pole low-pass is about as dull as a quiet room.
    tone = np.asarray(scipy.signal.lfilter([1], [1, -0.9], noise.normal(size=dry.size)))
    tone *= 10 ** (ROOM_DBFS / 20) / np.sqrt(np.mean(tone**2))
    return wet + tone


def hash_of(name: str) -> int:
    """A number that is the same in every process."""
    return int.from_bytes(name.encode(), "big")


def stamp(seconds: float) -> str:
    """SubRip time."""
    milliseconds = round(seconds * 1000)
    return (
        f"{milliseconds // 3_600_000:02d}:{milliseconds // 60_000 % 60:02d}:"
        f"{milliseconds // 1000 % 60:02d},{milliseconds % 1000:03d}"
    )


def main() -> None:
    """Write the recordings and their transcripts."""
    FOLDER.mkdir(exist_ok=True)
    for recording in (ADA, BEN):
        dry, cues = assemble(recording)
        path = FOLDER / recording.file
        samples = record(recording, dry)
        if path.suffix == ".flac":
            soundfile.write(path, samples, recording.rate, subtype="PCM_16")
            path.with_suffix(".txt").write_text("\n".join(text for _, _, text in cues) + "\n", encoding="utf-8")
        else:
            soundfile.write(path, samples, recording.rate, format="OGG", subtype="VORBIS")
            blocks = (
                f"{number}\n{stamp(start)} --> {stamp(end)}\n{text}\n"
                for number, (start, end, text) in enumerate(cues, 1)
            )
            path.with_suffix(".srt").write_text("\n".join(blocks), encoding="utf-8")


if __name__ == "__main__":
    main()

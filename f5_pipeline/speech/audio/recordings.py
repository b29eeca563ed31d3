"""Recordings: reading in blocks, and measures of their fitness for cloning.

Levels are in dB relative to full scale (dBFS), where a full-scale square wave is 0; digital silence is `FLOOR_DBFS`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from f5_pipeline.errors import InputError
from f5_pipeline.speech.audio.media import converted
from f5_pipeline.speech.engine import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np

    from f5_pipeline.speech.libsndfile import soundfile

MAX_SECONDS = 2 * 3600.0
"""Longest recording accepted, s."""

MIN_RATE = 8_000
"""Lowest sample rate accepted, Hz: that of telephones."""

FLOOR_DBFS = -120.0
"""Level reported for digital silence, dBFS: below the noise of any converter, and finite."""

SILENT_DBFS = -60.0
"""Level of the loud frames below which a recording is silent, dBFS."""

HOP = 0.01
"""Distance of level frames, s."""

_BLOCK = 1 << 16  # frames read at a time
_CANCELLED = 10 ** (-20 / 20)  # a downmix so far below its loudest channel has cancelled itself out
_MEDIA = (b"ftyp", b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"\x0bw", b"\xff\xf1", b"\xff\xf9", b"caff", b"FLV")
"""How media files begin, or go on after four bytes: MPEG-4, Matroska and WebM, ASF, AC-3, AAC, CAF, Flash."""

_CONVERT = "Convert it to WAV or FLAC, for example: ffmpeg -i recording.m4a recording.wav."


class AudioInfo(BaseModel):
    """Facts from a recording's header."""

    model_config = ConfigDict(frozen=True)

    seconds: float = Field(description="duration, s")
    sample_rate: int = Field(description="Hz")
    channels: int
    frames: int = Field(description="samples a channel")
    format: str = Field(description="container and encoding as libsndfile names them, for example WAV PCM_16")


@dataclass(frozen=True)
class Levels:
    """Level of a recording over time.

    Attributes:
        dbfs: float32, shape (n,): RMS level of the 30 ms around each frame, DC removed; FLOOR_DBFS at least.
        hop: distance of the frames, s; frame k is centred on (k + 0.5) * hop.
        channel: the measured channel; None: the mean of all.
        seconds: measured duration.
    """

    dbfs: np.ndarray
    hop: float
    channel: int | None
    seconds: float

    @property
    def threshold(self) -> float:
        """Level that tells speech from pauses, dBFS; see `speech_threshold`."""
        return speech_threshold(self.dbfs)


# --- reading ----------------------------------------------------------------------------------------------------------


def probe(path: Path | str) -> AudioInfo:
    """Read a recording's header without decoding it (a stream of unknown length is decoded to count its frames).

    Raises:
        InputError: missing, empty, not audio, cut off, without a frame, below 8 kHz or over two hours.
    """
    path = Path(path)
    with _opened(path) as file:
        frames = file.frames
        if frames >= 1 << 40:
            # libsndfile's "unknown": FLAC or RAW written to a pipe.
            frames = sum(len(block) for block in _native_blocks(file, path))
        info = AudioInfo(
            seconds=frames / file.samplerate,
            sample_rate=file.samplerate,
            channels=file.channels,
            frames=frames,
            format=f"{file.format} {file.subtype}",
        )
    if info.frames == 0:
        raise InputError(
            "the recording holds no audio: it is empty or was cut off",
            file=path.name,
            hint="Record or export it again.",
        )
    if info.sample_rate < MIN_RATE:
        raise InputError(
            f"the sample rate is {info.sample_rate} Hz; below {MIN_RATE} Hz a voice cannot be cloned",
            file=path.name,
            hint="Give a recording with 16,000 Hz or more.",
        )
    if info.seconds > MAX_SECONDS:
        raise InputError(
            f"the recording lasts {info.seconds / 3600:.1f} h, more than {MAX_SECONDS / 3600:.0f} h",
            file=path.name,
            hint="Give a minute or less of clear speech; 6 to 10 s are enough.",
        )
    return info


def read_mono(
    path: Path | str,
    rate: int = SAMPLE_RATE,
    start: float | None = None,
    end: float | None = None,
    channel: int | None = None,
) -> np.ndarray:
    """Read a recording, or the part from `start` to `end` (s), as mono at `rate` Hz.

    Channels are averaged; where they cancel each other (opposite phase), the loudest one is used.

    Args:
        channel: use only this channel.

    Returns:
        float32, shape (n,); may exceed 1.0 where the recording is in floating point or clipped.

    Raises:
        InputError: as `probe`, or damaged inside.
    """
    import numpy as np
    import soxr

    path = Path(path)
    info = probe(path)
    resample = soxr.ResampleStream(info.sample_rate, rate, 1, dtype="float32") if info.sample_rate != rate else None
    parts: list[np.ndarray] = []
    downmix = _Downmix(channel)
    for block in read_blocks(path, start, end):
        mono = downmix(block)
        parts.append(resample.resample_chunk(mono) if resample else mono)
    if resample:
        parts.append(resample.resample_chunk(np.zeros(0, np.float32), last=True))
    loudest = downmix.cancelled()
    if loudest is not None:
        return read_mono(path, rate, start, end, loudest)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def read_blocks(path: Path | str, start: float | None = None, end: float | None = None) -> Iterator[np.ndarray]:
    """Blocks of a recording, or of the part from `start` to `end` (s), at its own rate.

    Yields:
        float32, shape (n, channels).

    Raises:
        InputError: as `probe`, or damaged inside.
    """
    path = Path(path)
    with _opened(path) as file:
        first = max(0, round((start or 0.0) * file.samplerate))
        last = None if end is None else round(end * file.samplerate)
        yield from _native_blocks(file, path, first, last)


def _native_blocks(
    file: soundfile.SoundFile, path: Path, first: int = 0, last: int | None = None
) -> Iterator[np.ndarray]:
    import numpy as np

    from f5_pipeline.speech.libsndfile import soundfile

    length_known = file.frames < 1 << 40
    stop = file.frames if last is None else min(file.frames, last)
    position = min(first, stop)
    try:
        if position:
            file.seek(position)
        while position < stop:
            block = file.read(min(_BLOCK, stop - position), dtype="float32", always_2d=True)
            if not len(block):
                break
            if not np.isfinite(block).all():
                raise InputError(
                    "the recording holds samples that are not numbers (NaN or infinity)",
                    file=path.name,
                    place=f"{position / file.samplerate:.2f} s",
                    hint="Export it again as 16 or 24 bit.",
                )
            yield block
            position += len(block)
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"the recording is damaged or cut off: {_libsndfile(error)}",
            file=path.name,
            place=f"{position / file.samplerate:.2f} s",
            hint="Copy, record or export it again.",
        ) from error
    if length_known and position < stop:
        raise InputError(
            f"the recording is cut off: it has {position} of {file.frames} samples",
            file=path.name,
            place=f"{position / file.samplerate:.2f} s",
            hint="Copy, record or export it again.",
        )


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    from f5_pipeline.speech.libsndfile import soundfile

    try:
        size = path.stat().st_size
        with path.open("rb") as raw:
            head = raw.read(12)
    except OSError as error:
        raise InputError(
            f"the recording cannot be opened: {error.strerror or error}", file=path.name, hint="Check its path."
        ) from error
    if size == 0:
        raise InputError("the recording is an empty file", file=path.name, hint="Record or export it again.")
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, TypeError) as error:
        # TypeError: from soundfile for the extension .raw, which has no header.
        file = soundfile.SoundFile(_of_media(path, head, error))
    with file:
        missing = _missing_bytes(path, head, size)
        if missing:
            raise InputError(
                f"the recording is cut off: at least {missing} bytes of its audio are missing",
                file=path.name,
                hint="Copy, record or export it again.",
            )
        yield file


def _of_media(path: Path, head: bytes, error: Exception) -> Path:
    """The recording by FFmpeg's libraries; InputError where they are not installed or do not read it either."""
    if not any(head.startswith(magic) or head[4:8] == magic for magic in _MEDIA):
        raise InputError(
            f"the recording is not audio that can be read: {_libsndfile(error)}", file=path.name, hint=_CONVERT
        ) from error
    try:
        return converted(path, MAX_SECONDS)
    except ImportError:
        raise InputError(
            "the recording is in a form (m4a, mp4, webm, wma …) that is read with the extra 'media' only",
            file=path.name,
            hint=f"pip install 'f5-pipeline[media]'. Or: {_CONVERT}",
        ) from error


def _libsndfile(error: Exception) -> str:
    text = str(getattr(error, "error_string", error)).strip().removeprefix("Error : ").rstrip(".")
    # libsndfile's message for any .mp3 that its decoder refuses; the file does exist.
    return "Format not recognised" if text.startswith("File does not exist") else text


def _missing_bytes(path: Path, head: bytes, size: int) -> int:
    """Bytes of audio that a truncated WAV, AIFF or Ogg file lacks; libsndfile shortens them silently."""
    if head[:4] == b"OggS":
        return _missing_of_page(path, size)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        order, chunk = "<", b"data"
    elif head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        order, chunk = ">", b"SSND"
    else:
        return 0
    with path.open("rb") as raw:
        position = 12
        while position + 8 <= size:
            raw.seek(position)
            name, length = struct.unpack(f"{order}4sI", raw.read(8))
            if name == chunk:
                # Programs that write to a pipe leave 0 or a number near 2 or 4 GiB there.
                if length == 0 or 0x7FFFF000 <= length <= 0x7FFFFFFF or length >= 0xFFFFF000:
                    return 0
                return max(0, position + 8 + length - size)
            position += 8 + length + (length & 1)
    return 0


def _missing_of_page(path: Path, size: int) -> int:
    """Bytes that the last page of an Ogg file lacks (RFC 3533: 27 bytes, a table of lengths, the segments)."""
    with path.open("rb") as raw:
        raw.seek(max(0, size - 70_000))  # a page has 65,307 bytes at most
        end = raw.read()
    start = end.rfind(b"OggS")
    if start < 0:
        return 0
    page = end[start:]
    table = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if len(page) <= 26 or len(table) < page[26]:
        return 1
    return max(0, 27 + len(table) + sum(table) - len(page))


class _Downmix:
    """Mono from blocks of channels; sums up the energy of the mean and of each channel."""

    def __init__(self, channel: int | None = None) -> None:
        self.channel = channel
        self._mean = 0.0
        self._each: np.ndarray | float = 0.0

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """(n, channels) to (n,)."""
        import numpy as np

        if block.shape[1] == 1:
            return block[:, 0].copy()
        if self.channel is not None:
            return block[:, self.channel].copy()
        mono = block.mean(axis=1, dtype=np.float32)
        self._mean += float(np.square(mono, dtype=np.float64).sum())
        self._each = self._each + np.square(block, dtype=np.float64).sum(axis=0)
        return mono

    def cancelled(self) -> int | None:
        """The loudest channel where the mean has cancelled itself out, else None."""
        import numpy as np

        each = np.atleast_1d(self._each)
        return int(each.argmax()) if self._mean < _CANCELLED**2 * each.max() else None


# --- measuring --------------------------------------------------------------------------------------------------------


def levels_of(path: Path | str, start: float | None = None, end: float | None = None) -> Levels:
    """Level over time of a recording of any length, in flat memory (800 kB an hour).

    Raises:
        InputError: as `read_blocks`.
    """
    return _measure_levels(Path(path), start, end, None)


def _measure_levels(path: Path, start: float | None, end: float | None, channel: int | None) -> Levels:
    import numpy as np

    rate = probe(path).sample_rate
    size = round(rate * HOP)
    downmix = _Downmix(channel)
    powers: list[np.ndarray] = []
    rest = np.zeros(0, np.float32)
    total = 0
    for block in read_blocks(path, start, end):
        mono = np.concatenate([rest, downmix(block)])
        total += len(block)
        whole = len(mono) // size * size
        powers.append(_frame_powers(mono[:whole], size))
        rest = mono[whole:]
    if len(rest):
        powers.append(_frame_powers(rest, len(rest)))
    loudest = downmix.cancelled()
    if loudest is not None:
        return _measure_levels(path, start, end, loudest)
    power = np.concatenate(powers) if powers else np.zeros(0)
    return Levels(_smooth_dbfs(power), size / rate, channel, total / rate)


def frame_levels(samples: np.ndarray, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Level of mono samples every 10 ms, as `Levels.dbfs`."""
    import numpy as np

    size = round(rate * HOP)
    whole = len(samples) // size * size
    powers = [_frame_powers(samples[:whole], size)]
    if whole < len(samples):
        powers.append(_frame_powers(samples[whole:], len(samples) - whole))
    return _smooth_dbfs(np.concatenate(powers))


def _frame_powers(samples: np.ndarray, size: int) -> np.ndarray:
    """Variance of each frame, which excludes DC and rumble below the frame rate."""
    import numpy as np

    if not len(samples):
        return np.zeros(0)
    frames = samples.reshape(-1, size).astype(np.float64)
    frames -= frames.mean(axis=1, keepdims=True)
    return np.einsum("ij,ij->i", frames, frames) / size  # as var, without its copies


def _smooth_dbfs(power: np.ndarray) -> np.ndarray:
    """Levels as means over three frames: frames of 10 ms follow the single periods of a deep voice."""
    import numpy as np

    if not len(power):
        return np.zeros(0, np.float32)
    padded = np.concatenate([power[:1], power, power[-1:]])
    smooth = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return np.maximum(10 * np.log10(np.maximum(smooth, 1e-30)), FLOOR_DBFS).astype(np.float32)


def speech_threshold(dbfs: np.ndarray) -> float:
    """Level between pauses and speech, dBFS, from frame levels.

    6 dB above the noise floor, but at least 15 dB below the loud frames, to keep soft consonants of speech without
    pauses, and at most 40 dB below them, so that breath in a quiet studio does not count as speech.
    """
    import numpy as np

    if not len(dbfs):
        return 0.0
    floor, loud = (float(np.percentile(dbfs, share)) for share in (5, 95))
    return max(min(max(floor + 6.0, loud - 40.0), loud - 15.0), SILENT_DBFS - 15.0)


def clipping_share(samples: np.ndarray, ceiling: float = 0.985) -> float:
    """Share of samples in flat tops: three or more in a row at or above `ceiling` of full scale, on the same side.

    An intact peak reaches full scale with one or two samples; a clipped one stays there.

    Args:
        samples: shape (n,) or (n, channels), best at the recording's own rate; the worst channel counts.
    """
    import numpy as np

    if not len(samples):
        return 0.0
    block = samples.reshape(len(samples), -1)
    flat = np.zeros(block.shape[1], dtype=np.int64)
    for over in (block >= ceiling, block <= -ceiling):
        if len(block) < 3:
            continue
        core = over[:-2] & over[1:-1] & over[2:]
        marked = np.zeros_like(over)
        for shift in range(3):
            marked[shift : len(core) + shift] |= core
        flat += marked.sum(axis=0)
    return float(flat.max() / len(block))


def rms_dbfs(samples: np.ndarray) -> float:
    """Root mean square level, dBFS; FLOOR_DBFS at least."""
    import numpy as np

    power = float(np.square(samples, dtype=np.float64).mean()) if len(samples) else 0.0
    return max(float(10 * np.log10(max(power, 1e-30))), FLOOR_DBFS)


def noise_floor_dbfs(samples: np.ndarray, rate: int = SAMPLE_RATE) -> float:
    """Level of the quietest tenth of the frames, dBFS; FLOOR_DBFS where that is digital silence."""
    return floor_of(frame_levels(samples, rate))


def floor_of(dbfs: np.ndarray) -> float:
    """10th percentile of frame levels, dBFS."""
    import numpy as np

    return float(np.percentile(dbfs, 10)) if len(dbfs) else FLOOR_DBFS


def silence_share(samples: np.ndarray, rate: int = SAMPLE_RATE, threshold: float | None = None) -> float:
    """Share of 10 ms frames below `threshold` (dBFS; by default `speech_threshold` of these samples)."""
    levels = frame_levels(samples, rate)
    if not len(levels):
        return 1.0
    return float((levels < (speech_threshold(levels) if threshold is None else threshold)).mean())


def speech_bounds(
    samples: np.ndarray, rate: int = SAMPLE_RATE, threshold: float | None = None
) -> tuple[float, float] | None:
    """Start of the first and end of the last sound, s; None where all is silent. Single clicks do not count."""
    bounds = loud_bounds(frame_levels(samples, rate), threshold)
    hop = round(rate * HOP) / rate
    return None if bounds is None else (bounds[0] * hop, min(bounds[1] * hop, len(samples) / rate))


def count_syllable_nuclei(samples: np.ndarray, rate: int = SAMPLE_RATE) -> int:
    """Number of syllables in mono speech: peaks of the level between 250 and 2500 Hz, 2 dB above the dips beside them.

    After de Jong and Wempe, "Praat script to detect syllable nuclei and measure speech rate automatically", Behavior
    Research Methods 41 (2009): no language and no transcript is needed, and the pace does not matter.
    """
    import numpy as np
    from scipy.signal import butter, find_peaks, sosfiltfilt

    size = round(rate * HOP)
    if len(samples) < 10 * size:
        return 0
    band = sosfiltfilt(butter(2, [250, 2500], "bandpass", fs=rate, output="sos"), samples)
    power = np.square(band[: len(band) // size * size]).reshape(-1, size).mean(axis=1)
    window = np.hanning(9)
    level = 10 * np.log10(np.convolve(power, window / window.sum(), "same") + 1e-12)
    # Peaks more than 28 dB below the loudest are breath, room or consonants.
    peaks, _ = find_peaks(level, prominence=2.0, distance=8, height=float(level.max()) - 28.0)
    return len(peaks)


def loud_bounds(dbfs: np.ndarray, threshold: float | None = None) -> tuple[int, int] | None:
    """First and one past the last frame of speech in frame levels; None where all is silent.

    A sound at the edge counts only if it lasts 60 ms, or if another sound is within 300 ms: clicks are excluded.
    """
    import numpy as np

    if not len(dbfs) or float(np.percentile(dbfs, 95)) < SILENT_DBFS:
        return None
    runs = loud_runs(dbfs, speech_threshold(dbfs) if threshold is None else threshold)
    while len(runs) > 1 and runs[0][1] - runs[0][0] < 6 and runs[1][0] - runs[0][1] > 30:
        runs = runs[1:]
    while len(runs) > 1 and runs[-1][1] - runs[-1][0] < 6 and runs[-1][0] - runs[-2][1] > 30:
        runs = runs[:-1]
    return (runs[0][0], runs[-1][1]) if runs else None


def loud_runs(dbfs: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Runs [first, last) of frames at or above `threshold`."""
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate([[False], dbfs >= threshold, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]

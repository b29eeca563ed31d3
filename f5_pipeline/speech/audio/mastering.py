"""Mastering: loudness and true peak measured in a stream, one linear gain, the delivered files with their tags."""

from __future__ import annotations

import errno
import io
import math
import os
from array import array
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from f5_pipeline.errors import PipelineError
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.script.model import AudioFormat

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

BLOCK = 1 << 16
"""Samples that are read, measured or encoded at once."""

MP3_LEVEL = 0.5
"""libsndfile's compression level of the MP3: 0.5 is 80 kb/s for mono at 24 kHz. The bit rate is constant: in a
long file of variable bit rate players find a time only to within seconds, and captions must stay with the voice."""

DITHER_SEED = 0x0F5
"""Seed of the master's dither: the same samples always give the same file."""

TAGS = ("title", "artist", "album", "comment", "date", "genre", "tracknumber", "copyright", "software", "license")
"""Tags that every format can carry."""


class LoudnessMeter:
    """Integrated loudness and peaks of mono audio that arrives in blocks of any length.

    Loudness follows ITU-R BS.1770-4 and EBU R 128: K-weighting, blocks of 400 ms with 75 % overlap, an absolute gate at
    -70 LUFS and a relative gate 10 LU below the loudness of what passed the first. Kept is one number per 100 ms
    (0.9 MB for 3 h). True peak is estimated on a 4 x oversampled signal as in BS.1770-4, Annex 2.

    Args:
        rate: samples a second.
    """

    _SUBBLOCK = 512  # true peak is searched only in those sub-blocks that can hold a new one
    _TAPS = 16  # per phase of the interpolator

    def __init__(self, rate: int = SAMPLE_RATE) -> None:
        import numpy as np

        if rate % 10:
            raise ValueError(f"blocks of 100 ms need a sampling rate divisible by 10, not {rate}")
        self.rate = rate
        self._hop = rate // 10
        self._weighting = k_weighting(rate)
        self._state = np.zeros((len(self._weighting), 2))
        self._hops = array("d")  # energy of each full 100 ms after K-weighting
        self._open = 0.0  # energy of the 100 ms under way
        self._open_samples = 0
        self._phases = _interpolator(self._TAPS)
        # |y| <= L1 norm of the filter x largest |x|: what cannot raise the peak need not be interpolated
        self._bound = max(float(np.abs(phase).sum()) for phase in self._phases)
        self._history = np.zeros(self._TAPS - 1, dtype=np.float32)
        self._true_peak = 0.0
        self.samples = 0
        self.sample_peak = 0.0

    def add(self, samples: Samples) -> None:
        """Measure further samples: float, shape (n,), full scale is 1.0."""
        import numpy as np

        block = np.ascontiguousarray(samples, dtype=np.float32)
        if block.ndim != 1:
            raise ValueError(f"mono samples of shape (n,) are needed, not {block.shape}")
        for start in range(0, len(block), BLOCK):
            self._add(block[start : start + BLOCK])

    def _add(self, block: Samples) -> None:
        import numpy as np
        from scipy.signal import sosfilt

        weighted, self._state = sosfilt(self._weighting, block.astype(np.float64), zi=self._state)
        energy = np.square(weighted)
        first = min(self._hop - self._open_samples, len(energy))
        self._open += float(energy[:first].sum())
        self._open_samples += first
        if self._open_samples == self._hop:
            self._hops.append(self._open)
            rest = energy[first:]
            full = len(rest) // self._hop
            self._hops.extend(rest[: full * self._hop].reshape(full, self._hop).sum(axis=1))
            self._open = float(rest[full * self._hop :].sum())
            self._open_samples = len(rest) - full * self._hop

        with_history = np.concatenate([self._history, block])
        self._true_peak = self._search(with_history, self._true_peak)
        self._history = with_history[-(self._TAPS - 1) :]
        self.sample_peak = max(self.sample_peak, float(np.abs(block).max(initial=0.0)))
        self.samples += len(block)

    def _search(self, samples: Samples, peak: float) -> float:
        """The larger of `peak` and the interpolated peak of `samples`, which begin with the history."""
        import numpy as np

        level = np.abs(samples)
        peak = max(peak, float(level.max(initial=0.0)))
        overlap = self._TAPS - 1
        count = max(0, len(samples) - overlap)
        starts = np.arange(0, count, self._SUBBLOCK)
        peaks = [float(level[start : start + self._SUBBLOCK + overlap].max()) for start in starts]
        for index in np.argsort(peaks)[::-1]:
            if peaks[index] * self._bound <= peak:
                break
            part = samples[starts[index] : starts[index] + self._SUBBLOCK + overlap]
            for phase in self._phases:
                peak = max(peak, float(np.abs(np.convolve(part, phase, "valid")).max()))
        return peak

    @property
    def integrated(self) -> float:
        """Integrated loudness so far, LUFS; -inf where nothing is above -70 LUFS or less than 400 ms were heard."""
        count, total = self._gated(_power(-70.0))
        if not count:
            return float("-inf")
        count, total = self._gated(max(_power(-70.0), math.nextafter(total / count / 10, math.inf)))
        return -0.691 + 10 * math.log10(total / count)

    def _gated(self, least: float) -> tuple[int, float]:
        """How many 400 ms blocks have at least this power, and the sum of theirs; a part of the blocks at a time."""
        import numpy as np

        count, total = 0, 0.0
        for start in range(0, len(self._hops) - 3, 1 << 16):
            hops = np.array(self._hops[start : start + (1 << 16) + 3])
            power = (hops[:-3] + hops[1:-2] + hops[2:-1] + hops[3:]) / (4 * self._hop)
            power = power[power >= least]
            count, total = count + len(power), total + float(power.sum())
        return count, total

    @property
    def true_peak(self) -> float:
        """True peak so far, dBTP; -inf for silence."""
        import numpy as np

        tail = np.concatenate([self._history, np.zeros(self._TAPS - 1, dtype=np.float32)])
        return decibels(self._search(tail, self._true_peak))


def k_weighting(rate: int) -> NDArray[np.float64]:
    """Second-order sections of the K-weighting of ITU-R BS.1770-4 at any sampling rate, shape (2, 6).

    The standard gives coefficients for 48 kHz only; these are the analogue prototypes behind them (B. De Man,
    "Evaluation of implementations of the EBU R128 loudness measurement", AES 145, 2018), bilinear transformed.
    """
    import numpy as np

    k = np.tan(np.pi * 1681.974450955533 / rate)
    q = 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    norm = 1 + k / q + k * k
    shelf = [
        (high + band * k / q + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - band * k / q + k * k) / norm,
        1.0,
        2 * (k * k - 1) / norm,
        (1 - k / q + k * k) / norm,
    ]
    k = np.tan(np.pi * 38.13547087602444 / rate)
    q = 0.5003270373238773
    norm = 1 + k / q + k * k
    highpass = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / norm, (1 - k / q + k * k) / norm]
    return np.array([shelf, highpass])


@lru_cache(maxsize=1)
def _interpolator(taps: int) -> list[NDArray[np.float32]]:
    """Phases 1 to 3 of a 4 x interpolator (windowed sinc); phase 0 is the signal itself."""
    import numpy as np
    from scipy.signal import firwin

    prototype = 4 * np.asarray(firwin(4 * taps + 1, 0.25))  # the standard's example has 12 taps a phase
    return [prototype[phase::4].astype(np.float32) for phase in (1, 2, 3)]


def _power(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)


def decibels(amplitude: float) -> float:
    """Amplitude in dB relative to 1.0; -inf for zero."""
    import math

    return 20 * math.log10(amplitude) if amplitude > 0 else float("-inf")


def choose_gain(loudness: float, true_peak: float, target: float, ceiling: float) -> tuple[float, bool]:
    """One linear gain for the whole narration.

    Args:
        loudness: measured integrated loudness, LUFS; -inf where it could not be measured, then the level is kept.
        true_peak: measured true peak, dBTP.
        target: loudness aimed at, LUFS.
        ceiling: highest true peak allowed, dBTP.

    Returns:
        The factor, and whether the peak ceiling kept it below what the target asks for.
    """
    wanted = target - loudness if loudness > float("-inf") else 0.0
    allowed = ceiling - true_peak
    return 10 ** (min(wanted, allowed) / 20), wanted > allowed


def encode(
    source: Path,
    gain: float,
    outputs: Mapping[AudioFormat, Path],
    tags: Mapping[str, str],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write the delivered files from raw samples, in one pass and flat memory.

    FLAC is the master: 24 kHz, 16 bit, with triangular dither of one step (deterministic; digital silence stays
    silent). MP3 has a constant bit rate and an ID3v2.4 tag in UTF-8: libsndfile alone would write ID3v1, 30 bytes a
    field and no agreed encoding.

    Args:
        source: raw little-endian float32, mono, SAMPLE_RATE Hz. Raw, because a WAV above 4 GiB reads back short.
        gain: linear factor.
        outputs: path by format. A file there is replaced; on an error none is left.
        tags: by the names in TAGS; empty ones are left out.
        progress: called after each block with the samples written and the samples in all.

    Returns:
        Samples written to each file.

    Raises:
        PipelineError: a file could not be written whole (disk full, quota) or the source is not whole samples.
    """
    import numpy as np

    unknown = [name for name in tags if name not in TAGS]
    if unknown:
        raise ValueError(f"unknown tags: {', '.join(unknown)}")
    # libsndfile takes C strings; a lone surrogate cannot be written as UTF-8
    clean = {k: v.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip() for k, v in tags.items()}
    clean = {name: text for name, text in clean.items() if text}
    size = source.stat().st_size
    if size % 4:
        raise PipelineError("the assembled audio is cut off inside a sample", file=str(source), hint="Run it again.")
    writers: list[_Writer] = []
    try:
        for name, path in outputs.items():
            writers.append(_WRITERS[name](path, clean))
        with source.open("rb") as stream:
            while raw := stream.read(4 * BLOCK):
                block = np.frombuffer(raw, dtype="<f4") * np.float32(gain)
                for writer in writers:
                    writer.write(block)
                progress(stream.tell() // 4, size // 4)
        for writer in writers:
            writer.close()
            if writer.frames() != size // 4:
                raise PipelineError(
                    f"the file reads back with {writer.frames()} samples of {size // 4}",
                    file=str(writer.path),
                    hint="Check the disk and run it again.",
                )
    except BaseException:
        for writer in writers:
            writer.abort()
        raise
    return size // 4


def disk_error(error: OSError, path: Path) -> PipelineError:
    """An error of the operating system while `path` was written, in words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return PipelineError(
            "no space is left for this file", file=str(path), hint="Free space on this disk and run it again."
        )
    reason = error.strerror or str(error)
    return PipelineError(f"cannot be written ({reason})", file=str(path), hint="Check the disk and run it again.")


class _Sink(io.RawIOBase):
    """The file behind libsndfile's callbacks: starts after `offset` bytes and keeps the first error.

    An exception cannot cross libsndfile's C code, and libsndfile itself drops errors of writes made while it closes:
    a full disk would go unnoticed in the last block. So errors are kept here, and the writer asks.
    """

    def __init__(self, path: Path, head: bytes) -> None:
        self.error: OSError | None = None
        self._offset = len(head)
        self._file = path.open("w+b")
        try:
            self._file.write(head)
        except OSError:
            self.shut()
            raise

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                return self._file.write(data)
            except OSError as error:
                self.error = error
        return 0

    def readinto(self, buffer: Any) -> int:
        try:
            return self._file.readinto(buffer)
        except OSError as error:  # reading flushes what is still buffered
            self.error = self.error or error
            return 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(offset + (self._offset if whence == os.SEEK_SET else 0), whence) - self._offset
        except (OSError, ValueError) as error:
            self.error = self.error or (error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error)))
            return -1

    def tell(self) -> int:
        try:
            return self._file.tell() - self._offset
        except OSError as error:
            self.error = self.error or error
            return -1

    def shut(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            self.error = self.error or error


class _Writer:
    """One output file, written in a stream. Sub-classes say how."""

    def __init__(self, path: Path, tags: Mapping[str, str]) -> None:
        self.path = path
        try:
            self._sink = _Sink(path, self.head(tags))
        except OSError as error:
            path.unlink(missing_ok=True)
            raise disk_error(error, path) from error
        try:
            self._audio = self.open(tags)
            self._check()
        except BaseException as error:
            self.abort()
            if self._sink.error is not None and not isinstance(error, PipelineError):
                raise disk_error(self._sink.error, path) from error
            raise

    def head(self, tags: Mapping[str, str]) -> bytes:
        """Bytes before the audio."""
        return b""

    def open(self, tags: Mapping[str, str]):
        raise NotImplementedError

    def quantise(self, block: Samples) -> NDArray[Any]:
        """What of these samples is handed to the encoder."""
        return block

    def write(self, block: Samples) -> None:
        import soundfile

        try:
            self._audio.write(self.quantise(block))
        except (soundfile.LibsndfileError, AssertionError) as error:  # soundfile asserts that everything was taken
            self._check()
            raise disk_error(OSError(errno.EIO, str(error)), self.path) from error
        self._check()

    def close(self) -> None:
        self._finish()
        self._check()

    def abort(self) -> None:
        """Give up: close what is open and remove the file."""
        self._finish()
        self.path.unlink(missing_ok=True)

    def frames(self) -> int:
        import soundfile

        return soundfile.info(self.path).frames

    def _finish(self) -> None:
        import soundfile

        audio = getattr(self, "_audio", None)
        if audio is not None:
            try:
                audio.close()
            except soundfile.LibsndfileError as error:
                self._sink.error = self._sink.error or OSError(errno.EIO, str(error))
        self._sink.shut()

    def _check(self) -> None:
        if self._sink.error is not None:
            raise disk_error(self._sink.error, self.path) from self._sink.error


class _FlacWriter(_Writer):
    def open(self, tags: Mapping[str, str]):
        import numpy as np
        import soundfile

        self._noise = np.random.PCG64(DITHER_SEED)
        audio = soundfile.SoundFile(cast("BinaryIO", self._sink), "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC")
        for name, text in tags.items():
            setattr(audio, name, text)
        return audio

    def quantise(self, block: Samples) -> NDArray[Any]:
        return _sixteen_bit(block, self._noise)


class _Mp3Writer(_Writer):
    def head(self, tags: Mapping[str, str]) -> bytes:
        return id3v2(tags)

    def open(self, tags: Mapping[str, str]):
        import soundfile

        return soundfile.SoundFile(
            cast("BinaryIO", self._sink),
            "w",
            SAMPLE_RATE,
            1,
            "MPEG_LAYER_III",
            format="MP3",
            bitrate_mode="CONSTANT",
            compression_level=MP3_LEVEL,
        )


_WRITERS: dict[AudioFormat, type[_Writer]] = {"flac": _FlacWriter, "mp3": _Mp3Writer}


def _sixteen_bit(block: Samples, noise: np.random.PCG64) -> NDArray[np.int16]:
    """Round to int16 with triangular dither of +-1 step; samples that are exactly zero stay zero."""
    import numpy as np

    # One raw 64-bit number a sample, as two uniform ones: the raw stream is stable over numpy's versions, and the
    # result does not depend on how the audio was cut into blocks.
    raw = np.asarray(noise.random_raw(len(block)), dtype=np.uint64)
    first = (raw >> np.uint64(40)).astype(np.float32)
    second = ((raw >> np.uint64(8)) & np.uint64(0xFFFFFF)).astype(np.float32)
    dither = (first - second) / np.float32(1 << 24)
    steps = np.rint(block * np.float32(32768) + np.where(block == 0, np.float32(0), dither))
    return np.clip(steps, -32768, 32767).astype(np.int16)


_ID3_FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "album": "TALB",
    "date": "TDRC",
    "genre": "TCON",
    "tracknumber": "TRCK",
    "copyright": "TCOP",
    "software": "TSSE",
}


def id3v2(tags: Mapping[str, str]) -> bytes:
    """An ID3v2.4 tag (id3.org, "ID3 tag version 2.4.0", structure and native frames), text in UTF-8.

    `license` goes into a TXXX frame; `comment` is a COMM frame of unknown language.
    """
    frames = b""
    for name, text in tags.items():
        value = text.encode("utf-8")
        if name == "comment":
            identifier, body = "COMM", b"\x03XXX\0" + value
        elif name == "license":
            identifier, body = "TXXX", b"\x03LICENSE\0" + value
        else:
            identifier, body = _ID3_FRAMES[name], b"\x03" + value
        frames += identifier.encode("ascii") + _synchsafe(len(body)) + b"\0\0" + body
    return b"ID3\x04\0\0" + _synchsafe(len(frames)) + frames if frames else b""


def _synchsafe(number: int) -> bytes:
    if number >= 1 << 28:
        raise ValueError("an ID3 tag holds less than 256 MiB")
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))

"""Delivered audio files: a table of their formats, and their writers, from raw samples in one pass."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from f5_pipeline.errors import PipelineError
from f5_pipeline.speech.audio.tags import clean_tags, id3v2
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.file_format import FileFormat
from f5_pipeline.speech.script.model import AudioFormat

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

BLOCK = 1 << 16
"""Samples read and encoded at a time."""

MP3_LEVEL = 0.5
"""libsndfile's compression level of the MP3: 0.5 is 80 kb/s for mono at 24 kHz. The bit rate is constant: in
long files of variable bit rate, players seek to within seconds only, and captions would lose the voice."""

DITHER_SEED = 0x0F5
"""Seed of the master's dither: the same samples always give the same file."""


def encode(
    source: Path,
    gain: float,
    outputs: Mapping[AudioFormat, Path],
    tags: Mapping[str, str],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write the delivered files from raw samples, in one pass and flat memory.

    FLAC is the master: 24 kHz, 16 bit, with deterministic triangular dither of one step; digital silence stays silent.
    MP3 has a constant bit rate and an ID3v2.4 tag in UTF-8: libsndfile itself writes only ID3v1, with 30 bytes a field
    and no defined encoding.

    Args:
        source: raw little-endian float32, mono, SAMPLE_RATE Hz. Raw, because a WAV above 4 GiB reads back short.
        gain: linear factor.
        outputs: path by format. A file there is replaced; on an error none is left.
        tags: by the names in TAGS; empty ones are left out.
        progress: called after each block with the samples written and in total.

    Returns:
        Samples written to each file.

    Raises:
        PipelineError: a file could not be written completely (disk full, quota), or the source ends inside a sample.
    """
    import numpy as np

    clean = clean_tags(tags)
    size = source.stat().st_size
    if size % 4:
        raise PipelineError("the assembled audio is cut off inside a sample", file=str(source), hint="Run it again.")
    writers: list[AudioWriter] = []
    try:
        for name, path in outputs.items():
            writers.append(FORMATS[name].writer(path, clean))
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
    """The PipelineError for an OSError while `path` was written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return PipelineError(
            "no space is left for this file", file=str(path), hint="Free space on this disk and run it again."
        )
    reason = error.strerror or str(error)
    return PipelineError(f"cannot be written ({reason})", file=str(path), hint="Check the disk and run it again.")


class _Sink(io.RawIOBase):
    """The file behind libsndfile's callbacks: starts after `head` and keeps the first error for the writer.

    An exception cannot cross libsndfile's C code, and libsndfile ignores errors of writes while it closes: a full disk
    would go unnoticed in the last block.
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
        except OSError as error:  # reading flushes the buffer
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


class AudioWriter:
    """An output file, written as a stream; each format has a subclass. An error leaves no file."""

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
        """Samples as the encoder takes them."""
        return block

    def write(self, block: Samples) -> None:
        import soundfile

        try:
            self._audio.write(self.quantise(block))
        except (soundfile.LibsndfileError, AssertionError) as error:  # soundfile asserts a complete write
            self._check()
            raise disk_error(OSError(errno.EIO, str(error)), self.path) from error
        self._check()

    def close(self) -> None:
        self._finish()
        self._check()

    def abort(self) -> None:
        """Close and remove the file."""
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


class _FlacWriter(AudioWriter):
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


class _Mp3Writer(AudioWriter):
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


def _sixteen_bit(block: Samples, noise: np.random.PCG64) -> NDArray[np.int16]:
    """Round to int16 with triangular dither of +-1 step; samples that are exactly zero stay zero."""
    import numpy as np

    # Two uniform numbers from one raw 64-bit number a sample: the raw stream is the same in all versions of numpy, and
    # the result does not depend on the blocks.
    raw = np.asarray(noise.random_raw(len(block)), dtype=np.uint64)
    first = (raw >> np.uint64(40)).astype(np.float32)
    second = ((raw >> np.uint64(8)) & np.uint64(0xFFFFFF)).astype(np.float32)
    dither = (first - second) / np.float32(1 << 24)
    steps = np.rint(block * np.float32(32768) + np.where(block == 0, np.float32(0), dither))
    return np.clip(steps, -32768, 32767).astype(np.int16)


@dataclass(frozen=True)
class AudioFileFormat(FileFormat):
    """A kind of audio file.

    Attributes:
        writer: writes one such file.
        lossless: whether it keeps every sample; a page prefers smaller files for playing.
    """

    writer: type[AudioWriter]
    lossless: bool


FORMATS: dict[AudioFormat, AudioFileFormat] = {
    "flac": AudioFileFormat(".flac", "audio/flac", "Audio", "lossless FLAC", _FlacWriter, lossless=True),
    "mp3": AudioFileFormat(".mp3", "audio/mpeg", "Audio", "MP3", _Mp3Writer, lossless=False),
}
"""By name in scripts. A new format needs its name in `script.model.AudioFormat` too."""

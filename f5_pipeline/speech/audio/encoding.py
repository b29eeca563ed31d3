"""Delivered audio files: a table of their formats, and their writers; files side by side."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, cast

from f5_pipeline.errors import PipelineError
from f5_pipeline.speech.audio.ffmpeg import ffmpeg_has, need_ffmpeg
from f5_pipeline.speech.audio.mastering import Master
from f5_pipeline.speech.audio.tags import Tagging, alpha3, ffmetadata, flac_blocks, id3v2, place_free_form
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.file_format import FileFormat
from f5_pipeline.speech.script.model import AudioFormat

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

BLOCK = 1 << 16
"""Samples read and encoded at a time."""

MP3_RATES = {SAMPLE_RATE: (8, 160), 44_100: (32, 320)}
"""Lowest and highest bit rate of an MP3, kbit/s, by sampling rate, Hz."""

MP3_KBPS = 80
"""The bit rate is constant: in long files of variable bit rate, players seek to within seconds only, and captions would
lose the voice."""

SEEK_SECONDS = 10
"""Distance of the seek points of a FLAC file."""

MAX_WAV_BYTES = round(3.9 * (1 << 30))
"""Size above which a WAV file is an RF64: the sizes in it have 32 bits."""

DITHER_SEED = 0x0F5
"""Seed of the dither: the same samples always give the same file."""


@dataclass(frozen=True)
class Output:
    """A file to write.

    Attributes:
        start, stop: its part of the master, in samples; before the first and after the last is silence.
        mp3: sampling rate, Hz, and constant bit rate, kbit/s, of an MP3.
    """

    format: AudioFormat
    path: Path
    start: int
    stop: int
    tags: Tagging = field(default_factory=Tagging)
    mp3: tuple[int, int] = (SAMPLE_RATE, MP3_KBPS)

    @property
    def rate(self) -> int:
        return self.mp3[0] if self.format == "mp3" else SAMPLE_RATE

    @property
    def frames(self) -> int:
        """Samples of the file."""
        return -(-(self.stop - self.start) * self.rate // SAMPLE_RATE)


def encode(
    master: Master,
    outputs: Sequence[Output],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    written: Callable[[Output], None] = lambda output: None,
    workers: int | None = None,
) -> None:
    """Write the delivered files, side by side and in flat memory.

    FLAC and WAV have 24 kHz and 16 bit, with deterministic triangular dither of one step; digital silence stays silent.
    The files do not depend on `workers`.

    Args:
        outputs: a file there is replaced; on an error none is left.
        progress: called while the files are written, with the samples written to all files and in total.
        written: called with each finished file, in the thread that wrote it, while others are written.
        workers: files written at once; None: one a core.

    Raises:
        PipelineError: a file could not be written completely (disk full, quota), or the source ends inside a sample.
        InputError: ffmpeg is needed and not here.
    """
    if master.path.stat().st_size % 4:
        raise PipelineError(
            "the assembled audio is cut off inside a sample", file=str(master.path), hint="Run it again."
        )
    # the longest first, so that no core waits for one that began late
    tasks = sorted(outputs, key=lambda output: output.start - output.stop)
    run = _Run(progress, written, sum(task.stop - task.start for task in tasks))
    try:
        with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
            futures = [pool.submit(run.write, master, task) for task in tasks]
            while wait(futures, 0.5).not_done:
                run.tell()
        run.tell()
        for future in futures:
            future.result()
    except BaseException as error:
        for output in outputs:
            output.path.unlink(missing_ok=True)
        if run.error is not None:
            raise run.error from run.error.__cause__
        if isinstance(error, OSError):
            raise disk_error(error, master.path) from error
        raise


class _Run:
    """What the writers of one call share: how much is written, and the first error, after which all stop."""

    def __init__(self, progress: Callable[[int, int], None], written: Callable[[Output], None], total: int) -> None:
        self._progress, self._written, self._total, self._done = progress, written, total, 0
        self._lock = threading.Lock()
        self.error: BaseException | None = None

    def write(self, master: Master, output: Output) -> None:
        try:
            _write(master, output, self)
            self._written(output)
        except BaseException as error:
            with self._lock:
                self.error = self.error or error
            raise

    def add(self, samples: int) -> None:
        with self._lock:
            self._done += samples
        if self.error is not None:
            raise PipelineError("another file could not be written")

    def tell(self) -> None:
        self._progress(min(self._done, self._total), self._total)


def _write(master: Master, output: Output, run: _Run) -> None:
    import numpy as np

    resampler = None
    if output.rate != SAMPLE_RATE:
        import soxr

        resampler = soxr.ResampleStream(SAMPLE_RATE, output.rate, 1, dtype="float32")
    writer = FORMATS[output.format].writer(output)
    try:
        left = output.frames
        for start in range(output.start, output.stop, BLOCK):
            stop = min(start + BLOCK, output.stop)
            block = master.read(start, stop)
            if resampler is not None:
                block = resampler.resample_chunk(block, last=stop == output.stop)[:left]
                if stop == output.stop:
                    block = np.pad(block, (0, left - len(block)))
            left -= len(block)
            writer.write(block)
            run.add(stop - start)
        writer.close()
        if writer.frames() != output.frames:
            raise PipelineError(
                f"the file reads back with {writer.frames()} samples of {output.frames}",
                file=str(writer.path),
                hint="Check the disk and run it again.",
            )
    except BaseException:
        writer.abort()
        raise


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
        self.watch: Callable[[int, Any], None] | None = None
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
                if self.watch is not None:
                    self.watch(self._file.tell(), data)
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

    def __init__(self, output: Output) -> None:
        self.output = output
        self.path = output.path
        try:
            self._sink = _Sink(self.path, self.head())
        except OSError as error:
            self.path.unlink(missing_ok=True)
            raise disk_error(error, self.path) from error
        try:
            self._audio = self.open()
            self._check()
        except BaseException as error:
            self.abort()
            if self._sink.error is not None and not isinstance(error, PipelineError):
                raise disk_error(self._sink.error, self.path) from error
            if isinstance(error, OSError):
                raise disk_error(error, self.path) from error
            raise

    def head(self) -> bytes:
        """Bytes before the audio."""
        return b""

    def open(self):
        raise NotImplementedError

    def finish(self) -> None:
        """Complete the closed file."""

    def quantise(self, block: Samples) -> NDArray[Any]:
        """Samples as the encoder takes them."""
        return block

    def write(self, block: Samples) -> None:
        from f5_pipeline.speech.libsndfile import soundfile

        try:
            self._audio.write(self.quantise(block))
        except (soundfile.LibsndfileError, AssertionError) as error:  # soundfile asserts a complete write
            self._check()
            raise disk_error(OSError(errno.EIO, str(error)), self.path) from error
        self._check()

    def close(self) -> None:
        self._shut()
        self._check()
        try:
            self.finish()
        except OSError as error:
            raise disk_error(error, self.path) from error

    def abort(self) -> None:
        """Close and remove the file."""
        self._shut()
        self.path.unlink(missing_ok=True)

    def frames(self) -> int:
        from f5_pipeline.speech.libsndfile import soundfile

        return soundfile.info(self.path).frames

    def _shut(self) -> None:
        from f5_pipeline.speech.libsndfile import soundfile

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

    def _open(self, **how: Any):
        from f5_pipeline.speech.libsndfile import soundfile

        return soundfile.SoundFile(cast("BinaryIO", self._sink), "w", self.output.rate, 1, **how)


class _PcmWriter(AudioWriter):
    def open(self):
        import numpy as np

        self._noise = np.random.PCG64(DITHER_SEED)
        return self._container()

    def _container(self):
        raise NotImplementedError

    def quantise(self, block: Samples) -> NDArray[Any]:
        return _sixteen_bit(block, self._noise)


class _FlacWriter(_PcmWriter):
    """libsndfile writes neither seek points nor chapters: it is made to leave room, which is filled in the end."""

    _frame = 4096  # samples of a frame of libFLAC at 24 kHz

    def _container(self):
        points = -(-self.output.frames // (SEEK_SECONDS * SAMPLE_RATE))
        blocks = flac_blocks(self.output.tags, [(0, 0, 0)] * points)
        audio = self._open(subtype="PCM_16", format="FLAC")
        audio.comment = "." * sum(4 + len(content) for _, content in blocks)
        self._points: list[tuple[int, int, int]] = []
        self._frames, self._first = 0, 0
        self._sink.watch = self._see
        return audio

    def _see(self, place: int, data: Any) -> None:
        """Note where frames begin: libFLAC hands on each as a whole."""
        if bytes(data[:2]) not in (b"\xff\xf8", b"\xff\xf9"):
            return
        self._first = self._first or place
        sample = self._frames * self._frame
        if sample >= len(self._points) * SEEK_SECONDS * SAMPLE_RATE:
            self._points.append((sample, place - self._first, min(self._frame, self.output.frames - sample)))
        self._frames += 1

    def finish(self) -> None:
        with self.path.open("r+b") as file:
            smallest, largest = struct.unpack(">8x2H", file.read(12))
            points = self._points if smallest == largest == self._frame or self._frames == 1 else []
            blocks = list(flac_blocks(self.output.tags, points))
            left = self._first - 42 - sum(4 + len(content) for _, content in blocks) - 4
            for kind, content in (*blocks, (0x81, bytes(left))):  # padding is the last
                if file.tell() < 42:
                    file.seek(42)
                file.write(struct.pack(">I", kind << 24 | len(content)) + content)


class _WavWriter(_PcmWriter):
    def _container(self):
        size = 2 * self.output.frames
        return self._open(subtype="PCM_16", format="WAV" if size < MAX_WAV_BYTES else "RF64")

    def finish(self) -> None:
        """Append the tags as a chunk, and count it in the size of the whole."""
        tag = id3v2(self.output.tags)
        if not tag:
            return
        with self.path.open("r+b") as file:
            is_large = file.read(4) == b"RF64"
            file.seek(0, os.SEEK_END)
            file.write(bytes(file.tell() % 2) + b"id3 " + struct.pack("<I", len(tag)) + tag + bytes(len(tag) % 2))
            size = file.tell() - 8
            file.seek(20 if is_large else 4)
            file.write(struct.pack("<Q" if is_large else "<I", size))


class _SndfileMp3Writer(AudioWriter):
    def head(self) -> bytes:
        return id3v2(self.output.tags)

    def open(self):
        lowest, highest = MP3_RATES[self.output.rate]
        level = (highest - self.output.mp3[1]) / (highest - lowest)  # it takes the nearest bit rate
        return self._open(subtype="MPEG_LAYER_III", format="MP3", bitrate_mode="CONSTANT", compression_level=level)


class _FfmpegWriter(AudioWriter):
    """A file that ffmpeg writes from samples in its standard input."""

    is_mp4 = False

    def codec(self) -> Sequence[str]:
        """Options of the encoder and the container."""
        raise NotImplementedError

    def tags(self) -> Tagging:
        """What ffmpeg writes of them."""
        return self.output.tags

    def open(self):
        tags = self.tags()
        self._work = tempfile.TemporaryDirectory(prefix="f5-ffmpeg-")
        meta, cover, self._log = (Path(self._work.name, name) for name in ("meta", "cover.jpg", "log"))
        meta.write_text(ffmetadata(tags, mp4=self.is_mp4), encoding="utf-8")
        call = [need_ffmpeg(f"a file of the format {self.output.format}"), "-v", "error", "-nostdin", "-y"]
        call += ["-f", "f32le", "-ar", str(self.output.rate), "-ac", "1", "-i", "pipe:0"]
        call += ["-f", "ffmetadata", "-i", str(meta)]
        mapped = ["-map", "0:a", "-map_metadata", "1", "-map_chapters", "1"]
        if self.is_mp4 and tags.cover:
            cover.write_bytes(tags.cover)
            call += ["-f", "mjpeg", "-i", str(cover)]
            mapped += ["-map", "2:v", "-c:v", "copy", "-disposition:v:0", "attached_pic"]
        if self.is_mp4:
            mapped += ["-metadata:s:a:0", f"language={alpha3(tags.fields.get('language', ''))}"]
        with self._log.open("wb") as log:
            self._ffmpeg = subprocess.Popen(
                [*call, *mapped, *self.codec(), "-fflags", "+bitexact", "-flags", "+bitexact", f"file:{self.path}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        return self._ffmpeg.stdin

    def write(self, block: Samples) -> None:
        try:
            self._audio.write(block.astype("<f4", copy=False).tobytes())
        except OSError:
            self._fail()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._audio.close()
        if self._ffmpeg.wait():
            self._fail()
        super().close()

    def _fail(self) -> NoReturn:
        code = self._ffmpeg.wait()
        told = self._log.read_text(errors="replace").strip().splitlines()
        full = [number for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) if os.strerror(number) in " ".join(told)]
        if code == -signal.SIGXFSZ:
            full = [errno.EFBIG]
        if full:
            raise disk_error(OSError(full[0], os.strerror(full[0])), self.path)
        raise disk_error(OSError(errno.EIO, f"ffmpeg: {told[-1] if told else 'ended early'}"), self.path)

    def frames(self) -> int:
        return self.output.frames  # else ffmpeg has failed

    def _shut(self) -> None:
        self._sink.shut()
        if ffmpeg := getattr(self, "_ffmpeg", None):
            ffmpeg.kill()
            ffmpeg.communicate()
        if work := getattr(self, "_work", None):
            work.cleanup()


class _Mp3Writer(_FfmpegWriter):
    """By ffmpeg, which is several times as fast. It leaves room for our ID3 tag, which has what ffmpeg's lacks."""

    def codec(self) -> Sequence[str]:
        self._id3 = id3v2(self.output.tags)
        # LAME's quality 7: its noise is as far below speech as that of libsndfile's LAME, for a fifth of the time
        codec = ["-c:a", "libmp3lame", "-b:a", f"{self.output.mp3[1]}k", "-compression_level", "7"]
        room = ["-id3v2_version", "4", "-metadata_header_padding", str(len(self._id3) - 10)]
        return [*codec, *(room if self._id3 else ["-id3v2_version", "0"]), "-f", "mp3"]

    def tags(self) -> Tagging:
        return Tagging()

    def finish(self) -> None:
        """Write the ID3 tag, and the padding into the frame `Info`: ffmpeg's is too short where it exceeds a frame."""
        start = len(self._id3)
        with self.path.open("r+b") as file:
            file.seek(start)
            frame = bytearray(file.read(240))  # no frame is smaller
            info = frame.find(b"Info")
            lame = info + 120  # behind name, flags, frames, bytes, seek table, quality
            count, size = struct.unpack_from(">II", frame, info + 8) if info > 0 and lame < 200 < len(frame) else (0, 0)
            delay = int.from_bytes(frame[lame + 21 : lame + 24], "big") >> 12
            padding = count * (576 if self.output.rate < 32_000 else 1152) - delay - self.output.frames
            # an ffmpeg that could not write the last bytes may not say so
            if padding < 0 or start + size != file.seek(0, os.SEEK_END):
                raise OSError(errno.EIO, "ffmpeg has not written the whole file")
            frame[lame + 21 : lame + 24] = (delay << 12 | padding).to_bytes(3, "big")
            struct.pack_into(">H", frame, lame + 34, _crc16(frame[: lame + 34]))
            file.seek(0)
            file.write(self._id3 + frame)

    def frames(self) -> int:
        return AudioWriter.frames(self)


def _crc16(data: bytes | bytearray) -> int:
    """CRC-16/ARC, as in the LAME tag."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


class _OpusWriter(_FfmpegWriter):
    def codec(self) -> Sequence[str]:
        return "-c:a", "libopus", "-b:a", "40k", "-application", "voip", "-f", "opus"


class _M4bWriter(_FfmpegWriter):
    is_mp4 = True

    def codec(self) -> Sequence[str]:
        return "-c:a", "aac", "-b:a", "80k", "-movflags", "+faststart", "-f", "ipod"

    def finish(self) -> None:
        with self.path.open("r+b") as file:
            head = file.read(64 << 20)  # tags, cover and the tables of 20 h lie before the sound
            if placed := place_free_form(head, self.output.tags):
                file.seek(placed[0])
                file.write(placed[1])


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

    writer: Callable[[Output], AudioWriter]
    lossless: bool


def _mp3_writer(output: Output) -> AudioWriter:
    return (_Mp3Writer if ffmpeg_has("libmp3lame") else _SndfileMp3Writer)(output)


FORMATS: dict[AudioFormat, AudioFileFormat] = {
    "flac": AudioFileFormat(".flac", "audio/flac", "Audio", "lossless FLAC", _FlacWriter, lossless=True),
    "mp3": AudioFileFormat(".mp3", "audio/mpeg", "Audio", "MP3", _mp3_writer, lossless=False),
    "wav": AudioFileFormat(".wav", "audio/wav", "Audio", "WAV", _WavWriter, lossless=True),
    "opus": AudioFileFormat(".opus", "audio/ogg; codecs=opus", "Audio", "Opus", _OpusWriter, lossless=False),
    "m4b": AudioFileFormat(".m4b", "audio/mp4", "Audiobook", "M4B", _M4bWriter, lossless=False),
}
"""By name in scripts. A new format needs its name in `script.model.AudioFormat` too."""

WHOLE: frozenset[AudioFormat] = frozenset({"flac", "m4b"})
"""Formats that are one file also where the others are one for each chapter: the master, and the audiobook."""

BY_FFMPEG: frozenset[AudioFormat] = frozenset({"opus", "m4b"})
"""Formats that ffmpeg alone writes; an MP3 is made by libsndfile where there is none."""

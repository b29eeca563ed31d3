"""Audio files, read from start to end; and recordings that libsndfile does not read, by FFmpeg's libraries (PyAV, the
extra `media`): m4a, mp4, webm, wma …"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from f5_pipeline.errors import InputError

if TYPE_CHECKING:
    from f5_pipeline.speech.libsndfile import soundfile


def open_forward(path: Path | str) -> soundfile.SoundFile:
    """A file to be read from start to end, which cannot be moved in.

    soundfile seeks after every block that it reads. At each, libmpg123 goes back some frames, whose bits lie in frames
    before them, and complains of every one ("part2_3_length too large").

    Raises:
        soundfile.LibsndfileError, OSError: it cannot be read.
    """
    from f5_pipeline.speech.libsndfile import soundfile

    class Forward(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

    return Forward(path)


def converted(path: Path, longest: float) -> Path:
    """A FLAC file with the first audio track of a media file, kept for as long as this process lives.

    Args:
        longest: seconds after which a recording is too long to be read.

    Raises:
        ImportError: PyAV is not installed.
        InputError: it is no media file, has no sound, or is too long.
    """
    import av  # noqa: F401 - so that a missing package is told before anything is written

    stat = path.stat()
    return _converted(path, stat.st_mtime_ns, stat.st_size, longest)


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="f5-recordings-")


@lru_cache(maxsize=8)
def _converted(path: Path, modified: int, size: int, longest: float) -> Path:
    import av
    import numpy as np
    from av.error import FFmpegError

    from f5_pipeline.speech.libsndfile import soundfile

    target = Path(_folder().name, f"{modified:x}-{size:x}-{path.stem[:40]}.flac")
    try:
        # A file may name others; none of them is opened.
        with av.open(str(path.absolute()), options={"protocol_whitelist": "file"}) as container:
            if not container.streams.audio:
                raise InputError("the file holds no sound", file=path.name, hint="Give a recording of speech.")
            stream = container.streams.audio[0]
            rate, channels = stream.rate, stream.channels
            layout = "mono" if channels == 1 else "stereo"
            resampler = av.AudioResampler(format="s16", layout=layout, rate=rate)
            with soundfile.SoundFile(target, "w", rate, 1 if channels == 1 else 2, "PCM_16", format="FLAC") as out:
                for frame in container.decode(stream):
                    for part in resampler.resample(frame):
                        out.write(np.asarray(part.to_ndarray(), np.int16).reshape(-1, out.channels))
                    if out.frames > longest * rate:
                        raise InputError(
                            f"the recording lasts more than {longest / 3600:.0f} h",
                            file=path.name,
                            hint="Give a minute or less of clear speech; 6 to 10 s are enough.",
                        )
    except FFmpegError as error:
        target.unlink(missing_ok=True)
        raise InputError(
            f"the recording is not audio that can be read: {error.strerror}",
            file=path.name,
            hint="Convert it to WAV or FLAC, for example: ffmpeg -i recording.m4a recording.wav.",
        ) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target

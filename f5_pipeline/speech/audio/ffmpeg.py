"""The program ffmpeg: that of the system, or the one in the package imageio-ffmpeg (extra `media`)."""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache

from f5_pipeline.errors import InputError

HINT = "Install ffmpeg, or: pip install 'f5-pipeline[media]'."


def find_ffmpeg() -> str | None:
    """The path of ffmpeg; None where there is none."""
    if path := shutil.which("ffmpeg"):
        return path
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):  # not installed, or without a binary for this system
        return None


def ffmpeg_has(encoder: str) -> bool:
    """Whether there is an ffmpeg that was built with this encoder."""
    path = find_ffmpeg()
    return path is not None and f" {encoder} " in _encoders(path)


@lru_cache(maxsize=4)
def _encoders(path: str) -> str:
    call = [path, "-hide_banner", "-nostdin", "-encoders"]
    return subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout


def need_ffmpeg(purpose: str) -> str:
    """The path of ffmpeg. Raises InputError: there is none."""
    path = find_ffmpeg()
    if path is None:
        raise InputError(f"{purpose} is made by ffmpeg, which is not here", hint=HINT)
    return path

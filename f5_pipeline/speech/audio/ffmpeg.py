"""The program ffmpeg: that of the system, or the one in the package imageio-ffmpeg (extra `media`)."""

from __future__ import annotations

import shutil

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


def need_ffmpeg(purpose: str) -> str:
    """The path of ffmpeg. Raises InputError: there is none."""
    path = find_ffmpeg()
    if path is None:
        raise InputError(f"{purpose} is made by ffmpeg, which is not here", hint=HINT)
    return path

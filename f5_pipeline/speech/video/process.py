"""Runs of ffmpeg that make a video, and what it tells of one."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from f5_pipeline.errors import InputError, PipelineError
from f5_pipeline.speech.audio.ffmpeg import need_ffmpeg

MAX_TOLD_BYTES = 1 << 20
"""What is read of ffmpeg's messages."""

Progress = Callable[[int, int], None]
"""Called with the seconds that are made, and with all of them."""

_STREAM = re.compile(r" *Stream #0:(\d+)[^ ]*: (Video|Audio|Subtitle): (\w+)(.*)")
_SIZE = re.compile(r", (\d{1,5})x(\d{1,5})(?:[, ]|$)")
_DURATION = re.compile(r" *Duration: (\d+):(\d\d):(\d\d\.\d+)")
_GENERIC = (
    "Conversion failed", "Error opening output file", "Error : ", "Nothing was written", "Error initializing",
    "Error selecting", "Error parsing", "Error sending", "Task finished", "Terminating thread",
)  # fmt: skip
"""Beginnings of messages that follow from others."""


@dataclass(frozen=True)
class Stream:
    """A stream of a file: its number, "Video", "Audio" or "Subtitle", and ffmpeg's name of its codec."""

    index: int
    kind: str
    codec: str


@dataclass(frozen=True)
class Media:
    """A video file.

    Attributes:
        streams: pictures, sound and captions; attached pictures are left out.
        width, height: pixels of the picture as it is shown.
        seconds: duration; 0 where it is not known.
    """

    path: Path
    streams: Sequence[Stream]
    width: int
    height: int
    seconds: float

    def of_kind(self, kind: str) -> list[Stream]:
        return [stream for stream in self.streams if stream.kind == kind]


def probe(path: Path) -> Media:
    """What ffmpeg tells of a video.

    Raises:
        InputError: there is no such file, ffmpeg cannot read it, or it has no picture.
    """
    if not path.is_file():
        raise InputError("there is no such video", file=str(path))
    call = [need_ffmpeg("a video"), "-hide_banner", "-nostdin", *video_input(path)]
    with tempfile.TemporaryFile() as log:
        subprocess.run(call, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, check=False)
        lines = _read(log)
    streams, size, seconds = [], None, 0.0
    for line in lines:
        if match := _DURATION.match(line):
            hours, minutes, rest = match.groups()
            seconds = int(hours) * 3600 + int(minutes) * 60 + float(rest)
        elif "rotation of" in line and size and re.search(r"rotation of -?(?:90|270)\.", line):
            size = size[::-1]
        elif (match := _STREAM.match(line)) and "(attached pic)" not in line:
            streams.append(Stream(int(match[1]), match[2], match[3]))
            if match[2] == "Video" and size is None and (found := _SIZE.search(match[4])):
                size = int(found[1]), int(found[2])
    if size is None:
        problem = "it has no picture" if streams else f"ffmpeg cannot read it: {_reason(lines)}"
        raise InputError(problem, file=str(path), hint="Give a video.")
    return Media(path, streams, size[0], size[1], seconds)


def video_input(path: Path) -> list[str]:
    """The options that read a file, whatever its name is. A playlist in it opens nothing but files."""
    return ["-protocol_whitelist", "file", "-i", f"file:{path.absolute()}"]


def run(
    arguments: Sequence[str], output: Path, folder: Path, *, seconds: float, on_progress: Progress | None = None
) -> None:
    """Run ffmpeg in `folder`, so that filters find files there by plain names, and write `output`.

    Args:
        arguments: all but the output.
        seconds: length of the output, for the progress.

    Raises:
        PipelineError: ffmpeg failed; names its reason.
    """
    call = [need_ffmpeg("a video"), "-v", "error", "-nostdin", "-y", "-progress", "pipe:1", "-nostats"]
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(
            [*call, *arguments, f"file:{output.absolute()}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as ffmpeg:
            assert ffmpeg.stdout is not None
            try:
                for line in ffmpeg.stdout:
                    name, _, value = line.strip().partition("=")
                    if on_progress and name == "out_time_us" and value.isdigit():
                        on_progress(min(int(value) // 1_000_000, round(seconds)), round(seconds))
            except BaseException:  # interrupted, too
                ffmpeg.kill()
                raise
        if ffmpeg.returncode:
            raise PipelineError(f"ffmpeg could not make the video: {_reason(_read(log))}")


def _read(log: IO[bytes]) -> list[str]:
    log.seek(0)
    return log.read(MAX_TOLD_BYTES).decode("utf-8", "replace").splitlines()


def _reason(lines: Sequence[str]) -> str:
    """The last line that says more than that it failed, without the address of what says it."""
    lines = [re.sub(r"^(?:\[[^\]]*\] )+", "", line).strip() for line in lines]
    lines = [line for line in lines if line]
    telling = [line for line in lines if not line.startswith(_GENERIC)]
    return ((telling or lines or ["it ended early"])[-1]).rstrip(".")

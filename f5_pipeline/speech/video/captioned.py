"""Videos with captions: burnt into the picture, or as a stream that players can show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from f5_pipeline.errors import InputError
from f5_pipeline.speech.audio.tags import alpha3
from f5_pipeline.speech.captions.ass import AssLook
from f5_pipeline.speech.script.model import MAX_CHARS
from f5_pipeline.speech.video.process import Media, Progress, run, video_input

AudioUse = Literal["keep", "replace", "add"]
"""What becomes of a narration's sound: it is left out, replaces that of the video, or is added as a track."""

_TEXT = frozenset({"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"})
"""Codecs of captions that can be converted into each other."""


@dataclass(frozen=True)
class Container:
    """A kind of video file.

    Attributes:
        muxer: ffmpeg's name.
        captions: suffixes of the caption files that it takes, the usual one first.
        caption_codec: what captions are written as; None: as they are.
        audio: codec of a narration's sound, with its options.
        only: codecs that it takes; empty: all that matter.
    """

    muxer: str
    captions: tuple[str, ...]
    caption_codec: str | None
    audio: tuple[str, ...]
    only: frozenset[str] = frozenset()


_AAC = ("aac", "128k")
CONTAINERS = {
    ".mp4": Container("mp4", (".srt",), "mov_text", _AAC),
    ".mkv": Container("matroska", (".srt", ".ass"), None, _AAC),
    ".webm": Container(
        "webm", (".vtt",), "webvtt", ("libopus", "64k"), frozenset({"vp8", "vp9", "av1", "vorbis", "opus"})
    ),
}
"""By the ending of a file's name."""


@dataclass(frozen=True)
class Narration:
    """What is put into a video.

    Attributes:
        captions: the file of its captions, in the folder where ffmpeg runs.
        audio: its sound; None: not used.
        language: BCP 47 tag.
        tags: of the file, where its sound is in it.
    """

    captions: Path
    audio: Path | None
    language: str
    seconds: float
    tags: dict[str, str]


def container_of(output: Path, *, burnt: bool) -> Container:
    """The kind of a video by its name. Raises InputError: there is none of this name."""
    known = [suffix for suffix in CONTAINERS if not burnt or suffix != ".webm"]
    if output.suffix.lower() not in known:
        where = "a video with burnt captions" if burnt else "a video with captions"
        raise InputError(f"{where} cannot be {output.suffix or 'without an ending'}", file=str(output),
                         hint=f"End its name in {' or '.join(known)}.")  # fmt: skip
    return CONTAINERS[output.suffix.lower()]


def check_streams(video: Media, container: Container, use: AudioUse) -> None:
    """Check that a container takes what is copied into it. Raises InputError."""
    copied = [*video.of_kind("Video"), *(video.of_kind("Audio") if use != "replace" else ())]
    if container.only and (foreign := [stream.codec for stream in copied if stream.codec not in container.only]):
        raise InputError(
            f"a .{container.muxer} cannot hold {' and '.join(dict.fromkeys(foreign))}",
            file=str(video.path),
            hint="End the output's name in .mkv: it holds everything.",
        )


def burnt_look(width: int, height: int) -> tuple[AssLook, int]:
    """How captions are drawn into a picture of this size, and how many columns a line of theirs may have."""
    unit = min(width, height) / 1080
    size, margin = max(round(64 * unit), 8), round(60 * unit)
    # A letter is half as wide as a line is high; East Asian ones count as two.
    columns = int((width - 2 * margin) / (0.52 * size))
    look = AssLook(
        width=width,
        height=height,
        size=size,
        outline=max(round(3 * unit), 1),
        shadow=round(unit),
        margin=margin,
        bottom=round(height * (0.05 if width >= height else 0.16)),  # below it, phones show buttons
        wrap=0,
        encoding=-1,
    )
    return look, max(10, min(columns, MAX_CHARS))


def burn(video: Media, narration: Narration, output: Path, use: AudioUse, on_progress: Progress | None = None) -> None:
    """Draw captions (ASS) into the picture, by libass. The sound is copied.

    Raises:
        PipelineError: ffmpeg failed.
    """
    # H.264 with 4:2:0 has even sizes.
    filters = f"ass={narration.captions.name},pad=ceil(iw/2)*2:ceil(ih/2)*2,format=yuv420p"
    container = container_of(output, burnt=True)
    inputs = [*video_input(video.path), *_audio_input(narration)]
    coded = ["-map", "0:V:0", "-vf", filters, "-c:v", "libx264", "-preset", "medium", "-crf", "18"]
    coded += _sound(video, narration, container, use, 1)
    _write([*inputs, *coded], container, video, narration, output, on_progress)


def mux(video: Media, narration: Narration, output: Path, use: AudioUse, on_progress: Progress | None = None) -> int:
    """Add captions as a stream that players can show, before those that the video has; everything else is copied.

    Returns:
        The number of the video's own captions that are left out: pictures, which the container cannot hold.

    Raises:
        PipelineError: ffmpeg failed.
    """
    container = container_of(output, burnt=False)
    language = f"language={alpha3(narration.language)}"
    inputs = [*video_input(video.path), "-i", narration.captions.name, *_audio_input(narration)]
    mapped = ["-map", "0:V", "-c:v", "copy", *_sound(video, narration, container, use, 2), "-map", "1:s"]
    codecs = ["-c:s", container.caption_codec or "copy", "-metadata:s:s:0", language, "-disposition:s:0", "default"]
    kept, own = 0, video.of_kind("Subtitle")
    for stream in own:
        if container.caption_codec and stream.codec not in _TEXT:
            continue
        kept += 1
        mapped += ["-map", f"0:{stream.index}"]
        if not container.caption_codec and stream.codec == "mov_text":
            codecs += [f"-c:s:{kept}", "srt"]
    if not container.caption_codec:
        mapped += ["-map", "0:t?", "-c:t", "copy"]  # fonts
    _write([*inputs, *mapped, *codecs], container, video, narration, output, on_progress)
    return len(own) - kept


def _audio_input(narration: Narration) -> list[str]:
    return ["-i", f"file:{narration.audio}"] if narration.audio else []


def _sound(video: Media, narration: Narration, container: Container, use: AudioUse, index: int) -> list[str]:
    """The options for the sound; that of the narration is input `index`."""
    mapped = ["-map", "0:a?", "-c:a", "copy"] if use != "replace" else []
    if use == "keep":
        return mapped
    codec, rate = container.audio
    track = len(video.of_kind("Audio")) if use == "add" else 0
    mapped += ["-map", f"{index}:a:0", f"-c:a:{track}", codec, f"-b:a:{track}", rate, f"-ar:a:{track}", "48000"]
    mapped += [f"-metadata:s:a:{track}", f"language={alpha3(narration.language)}"]
    return mapped


def tag_options(tags: dict[str, str]) -> list[str]:
    """The options that write tags."""
    return [option for name, value in tags.items() if value for option in ("-metadata", f"{name}={value}")]


def _write(
    arguments: list[str],
    container: Container,
    video: Media,
    narration: Narration,
    output: Path,
    on_progress: Progress | None,
) -> None:
    tags = tag_options(narration.tags) if narration.audio else []
    fast = ["-movflags", "+faststart"] if container.muxer == "mp4" else []
    seconds = max(video.seconds, narration.seconds if narration.audio else 0)
    run(
        [*arguments, *tags, *fast, "-f", container.muxer], output, narration.captions.parent, seconds=seconds,
        on_progress=on_progress,
    )  # fmt: skip

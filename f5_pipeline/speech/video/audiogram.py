"""Audiograms: a narration as a video, with its cover, its waveform, and its words lit as they are said."""

from __future__ import annotations

import colorsys
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from f5_pipeline.speech.captions.ass import AssLook, ass_time, escaped, hundredths, write_ass
from f5_pipeline.speech.captions.text import one_line
from f5_pipeline.speech.video.captioned import tag_options
from f5_pipeline.speech.video.process import Progress, run

if TYPE_CHECKING:
    from f5_pipeline.speech.audio.waveform import Peaks
    from f5_pipeline.speech.captions.cues import Cue

PAGE_SECONDS = 20.0
"""Longest part of the sound that the waveform shows at a time."""

MAX_TITLE, MAX_AUTHOR = 120, 80
"""Characters that are shown."""

RATE = 25
"""Pictures a second."""

_BAR, _GAP = 8, 6  # pixels
_DIM = 0.7  # how much the ground covers of what is not said yet


@dataclass(frozen=True)
class Shape:
    """A layout; lengths in pixels, places from the upper left corner.

    Attributes:
        cover: left, top, side.
        title: left and right margin, top, size, and ASS alignment.
        words: the middle of their lines from the top, size, columns and lines.
        wave: left, top, width and height.
    """

    width: int
    height: int
    cover: tuple[int, int, int]
    title: tuple[int, int, int, int, int]
    words: tuple[int, int, int, int]
    wave: tuple[int, int, int, int]


SHAPES = {
    "landscape": Shape(
        1920, 1080, (110, 90, 340), (510, 110, 110, 72, 7), (640, 84, 40, 3), (110, 850, 1700, 140)
    ),
    "square": Shape(
        1080, 1080, (70, 70, 250), (360, 70, 80, 52, 7), (590, 72, 26, 4), (70, 860, 940, 130)
    ),
    # The lowest fifth and the uppermost tenth are where phones show names and buttons.
    "portrait": Shape(
        1080, 1920, (310, 220, 460), (90, 90, 720, 58, 8), (1130, 80, 23, 4), (90, 1380, 900, 140)
    ),
}  # fmt: skip
"""By name."""


def make_audiogram(
    shape: Shape,
    *,
    audio: Path,
    cues: Iterable[Cue],
    peaks: Peaks,
    cover: bytes,
    title: str,
    author: str,
    tags: Mapping[str, str],
    folder: Path,
    output: Path,
    on_progress: Progress | None = None,
) -> None:
    """Write an audiogram: H.264 in 4:2:0, AAC, MP4; as long as the narration.

    Title, author and words are drawn by libass, in the fonts that it finds. Nothing is kept in memory but the captions
    and one page of the waveform.

    Args:
        audio: the narration's sound.
        cues: its captions, of `shape.words` columns and lines.
        peaks: its envelope.
        cover: a JPEG.
        folder: for temporary files.

    Raises:
        PipelineError: ffmpeg failed.
    """
    ground, accent = _colours(cover)
    _write_captions(shape, cues, folder / "captions.ass", peaks.seconds, title, author, accent)
    _background(shape, cover, ground).save(folder / "ground.png")
    pages = max(1, math.ceil(peaks.seconds / PAGE_SECONDS))
    page_seconds = peaks.seconds / pages
    left, top, width, height = shape.wave
    for page in range(pages):
        part = peaks.part(page * page_seconds, (page + 1) * page_seconds, width // (_BAR + _GAP))
        _page(part, float(peaks.rms.max()), width, height, ground, accent).save(folder / f"page{page:06d}.png")
    _cover_sheet(width, height, ground).save(folder / "sheet.png")
    filters = ";".join(
        (
            f"[0:v]format=yuv420p,loop=loop=-1:size=1,setpts=N/({RATE}*TB)[ground]",
            "[1:v]format=yuva420p[bars]",
            f"[ground][bars]overlay={left}:{top}:eof_action=repeat[wave]",
            f"[wave][2:v]overlay='{left}+{width}*mod(t\\,{page_seconds:.6f})/{page_seconds:.6f}':{top}[lit]",
            "[lit]ass=captions.ass,format=yuv420p[out]",
        )
    )
    run(
        [
            "-framerate", str(RATE), "-i", "ground.png", "-framerate", f"{1 / page_seconds:.9f}", "-i", "page%06d.png",
            "-i", "sheet.png", "-i", f"file:{audio}", "-filter_complex", filters, "-map", "[out]", "-map", "3:a:0",
            "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-r", str(RATE),
            "-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-t", f"{peaks.seconds:.3f}",
            *tag_options(dict(tags)), "-movflags", "+faststart", "-f", "mp4",
        ],
        output, folder, seconds=peaks.seconds, on_progress=on_progress,
    )  # fmt: skip


def _write_captions(
    shape: Shape, cues: Iterable[Cue], path: Path, seconds: float, title: str, author: str, accent: tuple[int, ...]
) -> None:
    middle, size, _, _ = shape.words
    left, right, top, title_size, alignment = shape.title
    said = f"&H00{accent[2]:02X}{accent[1]:02X}{accent[0]:02X}"
    look = AssLook(
        width=shape.width,
        height=shape.height,
        size=size,
        said=said,
        unsaid="&H00F4F4F4",
        bold=-1,
        outline=0,
        shadow=0,
        margin=shape.wave[0],
        wrap=0,
        encoding=-1,
        overrides=rf"\an5\pos({shape.width // 2},{middle})",
    )
    title, author = _shortened(title, MAX_TITLE), _shortened(author, MAX_AUTHOR)
    if len(title) > MAX_TITLE // 2:
        title_size = round(title_size * 0.75)
    text = rf"{{\an{alignment}\fs{title_size}\c&HFFFFFF&}}{escaped(title)}"
    if author:
        text += rf"\N{{\fs{round(title_size * 0.68)}\b0\c{said}&}}{escaped(author)}"
    with path.open("w", encoding="utf-8", newline="\n") as out:
        write_ass(cues, out, title, look)
        out.write(
            f"Dialogue: 1,0:00:00.00,{ass_time(hundredths(seconds) + 100)},Default,,{left},{right},{top},,{text}\n"
        )


def _shortened(text: str, characters: int) -> str:
    text = one_line(text).strip()
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"


def _colours(cover: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A dark ground and a light accent that go with a cover."""
    from PIL import Image

    picture = Image.open(io.BytesIO(cover), formats=("JPEG",)).convert("RGB").resize((1, 1), Image.Resampling.BOX)
    pixel = picture.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    hue, _, saturation = colorsys.rgb_to_hls(*(value / 255 for value in pixel[:3]))
    ground = colorsys.hls_to_rgb(hue, 0.11, min(saturation, 0.45))
    accent = colorsys.hls_to_rgb(hue, 0.68, 0.35 + 0.5 * saturation)
    return tuple(round(255 * value) for value in ground), tuple(round(255 * value) for value in accent)


def _background(shape: Shape, cover: bytes, ground: tuple[int, ...]):
    from PIL import Image, ImageDraw, ImageOps

    picture = Image.new("RGB", (shape.width, shape.height), ground)
    left, top, side = shape.cover
    square = ImageOps.contain(Image.open(io.BytesIO(cover), formats=("JPEG",)).convert("RGB"), (side, side))
    mask = Image.new("L", (square.width * 2, square.height * 2), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), radius=36, fill=255)
    place = left + (side - square.width) // 2, top + (side - square.height) // 2
    picture.paste(square, place, mask.reduce(2))
    return picture


def _page(peaks: Peaks, loudest: float, width: int, height: int, ground: tuple[int, ...], accent: tuple[int, ...]):
    """A page of the waveform: a bar for each column, as high as its level is against the loudest."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(picture)
    for column in range(count := width // (_BAR + _GAP)):
        level = float(peaks.rms[column * len(peaks.rms) // count]) / max(loudest, 1e-4)
        reach = max(_BAR / 2, min(1.0, level**0.7) * height / 2)
        left = column * width // count
        box = (left, round(height / 2 - reach), left + _BAR - 1, round(height / 2 + reach) - 1)
        draw.rounded_rectangle(box, radius=_BAR / 2 - 1, fill=accent)
    return picture


def _cover_sheet(width: int, height: int, ground: tuple[int, ...]):
    """What covers the part of a page that is not said yet. Right of the page there is nothing but ground."""
    from PIL import Image

    return Image.new("RGBA", (width, height), (*ground, round(255 * _DIM)))

"""Waveform pictures: small PNGs of recordings and narrations of any length, for metadata and pages.

Peaks are collected in blocks, in flat memory for files of any length. The picture has no background and colours of
medium lightness, for light and dark pages alike.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from f5_pipeline.errors import InputError
from f5_pipeline.speech.audio.media import open_forward
from f5_pipeline.speech.engine import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np

# Contrast of at least 3:1 (WCAG 2.1, 1.4.11 and large text) against both white and #121219.
_PEAK = (116, 130, 240, 150)
_BODY = (92, 107, 230, 255)
_CLIPPED = (226, 74, 74, 255)
_INK = (128, 132, 145, 255)
_LINE = (128, 132, 145, 70)

DENSE_SECONDS = 0.5
"""Seconds a column above which every column has loud samples, so that only its energy is drawn."""

FINE_COLUMNS = 1 << 15
"""Columns of an envelope from which pictures of a part are drawn too: one a second of nine hours."""

_SCALE = 2  # drawn this much larger and reduced: smooth edges
_AXIS = 20  # pixels below the waveform for the time labels
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000)


@dataclass(frozen=True)
class Peaks:
    """Envelope of a recording in columns.

    Attributes:
        low, high: float32, shape (columns,): smallest and largest sample of each column.
        rms: float32, shape (columns,): level of each column, 1.0 is full scale.
        seconds: duration.
    """

    low: np.ndarray
    high: np.ndarray
    rms: np.ndarray
    seconds: float

    def part(self, start: float, end: float, columns: int) -> Peaks:
        """The envelope between two times, s, in at most `columns` columns."""
        import numpy as np

        count = len(self.rms)
        first = max(0, min(int(start / self.seconds * count), count - 1))
        last = max(first + 1, min(math.ceil(end / self.seconds * count), count))
        starts = first + np.arange(width := min(columns, last - first)) * (last - first) // width
        power = np.add.reduceat(np.square(self.rms[:last], dtype=np.float64), starts)
        return Peaks(
            np.minimum.reduceat(self.low[:last], starts),
            np.maximum.reduceat(self.high[:last], starts),
            np.sqrt(power / np.diff(starts, append=last)).astype(np.float32),
            seconds=(last - first) / count * self.seconds,
        )

    def dump(self) -> bytes:
        """The envelope as little-endian int16, shape (3, columns): low, high, rms; 32767 is full scale."""
        import numpy as np

        return np.rint(np.stack([self.low, self.high, self.rms]) * 32767).astype("<i2").tobytes()

    @classmethod
    def load(cls, data: bytes, seconds: float) -> Peaks:
        """The envelope that `dump` wrote, of a recording of this duration. Raises ValueError."""
        import numpy as np

        if not data:
            raise ValueError("no envelope")
        low, high, rms = np.frombuffer(data, "<i2").reshape(3, -1).astype(np.float32) / 32767
        return cls(low, high, rms, seconds)


def peaks_of(source: Path | str | np.ndarray, columns: int, rate: int = SAMPLE_RATE) -> Peaks:
    """The envelope of a file, or of samples of shape (n,) or (n, channels) at `rate` Hz.

    Raises:
        InputError: the file cannot be read, or there are no samples.
    """
    import numpy as np

    from f5_pipeline.speech.libsndfile import soundfile

    if isinstance(source, (str, Path)):
        try:
            with open_forward(source) as file:
                frames, rate = file.frames, file.samplerate
                if 0 < frames < 1 << 40:
                    return _gather(_blocks(file), frames, rate, columns)
        except (soundfile.LibsndfileError, OSError, TypeError) as error:
            raise InputError(
                "no waveform can be drawn: the audio cannot be read",
                file=Path(source).name,
                hint="Check that the file is whole and in a format such as WAV or FLAC.",
            ) from error
        raise InputError("no waveform can be drawn: there is no audio", file=Path(source).name, hint="Check the file.")
    samples = np.asarray(source, dtype=np.float32)
    if not len(samples):
        raise InputError("no waveform can be drawn: there is no audio", hint="Give at least one sample.")
    return _gather([samples], len(samples), rate, columns)


def _blocks(file) -> Iterable[np.ndarray]:
    while len(block := file.read(1 << 18, dtype="float32")):
        yield block


def _gather(blocks: Iterable[np.ndarray], frames: int, rate: int, columns: int) -> Peaks:
    import numpy as np

    columns = max(1, min(columns, frames))
    low, high = np.full(columns, np.inf), np.full(columns, -np.inf)
    power, count = np.zeros(columns), np.zeros(columns)
    position = 0
    for block in blocks:
        # Sample n belongs to column n * columns // frames.
        first = position * columns // frames
        last = (position + len(block) - 1) * columns // frames
        starts = np.maximum(-(-np.arange(first, last + 1) * frames // columns) - position, 0)
        lowest = block if block.ndim == 1 else block.min(axis=1)
        highest = block if block.ndim == 1 else block.max(axis=1)
        square = np.square(block, dtype=np.float64)
        square = square if block.ndim == 1 else square.mean(axis=1)
        part = slice(first, last + 1)
        low[part] = np.minimum(low[part], np.minimum.reduceat(lowest, starts))
        high[part] = np.maximum(high[part], np.maximum.reduceat(highest, starts))
        power[part] += np.add.reduceat(square, starts)
        count[part] += np.diff(np.append(starts, len(block)))
        position += len(block)
    # A file shorter than its header states: the rest is drawn as silence.
    empty = count == 0
    low[empty] = high[empty] = 0
    rms = np.sqrt(power / np.maximum(count, 1))
    clean = [np.nan_to_num(np.clip(values, -1, 1)).astype(np.float32) for values in (low, high, rms)]
    return Peaks(*clean, seconds=frames / rate)


def waveform_png(
    source: Path | str | np.ndarray | Peaks, *, width: int = 900, height: int = 160, rate: int = SAMPLE_RATE
) -> bytes:
    """Draw a waveform as PNG: smallest to largest sample, RMS in a stronger shade, clipping in red, a time axis.

    For a long recording only the energy (mean square) is drawn: each of its columns has some loud sample, and peaks
    would be a solid block. Quiet recordings are scaled up; a mark beside the axis then names the scale of peaks.

    Args:
        source: an audio file, samples of shape (n,) or (n, channels) at `rate` Hz, or the envelope of either.
        width, height: size in pixels.

    Returns:
        The PNG's bytes, below 40 kB at the default size.

    Raises:
        InputError: as `peaks_of`, or a size of less than 80 by 40 pixels.
    """
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    if width < 80 or height < 40:
        raise InputError(f"a waveform of {width} x {height} pixels is too small", hint="Ask for at least 80 x 40.")
    peaks = source if isinstance(source, Peaks) else peaks_of(source, width, rate)
    if len(peaks.rms) > width:
        peaks = peaks.part(0, peaks.seconds, width)
    room = height - _AXIS
    low, high = peaks.low, peaks.high
    clipped = np.maximum(np.abs(low), np.abs(high)) >= 0.999
    dense = peaks.seconds > DENSE_SECONDS * len(peaks.rms)
    if dense:
        high = np.square(peaks.rms) / max(float(peaks.rms.max()), 1e-9)
        low = -high
    largest = float(max(np.abs(low).max(), np.abs(high).max()))
    gain = 1.0 if largest < 1e-4 else min(1 / largest, 30.0)

    scale = _SCALE
    image = Image.new("RGBA", (width * scale, room * scale), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    middle, reach = room * scale / 2, (room / 2 - 2) * scale
    place = np.minimum(np.arange(width) * len(peaks.low) // width, len(peaks.low) - 1)
    draw.line([(0, middle), (width * scale, middle)], fill=_LINE, width=scale)
    for column in range(width):
        value = place[column]
        x = (column * scale, column * scale + scale - 1)
        layers = [(low[value], high[value], _CLIPPED if clipped[value] else _BODY if dense else _PEAK)]
        if not dense:
            layers.append((-peaks.rms[value], peaks.rms[value], _BODY))
        for lowest, highest, colour in layers:
            top, bottom = (float(middle - level * gain * reach) for level in (highest, lowest))
            if bottom - top >= 1:
                draw.rectangle([x[0], top, x[1], bottom], fill=colour)

    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    picture.paste(image.reduce(scale), (0, 0))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(11)
    draw.line([(0, room), (width, room)], fill=_LINE)
    note = f"x{gain:.0f}" if gain >= 1.5 and not dense else ""
    note_width = draw.textlength(note, font) + 6 if note else 0.0
    step = _step(peaks.seconds, width)
    taken = -1.0
    for tick in range(int(peaks.seconds / step + 1e-9) + 1):
        x = min(tick * step / peaks.seconds * width, width - 1)
        draw.line([(x, room), (x, room + 4)], fill=_INK)
        label = _clock(tick * step, step, peaks.seconds)
        extent = draw.textlength(label, font)
        left = min(max(x - extent / 2, 1), width - extent - 1)
        if left > taken and left + extent < width - note_width:
            draw.text((left, room + 5), label, fill=_INK, font=font)
            taken = left + extent + 6
    if note:
        draw.text((width - note_width + 4, room + 5), note, fill=_INK, font=font)
    # 64 colours with transparency are enough and halve the file.
    out = io.BytesIO()
    picture.quantize(64, method=Image.Quantize.FASTOCTREE).save(out, "PNG", optimize=True)
    return out.getvalue()


def thumbnail_png(source: Path | str | np.ndarray | Peaks, *, limit: int = 700, rate: int = SAMPLE_RATE) -> bytes:
    """Draw the energy (RMS) of a recording as bars of one colour, 400 by 48 pixels, as fine as `limit` bytes allow.

    Dagster's UI shows a picture inline only if its Markdown is shorter than 1,000 characters, in a pane 440 pixels
    wide. Where even the quiet bars are loud, as in a long narration, the scale begins above zero, so that they are a
    quarter as high as the loudest and differences stay visible.

    Raises:
        InputError: as `peaks_of`.
    """
    import numpy as np
    from PIL import Image

    width, height = 400, 48
    png = b""
    peaks = source if isinstance(source, Peaks) else peaks_of(source, 900, rate)
    for bars in (100, 80, 50, 25, 10):
        groups = np.array_split(np.square(peaks.rms), min(bars, len(peaks.rms)))
        energy = np.sqrt([group.mean() for group in groups])
        loudest = max(float(energy.max()), 1e-9)
        quiet = min(float(np.quantile(energy, 0.05)), 0.9 * loudest)
        base = max(quiet - 0.25 * loudest, 0) / 0.75
        tops = np.maximum(energy - base, 0) / (loudest - base)
        pitch = width // bars
        picture = np.zeros((height, len(tops) * pitch), np.uint8)
        for column, half in enumerate(np.maximum(1, np.rint(tops * height / 2)).astype(int)):
            picture[height // 2 - half : height // 2 + half, column * pitch : (column + 1) * pitch - 1] = 1
        image = Image.fromarray(picture)
        image.putpalette([0, 0, 0, *_BODY[:3]])
        out = io.BytesIO()
        image.save(out, "PNG", optimize=True, bits=1, transparency=0)
        png = out.getvalue()
        if len(png) <= limit:
            break
    return png


def _step(seconds: float, width: int) -> float:
    """Distance of the ticks, s: the smallest of `_STEPS` that leaves 70 pixels for each label."""
    return next((step for step in _STEPS if step * width >= 70 * seconds), _STEPS[-1] * (1 + seconds // 1e6))


def _clock(seconds: float, step: float, whole: float) -> str:
    """A tick's label: "0.5 s", "12 s", "3:20", "1:05:00"."""
    if whole < 60:
        return f"{seconds:.1f} s" if step < 1 else f"{seconds:.0f} s"
    total = round(seconds)
    minutes = f"{total // 60 % 60:02}:{total % 60:02}"
    return f"{total // 3600}:{minutes}" if whole >= 3600 else minutes.removeprefix("0")

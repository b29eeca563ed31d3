"""Covers: pictures that are given, checked and made small enough to be embedded, and covers drawn from a title."""

from __future__ import annotations

import hashlib
import io
import warnings
from typing import Any

from f5_pipeline.errors import InputError

MAX_COVER_BYTES = 20 << 20
MAX_COVER_PIXELS = 50_000_000
MIN_COVER_SIDE, MAX_COVER_SIDE = 100, 2400
"""Pixels. Larger pictures are reduced; 2400 is what bookshops ask for."""

_SIDE = 2400
_PALETTES = (
    ("#14213d", "#fca311"), ("#1b3a4b", "#e0b873"), ("#3d1e2a", "#e8a598"), ("#22333b", "#c6ac8f"),
    ("#1d2d24", "#a3c9a8"), ("#2b2140", "#b8a1e3"), ("#3b2314", "#e9c46a"), ("#102a43", "#9fb3c8"),
)  # fmt: skip
"""Ground and accent."""

_FONTS = (
    "", "NotoSans-Regular.ttf", "DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
)  # fmt: skip
"""Files of fonts, looked for in the system's folders; the empty one comes with Pillow."""


def checked_cover(data: bytes, file: str, place: str | int | None = None) -> bytes:
    """A picture as a JPEG of at most `MAX_COVER_SIDE` pixels a side; one that is so already stays as it is.

    Raises:
        InputError: it is no picture that can be read, or too large or small.
    """
    from PIL import Image, ImageOps

    hint = "Give a JPEG or PNG of 1400 to 3000 pixels a side."
    if len(data) > MAX_COVER_BYTES:
        raise InputError(f"the cover has more than {MAX_COVER_BYTES >> 20} MiB", file=file, place=place, hint=hint)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "GIF"))
            if picture.width * picture.height > MAX_COVER_PIXELS:
                size = f"{picture.width} x {picture.height} pixels"
                raise InputError(f"the cover has {size}, too many", file=file, place=place, hint=hint)
            if min(picture.size) < MIN_COVER_SIDE:
                size = f"{picture.width} x {picture.height} pixels"
                raise InputError(f"the cover has only {size}", file=file, place=place, hint=hint)
            is_fine = picture.format == "JPEG" and picture.mode in ("RGB", "L") and 0x0112 not in picture.getexif()
            if is_fine and max(picture.size) <= MAX_COVER_SIDE:
                picture.load()
                return data
            picture.draft("RGB", (MAX_COVER_SIDE, MAX_COVER_SIDE))
            picture = ImageOps.exif_transpose(picture)
            picture.thumbnail((MAX_COVER_SIDE, MAX_COVER_SIDE), Image.Resampling.LANCZOS)
            if picture.mode not in ("RGB", "L"):
                layers = picture.convert("RGBA")
                picture = Image.new("RGB", layers.size, "white")
                picture.paste(layers, mask=layers.getchannel("A"))
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError("the cover has too many pixels", file=file, place=place, hint=hint) from None
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise InputError(f"the cover cannot be read: {error}", file=file, place=place, hint=hint) from None
    return _jpeg(picture.convert("RGB"))


def drawn_cover(title: str, author: str | None, *, lettered: bool = True) -> bytes:
    """A square cover with title and author, as a JPEG; the same words give the same picture. Without letters it is the
    ornament alone.

    The font that comes with Pillow has the letters of English; for others one of the system's is taken. Words that no
    font has are left out, and the ornament stands alone.
    """
    from PIL import Image, ImageDraw

    seed = hashlib.sha256(f"{title}\0{author or ''}".encode()).digest()
    ground, accent = _PALETTES[seed[0] % len(_PALETTES)]
    picture = Image.new("RGB", (_SIDE, _SIDE), ground)
    draw = ImageDraw.Draw(picture)
    _draw_waves(picture, accent, seed, top=_SIDE // 2 if lettered else _SIDE // 3)
    edge = _SIDE // 16
    draw.rectangle([edge, edge, _SIDE - edge, _SIDE - edge], outline=accent, width=6)
    width = _SIDE - 4 * edge
    if lettered and (name := _font_for(title)) is not None:
        lines, font = _fitted(draw, name, title, width, _SIDE * 0.34, 250)
        top = _SIDE * 0.15
        for line in lines:
            draw.text((2 * edge, top), line, fill="#ffffff", font=font)
            top += font.size * 1.18
    if lettered and author and (name := _font_for(author)) is not None:
        lines, font = _fitted(draw, name, author, width, _SIDE * 0.1, 92)
        top = _SIDE - 2 * edge - len(lines) * font.size * 1.2
        for line in lines:
            draw.text((2 * edge, top), line, fill=accent, font=font)
            top += font.size * 1.2
    return _jpeg(picture)


def thumbnail_of(cover: bytes, side: int = 96) -> bytes:
    """A cover as a small PNG, for metadata."""
    from PIL import Image

    picture = Image.open(io.BytesIO(cover), formats=("JPEG",))
    picture.thumbnail((side, side))
    out = io.BytesIO()
    picture.quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


def _jpeg(picture) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88, optimize=True)
    return out.getvalue()


def _draw_waves(picture, accent: str, seed: bytes, top: int) -> None:
    """A sound's envelope across the middle, by the seed; drawn larger and reduced, for smooth edges."""
    from PIL import Image, ImageDraw

    bars, scale = 61, 2
    pitch = _SIDE * 0.75 / bars
    mask = Image.new("L", (_SIDE * scale, _SIDE * scale // 3), 0)
    draw = ImageDraw.Draw(mask)
    middle = mask.height / 2
    for index in range(bars):
        shape = 1 - abs(2 * index / (bars - 1) - 1) ** 2
        value = seed[1 + index % 30] / 255 * 0.75 + seed[(7 * index) % 32] / 255 * 0.25
        reach = max(0.04, shape * (0.2 + 0.8 * value)) * mask.height * 0.46
        left = (_SIDE * 0.125 + index * pitch) * scale
        box = [left, middle - reach, left + pitch * 0.55 * scale, middle + reach]
        draw.rounded_rectangle(box, radius=pitch * 0.27 * scale, fill=255)
    mask = mask.reduce(scale)
    picture.paste(accent, (0, top), mask)


def _font_for(text: str) -> str | None:
    """The first of `_FONTS` that has every letter of the text; None where none has."""
    for name in _FONTS:
        try:
            font = _font(name, 20)
        except OSError:  # not on this machine
            continue
        missing = _glyph(font, "\uffff")
        if all(character.isspace() or _glyph(font, character) != missing for character in text):
            return name
    return None


def _glyph(font: Any, character: str) -> bytes:
    return bytes(font.getmask(character))


def _fitted(draw: Any, name: str, text: str, width: float, height: float, largest: int) -> tuple[list[str], Any]:
    """Lines of a text and the largest font with which they fit."""
    for size in range(largest, 30, -6):
        font = _font(name, size)
        lines = _wrapped(draw, text, font, width)
        if len(lines) * size * 1.2 <= height and all(draw.textlength(line, font) <= width for line in lines):
            return lines, font
    font = _font(name, 36)
    return _wrapped(draw, text, font, width)[: int(height // 44)], font


def _wrapped(draw, text: str, font, width: float) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and draw.textlength(f"{lines[-1]} {word}", font) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _font(name: str, size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(name, size) if name else ImageFont.load_default(size)

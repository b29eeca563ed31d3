"""Covers that are given and drawn."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from f5_pipeline.errors import InputError
from f5_pipeline.speech.audio.cover import MAX_COVER_BYTES, checked_cover, drawn_cover, thumbnail_of


def picture(kind: str = "PNG", size=(300, 400), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 128 if mode == "L" else "navy").save(out, kind)
    return out.getvalue()


def bomb() -> bytes:
    """The head of a PNG of 60,000 by 60,000 pixels."""
    head = b"IHDR" + struct.pack(">2I5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return start + struct.pack(">I", 4) + b"IDATxxxx" + struct.pack(">I", zlib.crc32(b"IDATxxxx"))


def test_a_picture_becomes_a_jpeg_and_a_fine_jpeg_stays():
    made = checked_cover(picture(mode="RGBA"), "a.png")
    assert Image.open(io.BytesIO(made)).format == "JPEG" and checked_cover(made, "a.jpg") == made
    large = checked_cover(picture("JPEG", (5000, 2500)), "a.jpg")
    assert Image.open(io.BytesIO(large)).size == (2400, 1200)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bomb(), "too many pixels"),
        (b"GIF89a nothing", "cannot be read"),
        (picture("JPEG")[:-400], "cannot be read"),
        (picture(size=(20, 20)), "only 20 x 20"),
        (bytes(MAX_COVER_BYTES + 1), "more than 20 MiB"),
        (picture("TIFF"), "cannot be read"),
    ],
)
def test_what_is_no_cover_is_refused(data: bytes, message: str):
    with pytest.raises(InputError, match=message) as caught:
        checked_cover(data, "story.md", 4)
    assert caught.value.file == "story.md" and caught.value.hint


@pytest.mark.parametrize(
    "title", ["The Keeper's Ledger", "日本の物語", "word " * 90, "Donaudampfschifffahrtsgesellschaft" * 3]
)
def test_a_drawn_cover_is_the_same_each_time(title: str):
    made = drawn_cover(title, "An Author")
    assert made == drawn_cover(title, "An Author") != drawn_cover(title, "Another")
    assert Image.open(io.BytesIO(made)).size == (2400, 2400)
    assert len(thumbnail_of(made)) < 8_000

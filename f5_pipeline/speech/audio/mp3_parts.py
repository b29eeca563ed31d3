"""A long MP3, encoded in parts side by side and joined without a seam.

An MP3 cannot be cut anywhere: a frame's data begins in the frames before it (the bit reservoir), and an encoder's state
follows the sound. But the state forgets: each part begins some seconds early, and the parts are joined at a frame where
both encoders have written the same for a while: the same headers and side information in every frame, which name the
bits, steps and tables of its sound, and the same bytes of sound data that reach back over the join. From there on the
decoded sound is that of one encoder. Filler bits between frames, which a decoder does not read, may differ.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from f5_pipeline.speech.engine import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from f5_pipeline.speech.audio.encoding import Output

FRAME = 576
"""Samples of a frame (MPEG-2, layer III, as at 24 kHz)."""

PART_FRAMES = 12_500
"""Frames of a part, 300 s. The parts, and with them the file, do not depend on the number of cores."""

EARLY = 500
"""Frames that a part begins before its place; the join is within them."""

_LATE, _AGREED = 40, 48
_SIDE, _HEAD = 13, 4 + 9  # bytes of header and side information of a mono frame
_INFO = _HEAD  # place of the Info tag in its frame


def divide(output: Output) -> list[Output]:
    """The parts of an MP3 of more than two parts' length; else, and of other files, the output alone."""
    frames = (output.stop - output.start) // FRAME
    if output.format != "mp3" or output.rate != SAMPLE_RATE or frames < 2 * PART_FRAMES:
        return [output]
    count = frames // PART_FRAMES
    bounds = [output.start + index * PART_FRAMES * FRAME for index in range(count)] + [output.stop]
    return [
        replace(
            output,
            path=output.path.with_name(f"{output.path.name}.{index:04}"),
            tags=type(output.tags)(),
            start=bounds[index] - (EARLY * FRAME if index else 0),
            stop=min(bounds[index + 1] + _LATE * FRAME, output.stop),
        )
        for index in range(count)
    ]


def join(path: Path, parts: Sequence[Output], head: bytes) -> bool:
    """Join the parts to one file behind `head`; False where two parts never agree.

    Raises:
        OSError: the file cannot be written.
    """
    import numpy as np

    size = 3 * _kbps(parts[0].path)
    files = [np.memmap(part.path, np.uint8, "r") for part in parts]
    if any(len(file) % size for file in files):
        return False
    frames = [file.reshape(-1, size)[1:] for file in files]  # the first is the Info frame
    begins, total = [0], 0
    for index in range(1, len(parts)):
        first = (parts[index].start - parts[0].start) // FRAME
        before = (parts[index - 1].start - parts[0].start) // FRAME
        at = _meeting(frames[index - 1][first - before :], frames[index])
        if at is None:
            return False
        begins.append(first + at)
    crc, place = 0, 0
    with path.open("wb") as out:
        out.write(head + bytes(size))
        for index, part in enumerate(frames):
            first = (parts[index].start - parts[0].start) // FRAME
            end = begins[index + 1] if index + 1 < len(parts) else first + len(part)
            for start in range(begins[index] - first, end - first, 1 << 14):
                block = np.ascontiguousarray(part[start : min(start + (1 << 14), end - first)]).reshape(-1)
                crc = _crc16(block, crc)
                out.write(block.tobytes())
            place = end
        total = place
        out.seek(len(head))
        out.write(_info(bytes(files[0][:size]), bytes(files[-1][:size]), total, size, crc))
    return True


def _kbps(path: Path) -> int:
    """Bit rate of the first frame (ISO 13818-3: index in the upper half of its third byte)."""
    with path.open("rb") as file:
        index = file.read(3)[2] >> 4
    return (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)[index]


def _meeting(old: NDArray[np.uint8], new: NDArray[np.uint8]) -> int | None:
    """The last frame of `new`, within its early ones, from which it can follow `old`; both begin at the same frame."""
    import numpy as np

    count = min(len(old) - 3, EARLY + _LATE - 8)  # what an encoder writes last is without what follows
    same = (old[:count, :_SIDE] == new[:count, :_SIDE]).all(axis=1)
    agreed = np.concatenate([[0], np.cumsum(same)])
    for at in range(min(EARLY, count - 4), _AGREED, -1):
        if agreed[at + 4] - agreed[at - _AGREED] < _AGREED + 4:
            continue
        back = int(new[at, 4])  # main_data_begin: bytes of sound data in the frames before
        if np.array_equal(old[at - 2 : at, _HEAD:].reshape(-1)[-back:], new[at - 2 : at, _HEAD:].reshape(-1)[-back:]):
            return at
    return None


def _info(first: bytes, last: bytes, frames: int, size: int, crc: int) -> bytes:
    """The Info frame of the whole (the LAME tag), from that of its first and last part. Its seek table is of a constant
    bit rate, and holds."""
    info = bytearray(first)
    whole = (frames + 1) * size
    struct.pack_into(">II", info, _INFO + 8, frames, whole)
    tag = _INFO + 120  # after name, flags, frames, bytes, table of 100, quality
    delay = int.from_bytes(first[tag + 21 : tag + 24], "big") >> 12
    padding = int.from_bytes(last[tag + 21 : tag + 24], "big") & 0xFFF
    info[tag + 21 : tag + 24] = (delay << 12 | padding).to_bytes(3, "big")
    struct.pack_into(">IH", info, tag + 28, whole, crc)
    struct.pack_into(">H", info, tag + 34, _crc16(bytes(info[: tag + 34]), 0))
    return bytes(info)


def _crc16(data, crc: int) -> int:
    """CRC-16/ARC, as in the LAME tag."""
    import numpy as np

    return int(_crc_loop()(np.frombuffer(data, np.uint8), _crc_table(), np.uint16(crc)))


@cache
def _crc_table() -> NDArray[np.uint16]:
    import numpy as np

    table = np.arange(256, dtype=np.uint16)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ 0xA001, table >> 1).astype(np.uint16)
    return table


@cache
def _crc_loop():
    import numba

    @numba.njit(nogil=True)
    def loop(data, table, crc):  # pragma: no cover - compiled
        for byte in data:
            crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
        return crc

    return loop

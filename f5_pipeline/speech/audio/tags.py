"""Tags, chapters and cover of the delivered audio files, in the form of each container.

| container | tags | chapters | cover |
|---|---|---|---|
| MP3, WAV | ID3v2.4 | CHAP and CTOC | APIC |
| FLAC | Vorbis comments | CHAPTERxxx | PICTURE |
| Opus, M4B | `ffmetadata`, and of M4B free-form atoms | by FFmpeg | by FFmpeg |
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

TAGS = (
    "title", "artist", "album", "narrator", "language", "description", "comment", "date", "genre", "tracknumber",
    "copyright", "software", "license", "synthetic_voice", "digital_source_type",
)  # fmt: skip
"""Tags that every format can carry."""

MAX_CHAPTERS = 1000
"""Chapters of a file: Vorbis comments number them with three digits."""


@dataclass(frozen=True)
class Mark:
    """A chapter within a file: its title, start and end, s."""

    title: str
    start: float
    end: float


@dataclass(frozen=True)
class Tagging:
    """All that a file carries beside its sound.

    Attributes:
        fields: text by the names in `TAGS`; empty ones are left out.
        marks: its chapters, in order.
        cover: a JPEG.

    Raises:
        ValueError: a name is not in `TAGS`.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    marks: Sequence[Mark] = ()
    cover: bytes | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.fields if name not in TAGS]
        if unknown:
            raise ValueError(f"unknown tags: {', '.join(unknown)}")
        clean = {name: clean_text(text) for name, text in self.fields.items()}
        object.__setattr__(self, "fields", {name: text for name, text in clean.items() if text})
        marks = [Mark(" ".join(clean_text(mark.title).split()), mark.start, mark.end) for mark in self.marks]
        object.__setattr__(self, "marks", marks[:MAX_CHAPTERS])


def clean_text(text: str) -> str:
    """Text as every container takes it: no zero characters, no lone surrogates."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()


_ALPHA3 = dict(
    re.findall(
        "(..):(...)",
        "ar:ara bg:bul bn:ben ca:cat cs:ces cy:cym da:dan de:deu el:ell en:eng es:spa et:est eu:eus fa:fas fi:fin "
        "fr:fra ga:gle gl:glg gu:guj he:heb hi:hin hr:hrv hu:hun hy:hye id:ind is:isl it:ita ja:jpn ka:kat kk:kaz "
        "kn:kan ko:kor la:lat lt:lit lv:lav mk:mkd ml:mal mr:mar ms:msa nb:nob ne:nep nl:nld nn:nno no:nor pa:pan "
        "pl:pol pt:por ro:ron ru:rus sk:slk sl:slv sq:sqi sr:srp sv:swe sw:swa ta:tam te:tel th:tha tr:tur uk:ukr "
        "ur:urd vi:vie zh:zho",
    )
)


def alpha3(tag: str) -> str:
    """The language of a BCP 47 tag by ISO 639-2; "und" where it is not known."""
    language = tag.lower().partition("-")[0]
    return _ALPHA3.get(language, language if re.fullmatch("[a-z]{3}", language) else "und")


# --- ID3 --------------------------------------------------------------------------------------------------------------

_ID3_FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "album": "TALB",
    "narrator": "TCOM",
    "description": "TDES",
    "date": "TDRC",
    "genre": "TCON",
    "tracknumber": "TRCK",
    "copyright": "TCOP",
    "software": "TSSE",
}
"""Other tags are TXXX frames with their name in capitals. Players of audiobooks read the composer as the narrator."""


def id3v2(tags: Tagging) -> bytes:
    """An ID3v2.4 tag (id3.org, "ID3 tag version 2.4.0" and "ID3v2 Chapter Frame Addendum"), text in UTF-8."""
    frames = b""
    for name, text in tags.fields.items():
        value = text.encode("utf-8")
        if name == "comment":
            frames += _frame("COMM", b"\x03XXX\0" + value)
        elif name == "language":
            frames += _frame("TLAN", b"\x03" + alpha3(text).encode())
        elif name in _ID3_FRAMES:
            frames += _frame(_ID3_FRAMES[name], b"\x03" + value)
        if (name not in _ID3_FRAMES and name not in ("comment", "language")) or name == "narrator":
            frames += _frame("TXXX", b"\x03" + name.upper().encode() + b"\0" + value)
    frames += _chapter_frames(tags.marks)
    if tags.cover:
        frames += _frame("APIC", b"\x03image/jpeg\0\x03\0" + tags.cover)
    return b"ID3\x04\0\0" + _synchsafe(len(frames)) + frames if frames else b""


def _chapter_frames(marks: Sequence[Mark]) -> bytes:
    """CHAP frames, and their tables of contents: a CTOC has 255 entries at most, so that many need two levels."""
    ids = [f"chp{index}\0".encode() for index in range(len(marks))]
    groups = [ids[start : start + 255] for start in range(0, len(ids), 255)]
    tables = [(f"toc{index}\0".encode(), group) for index, group in enumerate(groups)]
    frames = b""
    if len(tables) > 1:
        frames += _frame("CTOC", b"toc\0\x03" + bytes([len(tables)]) + b"".join(name for name, _ in tables))
        frames += b"".join(_frame("CTOC", name + b"\x01" + bytes([len(ids)]) + b"".join(ids)) for name, ids in tables)
    elif tables:
        frames += _frame("CTOC", b"toc\0\x03" + bytes([len(ids)]) + b"".join(ids))
    for name, mark in zip(ids, marks, strict=True):
        times = struct.pack(">4I", round(mark.start * 1000), round(mark.end * 1000), 0xFFFFFFFF, 0xFFFFFFFF)
        frames += _frame("CHAP", name + times + _frame("TIT2", b"\x03" + mark.title.encode()))
    return frames


def _frame(name: str, body: bytes) -> bytes:
    return name.encode("ascii") + _synchsafe(len(body)) + b"\0\0" + body


def _synchsafe(number: int) -> bytes:
    if number >= 1 << 28:
        raise ValueError("an ID3 tag holds less than 256 MiB")
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))


# --- FLAC -------------------------------------------------------------------------------------------------------------


def flac_blocks(tags: Tagging, seek_points: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, bytes]]:
    """Type and content of the metadata blocks of a FLAC file (RFC 9639, section 8) but the first and the padding.

    Args:
        seek_points: first sample of a frame, its place behind the first frame, and its samples.
    """
    if seek_points:
        yield 3, b"".join(struct.pack(">QQH", *point) for point in seek_points)
    comments = vorbis_comments(tags)
    lines = [b"f5_pipeline", *(f"{name}={text}".encode() for name, text in comments)]
    packed = [struct.pack("<I", len(line)) + line for line in lines]
    yield 4, packed[0] + struct.pack("<I", len(comments)) + b"".join(packed[1:])
    if tags.cover:
        kind = b"image/jpeg"
        head = struct.pack(">II", 3, len(kind)) + kind + struct.pack(">I", 0) + struct.pack(">4I", 0, 0, 0, 0)
        yield 6, head + struct.pack(">I", len(tags.cover)) + tags.cover


def vorbis_comments(tags: Tagging) -> list[tuple[str, str]]:
    """Names and values: the tags by their names in capitals, and the chapters (wiki.xiph.org, "Chapter Extension")."""
    comments = [(name.upper(), text) for name, text in tags.fields.items()]
    for index, mark in enumerate(tags.marks):
        comments.append((f"CHAPTER{index:03}", _stamp(mark.start)))
        comments.append((f"CHAPTER{index:03}NAME", mark.title))
    return comments


def _stamp(seconds: float) -> str:
    total = round(seconds * 1000)
    return f"{total // 3_600_000:02}:{total // 60_000 % 60:02}:{total // 1000 % 60:02}.{total % 1000:03}"


# --- FFmpeg and MPEG-4 ------------------------------------------------------------------------------------------------

_MP4 = {"narrator": "composer", "tracknumber": "track"}
"""FFmpeg's names for tags of MPEG-4 that are others than ours."""

_FREE_ONLY = ("language", "software", "license", "synthetic_voice", "digital_source_type")
_FREE_FORM = ("narrator", *_FREE_ONLY)
"""Tags that MPEG-4 has no atom for, or none that says what they are."""

_MAGIC = ";FFMETADATA1"

_PLACEHOLDER = "f5_pipeline free-form atoms "


def ffmetadata(tags: Tagging, *, mp4: bool) -> str:
    """Tags and chapters as FFmpeg reads them (`ffmpeg -f ffmetadata`).

    With `mp4`, what has no place in MPEG-4 is left out, and a placeholder is among the tags; see `place_free_form`.
    """
    if not mp4:  # chapters too: FFmpeg's own have wrong times
        return "\n".join([_MAGIC, *(f"{name}={_escaped(text)}" for name, text in vorbis_comments(tags))]) + "\n"
    fields = {_MP4.get(name, name): text for name, text in tags.fields.items() if name not in _FREE_ONLY}
    # media_type 2: an audiobook, by Apple's `stik`
    fields |= {"media_type": "2", "album_artist": tags.fields.get("artist", ""), "grouping": _placeholder(tags)}
    lines = [_MAGIC, *(f"{name}={_escaped(text)}" for name, text in fields.items() if text)]
    for mark in tags.marks:
        times = f"START={round(mark.start * 1000)}", f"END={round(mark.end * 1000)}"
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", *times, f"title={_escaped(mark.title)}"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return re.sub(r"([=;#\\\n])", r"\\\1", text)


def _free_form(tags: Tagging) -> bytes:
    atoms = b""
    for name in _FREE_FORM:
        if text := tags.fields.get(name):
            parts = (
                _atom(b"mean", b"\0\0\0\0com.apple.iTunes"),
                _atom(b"name", b"\0\0\0\0" + name.upper().encode()),
                _atom(b"data", b"\0\0\0\1\0\0\0\0" + text.encode()),
            )
            atoms += _atom(b"----", b"".join(parts))
    return atoms


def _placeholder(tags: Tagging) -> str:
    # the atom around it has 24 bytes: size, ©grp, and the head of its data
    return _PLACEHOLDER.ljust(len(_free_form(tags)) - 24, ".") if _free_form(tags) else ""


def place_free_form(head: bytes, tags: Tagging) -> tuple[int, bytes] | None:
    """Where in the head of an MPEG-4 file the placeholder of `ffmetadata` is, and the free-form atoms that replace it.

    FFmpeg writes none. They have the placeholder's length, so that nothing else in the file moves.
    """
    placeholder, atoms = _placeholder(tags), _free_form(tags)
    at = head.find(_atom(b"\xa9grp", _atom(b"data", b"\0\0\0\1\0\0\0\0" + placeholder.encode())))
    return (at, atoms) if placeholder and at >= 0 else None


def _atom(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content

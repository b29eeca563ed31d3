"""Tags of the delivered audio files: their names, and the ID3v2.4 tag of an MP3."""

from __future__ import annotations

from collections.abc import Mapping

TAGS = ("title", "artist", "album", "comment", "date", "genre", "tracknumber", "copyright", "software", "license")
"""Tags that every format can carry."""


def clean_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags in writable form, without empty ones. Raises ValueError for a name that is not in TAGS."""
    unknown = [name for name in tags if name not in TAGS]
    if unknown:
        raise ValueError(f"unknown tags: {', '.join(unknown)}")
    # libsndfile takes C strings; a lone surrogate cannot be written as UTF-8
    clean = {
        name: text.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip() for name, text in tags.items()
    }
    return {name: text for name, text in clean.items() if text}


_ID3_FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "album": "TALB",
    "date": "TDRC",
    "genre": "TCON",
    "tracknumber": "TRCK",
    "copyright": "TCOP",
    "software": "TSSE",
}


def id3v2(tags: Mapping[str, str]) -> bytes:
    """An ID3v2.4 tag (id3.org, "ID3 tag version 2.4.0", structure and native frames), text in UTF-8.

    `license` goes into a TXXX frame; `comment` is a COMM frame of unknown language.
    """
    frames = b""
    for name, text in tags.items():
        value = text.encode("utf-8")
        if name == "comment":
            identifier, body = "COMM", b"\x03XXX\0" + value
        elif name == "license":
            identifier, body = "TXXX", b"\x03LICENSE\0" + value
        else:
            identifier, body = _ID3_FRAMES[name], b"\x03" + value
        frames += identifier.encode("ascii") + _synchsafe(len(body)) + b"\0\0" + body
    return b"ID3\x04\0\0" + _synchsafe(len(frames)) + frames if frames else b""


def _synchsafe(number: int) -> bytes:
    if number >= 1 << 28:
        raise ValueError("an ID3 tag holds less than 256 MiB")
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))

"""Text and times in transcripts: encodings, cleaning of lines, parsing of times."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable

from f5_pipeline.errors import InputError

MAX_TRANSCRIPT_BYTES = 50_000_000
"""Largest transcript accepted, bytes: hundreds of hours of Whisper JSON."""


def decode_text(data: bytes, name: str) -> str:
    """Decode a text file by its byte order mark, else as UTF-8; line ends become newlines.

    Raises:
        InputError: empty, too large, binary, or in another encoding.
    """
    if len(data) > MAX_TRANSCRIPT_BYTES:
        raise InputError(
            f"the transcript has {len(data) / 1e6:.0f} MB, more than {MAX_TRANSCRIPT_BYTES / 1e6:.0f} MB",
            file=name,
            hint="Give the transcript of this recording alone, as text, SRT, VTT, CSV or Whisper JSON.",
        )
    # UTF-32's mark begins with UTF-16's: it must be looked for first.
    marks = ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"))
    marks += ((b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
    encoding = next((encoding for mark, encoding in marks if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, errors="replace")
        raise InputError(
            f"byte {error.start + 1} (0x{data[error.start]:02x}) is not {encoding.upper().replace('-SIG', '')}",
            file=name,
            place=_count_lines(before),
            hint="Save the file as UTF-8.",
        ) from error
    if "\0" in text:
        raise InputError(
            "holds NUL characters: it is a binary file, or UTF-16 without a byte order mark",
            file=name,
            place=_count_lines(text[: text.index("\0")]),
            hint="Save it as plain text in UTF-8.",
        )
    if not text.replace("\ufeff", "").strip():
        raise InputError("the transcript is empty", file=name, hint="Write into it what is said in the recording.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def join_texts(texts: Iterable[str]) -> str:
    """Join texts with blanks, or with nothing where Chinese or Japanese characters meet."""
    joined = ""
    for text in texts:
        if joined and text and not (is_unspaced(joined[-1]) and is_unspaced(text[0])):
            joined += " "
        joined += text
    return joined


def is_unspaced(character: str) -> bool:
    """Whether a character belongs to a script without blanks: Han, kana, their punctuation, Thai and related."""
    code = ord(character)
    return (
        0x2E80 <= code <= 0x9FFF
        or 0xF900 <= code <= 0xFAFF
        or 0xFF00 <= code <= 0xFF65
        or 0x20000 <= code <= 0x3FFFF
        or 0x0E00 <= code <= 0x0EFF
        or 0x1000 <= code <= 0x109F
        or 0x1780 <= code <= 0x17FF
    )


def _count_lines(text: str) -> int:
    return len(re.findall(r"\r\n|\r|\n", text)) + 1


_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<\d[\d:.]*>")
_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
# A hyphen that marks a change of speaker stands before a letter or blank; "-5" is a number.
_SPEAKER_HYPHEN = re.compile(r"^[ \t]*[-–—‐‑]+[ \t]*(?=[^\s\d-])", re.MULTILINE)


def clean(text: str) -> str:
    """Spoken text on one line: no invisible characters, no speaker hyphens, single blanks, composed Unicode."""
    text = unicodedata.normalize("NFC", text)
    # Joiners (U+200C, U+200D) spell words in Persian and Indic scripts and stay.
    text = "".join(
        character
        for character in text
        if character in "\n\t\u200c\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cn")
    )
    return join_texts(" ".join(line.split()) for line in _SPEAKER_HYPHEN.sub("", text).splitlines() if line.strip())


def clean_cue(text: str) -> str:
    """`clean` for captions: also removes tags, overrides, karaoke stamps and entities."""
    return clean(html.unescape(_OVERRIDE.sub("", _TAG.sub("", text))))


def need_text(text: str, name: str, place: int | str) -> str:
    """`text`; InputError where there is no letter or digit in it."""
    if not any(character.isalnum() for character in text):
        raise InputError(
            "no text is there", file=name, place=place, hint="Write what is said there, or remove the entry."
        )
    return text


# Bounded digits: a number of hundreds of digits is no time.
_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,3}):(\d{1,2}(?:[.,]\d{1,12})?)")
_NUMBER = re.compile(r"(\d{1,12}(?:[.,]\d{1,20})?|[.,]\d{1,20})\s*(ms|msec|s|sec|secs|seconds)?", re.IGNORECASE)


def parse_time(text: str) -> float | None:
    """Seconds of "12.5", "12,5", "1:02.5", "0:01:02,500", "12.5 s" or "1500 ms"; negative ones too; else None."""
    text = text.strip()
    sign = 1.0
    if text[:1] in ("-", "−"):
        sign, text = -1.0, text[1:].lstrip()
    if match := _CLOCK.fullmatch(text):
        seconds = float(match[3].replace(",", "."))
        if seconds >= 60 or (match[1] and int(match[2]) >= 60):
            return None
        return sign * (int(match[1] or 0) * 3600 + int(match[2]) * 60 + seconds)
    if match := _NUMBER.fullmatch(text):
        seconds = float(match[1].replace(",", "."))
        return sign * (seconds / 1000 if (match[2] or "").lower().startswith("ms") else seconds)
    return None

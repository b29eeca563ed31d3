"""Decoding of text files, and small checks for all kinds of scripts."""

from __future__ import annotations

import codecs
import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from f5_pipeline.errors import InputError

# Invisible and without effect on speech: soft hyphen, zero-width blanks, marks of direction, byte order mark.
_DROPPED = dict.fromkeys(
    [0xAD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2065), *range(0x2066, 0x2070), 0xFEFF]
)
# Control characters and separators other than the line feed become blanks, so that line numbers stay an editor's.
_BLANKED = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029, 0xFFF9, 0xFFFA, 0xFFFB], " ")
_SAFE = {**_DROPPED, **_BLANKED}
_DISGUISED = re.compile("[\ufb00-\ufb06\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\U0001d400-\U0001d7ff]+")
_MOJIBAKE = re.compile("[ÂÃâåäæçèéï][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹Œ‘’“”•–—˜™š›œ]")
_LANGUAGE = re.compile(r"[a-z]{2,8}(?:-[a-z0-9]{1,8})*")


@dataclass(frozen=True)
class Slot:
    """The time of a subtitle, s, the name that stands before it, if any, and its text where that is no voice."""

    at: float
    seconds: float
    speaker: str | None
    otherwise: str


@dataclass
class Block:
    """A paragraph or heading: its lines, each with its number in the file, from 1; or a subtitle, on one line."""

    kind: Literal["paragraph", "heading"]
    lines: list[tuple[int, str]]
    slot: Slot | None = None


def decode(data: bytes, file: str) -> str:
    """The text of a UTF-8 file, or of one whose first mark says UTF-16, with line feeds only; see `safe`.

    Raises:
        InputError: the file is no such text; names the byte and the line.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeError as error:
            raise InputError(
                f"the file begins as UTF-16, and is not: {error}", file=file, place=1, hint="Save it as UTF-8."
            ) from None
    zero = data.find(b"\0")
    if zero >= 0:
        raise InputError(
            f"byte {zero} is zero: this is no UTF-8 text",
            file=file,
            place=data.count(b"\n", 0, zero) + 1,
            hint="Save the script as plain text in UTF-8.",
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {error.start} (0x{data[error.start]:02x}) is not UTF-8",
            file=file,
            place=data.count(b"\n", 0, error.start) + 1,
            hint="Save the script in the encoding UTF-8.",
        ) from None
    return safe(text.replace("\r\n", "\n").replace("\r", "\n"))


def safe(text: str) -> str:
    """`text` in normal form C, without invisible characters; control characters but tab and line feed become blanks.

    Letters in disguise (𝐁𝐨𝐥𝐝, ﬀ, Ｆｕｌｌ) become plain ones: engines know no others.
    """
    return unicodedata.normalize(
        "NFC", _DISGUISED.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text.translate(_SAFE))
    )


def mend_mojibake(text: str) -> str:
    """A line that was read in a wrong encoding somewhere ("Itâ€™s"), as it was meant; any other as it is."""
    if not _MOJIBAKE.search(text):
        return text
    import ftfy

    return ftfy.fix_encoding(text)


def near(word: str, names: Iterable[str]) -> str:
    """`Did you mean …?` for a misspelled name, or an empty string."""
    table = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), table, n=2, cutoff=0.6)
    return f"Did you mean {' or '.join(table[name] for name in close)}?" if close else ""


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Names as a list for a message."""
    items = list(names)
    return ", ".join(items[:limit]) + (", …" if len(items) > limit else "")


def language_tag(tag: str, file: str, line: int | None) -> str:
    """A BCP 47 tag in lower case; its shape is checked, not the registry.

    Raises:
        InputError: it does not look like a language tag.
    """
    clean = tag.strip().replace("_", "-").lower()
    if not _LANGUAGE.fullmatch(clean):
        raise InputError(
            f"'{tag}' is no language tag", file=file, place=line, hint="Write a tag such as en, de or pt-br."
        )
    return clean

"""SubRip, the caption format that every player reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TextIO

from f5_pipeline.speech.captions.cues import Cue, clock

_MARKUP = re.compile(r"(?<=<)(?=[a-zA-Z/])|(?<=\{)(?=[\\a-zA-Z])|(?<=--)(?=>)|(?<=\\)(?=[Nnh])")
"""Positions inside text that players take for markup."""


def write_srt(cues: Iterable[Cue], out: TextIO) -> int:
    """Write SubRip; returns the number of cues. `out` is UTF-8 without a byte order mark, newline="\\n".

    SubRip has no escapes, and players take "<b", "{\\\\", "-->" and "\\\\N" for markup: a zero width space separates
    the characters, so that they are shown. (Players built on libass hide text in braces anyway.)
    """
    count = 0
    for count, cue in enumerate(cues, 1):  # noqa: B007
        text = "\n".join(_MARKUP.sub("\u200b", line) for line in cue.lines)
        out.write(f"{cue.index}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n{text}\n\n")
    return count

"""WebVTT, the caption format of web pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from f5_pipeline.speech.captions.cues import Cue, clock
from f5_pipeline.speech.captions.text import one_line


def write_vtt(cues: Iterable[Cue], out: TextIO, *, voices: bool = False, words: bool = False) -> int:
    """Write WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format"); returns the number of cues.

    `out` is UTF-8 without a byte order mark, newline="\\n".

    Args:
        voices: each cue names its voice in a <v> span.
        words: each word but a cue's first has a time stamp before it, where it begins later than the one before it.
    """
    out.write("WEBVTT\n\n")
    count = 0
    for count, cue in enumerate(cues, 1):  # noqa: B007
        text = _stamped(cue) if words else "\n".join(map(_escape, cue.lines))
        if voices and cue.voice.strip():
            text = f"<v {_escape(one_line(cue.voice))}>{text}</v>"
        out.write(f"{cue.index}\n{clock(cue.start, '.')} --> {clock(cue.end, '.')}\n{text}\n\n")
    return count


def _stamped(cue: Cue) -> str:
    last, lines = round(cue.start * 1000), []
    for line in cue.spans:
        text = ""
        for span in line:
            if last < (start := round(span.start * 1000)) < round(cue.end * 1000):
                text += f"<{clock(span.start, '.')}>"
                last = start
            text += _escape(span.text)
        lines.append(text)
    return "\n".join(lines)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

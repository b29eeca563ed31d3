"""WebVTT, the caption format of web pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from f5_pipeline.speech.captions.cues import Cue, clock
from f5_pipeline.speech.captions.text import one_line


def write_vtt(cues: Iterable[Cue], out: TextIO, *, voices: bool = False) -> int:
    """Write WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format"); returns the number of cues.

    `out` is UTF-8 without a byte order mark, newline="\\n". With `voices` each cue names its voice in a <v> span.
    """
    out.write("WEBVTT\n\n")
    count = 0
    for count, cue in enumerate(cues, 1):  # noqa: B007
        text = "\n".join(map(_escape, cue.lines))
        if voices and cue.voice.strip():
            text = f"<v {_escape(one_line(cue.voice))}>{text}</v>"
        out.write(f"{cue.index}\n{clock(cue.start, '.')} --> {clock(cue.end, '.')}\n{text}\n\n")
    return count


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

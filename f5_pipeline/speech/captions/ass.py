"""ASS (Advanced SubStation Alpha) with karaoke, for players and burnt-in captions by libass."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TextIO

from f5_pipeline.speech.captions.cues import Cue
from f5_pipeline.speech.captions.text import one_line

_HEADER = """\
[Script Info]
Title: {title}
ScriptType: v4.00+
WrapStyle: 2
ScaledBorderAndShadow: yes
PlayResX: 1920
PlayResY: 1080

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,64,&H00FFFFFF,&H00A0A0A0,&H00000000,&H80000000,0,0,0,0,100,100,0,0,1,3,1,2,60,60,54,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def write_ass(cues: Iterable[Cue], out: TextIO, title: str = "") -> int:
    """Write ASS; returns the number of cues. `out` is UTF-8 without a byte order mark, newline="\\n".

    Each word has a `\\k`: the hundredths of a second until the next one begins. Edges are rounded, not lengths, so that
    nothing drifts. The format has no escapes: as in FFmpeg, a word joiner keeps a backslash from being one of the
    format's, and "\\{{}" is a brace in libass, and in other renderers a backslash that hides nothing after it.
    """
    out.write(_HEADER.format(title=one_line(title)))
    count = last = 0
    for count, cue in enumerate(cues, 1):  # noqa: B007
        start = max(_hundredths(cue.start), last)
        last = max(_hundredths(cue.end), start + 1)
        spans = [span for line in cue.spans for span in line]
        # the edges of the words; the first begins with the cue, the last ends with it
        edges = [start, *(min(max(_hundredths(span.start), start), last) for span in spans[1:]), last]
        lengths = iter([later - edge for edge, later in pairwise(edges)])
        text = r"\N".join("".join(f"{{\\k{next(lengths)}}}{_escape(span.text)}" for span in line) for line in cue.spans)
        name = one_line(cue.voice).replace(",", " ").strip()
        out.write(f"Dialogue: 0,{_time(start)},{_time(last)},Default,{name},0,0,0,,{text}\n")
    return count


def _escape(text: str) -> str:
    return text.replace("\\", "\\\u2060").replace("{", "\\{{}")


def _hundredths(seconds: float) -> int:
    # Times are whole milliseconds or near them: half up, so that equal lengths stay equal.
    return (round(seconds * 1000) + 5) // 10


def _time(hundredths: int) -> str:
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 100:02d}.{rest % 100:02d}"

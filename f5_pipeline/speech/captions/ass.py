"""ASS (Advanced SubStation Alpha) with karaoke, for players and burnt-in captions by libass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TextIO

from f5_pipeline.speech.captions.cues import Cue
from f5_pipeline.speech.captions.text import one_line, runs_from_right

_HEADER = """\
[Script Info]
Title: {title}
ScriptType: v4.00+
WrapStyle: {look.wrap}
ScaledBorderAndShadow: yes
PlayResX: {look.width}
PlayResY: {look.height}

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,{look.size},{look.said},{look.unsaid},&H00000000,&H80000000,{look.bold},0,0,0,100,100,0,0,1,\
{look.outline},{look.shadow},2,{look.margin},{look.margin},{look.bottom},{look.encoding}

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


@dataclass(frozen=True)
class AssLook:
    """How captions look. Lengths are in pixels of a picture of `width` x `height`.

    Attributes:
        size: height of a line of text.
        said, unsaid: colours of words from their start on and before it, &HAABBGGRR.
        bold: -1 for bold letters.
        margin, bottom: distance from the sides and from the lower edge.
        wrap: 2 keeps the lines of cues; 0 breaks those that are too long, too.
        encoding: -1 has libass lay out a line as a whole, by its own direction; 1 each word of a karaoke by itself.
        overrides: tags before the text of each cue, such as `\\an5`.
    """

    width: int = 1920
    height: int = 1080
    size: int = 64
    said: str = "&H00FFFFFF"
    unsaid: str = "&H00A0A0A0"
    bold: int = 0
    outline: int = 3
    shadow: int = 1
    margin: int = 60
    bottom: int = 54
    wrap: int = 2
    encoding: int = 1
    overrides: str = ""


def usual_look(language: str) -> AssLook:
    """The look of files in the language of a BCP 47 tag: words stand in their order where that is from the right."""
    return AssLook(encoding=-1 if runs_from_right(language) else 1)


def write_ass(cues: Iterable[Cue], out: TextIO, title: str = "", look: AssLook | None = None) -> int:
    """Write ASS; returns the number of cues. `out` is UTF-8 without a byte order mark, newline="\\n".

    Each word has a `\\k`: the hundredths of a second until the next one begins. Edges are rounded, not lengths, so that
    nothing drifts. The format has no escapes: as in FFmpeg, a word joiner keeps a backslash from being one of the
    format's, and "\\{{}" is a brace in libass, and in other renderers a backslash that hides nothing after it.
    """
    look = look or AssLook()
    before = f"{{{look.overrides}}}" if look.overrides else ""
    out.write(_HEADER.format(title=one_line(title), look=look))
    count = last = 0
    for count, cue in enumerate(cues, 1):  # noqa: B007
        start = max(hundredths(cue.start), last)
        last = max(hundredths(cue.end), start + 1)
        spans = [span for line in cue.spans for span in line]
        # the edges of the words; the first begins with the cue, the last ends with it
        edges = [start, *(min(max(hundredths(span.start), start), last) for span in spans[1:]), last]
        lengths = iter([later - edge for edge, later in pairwise(edges)])
        text = r"\N".join("".join(f"{{\\k{next(lengths)}}}{escaped(span.text)}" for span in line) for line in cue.spans)
        name = one_line(cue.voice).replace(",", " ").strip()
        out.write(f"Dialogue: 0,{ass_time(start)},{ass_time(last)},Default,{name},0,0,0,,{before}{text}\n")
    return count


def escaped(text: str) -> str:
    """Text that is shown as it is."""
    return text.replace("\\", "\\\u2060").replace("{", "\\{{}")


def hundredths(seconds: float) -> int:
    # Times are whole milliseconds or near them: half up, so that equal lengths stay equal.
    return (round(seconds * 1000) + 5) // 10


def ass_time(hundredths: int) -> str:
    """A time as the format has it."""
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 100:02d}.{rest % 100:02d}"

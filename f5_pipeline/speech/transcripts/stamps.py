"""Plain text with stamps, as people copy it: what the command `whisper` prints, Descript, Otter, YouTube, lyrics (LRC).

A stamp is a time and never spoken. One of a start alone is good to a second and cuts nothing: such a text is untimed.
"""

from __future__ import annotations

import re

from f5_pipeline.speech.transcripts.entries import TranscriptSegment
from f5_pipeline.speech.transcripts.heard import Cue
from f5_pipeline.speech.transcripts.text import clean, need_text, parse_time

_CLOCK = r"(?:\d{1,3}:)?\d{1,3}:\d{2}(?:[.,]\d{1,3})?"
_SPAN = re.compile(rf"[ \t]*\[({_CLOCK}) *--> *({_CLOCK})\][ \t]*(.*)")
_STAMP = re.compile(rf"[ \t]*(?:\[{_CLOCK}\]|\({_CLOCK}\))[ \t]*(?:[^\W\d_][\w.'’ -]{{0,40}}:(?=\s|$))?")
_BARE = re.compile(rf"[ \t]*(?:[^\W\d_][\w.'’ -]{{0,40}}\S[ \t]{{2,4}})?{_CLOCK}[ \t]*")
_LYRICS = re.compile(r"[ \t]*\[[a-z#]{1,10}:[^\]\n]{0,200}\][ \t]*")


def stamped_cues(text: str) -> list[Cue] | None:
    """The cues of text in which each line begins with a span of time, as `whisper` prints it; None for other text."""
    cues: list[Cue] = []
    for number, line in enumerate(text.split("\n"), 1):
        if match := _SPAN.fullmatch(line):
            start, end = parse_time(match[1]), parse_time(match[2])
            if start is None or end is None:
                return None
            cues.append(Cue(number, start, end, [match[3]]))
        elif line.strip() and cues:
            cues[-1].lines.append(line)
        elif line.strip() and not line.startswith("Detect"):  # "Detecting language …", "Detected language: English"
            return None
    return cues or None


def without_stamps(text: str, *, lyrics: bool = False) -> str:
    """`text` without its stamps and the names after them; lines that are no more than a stamp become empty.

    A time alone on a line is a stamp where the text begins with one and has another.

    Args:
        lyrics: also without the facts of an LRC file, such as "[ar:Somebody]".
    """
    lines = text.split("\n")
    bare = [bool(_BARE.fullmatch(line)) for line in lines]
    first = next((is_bare for line, is_bare in zip(lines, bare, strict=True) if line.strip()), False)
    if first and sum(bare) > 1:
        lines = ["" if is_bare else line for line, is_bare in zip(lines, bare, strict=True)]
    if lyrics:
        lines = ["" if _LYRICS.fullmatch(line) else line for line in lines]
    return "\n".join(line[match.end() :] if (match := _STAMP.match(line)) else line for line in lines)


def read_text(text: str, name: str) -> list[TranscriptSegment]:
    """Plain text: one segment without times."""
    spoken = clean(without_stamps(text, lyrics=name.lower().endswith(".lrc")))
    return [TranscriptSegment(text=need_text(spoken, name, 1))]

"""SubRip (SRT) and WebVTT: cues with times."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import pairwise

from f5_pipeline.errors import InputError
from f5_pipeline.speech.transcripts.entries import Timeline, TranscriptSegment, timed_segment
from f5_pipeline.speech.transcripts.heard import Cue, unrolled, without_labels
from f5_pipeline.speech.transcripts.text import clean_cue, parse_time

MAX_CUE_OVERLAP_SECONDS = 0.5
"""Subtitles of one speaker overlap by so much; the earlier ends where the later begins."""

_CUE_TIMES = re.compile(r"\s*(-?[\d:.,]+)\s*-->\s*(-?[\d:.,]+)(?:\s+(.*))?")
_CUE_CLOCK = re.compile(r"-?(?:\d+:)?\d{1,2}:\d{1,2}[.,]\d{1,3}|-?\d+:\d{1,2}:\d{1,2}")


def _cue_times(line: str, name: str, number: int) -> tuple[float, float]:
    match = _CUE_TIMES.fullmatch(line)
    times = [parse_time(part) if _CUE_CLOCK.fullmatch(part) else None for part in match.groups()[:2]] if match else []
    if len(times) != 2 or times[0] is None or times[1] is None:
        raise InputError(
            f"the time line {line.strip()[:80]!r} cannot be read",
            file=name,
            place=number,
            hint="Write it as 00:00:01,000 --> 00:00:02,500.",
        )
    return times[0], times[1]


def srt_cues(text: str, name: str) -> list[Cue]:
    """The cues of a SubRip file; InputError with the line where it is malformed."""
    return _cues(text.split("\n"), 0, name)


def vtt_cues(text: str, name: str) -> list[Cue]:
    """The cues of a WebVTT file; InputError with the line where it is malformed."""
    lines = text.split("\n")
    first = next(index for index, line in enumerate(lines) if line.strip())
    if lines[first].startswith("WEBVTT"):
        # The header block runs to the first blank line.
        while first < len(lines) and lines[first].strip() and "-->" not in lines[first]:
            first += 1
    return _cues(lines, first, name, blocks=("NOTE", "STYLE", "REGION"), padded=True)


def _cues(lines: list[str], index: int, name: str, blocks: tuple[str, ...] = (), *, padded: bool = False) -> list[Cue]:
    """Cues of an SRT or VTT file from line `index` (from 0) on: [identifier], time line, text up to a blank line.

    Args:
        padded: a line of blanks belongs to its cue, as WebVTT has it.
    """
    cues: list[Cue] = []
    while index < len(lines):
        if not lines[index].strip():
            index += 1
            continue
        if any(re.match(rf"{block}(\s|$)", lines[index]) for block in blocks):
            while index < len(lines) and lines[index].strip():
                index += 1
            continue
        if "-->" not in lines[index]:
            # An identifier: a number (SRT) or anything (VTT) directly above a time line.
            if index + 1 < len(lines) and "-->" in lines[index + 1]:
                index += 1
            else:
                raise InputError(
                    f"{lines[index].strip()[:60]!r} belongs to no cue",
                    file=name,
                    place=index + 1,
                    hint="Give it a time line, or remove the blank line above it if it belongs to the cue before.",
                )
        place = index + 1
        start, end = _cue_times(lines[index], name, place)
        index += 1
        body: list[str] = []
        while index < len(lines) and (lines[index] if padded else lines[index].strip()):
            if "-->" in lines[index]:
                raise InputError(
                    "a time line stands inside a cue's text",
                    file=name,
                    place=index + 1,
                    hint="Put a blank line before each cue.",
                )
            body.append(lines[index])
            index += 1
        cues.append(Cue(place, start, end, body))
    return cues


def spoken_segments(cues: list[Cue], name: str) -> list[TranscriptSegment]:
    """What is spoken of cues; InputError where they are out of order or nothing is."""
    return [segment for _, segment in spoken_cues(cues, name, without_labels)]


def spoken_cues(
    cues: list[Cue], name: str, heard: Callable[[Iterable[Cue]], Iterable[Cue]]
) -> list[tuple[Cue, TranscriptSegment]]:
    """Cues of which something is spoken, each with its text on one line and its times, without overlap.

    Args:
        heard: what is heard of unrolled cues.

    Raises:
        InputError: they are out of order, or nothing is spoken.
    """
    if not cues:
        raise InputError("no cue is in the file", file=name, hint="Give at least one cue with its times and text.")
    segments: list[TranscriptSegment] = []
    spoken: list[Cue] = []
    timeline = Timeline(name, overlap=MAX_CUE_OVERLAP_SECONDS)
    for cue in heard(unrolled(cues)):
        text = clean_cue("\n".join(cue.lines))
        again = bool(segments) and (text, cue.start, cue.end) == (
            segments[-1].text,
            segments[-1].start,
            segments[-1].end,
        )
        if again or not any(character.isalnum() for character in text):
            continue  # nothing is spoken
        segment = timed_segment(text, cue.start, cue.end, name, cue.place)
        segment.words = cue.words
        timeline.add(segment, cue.place, "cue")
        segments.append(segment)
        spoken.append(cue)
    if not segments:
        raise InputError("no cue holds text", file=name, hint="Write into the cues what is said.")
    _refuse_rolling(segments, name)
    return list(zip(spoken, segments, strict=True))


def _refuse_rolling(segments: list[TranscriptSegment], name: str) -> None:
    """Refuse captions that repeat each line two or three times and cannot be unrolled: SRT made of rolling ones."""
    pairs = list(pairwise(segments))
    rolling = sum(later.text.startswith(earlier.text) and len(earlier.text) > 8 for earlier, later in pairs)
    if len(pairs) >= 3 and rolling * 3 > len(pairs):
        raise InputError(
            f"{rolling} of {len(segments)} cues repeat the text of the cue before (rolling captions)",
            file=name,
            hint="Give the VTT file that they come from, or captions in which each word stands once.",
        )

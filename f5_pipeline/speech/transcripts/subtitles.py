"""Subtitles in other forms: SubStation Alpha and TTML by pysubs2, SubViewer, and Praat's TextGrid."""

from __future__ import annotations

import re
from itertools import pairwise

from f5_pipeline.errors import InputError
from f5_pipeline.speech.transcripts.entries import TimedText, Timeline, TranscriptSegment, timed_segment
from f5_pipeline.speech.transcripts.heard import Cue
from f5_pipeline.speech.transcripts.text import clean_cue, join_texts, need_text, parse_time

PYSUBS2 = {".ass": "ass", ".ssa": "ssa", ".ttml": "ttml", ".dfxp": "ttml"}
"""Suffixes that pysubs2 reads, and its names for them."""


def subtitle_cues(text: str, name: str, form: str) -> list[Cue]:
    """The cues of a file that pysubs2 reads, in order of time; InputError where it cannot."""
    import pysubs2

    if form == "ttml" and re.search(r"<!(?:DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise InputError("it declares entities, which are not read", file=name, hint="Remove its DOCTYPE.")
    try:
        read = pysubs2.SSAFile.from_string(text, format_=form)
    except Exception as error:  # whatever it meets in a file that is not of this form
        raise InputError(
            f"it cannot be read as {form.upper()}: {error}", file=name, hint="Convert it to SRT."
        ) from error
    events = sorted((event for event in read if not event.is_comment and not event.is_drawing), key=lambda e: e.start)
    return [
        Cue(number, event.start / 1000, event.end / 1000, event.plaintext.split("\n"))
        for number, event in enumerate(events, 1)
    ]


def sbv_cues(text: str, name: str) -> list[Cue]:
    """The cues of a SubViewer file, as YouTube writes it; InputError with the line where it is malformed."""
    cues, lines = [], text.split("\n")
    starts = [at for at, line in enumerate(lines) if line.strip() and not (at and lines[at - 1].strip())]
    for start, after in zip(starts, [*starts[1:], len(lines)], strict=True):
        times = [parse_time(part) for part in lines[start].split(",")]
        if len(times) != 2 or times[0] is None or times[1] is None:
            hint = "Write it as 0:00:01.000,0:00:02.500."
            raise InputError("the time line cannot be read", file=name, place=start + 1, hint=hint)
        cues.append(Cue(start + 1, times[0], times[1], lines[start + 1 : after]))
    return cues


_TIER = re.compile(r'^[ \t]*class[ \t]*=[ \t]*"IntervalTier"\s+name[ \t]*=[ \t]*"([^"\n]*)"', re.MULTILINE)
_INTERVAL = re.compile(
    r'^[ \t]*xmin[ \t]*=[ \t]*([\d.]+)[ \t]*\n[ \t]*xmax[ \t]*=[ \t]*([\d.]+)[ \t]*\n[ \t]*text[ \t]*=[ \t]*"([^"]*)"',
    re.MULTILINE,
)


def read_textgrid(text: str, name: str) -> list[TranscriptSegment]:
    """The words of a TextGrid in Praat's long form: its tier "words", or its only tier.

    Raises:
        InputError: there is no such tier, or its times are malformed.
    """
    tiers = list(_TIER.finditer(text))
    chosen = [tier for tier in tiers if re.search(r"\bwords?\b", tier[1], re.IGNORECASE)] or tiers
    if len(chosen) != 1:
        raise InputError(
            f"it has {len(tiers)} tiers of intervals, of which {len(chosen)} may be the words",
            file=name,
            hint='Save it in Praat\'s long form, with one tier named "words".',
        )
    after = min((tier.start() for tier in tiers if tier.start() > chosen[0].start()), default=len(text))
    words: list[TimedText] = []
    timeline = Timeline(name)
    for match in _INTERVAL.finditer(text, chosen[0].end(), after):
        if not any(map(str.isalnum, match[3])):
            continue
        place = text.count("\n", 0, match.start()) + 1
        start, end = parse_time(match[1]), parse_time(match[2])
        if start is None or end is None:
            raise InputError("its times cannot be read", file=name, place=place, hint="Write times in s.")
        words.append(TimedText(text=clean_cue(match[3]), start=start, end=end))
        timeline.add(words[-1], place, "interval")
    spoken = need_text(join_texts(word.text for word in words), name, 1)
    for word, following in pairwise(words):
        word.space = join_texts((word.text, following.text))[len(word.text) :].removesuffix(following.text)
    words[-1].space = ""
    segment = timed_segment(spoken, words[0].start, words[-1].end, name, 1)
    segment.words = words
    return [segment]

"""Entries of a transcript: words and segments with their times, and the check of their order."""

from __future__ import annotations

from pydantic import BaseModel, Field

from f5_pipeline.errors import InputError

MAX_OVERLAP_SECONDS = 0.05
"""Overlap of neighbours that counts as rounding and is closed at the start of the later one."""


class TimedText(BaseModel):
    """A word with its times in the recording, spelled and punctuated as in the segment's text."""

    text: str
    start: float = Field(ge=0, description="s from the recording's start")
    end: float = Field(ge=0, description="s from the recording's start")
    space: str = Field(default=" ", description="text between it and the next word: a blank, or nothing")


class TranscriptSegment(BaseModel):
    """A cue, a row or a Whisper segment. Where there are words, their texts and spaces joined are its text."""

    text: str
    start: float | None = Field(default=None, ge=0, description="s from the recording's start")
    end: float | None = Field(default=None, ge=0, description="s from the recording's start")
    words: list[TimedText] | None = None


class Timeline:
    """Checks the order of spans, and closes overlaps of up to `overlap` s at the start of the later one."""

    def __init__(self, name: str, *, instants: bool = False, overlap: float = MAX_OVERLAP_SECONDS) -> None:
        self.name = name
        self.overlap = overlap
        self.instants = instants
        self.last: TranscriptSegment | TimedText | None = None
        self.last_place: int | str = 0

    def add(self, span: TranscriptSegment | TimedText, place: int | str, what: str) -> None:
        """Check the next span, a `what` at `place` of the file; InputError where it is out of order."""
        start, end = span.start, span.end
        if start is None or end is None:
            return
        if end < start or (end == start and not self.instants):
            raise InputError(
                f"the {what} ends at {end:.3f} s, {'before' if end < start else 'when'} it starts ({start:.3f} s)",
                file=self.name,
                place=place,
                hint="Give it an end that is later than its start.",
            )
        last = self.last
        if last is not None and last.end is not None and last.start is not None and start < last.end:
            if start < last.start or last.end - start > self.overlap:
                raise InputError(
                    f"the {what} starts at {start:.3f} s, before the one at {self.last_place} ends ({last.end:.3f} s)",
                    file=self.name,
                    place=place,
                    hint="Put the entries in order of time, without overlap.",
                )
            last.end = start
            for word in (isinstance(last, TranscriptSegment) and last.words) or ():
                word.start, word.end = min(word.start, start), min(word.end, start)
        self.last, self.last_place = span, place


def timed_segment(text: str, start: float, end: float, name: str, place: int | str) -> TranscriptSegment:
    """A segment with its times, s; InputError where one is negative."""
    if start < 0 or end < 0:
        raise InputError(
            f"the time {min(start, end):.3f} s is negative",
            file=name,
            place=place,
            hint="Count times from the recording's start.",
        )
    return TranscriptSegment(text=text, start=start, end=end)

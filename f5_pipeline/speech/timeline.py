"""Times of the words, chunks and headings of a finished narration: plain data, one JSON object a line."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

_METHOD = (
    "source of the time: engine (exact), dtw (aligned), interpolated (between its neighbours, or its part of the time "
    "of several words), proportional (spread over its chunk: nothing could be aligned)"
)


class TimedWord(BaseModel):
    """A word of the finished narration, as written, with its time in the master."""

    text: str
    space: str = " "
    start: float
    end: float
    chunk: int
    paragraph: int
    voice: str
    language: str = Field(default="", exclude=True, description="BCP 47 tag; empty: the narration's")
    heading: bool = False
    method: str = Field(default="engine", description=_METHOD)
    confidence: float = Field(default=1.0, description="of the time, 0..1")
    cue: tuple[float, float] | None = Field(default=None, description="times of the subtitle that it belongs to, s")

    @model_serializer(mode="wrap")
    def _without_cue(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the cue where there is none: timelines of other narrations stay as they were."""
        values = serialize(self)
        if self.cue is None:
            values.pop("cue", None)
        return values


class PlacedChunk(BaseModel):
    """Times of a chunk's speech in the master."""

    chunk: int
    start: float = Field(description="first sound, s")
    end: float = Field(description="end of the last sound, s")
    take: str = Field(description="the take's key")
    attempt: int = Field(default=0, description="0 for the first take of the chunk")
    seed: int | None = Field(default=None, description="of the take's noise, where its engine draws any")


class Chapter(BaseModel):
    """A heading and its start, s."""

    text: str
    start: float
    end: float = Field(default=0.0, description="end of the last sound before the next heading, s")
    is_empty: bool = Field(default=True, description="nothing but the heading is in it")


TOLERANCE_SECONDS = 0.05
"""By so much the speech of a subtitle may miss its slot."""

MAX_MISFITS = 100
"""Subtitles that are listed; more are only counted."""


class Misfit(BaseModel):
    """A subtitle whose speech is not in its slot."""

    cue: int = Field(description="number of the subtitle among those that are spoken, from 1")
    line: int = Field(description="of its times in the file")
    at: float = Field(description="start of its slot, s")
    seconds: float = Field(description="length of its slot, s")
    late: float = Field(default=0.0, description="it starts so much later, s")
    over: float = Field(default=0.0, description="it ends so much later than its slot, s")
    text: str

    def __str__(self) -> str:
        minutes, seconds = divmod(self.at, 60)
        clock = f"{minutes // 60:02.0f}:{minutes % 60:02.0f}:{seconds:06.3f}"
        late = f"starts {self.late:.2f} s late" if self.late else ""
        over = f"takes {self.over:.2f} s more than its {self.seconds:.2f} s" if self.over else ""
        return f"cue {self.cue} (line {self.line}, {clock}) {' and '.join(filter(None, (late, over)))}: {self.text!r}"


class SlotFit(BaseModel):
    """How the speech of subtitles fits their slots."""

    cues: int = 0
    unfit: int = Field(default=0, description="subtitles that start too late or take longer than their slots")
    max_late_ms: float = 0.0
    misfits: list[Misfit] = []

    def add(self, *, line: int, at: float, seconds: float, text: str, late: float, over: float) -> None:
        """Count a subtitle that starts `late` s after the start and ends `over` s after the end of its slot."""
        self.cues += 1
        self.max_late_ms = max(self.max_late_ms, round(1000 * late, 1))
        late, over = (round(value, 3) if value > TOLERANCE_SECONDS else 0.0 for value in (late, over))
        if not late and not over:
            return
        self.unfit += 1
        if len(self.misfits) < MAX_MISFITS:
            misfit = Misfit(cue=self.cues, line=line, at=at, seconds=seconds, late=late, over=over, text=text[:80])
            self.misfits.append(misfit)

    def report(self, limit: int = MAX_MISFITS) -> list[str]:
        """For people: a sentence for each subtitle that does not fit, and one for those beyond `limit`."""
        listed = [str(misfit) for misfit in self.misfits[:limit]]
        more = self.unfit - len(listed)
        return [*listed, f"{more} more cues do not fit"] if more else listed

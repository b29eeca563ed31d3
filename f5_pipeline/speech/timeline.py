"""Times of the words, chunks and headings of a finished narration: plain data, one JSON object a line."""

from __future__ import annotations

from pydantic import BaseModel, Field

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
    heading: bool = False
    method: str = Field(default="engine", description=_METHOD)
    confidence: float = Field(default=1.0, description="of the time, 0..1")


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

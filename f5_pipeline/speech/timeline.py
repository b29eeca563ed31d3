"""When each word, chunk and heading of a finished narration is heard: plain data, one JSON object a line."""

from __future__ import annotations

from pydantic import BaseModel, Field


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
    method: str = Field(default="engine", description="how the time was found: engine, dtw, proportional, interpolated")
    confidence: float = Field(default=1.0, description="how sure it is, 0..1")


class PlacedChunk(BaseModel):
    """Where a chunk's speech is in the master."""

    chunk: int
    start: float = Field(description="first sound, s")
    end: float = Field(description="end of the last sound, s")
    take: str = Field(description="the take's key")
    attempt: int = Field(default=0, description="0 for the first take of the chunk")
    seed: int | None = Field(default=None, description="of the take's noise, where its engine draws any")


class Chapter(BaseModel):
    """A heading and when it is spoken."""

    text: str
    start: float

"""Takes to one narration: pauses, crossfades, one gain; streamed, with word times that stay exact."""

from __future__ import annotations

from pydantic import BaseModel, Field


class AssemblySettings(BaseModel):
    """How takes become a narration. All of it goes into the revision."""

    sentence: float = Field(0.35, ge=0, description="pause after a sentence, s")
    paragraph: float = Field(0.7, ge=0, description="pause after a paragraph, s")
    chapter: float = Field(1.5, ge=0, description="pause around a heading, s")
    head: float = Field(0.5, ge=0, description="silence before the first word, s")
    tail: float = Field(1.0, ge=0, description="silence after the last word, s")
    crossfade: float = Field(0.02, ge=0, le=0.2, description="equal-power crossfade where chunks touch, s")
    loudness: float = Field(-19.0, le=0, description="integrated loudness aimed at, LUFS (mono podcast: -19)")
    peak: float = Field(-1.0, le=0, description="highest true peak allowed, dBTP")


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
    method: str = "engine"

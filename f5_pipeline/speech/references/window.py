"""The part of a recording that a reference is made of."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["whole", "given", "words", "aligned"]
"""Source of the times of a reference's cuts: not cut; the transcript's cues; its words; alignment."""


class Window(BaseModel):
    """A part of a recording, to be taken in place of the one that is chosen by itself."""

    model_config = ConfigDict(frozen=True)

    start: float = Field(description="in the recording, s")
    end: float
    text: str = Field(description="spoken in it")
    method: Method

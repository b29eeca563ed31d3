"""Takes: the audio of one chunk in one attempt, addressed by everything that decides its sound."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Take(BaseModel):
    """The record of a take; its audio is a FLAC file (mono, 24 kHz, 16 bit) under the same key.

    `tokens` holds [start_char, end_char, start_s, end_s] for each timed piece of `text`, in order, without overlap.
    """

    key: str
    text: str
    language: str
    voice: str
    engine: str
    samples: int = Field(description="length of the audio in samples at 24 kHz")
    speech_start: float = Field(description="first sound, seconds from the take's start")
    speech_end: float = Field(description="end of the last sound, seconds from the take's start")
    tokens: list[tuple[int, int, float, float]]
    method: str = Field(description="how the times were found: engine, dtw, proportional")
    peak: float = Field(description="largest absolute sample, 1.0 is full scale")
    rms_dbfs: float = Field(description="level of the speech, dB relative to full scale")
    sha256: str = Field(description="of the FLAC file")
    details: dict[str, Any] = {}

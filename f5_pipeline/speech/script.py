"""Scripts: what a person writes, read into passages."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

AudioFormat = Literal["flac", "mp3"]


class Pauses(BaseModel):
    """Silence between chunks, in seconds, by what ends there."""

    model_config = ConfigDict(extra="forbid")

    sentence: float = Field(0.35, ge=0, le=10)
    paragraph: float = Field(0.7, ge=0, le=20)
    chapter: float = Field(1.5, ge=0, le=60)


class CaptionStyle(BaseModel):
    """Bounds of a caption cue; the defaults are the usual broadcast norms."""

    model_config = ConfigDict(extra="forbid")

    max_lines: int = Field(2, ge=1, le=4)
    max_chars: int = Field(42, ge=10, le=100, description="characters a line")
    max_seconds: float = Field(7.0, gt=0.5, le=30)
    min_seconds: float = Field(5 / 6, ge=0, le=5)


class ScriptOptions(BaseModel):
    """What may be said about a narration beside its script; each overrides the script's own header."""

    model_config = ConfigDict(extra="forbid")

    voice: str | None = Field(None, description="voice of all text that names none itself")
    language: str | None = Field(None, description="BCP 47 language tag, for example en or pt-br")
    engine: Literal["auto", "f5", "draft"] = "auto"
    speed: float | None = Field(None, gt=0.3, lt=3.0, description="1.0 is the voice's own pace")


class Passage(BaseModel):
    """A run of text by one voice: one paragraph or one heading (or a part of one, where the voice changes inside)."""

    text: str
    voice: str
    line: int = Field(description="line of the script file on which it begins, from 1")
    kind: Literal["paragraph", "heading"] = "paragraph"
    speed: float = 1.0
    continues: bool = Field(False, description="the next passage belongs to the same paragraph (voice changed inside it)")


class Script(BaseModel):
    """A parsed script."""

    name: str
    title: str
    author: str | None = None
    language: str = "en"
    voices: list[str] = Field(description="every voice that speaks, in order of first appearance")
    pauses: Pauses = Pauses()
    captions: CaptionStyle = CaptionStyle()
    formats: list[AudioFormat] = ["flac", "mp3"]
    passages: list[Passage]

"""Text to chunks: normalisation with a map back to the words as written, segmentation, expected durations."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

Pause = Literal["none", "sentence", "paragraph", "chapter"]


class Word(BaseModel):
    """A word as the author wrote it, with the punctuation that clings to it."""

    text: str
    space: str = Field(" ", description="what stands between it and the next word: a blank, or nothing (Chinese)")
    spoken: tuple[int, int] = Field(description="[start, end) of its spoken form in Chunk.spoken, in characters")


class Chunk(BaseModel):
    """What one synthesis call speaks."""

    index: int = Field(description="place in the narration, from 0")
    passage: int = Field(description="index of the passage in Script.passages")
    paragraph: int = Field(description="paragraphs counted through the narration, from 0")
    line: int = Field(description="line of the script file on which its passage begins")
    heading: bool = False
    voice: str
    language: str
    speed: float = 1.0
    spoken: str = Field(description="normalised text, as handed to the engine")
    words: list[Word]
    expected_seconds: float
    pause: Pause = Field(description="what ends with this chunk; 'none' where a sentence was split")

    @property
    def written(self) -> str:
        """The text as the author wrote it."""
        return "".join(word.text + word.space for word in self.words).rstrip()

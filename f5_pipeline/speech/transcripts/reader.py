"""Transcripts: the text of a recording, with times where the file has them.

Reads plain text, also with stamps, SubRip (SRT), WebVTT, CSV and TSV tables, Audacity label tracks, the JSON of the
Whisper family (openai-whisper, faster-whisper, whisperX, whisper.cpp, the verbose_json of OpenAI's API, Hugging Face
pipelines) and of the services in `services`, and what `subtitles` reads.

The caption formats are parsed here because common libraries silently repair or drop malformed entries; a transcript
decides which audio is used for cloning, so every doubt must become an error that names the line.
"""

from __future__ import annotations

import json
import re
from pathlib import PurePath

from pydantic import BaseModel, Field

from f5_pipeline.errors import InputError
from f5_pipeline.speech.transcripts.cues import spoken_segments, srt_cues, vtt_cues
from f5_pipeline.speech.transcripts.entries import TimedText, TranscriptSegment
from f5_pipeline.speech.transcripts.json import read_json
from f5_pipeline.speech.transcripts.stamps import read_text, stamped_cues
from f5_pipeline.speech.transcripts.subtitles import PYSUBS2, read_textgrid, sbv_cues, subtitle_cues
from f5_pipeline.speech.transcripts.tables import read_table
from f5_pipeline.speech.transcripts.text import decode_text, join_texts

__all__ = ["TimedText", "Transcript", "TranscriptSegment", "decode_text", "join_texts", "read_transcript"]


class Transcript(BaseModel):
    """The text of a recording: at least one segment, in order; all of them timed or none."""

    segments: list[TranscriptSegment] = Field(min_length=1)
    name: str = Field(default="", description="of its file, for messages")

    @property
    def timed(self) -> bool:
        """Whether every segment has a start and an end."""
        return all(segment.start is not None and segment.end is not None for segment in self.segments)

    @property
    def text(self) -> str:
        """The whole text on one line."""
        return join_texts(segment.text for segment in self.segments)


def read_transcript(data: bytes, name: str) -> Transcript:
    """Read a transcript, recognising its format by content first and by the extension of `name` second.

    Args:
        data: the file's bytes: UTF-8 with or without byte order mark, UTF-16 or UTF-32 with one.
        name: file name, for the extension and for messages.

    Raises:
        InputError: the file is empty, in another encoding or format, or malformed; with line or segment and a hint.
    """
    text = decode_text(data, name)
    kind = _recognise(text, name)
    if kind == "txt":
        cues = stamped_cues(text)
        segments = spoken_segments(cues, name) if cues else read_text(text, name)
    elif kind == "sbv":
        segments = spoken_segments(sbv_cues(text, name), name)
    elif kind == "textgrid":
        segments = read_textgrid(text, name)
    elif kind in PYSUBS2.values():
        segments = spoken_segments(subtitle_cues(text, name, kind), name)
    elif kind == "srt":
        segments = spoken_segments(srt_cues(text, name), name)
    elif kind == "vtt":
        segments = spoken_segments(vtt_cues(text, name), name)
    elif kind == "csv":
        # Audacity's second line of a label: the range of frequencies that was marked.
        segments = read_table(_FREQUENCIES.sub("", text), name)
    else:
        segments = read_json(text, name)
    return Transcript(segments=segments, name=name)


_ARROW = re.compile(r"^[ \t]*[\d:.,]+[ \t]*-->", re.MULTILINE)
_LABELS = re.compile(r"^-?\d+([.,]\d+)?\t-?\d+([.,]\d+)?(\t|$)")
_FREQUENCIES = re.compile(r"^\\\t-?[\d.,]+\t-?[\d.,]+[ \t]*$", re.MULTILINE)


def _recognise(text: str, name: str) -> str:
    suffix = PurePath(name).suffix.lower()
    if re.match(r"\s*WEBVTT(\s|$)", text):
        return "vtt"
    if suffix == ".json":
        return "json"
    if text.lstrip().startswith(("{", "[")) and suffix != ".csv":
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return "json"
    if _ARROW.search(text):
        return "vtt" if suffix == ".vtt" else "srt"
    if suffix in PYSUBS2 or re.match(r"\s*\[Script Info\]", text, re.IGNORECASE):
        return PYSUBS2.get(suffix, "ass")
    if re.match(r'\s*File type = "ooTextFile"\s+Object class = "TextGrid"', text):
        return "textgrid"
    if suffix == ".sbv":
        return "sbv"
    if suffix in (".docx", ".eaf"):
        raise InputError(
            f"the transcript format {suffix} is not read",
            file=name,
            hint="Convert it to SRT, VTT, CSV, Whisper JSON or plain text.",
        )
    if suffix in (".csv", ".tsv") or all(
        _LABELS.match(line) or _FREQUENCIES.match(line) for line in text.splitlines() if line.strip()
    ):
        return "csv"
    if suffix in (".srt", ".vtt"):
        raise InputError(
            f"no time line of the form 00:00:01{',' if suffix == '.srt' else '.'}000 --> 00:00:02"
            f"{',' if suffix == '.srt' else '.'}500 is in this {suffix[1:].upper()} file",
            file=name,
            place=1,
            hint="Name the file .txt if it is plain text.",
        )
    if suffix not in ("", ".txt", ".text", ".md", ".lab", ".lrc"):
        raise InputError(
            f"a transcript with the extension {suffix} is not known",
            file=name,
            hint="Give it as .txt, .srt, .vtt, .csv or .json.",
        )
    return "txt"

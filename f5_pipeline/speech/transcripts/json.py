"""The JSON of the Whisper family: segments of every shape, with their words; other forms are recast to it."""

from __future__ import annotations

import json
from typing import Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech.transcripts.cues import spoken_segments
from f5_pipeline.speech.transcripts.entries import Timeline, TranscriptSegment, timed_segment
from f5_pipeline.speech.transcripts.heard import Cue
from f5_pipeline.speech.transcripts.services import recast
from f5_pipeline.speech.transcripts.text import clean, join_texts, need_text
from f5_pipeline.speech.transcripts.words import distribute_words, fit_words, json_times, word_text


def read_json(text: str, name: str) -> list[TranscriptSegment]:
    """The segments of Whisper's JSON; InputError with the line or segment where it is malformed."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"not valid JSON: {error.msg} at column {error.colno}",
            file=name,
            place=error.lineno,
            hint="Give the JSON file as Whisper wrote it.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            "the JSON cannot be read: nested too deeply or with numbers too large",
            file=name,
            hint="Give the JSON file as Whisper wrote it.",
        ) from error
    data = recast(data, name)
    if isinstance(data, list) and data and isinstance(data[0], Cue):
        return spoken_segments(data, name)
    entries, loose_words = _json_entries(data, name)
    segments: list[TranscriptSegment] = []
    # Whisper itself writes segments that end when they start.
    timeline = Timeline(name, instants=True)
    for number, entry in enumerate(entries, 1):
        place = f"segment {number}"
        if not isinstance(entry, dict):
            raise InputError(
                f"a {type(entry).__name__} stands where an object with text, start and end is expected",
                file=name,
                place=place,
                hint="Give the JSON file as Whisper wrote it.",
            )
        words = entry.get("words") or []
        if not isinstance(words, list):
            raise InputError(
                "its words are not a list", file=name, place=place, hint="Give them as Whisper wrote them."
            )
        raw = entry.get("text")
        if raw is None and words:
            raw = "".join(word_text(word) for word in words)
            if not any(character.isspace() for character in raw.strip()):
                raw = join_texts(word_text(word) for word in words)
        if not isinstance(raw, str):
            raise InputError('it has no "text"', file=name, place=place, hint='Give each segment a "text".')
        cleaned = clean(raw)
        if not cleaned and not words:
            # openai-whisper keeps empty segments where nothing is spoken.
            continue
        need_text(cleaned, name, place)
        start, end = json_times(entry, name, place)
        segment = TranscriptSegment(text=cleaned)
        if start is not None and end is not None:
            segment = timed_segment(cleaned, start, end, name, place)
        timeline.add(segment, place, "segment")
        if words:
            segment.words = fit_words(segment, words, name, place)
        segments.append(segment)
    if not segments:
        raise InputError("no segment has text", file=name, hint="Give the JSON file as Whisper wrote it.")
    if loose_words and not any(segment.words for segment in segments):
        distribute_words(segments, loose_words, name)
    if len({segment.start is None for segment in segments}) > 1:
        number = next(number for number, segment in enumerate(segments, 1) if segment.start is None)
        raise InputError(
            "it has no times, while other segments have",
            file=name,
            place=f"segment {number}",
            hint="Give times to all segments or to none.",
        )
    return segments


def _json_entries(data: Any, name: str) -> tuple[list, list]:
    """Segments, and words in a separate list, of every shape of the Whisper family."""
    if isinstance(data, list):
        if data and all(isinstance(item, dict) and "word" in item and "text" not in item for item in data):
            return [{"words": data}], []
        return data, []
    if isinstance(data, dict):
        for key in ("segments", "chunks", "transcription"):
            if isinstance(data.get(key), list) and data[key]:
                words = data.get("words") or data.get("word_segments") or []
                return data[key], words if isinstance(words, list) else []
        words = data.get("words") or data.get("word_segments")
        if isinstance(words, list) and words:
            return [{"words": words, **({"text": data["text"]} if isinstance(data.get("text"), str) else {})}], []
        if isinstance(data.get("text"), str):
            return [{"text": need_text(clean(data["text"]), name, "text")}], []
    raise InputError(
        "the JSON holds no segments",
        file=name,
        hint='Give an object with "segments", or a list of objects with text, start and end.',
    )

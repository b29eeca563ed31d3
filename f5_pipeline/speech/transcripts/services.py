"""JSON of services and tools other than Whisper's family, recast: words into Whisper's shape, captions into cues.

Forms: Deepgram, AWS Transcribe, Google Speech-to-Text (v1, v2), ElevenLabs' alignment of characters, Vosk, gentle;
YouTube's json3, youtube-transcript-api, aeneas.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech.transcripts.entries import TimedText
from f5_pipeline.speech.transcripts.heard import Cue
from f5_pipeline.speech.transcripts.text import clean, is_unspaced, join_texts, parse_time


def recast(data: Any, name: str) -> Any:
    """JSON of a known service as Whisper would write it; a list of Cue for captions; anything else as it is.

    Raises:
        InputError: it has the mark of a service and lacks what the service writes.
    """
    for form, is_of, convert in _FORMS:
        if is_of(data):
            try:
                return convert(data)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
                raise InputError(
                    f"it looks like the JSON of {form} and is not whole ({type(error).__name__}: {error})",
                    file=name,
                    hint="Give the file as the service wrote it.",
                ) from error
    return data


def _has(data: Any, *path: str | int) -> bool:
    """Whether there is a value below `path`."""
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _deepgram(data: Any) -> Any:
    heard = [channel["alternatives"][0] for channel in data["results"]["channels"]]
    heard = [one for one in heard if one["transcript"].strip()]
    if len(heard) != 1:
        raise ValueError(f"{len(heard)} channels with speech")
    words = [{**word, "word": word.get("punctuated_word") or word["word"]} for word in heard[0]["words"]]
    return [{"words": words, "text": join_texts(word["word"] for word in words)}]


def _aws(data: Any) -> Any:
    words: list[dict[str, Any]] = []
    for item in data["results"]["items"]:
        content = item["alternatives"][0]["content"]
        if "start_time" in item:
            words.append({"word": content, "start": item["start_time"], "end": item["end_time"]})
        elif words:
            words[-1]["word"] += content
    return [{"words": words, "text": join_texts(word["word"] for word in words)}]


def _google(data: Any) -> Any:
    # With speakers told apart, a last result repeats all words and has no transcript.
    heard = [one["alternatives"][0] for one in data["results"] if _has(one, "alternatives", 0, "transcript")]
    return [
        {
            "text": one["transcript"],
            "words": [
                {
                    "word": word["word"],
                    # Protocol buffers leave out what is zero.
                    "start": word.get("startTime", word.get("startOffset", "0s")),
                    "end": word.get("endTime", word.get("endOffset")),
                }
                for word in one.get("words", ())
                if "endTime" in word or "endOffset" in word
            ],
        }
        for one in heard
    ]


def _characters(data: Any) -> Any:
    aligned = data.get("alignment", data)
    letters = aligned["characters"]
    starts, ends = aligned["character_start_times_seconds"], aligned["character_end_times_seconds"]
    words: list[dict[str, Any]] = []
    fresh = True
    for letter, start, end in zip(letters, starts, ends, strict=True):
        if letter.isspace():
            fresh = True
        elif fresh or (letter.isalnum() and is_unspaced(letter)):
            words.append({"word": letter, "start": start, "end": end})
            fresh = False
        else:
            words[-1]["word"] += letter
            words[-1]["end"] = end
    return [{"words": words, "text": "".join(letters)}]


def _vosk(data: Any) -> Any:
    parts = data if isinstance(data, list) else [data]
    return [{"words": part["result"], "text": part["text"]} for part in parts if part.get("result")]


def _gentle(data: Any) -> Any:
    return [{"words": data["words"], "text": data["transcript"]}]


def _json3(data: Any) -> list[Cue]:
    cues: list[Cue] = []
    for number, event in enumerate(data["events"], 1):
        pieces = [(clean(piece["utf8"]), piece.get("tOffsetMs", 0)) for piece in event.get("segs", ())]
        pieces = [(text, offset) for text, offset in pieces if text]
        if not pieces:
            continue  # a window, or a line feed
        start = event["tStartMs"] / 1000
        end = start + event["dDurationMs"] / 1000
        starts = [start + offset / 1000 for _, offset in pieces]
        words = [
            TimedText(text=text, start=begin, end=max(begin, stop))
            for (text, _), begin, stop in zip(pieces, starts, [*starts[1:], end], strict=True)
        ]
        words[-1].space = ""
        rolled = words if len(pieces) > 1 else None
        cues.append(Cue(number, start, end, [" ".join(word.text for word in words)], rolled))
    return _until_the_next(cues)


def _youtube(data: Any) -> list[Cue]:
    return _until_the_next(
        [
            Cue(number, float(one["start"]), float(one["start"]) + float(one["duration"]), one["text"].split("\n"))
            for number, one in enumerate(data, 1)
        ]
    )


def _aeneas(data: Any) -> list[Cue]:
    return [
        Cue(number, _seconds(one["begin"]), _seconds(one["end"]), list(one["lines"]))
        for number, one in enumerate(data["fragments"], 1)
        if one["lines"]
    ]


def _seconds(value: str) -> float:
    seconds = parse_time(value)
    if seconds is None:
        raise ValueError(f"{value!r} is not a time")
    return seconds


def _until_the_next(cues: list[Cue]) -> list[Cue]:
    """YouTube shows a line while the next one is spoken already: here it ends when that one begins."""
    for cue, following in pairwise(cues):
        cue.end = max(cue.start, min(cue.end, following.start))
        for word in cue.words or ():
            word.end = max(word.start, min(word.end, cue.end))
    return cues


def _is_list_with(*keys: str):
    return lambda data: isinstance(data, list) and bool(data) and all(_has(data[0], key) for key in keys)


_FORMS = (
    ("Deepgram", lambda data: _has(data, "results", "channels"), _deepgram),
    ("AWS Transcribe", lambda data: _has(data, "results", "items"), _aws),
    ("Google Speech-to-Text", lambda data: _has(data, "results", 0, "alternatives"), _google),
    (
        "ElevenLabs",
        lambda data: _has(data, "alignment", "characters") or _has(data, "character_start_times_seconds"),
        _characters,
    ),
    ("Vosk", lambda data: _has(data, "result") or _is_list_with("result", "text")(data), _vosk),
    ("gentle", lambda data: _has(data, "transcript") and _has(data, "words"), _gentle),
    ("YouTube (json3)", lambda data: _has(data, "events", 0, "tStartMs"), _json3),
    ("youtube-transcript-api", _is_list_with("text", "start", "duration"), _youtube),
    ("aeneas", lambda data: _has(data, "fragments", 0, "lines"), _aeneas),
)
"""Forms, how to tell them, and what recasts them."""

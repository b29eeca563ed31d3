"""Times of Whisper's words, mapped to the text of their segment, which has the punctuation."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from typing import Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech.transcripts.entries import TimedText, Timeline, TranscriptSegment
from f5_pipeline.speech.transcripts.text import clean, parse_time


def json_times(entry: dict, name: str, place: str) -> tuple[float | None, float | None]:
    """Start and end of a segment or word, s, in any form of the Whisper family; None, None where it has none."""
    start, end = entry.get("start"), entry.get("end")
    pair = entry.get("timestamp")
    if isinstance(pair, list) and len(pair) == 2:
        start, end = pair
    offsets = entry.get("offsets")
    if isinstance(offsets, dict):
        # whisper.cpp counts milliseconds here.
        start, end = (_json_time(offsets.get(key), name, place) for key in ("from", "to"))
        start, end = (None if value is None else value / 1000 for value in (start, end))
    words = entry.get("words") or []
    if start is None and end is None and words:
        times = [json_times({**word, "words": None}, name, place) for word in words if isinstance(word, dict)]
        start = next((time[0] for time in times if time[0] is not None), None)
        end = next((time[1] for time in reversed(times) if time[1] is not None), None)
    start, end = _json_time(start, name, place), _json_time(end, name, place)
    if (start is None) != (end is None):
        raise InputError(
            "it has a start and no end" if end is None else "it has an end and no start",
            file=name,
            place=place,
            hint="Give both times.",
        )
    return start, end


def _json_time(value: Any, name: str, place: str) -> float | None:
    if value is None:
        return None
    seconds = parse_time(value) if isinstance(value, str) else value
    try:
        # bool is an int in Python, but no time.
        number = math.nan if isinstance(seconds, bool) or seconds is None else float(seconds)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{value!r} is not a time", file=name, place=place, hint="Write times as seconds (12.5).")
    return number


def word_text(word: Any) -> str:
    """The text of a word from Whisper, blanks included."""
    text = (word.get("word") or word.get("text") or "") if isinstance(word, dict) else ""
    return text if isinstance(text, str) else ""


def fit_words(segment: TranscriptSegment, words: list, name: str, place: str) -> list[TimedText]:
    """Map the times of words to the segment's text: each word gets its piece of the text, with punctuation and blank.

    Words without letters or digits, and words without times (whisperX leaves numerals untimed), join their neighbour.

    Raises:
        InputError: the words do not spell the text, or their times are malformed.
    """
    spelled: list[tuple[str, float | None, float | None]] = []
    for word in words:
        core = "".join(filter(str.isalnum, clean(word_text(word)).casefold()))
        start, end = json_times({**word, "words": None}, name, place) if isinstance(word, dict) else (None, None)
        if start is not None and end is not None and min(start, end) < 0:
            raise InputError(
                f"the time {min(start, end):.3f} s is negative", file=name, place=place, hint="Count times from 0."
            )
        spelled.append((core, start, end))
    letters = [index for index, character in enumerate(segment.text) if character.isalnum()]
    folded = [segment.text[index].casefold() for index in letters]
    # Some letters fold to two ("ß"): map positions in the folded text back to the letter.
    origin = [letters[n] for n, piece in enumerate(folded) for _ in filter(str.isalnum, piece)]
    if "".join(core for core, _, _ in spelled) != "".join(filter(str.isalnum, "".join(folded))):
        raise InputError(
            f"its words do not spell its text {segment.text[:60]!r}",
            file=name,
            place=place,
            hint="Correct the words too, or remove them from the file.",
        )
    timed: list[TimedText] = []
    timeline = Timeline(name, instants=True)
    starts: list[int] = []
    cursor = 0
    open_end = False
    pending: int | None = None  # first letter of untimed words that precede any timed one
    for core, start, end in spelled:
        if not core:
            if timed and end is not None:
                timed[-1].end = max(timed[-1].end, end)
            continue
        first = origin[cursor]
        cursor += len(core)
        if start is None or end is None:
            if not timed:
                pending = first if pending is None else pending
            open_end = bool(timed)
            continue
        # An untimed word belongs to the one before it, which then lasts until the next known time.
        begin = first if pending is None else pending
        if pending is not None and segment.start is not None:
            start = min(start, segment.start)
        if open_end:
            timed[-1].end = max(timed[-1].end, start)
        pending, open_end = None, False
        word = TimedText(text="", start=start, end=end)
        timeline.add(word, place, f"word {segment.text[first : first + len(core)]!r}")
        timed.append(word)
        starts.append(begin)
    if open_end and segment.end is not None:
        timed[-1].end = max(timed[-1].end, segment.end)
    if not timed:
        return []
    _spread(timed, starts, segment)
    if segment.start is not None and segment.end is not None:
        slack = 0.5
        if timed[0].start < segment.start - slack or timed[-1].end > segment.end + slack:
            raise InputError(
                f"its words run from {timed[0].start:.3f} to {timed[-1].end:.3f} s, outside its own times "
                f"({segment.start:.3f} to {segment.end:.3f} s)",
                file=name,
                place=place,
                hint="Give the JSON file as Whisper wrote it.",
            )
    return timed


def _spread(words: list[TimedText], starts: list[int], segment: TranscriptSegment) -> None:
    """Divide the segment's text among its words at the blank, else before an opening mark, else before the word."""
    edges = [0]
    for first in starts[1:]:
        gap_start = first
        while gap_start > 0 and not segment.text[gap_start - 1].isalnum():
            gap_start -= 1
        gap = segment.text[gap_start:first]
        blank = max((index for index, character in enumerate(gap) if character.isspace()), default=-1)
        opening = next((i for i, mark in enumerate(gap) if unicodedata.category(mark) in ("Ps", "Pi")), len(gap))
        edges.append(gap_start + (blank + 1 if blank >= 0 else opening))
    edges.append(len(segment.text))
    for word, begin, end in zip(words, edges, edges[1:], strict=False):
        piece = segment.text[begin:end]
        word.text = piece.rstrip()
        word.space = piece[len(word.text) :]


def distribute_words(segments: list[TranscriptSegment], words: list, name: str) -> None:
    """Give each segment its share of a list of words that covers them all (verbose_json, whisperX)."""
    key: Callable[[str], str] = lambda text: "".join(filter(str.isalnum, clean(text).casefold()))  # noqa: E731
    cursor = 0
    for number, segment in enumerate(segments, 1):
        target, share, spelled = key(segment.text), [], ""
        while cursor < len(words) and (len(spelled) < len(target) or not key(word_text(words[cursor]))):
            spelled += key(word_text(words[cursor]))
            share.append(words[cursor])
            cursor += 1
        segment.words = fit_words(segment, share, name, f"segment {number}")

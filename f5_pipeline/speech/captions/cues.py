"""Caption cues from word times, spelled as written.

Everything streams, in the memory of a paragraph. Cues keep the usual broadcast norms
(Netflix, "Timed Text Style Guide: General Requirements" and "English (USA)"; BBC, "Subtitle Guidelines"): bounds of
`CaptionStyle`, lines broken by sense, the lower line the longer one, at most 17 characters a second as far as silence
allows, and between cues either two frames or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from f5_pipeline.speech.captions.breaks import SENTENCE, end_cost
from f5_pipeline.speech.captions.text import joint, one_line, width
from f5_pipeline.speech.script.model import CaptionStyle
from f5_pipeline.speech.timeline import TOLERANCE_SECONDS

if TYPE_CHECKING:
    from f5_pipeline.speech.timeline import TimedWord

MAX_PAUSE_SECONDS = 1.0
"""A longer silence always ends a cue."""

READING_SPEED = 17.0
"""Characters a second of a cue that lasts as long as it needs, where silence allows."""

GAP_SECONDS = 0.08
"""Gap between close cues: two frames at 25 a second."""

MIN_GAP_SECONDS = 0.5
"""Shorter gaps between cues are closed to GAP_SECONDS, as a brief blank screen is more disturbing."""

MAX_WINDOW_WORDS = 240
"""Words that are split into cues at a time; longer paragraphs are split in windows of this size."""


@dataclass(frozen=True)
class Cue:
    """A caption.

    Attributes:
        index: from 1.
        start, end: s, whole milliseconds; start < end, and cues do not overlap.
        lines: text as written, top to bottom.
        voice: its name.
    """

    index: int
    start: float
    end: float
    lines: tuple[str, ...]
    voice: str


@dataclass(frozen=True)
class _Piece:
    """A word ready for layout: text without line breaks, the space to the next word, their widths."""

    text: str
    space: str
    width: int
    space_width: int
    start: float
    end: float
    cost: float  # of a cue or line that ends after this word


@dataclass(frozen=True)
class _Draft:
    """A cue whose end is not final. Times in s."""

    start: float
    end: float
    lines: tuple[str, ...]
    width: int
    voice: str
    fixed: bool = False  # it has the times of the script's own subtitle


def iter_cues(
    words: Iterable[TimedWord],
    style: CaptionStyle,
    *,
    language: str = "en",
    audio_seconds: float | None = None,
) -> Iterator[Cue]:
    """Split timed words into cues, every word once and in order.

    Words of the script's own subtitles are cues as there, with their times.

    No cue crosses a change of paragraph or voice or a silence of more than a second. Within such a run, the split with
    the lowest total cost is chosen: good ends are sentences, then clauses, then before a conjunction or preposition;
    each cue has a cost, and one that is too short or too fast to read costs more. A cue then lasts into the following
    silence until it can be read.

    Args:
        words: in order; at most MAX_WINDOW_WORDS are kept in memory.
        style: bounds; only a word wider than a line, or longer than the longest cue, exceeds them. East Asian wide
            characters count as two, combining marks as none.
        language: BCP 47 tag; decides which words a line does not end with.
        audio_seconds: length of the audio, the limit of the last cue; if None, that ends with its last word.
    """
    draft: _Draft | None = None
    index = last = 0
    for following in _drafts(words, style, language.split("-")[0].lower()):
        if draft is not None:
            index += 1
            cue = _settle(draft, following.start, index, last, style)
            last = round(cue.end * 1000)
            yield cue
        draft = following
    if draft is not None:
        limit = draft.end if audio_seconds is None else max(audio_seconds, draft.end)
        yield _settle(draft, limit, index + 1, last, style, final=True)


def _settle(draft: _Draft, limit: float, index: int, last: int, style: CaptionStyle, *, final: bool = False) -> Cue:
    """The cue with its final end, at most `limit` (the next cue's start, or the end of the audio), in whole ms."""
    if draft.fixed:
        limit = draft.end if final else limit
        start_ms = max(round(draft.start * 1000), last)
        end_ms = max(min(round(draft.end * 1000), round(limit * 1000)), start_ms + 1)
        return Cue(index, start_ms / 1000, end_ms / 1000, draft.lines, draft.voice)
    readable = max(draft.end, draft.start + style.min_seconds, draft.start + draft.width / READING_SPEED)
    end = min(readable, max(draft.end, draft.start + style.max_seconds))
    if final:
        end = min(end, limit)
    elif limit - end < MIN_GAP_SECONDS:
        # two frames, or none where the speech leaves no room for them
        closed = limit - GAP_SECONDS
        end = closed if closed >= draft.end else max(draft.end, limit)
        if end - draft.start > style.max_seconds:
            end = max(draft.end, draft.start + style.max_seconds)
    start_ms = max(round(draft.start * 1000), last)
    end_ms = round(end * 1000)
    if not final:
        end_ms = min(end_ms, max(round(limit * 1000), start_ms + 1))
    return Cue(index, start_ms / 1000, max(end_ms, start_ms + 1) / 1000, draft.lines, draft.voice)


def _drafts(words: Iterable[TimedWord], style: CaptionStyle, language: str) -> Iterator[_Draft]:
    """Cues without their final end."""
    run: list[TimedWord] = []
    for word in words:
        if run and _separate(run[-1], word):
            yield from (draft for draft, _ in _cut(run, style, language, ended=True))
            run = []
        elif len(run) >= MAX_WINDOW_WORDS:
            done = 0
            for draft, count in _cut(run, style, language, ended=False):
                done += count
                yield draft
            run = run[done:]
        run.append(word)
    if run:
        yield from (draft for draft, _ in _cut(run, style, language, ended=True))


def _separate(word: TimedWord, following: TimedWord) -> bool:
    return (
        following.paragraph != word.paragraph
        or following.cue != word.cue
        or following.voice != word.voice
        or following.heading != word.heading
        or following.start - word.end > MAX_PAUSE_SECONDS
    )


def _cut(run: list[TimedWord], style: CaptionStyle, language: str, *, ended: bool) -> Iterator[tuple[_Draft, int]]:
    """The cues of a run with their numbers of words; without the last cue where the run has not ended."""
    pieces = _pieces(run, language)
    if cue := run[0].cue:
        lines = _lines(pieces, style)
        start = run[0].start if run[0].start > cue[0] + 2 * TOLERANCE_SECONDS else cue[0]
        yield _Draft(start, max(cue[1], run[-1].end), lines, 0, run[0].voice, fixed=True), len(run)
        return
    counts = _split(pieces, style)
    if not ended and len(counts) > 1:
        counts.pop()
    first = 0
    for count in counts:
        cue = pieces[first : first + count]
        lines = _lines(cue, style)
        yield _Draft(cue[0].start, cue[-1].end, lines, sum(map(width, lines)), run[0].voice), count
        first += count


def _pieces(run: list[TimedWord], language: str) -> list[_Piece]:
    pieces = []
    for index, word in enumerate(run):
        text, space = one_line(word.text), joint(word.space)
        cost = end_cost(word, run[index + 1], language) if index + 1 < len(run) else SENTENCE
        pieces.append(_Piece(text, space, width(text), width(space), word.start, word.end, cost))
    return pieces


def _split(pieces: list[_Piece], style: CaptionStyle) -> list[int]:
    """Number of words of each cue in the split with the lowest cost (dynamic programming over the cues' ends)."""
    count = len(pieces)
    best = [0.0] + [float("inf")] * count
    before = [0] * (count + 1)
    for first in range(count):
        lines, line, total, inner = 1, 0, 0, 0
        for last in range(first, count):
            piece = pieces[last]
            joined = line + pieces[last - 1].space_width + piece.width
            if last > first and joined <= style.max_chars:
                total += joined - line
                line = joined
            elif last > first:
                lines += 1
                total += piece.width
                line = piece.width
            else:
                total = line = piece.width
            if last > first and (lines > style.max_lines or piece.end - pieces[first].start > style.max_seconds):
                break
            following = pieces[last + 1].start if last + 1 < count else piece.end + MIN_GAP_SECONDS
            cost = best[first] + _cue_cost(total, following - pieces[first].start, lines, inner, piece, style)
            if cost < best[last + 1]:
                best[last + 1] = cost
                before[last + 1] = first
            inner += piece.cost == SENTENCE
    counts = []
    while count:
        counts.append(count - before[count])
        count = before[count]
    return counts[::-1]


def _cue_cost(total: int, seconds: float, lines: int, inner: int, last: _Piece, style: CaptionStyle) -> float:
    """Cost of a cue of width `total` that may last `seconds`, with `inner` ends of sentences inside it."""
    cost = 6.0 + last.cost + 3.0 * inner + (lines - 1)
    if seconds < style.min_seconds:
        cost += 25 * (1 - seconds / style.min_seconds)
    if total < style.max_chars / 4:
        cost += 4
    speed = total / max(seconds, 0.05)
    if speed > READING_SPEED:
        cost += min(speed - READING_SPEED, 20.0)
    return cost


def _lines(cue: list[_Piece], style: CaptionStyle) -> tuple[str, ...]:
    """Lay a cue out on the fewest lines, balanced, with the lower lines longer."""
    count = len(cue)
    needed, line = 1, cue[0].width
    for left, right in pairwise(cue):
        joined = line + left.space_width + right.width
        needed, line = (needed, joined) if joined <= style.max_chars else (needed + 1, right.width)
    best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]  # by lines laid: words laid -> cost, words before
    for number in range(needed):
        weight = (1 + 0.1 * (needed - 1 - number)) / style.max_chars
        laid: dict[int, tuple[float, int]] = {}
        for first, (cost, _) in best[-1].items():
            line = 0
            for last in range(first, count):
                line += cue[last].width + (cue[last - 1].space_width if last > first else 0)
                if line > style.max_chars and last > first:
                    break
                ends = 0.0 if last + 1 == count else cue[last].cost / 2
                candidate = cost + weight * line * line + ends
                if last + 1 not in laid or candidate < laid[last + 1][0]:
                    laid[last + 1] = (candidate, first)
        best.append(laid)
    lines: list[str] = []
    end = count
    for laid in best[:0:-1]:
        first = laid[end][1]
        text = "".join(piece.text + piece.space for piece in cue[first : end - 1]) + cue[end - 1].text
        lines.append(text)
        end = first
    return tuple(lines[::-1])


def clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"

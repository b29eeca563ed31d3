"""Caption cues from word times, spelled as written.

Everything streams, in the memory of a paragraph. Cues keep the usual broadcast norms
(Netflix, "Timed Text Style Guide: General Requirements" and those of the languages in NORMS; BBC, "Subtitle
Guidelines"): bounds of `CaptionStyle`, lines broken by sense, the lower line the longer one, a reading speed as far as
silence allows, and between cues either two frames or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from f5_pipeline.speech.captions.breaks import INSIDE, NEVER, SENTENCE, end_costs, settle_marks
from f5_pipeline.speech.captions.text import joint, one_line, width
from f5_pipeline.speech.script.model import MAX_CHARS, CaptionStyle
from f5_pipeline.speech.timeline import TOLERANCE_SECONDS

if TYPE_CHECKING:
    from f5_pipeline.speech.timeline import TimedWord

MAX_PAUSE_SECONDS = 1.0
"""A longer silence always ends a cue."""

GAP_SECONDS = 0.08
"""Gap between close cues: two frames at 25 a second."""

MIN_GAP_SECONDS = 0.5
"""Shorter gaps between cues are closed to GAP_SECONDS, as a brief blank screen is more disturbing."""

MAX_WINDOW_WORDS = 240
"""Words that are split into cues at a time; longer paragraphs are split in windows of this size."""


_VOWELS = frozenset("aeiouyáàâäãåéèêëíìîïóòôöõøúùûüýаеёиоуыэюя")


class Norm(NamedTuple):
    """Columns of a line and columns a second that can be read; a full-width character has two columns."""

    columns: int
    speed: float


NORMS = {"ja": Norm(26, 8.0), "zh": Norm(32, 18.0), "ko": Norm(32, 24.0), "th": Norm(35, 17.0)}
"""By language (Netflix: 13, 16 and 16 full-width characters a line; 4, 9 and 12 of them a second)."""


def norm_of(language: str) -> Norm:
    """The norm of a BCP 47 language tag; that of most languages is 42 characters, 17 a second."""
    return NORMS.get(language.split("-")[0].lower(), Norm(MAX_CHARS, 17.0))


class Span(NamedTuple):
    """A word in a line, or the part of a long word that stands there, with what follows it on the line; times in s."""

    text: str
    start: float
    end: float


class Cue(BaseModel):
    """A caption.

    Attributes:
        index: from 1.
        start, end: s, whole milliseconds; start < end, and cues do not overlap.
        spans: the words of each line, top to bottom, each with its own time.
        voice: its name.
    """

    model_config = ConfigDict(frozen=True)

    index: int
    start: float
    end: float
    spans: tuple[tuple[Span, ...], ...]
    voice: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The text as written, top to bottom."""
        return tuple("".join(span.text for span in line) for line in self.spans)


@dataclass(frozen=True)
class _Piece:
    """What is not broken: a word, words that belong together, or a part of a word that is longer than a line.

    Attributes:
        spans: its words, without the space after the last.
        cost: of a cue or line that ends after it.
        words: that end with it.
        glued: the next piece is a part of the same word.
    """

    spans: tuple[Span, ...]
    space: str
    width: int
    space_width: int
    cost: float
    words: int = 1
    glued: bool = False

    @property
    def start(self) -> float:
        return self.spans[0].start

    @property
    def end(self) -> float:
        return self.spans[-1].end


@dataclass(frozen=True)
class _Draft:
    """A cue whose end is not final. Times in s."""

    start: float
    end: float
    spans: tuple[tuple[Span, ...], ...]
    width: int
    voice: str
    fixed: bool = False  # it has the times of the script's own subtitle


class _Layout(NamedTuple):
    """Bounds of the cues of one narration."""

    style: CaptionStyle
    columns: int
    speed: float
    language: str
    speakers: bool


def iter_cues(
    words: Iterable[TimedWord],
    style: CaptionStyle,
    *,
    language: str = "en",
    audio_seconds: float | None = None,
    speakers: bool = False,
) -> Iterator[Cue]:
    """Split timed words into cues, every word once and in order.

    No cue crosses a change of paragraph, voice or language or a silence of more than a second. Within such a run, the
    split with the lowest total cost is chosen: good ends are sentences, then clauses, then before a conjunction or
    preposition; each cue has a cost, and one that is too short or too fast to read costs more. A cue then lasts into
    the following silence until it can be read. With `style.words_per_cue` a cue has so many words of one sentence
    instead (phrases in scripts without blanks), from the start of the first to the end of the last. Words of the
    script's own subtitles are cues as there, with their times, unless words are counted.

    Args:
        words: in order; at most MAX_WINDOW_WORDS are kept in memory.
        style: bounds; only a word that fills more lines, or lasts longer than the longest cue, exceeds them. East Asian
            wide characters count as two, combining marks as none.
        language: BCP 47 tag of words that have none of their own; decides the norm and where a line may end.
        audio_seconds: length of the audio, the limit of the last cue; if None, that ends with its last word.
        speakers: whether the first cue of a voice after another begins with its name in brackets.
    """
    norm = norm_of(language)
    columns = norm.columns if style.max_chars == MAX_CHARS else style.max_chars
    layout = _Layout(style, columns, norm.speed, language, speakers)
    draft: _Draft | None = None
    index = last = 0
    for following in _drafts(words, layout):
        if draft is not None:
            index += 1
            cue = _settle(draft, following.start, index, last, layout)
            last = round(cue.end * 1000)
            yield cue
        draft = following
    if draft is not None:
        limit = draft.end if audio_seconds is None else max(audio_seconds, draft.end)
        yield _settle(draft, limit, index + 1, last, layout, final=True)


def _settle(draft: _Draft, limit: float, index: int, last: int, layout: _Layout, *, final: bool = False) -> Cue:
    """The cue with its final end, at most `limit` (the next cue's start, or the end of the audio), in whole ms."""
    style, end = layout.style, draft.end
    if not (style.words_per_cue or draft.fixed):
        readable = max(draft.end, draft.start + style.min_seconds, draft.start + draft.width / layout.speed)
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
    return Cue(
        index=index,
        start=start_ms / 1000,
        end=max(end_ms, start_ms + 1) / 1000,
        spans=draft.spans,
        voice=draft.voice,
    )


def _drafts(words: Iterable[TimedWord], layout: _Layout) -> Iterator[_Draft]:
    """Cues without their final end."""
    run: list[TimedWord] = []
    speaker = None  # the last one who was named
    for word in words:
        if run and _separate(run[-1], word):
            yield from (draft for draft, _ in _cut(run, layout, speaker, ended=True))
            speaker, run = run[-1].voice, []
        elif len(run) >= MAX_WINDOW_WORDS:
            done = 0
            for draft, count in _cut(run, layout, speaker, ended=False):
                done += count
                yield draft
            if done:
                speaker, run = run[-1].voice, run[done:]
        run.append(word)
    if run:
        yield from (draft for draft, _ in _cut(run, layout, speaker, ended=True))


def _separate(word: TimedWord, following: TimedWord) -> bool:
    return (
        following.paragraph != word.paragraph
        or following.cue != word.cue
        or following.voice != word.voice
        or following.heading != word.heading
        or following.language != word.language
        or following.start - word.end > MAX_PAUSE_SECONDS
    )


def _cut(run: list[TimedWord], layout: _Layout, speaker: str | None, *, ended: bool) -> Iterator[tuple[_Draft, int]]:
    """The cues of a run with their numbers of words; without the last cue where the run has not ended."""
    voice = run[0].voice
    pieces = _pieces(run, layout, f"[{voice}] " if layout.speakers and voice != speaker else "")
    if (cue := run[0].cue) and not layout.style.words_per_cue:
        start = run[0].start if run[0].start > cue[0] + 2 * TOLERANCE_SECONDS else cue[0]
        yield _Draft(start, max(cue[1], run[-1].end), _lines(pieces, layout), 0, voice, fixed=True), len(run)
        return
    counts = _count_out(pieces, layout) if layout.style.words_per_cue else _split(pieces, layout)
    if not ended and len(counts) > 1:
        counts.pop()
    first = 0
    for count in counts:
        cue = pieces[first : first + count]
        spans = _lines(cue, layout)
        total = sum(width(span.text) for line in spans for span in line)
        yield _Draft(cue[0].start, cue[-1].end, spans, total, voice), sum(piece.words for piece in cue)
        first += count


def _pieces(run: list[TimedWord], layout: _Layout, name: str) -> list[_Piece]:
    """The pieces of a run, the first with `name` before it."""
    language = run[0].language or layout.language
    texts, spaces = [one_line(word.text) for word in run], [joint(word.space) for word in run]
    settle_marks(texts, spaces, language)
    texts[0] = one_line(name) + texts[0] if name else texts[0]
    pieces: list[_Piece] = []
    # Where words are counted each is one, and so is a phrase of a script without blanks.
    unbroken = (INSIDE,) if layout.style.words_per_cue else (INSIDE, NEVER)
    for word, text, space, cost in zip(run, texts, spaces, end_costs(run, texts, language), strict=True):
        *parts, (text, _) = _parts(text, layout.columns)
        for part, blank in parts:
            span = Span(part, word.start, word.end)
            pieces.append(_Piece((span,), blank, width(part), width(blank), NEVER, words=0, glued=True))
        piece = _Piece((Span(text, word.start, word.end),), space, width(text), width(space), cost)
        before = pieces[-1] if pieces else piece
        total = before.width + before.space_width + piece.width
        if pieces and before.cost in unbroken and not before.glued and total <= layout.columns:
            spans = (*_spaced(before), *piece.spans)
            pieces[-1] = replace(piece, spans=spans, width=total, words=before.words + 1)
        else:
            pieces.append(piece)
    return pieces


def _parts(text: str, columns: int) -> list[tuple[str, str]]:
    """Parts of a word, none wider than `columns`, with the blank after each: cut at blanks, after signs, or with a
    hyphen, best where a syllable begins."""
    parts: list[tuple[str, str]] = []
    while (left := width(text)) > columns:
        count = -(-left // (columns - 1))
        even = left / count
        # Narrower parts would leave too much, or stand with the next one on a line.
        least = max(left - (count - 2) * (columns - 1) - columns, even * 2 / 3)
        reaches = list(accumulate(map(width, text)))
        places = [at for at in range(1, len(text)) if least <= reaches[at - 1] < columns] or [1]
        end = min(places, key=lambda at: (_cut_cost(text, at), abs(reaches[at - 1] - even)))
        part = text[:end].rstrip() or text[:end]
        hyphen = "-" if text[end - 1].isalpha() and text[end].isalpha() else ""
        parts.append((part + hyphen, text[len(part) : end]))
        text = text[end:]
    return [*parts, (text, "")]


def _cut_cost(text: str, at: int) -> int:
    """Cost of a cut in a word before the character at `at`."""
    before, after = text[at - 1], text[at]
    if not width(after):
        return 9  # a mark stays with its letter
    if not before.isalnum() and width(before):
        return 0 if before == " " else 1
    syllable = after.lower() not in _VOWELS and text[at + 1 : at + 2].lower() in _VOWELS
    return 2 if syllable and len(text) > at + 1 else 3


def _count_out(pieces: list[_Piece], layout: _Layout) -> list[int]:
    """Number of pieces of each cue of `words_per_cue` words."""
    style = layout.style
    counts: list[int] = []
    first = words = 0
    for index, piece in enumerate(pieces):
        words += not piece.glued
        following = pieces[index + 1] if index + 1 < len(pieces) else None
        if piece.glued:
            continue
        fits = following and (
            words < (style.words_per_cue or 1)
            and piece.cost != SENTENCE
            and following.end - pieces[first].start <= style.max_seconds
            and _line_count(pieces[first : index + 2], layout.columns) <= style.max_lines
        )
        if not fits:
            counts.append(index + 1 - first)
            first, words = index + 1, 0
    return counts


def _split(pieces: list[_Piece], layout: _Layout) -> list[int]:
    """Number of pieces of each cue in the split with the lowest cost (dynamic programming over the cues' ends)."""
    style, columns = layout.style, layout.columns
    count = len(pieces)
    best = [0.0] + [float("inf")] * count
    before = [0] * (count + 1)
    for first in range(count):
        if first and pieces[first - 1].glued:
            continue
        lines, line, total, inner, whole = 1, 0, 0, 0, False
        for last in range(first, count):
            piece = pieces[last]
            joined = line + pieces[last - 1].space_width + piece.width
            if last > first and joined <= columns:
                total += joined - line
                line = joined
            elif last > first:
                lines += 1
                total += piece.width
                line = piece.width
            else:
                total = line = piece.width
            if whole and (lines > style.max_lines or piece.end - pieces[first].start > style.max_seconds):
                break
            if piece.glued:
                continue
            whole = True  # the cue has a word: more must fit
            following = pieces[last + 1].start if last + 1 < count else piece.end + MIN_GAP_SECONDS
            seconds = following - pieces[first].start
            cost = best[first] + piece.cost + 3.0 * inner + _cue_cost(total, seconds, lines, layout)
            if cost < best[last + 1]:
                best[last + 1] = cost
                before[last + 1] = first
            inner += piece.cost == SENTENCE
    counts = []
    while count:
        counts.append(count - before[count])
        count = before[count]
    return counts[::-1]


def _cue_cost(total: int, seconds: float, lines: int, layout: _Layout) -> float:
    """Cost of a cue of width `total` that may last `seconds`, without that of its end."""
    style = layout.style
    cost = 6.0 + (lines - 1)
    if seconds < style.min_seconds:
        cost += 25 * (1 - seconds / style.min_seconds)
    if total < layout.columns / 4:
        cost += 4
    return cost + min(max(total / max(seconds, 0.05) - layout.speed, 0.0), 20.0)


def _line_count(cue: list[_Piece], columns: int) -> int:
    """The fewest lines that a cue fills."""
    lines, line = 1, cue[0].width
    for left, right in pairwise(cue):
        joined = line + left.space_width + right.width
        lines, line = (lines, joined) if joined <= columns else (lines + 1, right.width)
    return lines


def _lines(cue: list[_Piece], layout: _Layout) -> tuple[tuple[Span, ...], ...]:
    """Lay a cue out on the fewest lines, balanced, with the lower lines longer."""
    columns, count = layout.columns, len(cue)
    needed = _line_count(cue, columns)
    best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]  # by lines laid: pieces laid -> cost, pieces before
    for number in range(needed):
        weight = (1 + 0.1 * (needed - 1 - number)) / columns
        laid: dict[int, tuple[float, int]] = {}
        for first, (cost, _) in best[-1].items():
            line = 0
            for last in range(first, count):
                line += cue[last].width + (cue[last - 1].space_width if last > first else 0)
                if line > columns and last > first:
                    break
                ends = 0.0 if last + 1 == count else cue[last].cost / 2
                candidate = cost + weight * line * line + ends
                if last + 1 not in laid or candidate < laid[last + 1][0]:
                    laid[last + 1] = (candidate, first)
        best.append(laid)
    lines: list[tuple[Span, ...]] = []
    end = count
    for laid in best[:0:-1]:
        first = laid[end][1]
        line = [span for piece in cue[first : end - 1] for span in _spaced(piece)]
        lines.append((*line, *cue[end - 1].spans))
        end = first
    return tuple(lines[::-1])


def _spaced(piece: _Piece) -> tuple[Span, ...]:
    """The spans of a piece, with the space after it."""
    last = piece.spans[-1]
    return (*piece.spans[:-1], last._replace(text=last.text + piece.space))


def clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"

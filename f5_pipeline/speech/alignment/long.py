"""Word times of a long recording, from its transcript without times.

Two passes of the same warping: a coarse one over everything locates each word roughly; a fine one then goes through the
recording in windows of less than a minute. Each window begins where the previous one is reliable, some time before its
end. The coarse pass needs about 15 kB of memory a second of recording; samples may be mapped from a file.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from f5_pipeline.speech.alignment.forced import MIN_RELATED_MARGIN, Alignment, AlignmentError, align, speech_of
from f5_pipeline.speech.alignment.renderings import Drafts, Template
from f5_pipeline.speech.alignment.warping import roughly_warped
from f5_pipeline.speech.audio import features
from f5_pipeline.speech.engine import SAMPLE_RATE, Token
from f5_pipeline.speech.engines.draft.times import spoken_units
from f5_pipeline.speech.text.segment import sentences

if TYPE_CHECKING:
    import numpy as np

_COARSE = 8  # frames of the fine pass in one of the coarse
_MAX_PART = 240  # characters that are drafted at once
_WINDOW = 50.0  # s of the recording that are aligned at once
_UNSURE = 12.0  # s at the end of a window that are aligned again in the next
_LONG_PAUSE = 3.0  # s: a pause that the coarse pass locates reliably
_BLOCK = 60  # s of which features are held at once

# Words in a row, and the natural logarithm of their seconds against the draft's (pace of the whole taken off), beyond
# which text and recording do not say the same.
_MAX_STRETCH = (6, 0.8), (15, 0.55)


def align_long(samples: np.ndarray, text: str, language: str, drafts: Drafts) -> list[Token]:
    """Time the words of a recording of any length.

    Args:
        samples: float32, shape (n,), mono, SAMPLE_RATE Hz.
        text: exactly what is spoken in it; numbers and abbreviations as the draft engine reads them.
        language: BCP 47 tag.

    Returns:
        Tokens in order, s in the recording.

    Raises:
        AlignmentError: the recording is silent, or text and recording do not belong together; it says where.
        NoDraft: espeak does not speak the language.
    """
    return [token for piece in align_pieces(samples, text, language, drafts) for token in piece.tokens]


def align_pieces(samples: np.ndarray, text: str, language: str, drafts: Drafts) -> list[Alignment]:
    """As `align_long`, with confidence and cost, in pieces cut at pauses; times are in the recording."""
    drafts.check_language(language)
    parts = list(_parts(text, language))
    if not parts:
        raise AlignmentError("there is no word in the text")
    draft = _Draft(text, language, parts, drafts)
    coarse = _Coarse(samples, draft)
    total = len(samples) / SAMPLE_RATE
    pieces: list[Alignment] = []
    first, start = 0, 0.0
    while first < len(draft.tokens):
        last, end, resume = coarse.window(first, start) or (len(draft.tokens), total, total)
        offset = round(start * SAMPLE_RATE)
        try:
            piece = align(samples[offset : round(end * SAMPLE_RATE)], draft.template(first, last))
        except AlignmentError as error:
            raise AlignmentError(
                f"the text says more than the recording here: {error.message}",
                **_place(start, draft.tokens[first], text),
            ) from error
        piece = _moved(piece, offset / SAMPLE_RATE)
        count, start = _trusted(piece) if resume is None else (last - first, resume)
        pieces.append(replace(_cut(piece, count), frames=None))  # an hour has 58 MB of them
        first += count
    _check(pieces, draft, text)
    return pieces


def _trusted(piece: Alignment) -> tuple[int, float]:
    """How many tokens of a window to accept, and where the next window begins, s.

    The window's own end is only as exact as the coarse pass, so it is cut earlier, at its longest pause.
    """
    tokens, (start, end) = piece.tokens, piece.speech
    low, high = start + (end - start) / 3, end - _UNSURE
    inside = [at for at in range(1, len(tokens)) if low <= tokens[at].start <= high] or [len(tokens) // 2]
    best = max(inside, key=lambda at: tokens[at].start - tokens[at - 1].end)
    return (best, (tokens[best - 1].end + tokens[best].start) / 2) if best else (len(tokens), end)


def _parts(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Spans of the text to draft separately, in order: sentences, or parts of long ones, with a word in each."""
    plain = re.sub(r"\s", " ", text)
    done = 0
    for sentence in sentences(plain, language):
        begin, done = done, done + len(sentence)
        units = spoken_units(sentence)
        first = 0
        for number, (_, end) in enumerate(units):
            # Once half full, prefer a cut after punctuation to one within a clause.
            length = end - units[first][0]
            closes = length > _MAX_PART / 2 and not sentence[end - 1].isalnum()
            following = units[number + 1][1] - units[first][0] if number + 1 < len(units) else None
            if following is None or closes or following > _MAX_PART:
                yield begin + units[first][0], begin + end
                first = number + 1


class _Draft:
    """The draft of a long text: its words, their coarse features, and fine features on demand.

    Attributes:
        tokens: all words; characters in the text, s on the time of the coarse frames, in which the parts are joined.
        coarse: float32, shape (n, BANDS), _COARSE times the usual hop apart.
    """

    def __init__(self, text: str, language: str, parts: Sequence[tuple[int, int]], drafts: Drafts) -> None:
        import numpy as np

        self._text, self._language, self._parts, self._drafts = text, language, parts, drafts
        self._starts: list[int] = []  # number of each part's first token
        self.tokens: list[Token] = []
        coarse: list[np.ndarray] = []
        count = 0
        with ThreadPoolExecutor(drafts.workers, thread_name_prefix="draft") as threads:
            for (begin, _), template in zip(parts, threads.map(self._part_template, parts), strict=True):
                self._starts.append(len(self.tokens))
                self.tokens += [_shifted(token, begin, count * _COARSE * features.HOP) for token in template.tokens]
                coarse.append(features.coarser(template.features, _COARSE))
                count += len(coarse[-1])
        if not self.tokens:
            raise AlignmentError("there is no word in the text")
        self.coarse = np.concatenate(coarse)

    def _part_template(self, part: tuple[int, int]) -> Template:
        return self._drafts.template(self._text[slice(*part)], self._language)

    def template(self, first: int, last: int) -> Template:
        """The fine draft of tokens [first, last)."""
        import numpy as np

        frames: list[np.ndarray] = []
        tokens: list[Token] = []
        seconds = articulation = 0.0
        for number, (begin, end) in enumerate(self._parts):
            start = self._starts[number]
            stop = self._starts[number + 1] if number + 1 < len(self._parts) else len(self.tokens)
            if stop <= first or start >= last or start == stop:
                continue
            template = self._part_template((begin, end))
            chosen = template.tokens[max(first - start, 0) : last - start]
            low = 0 if first <= start else round(chosen[0].start / features.HOP)
            high = len(template.features) if last >= stop else round(chosen[-1].end / features.HOP)
            tokens += [_shifted(token, begin, seconds - low * features.HOP) for token in chosen]
            frames.append(template.features[low : max(high, low + 1)])
            articulation += template.articulation * len(frames[-1]) / len(template.features)
            seconds += len(frames[-1]) * features.HOP
        return Template(np.concatenate(frames), tuple(tokens), seconds, articulation)


class _Coarse:
    """Rough word times of a recording."""

    def __init__(self, samples: np.ndarray, draft: _Draft) -> None:
        speech = speech_of(samples)
        self._end = speech[1]
        self._edges: list[tuple[float, float]] = []
        if speech[1] > _WINDOW:
            first, last = (round(edge * SAMPLE_RATE) for edge in speech)
            warp = roughly_warped(_coarse_of(samples[first:last]), draft.coarse, draft.tokens, _COARSE * features.HOP)
            self._edges = [(speech[0] + start, speech[0] + end) for start, end in warp.edges]

    def window(self, first: int, start: float) -> tuple[int, float, float | None] | None:
        """The window that begins with token `first` at `start` and ends in the longest pause near _WINDOW s from there:
        one past its last token, its end, s, and the start of the next, if the pause is long enough to be reliable.

        None where the rest of the recording fits into one window.
        """
        if self._end - start <= _WINDOW:
            return None
        ends = [end for _, end in self._edges]
        low = max(bisect_left(ends, start + _WINDOW - _UNSURE), first + 1)
        high = max(bisect_left(ends, start + _WINDOW), low + 1)
        if high >= len(self._edges):
            return None
        best = max(range(low, high), key=lambda at: self._edges[at][0] - ends[at - 1])
        left, right = ends[best - 1], self._edges[best][0]
        return (best, left + 1, right - 1) if right - left > _LONG_PAUSE else (best, (left + right) / 2, None)


def _check(pieces: Sequence[Alignment], draft: _Draft, text: str) -> None:
    """Raise AlignmentError, with the place, where the recording does not match the text."""
    import numpy as np

    tokens = [token for piece in pieces for token in piece.tokens]
    strange = [piece for piece in pieces if piece.margin < MIN_RELATED_MARGIN]
    if len(strange) == len(pieces):
        raise AlignmentError(
            "the recording says something else than the text",
            hint="Give the text of this recording, in its language: all of it and nothing else.",
        )
    if strange:
        first = strange[0].tokens[0]
        raise AlignmentError("the recording says something else than the text here", **_place(first.start, first, text))
    # Several words together: a single word may last three times as long as in the draft.
    spoken, drafted = (np.array([token.end - token.start for token in side]) for side in (tokens, draft.tokens))
    rate = float(np.log(spoken.sum() / drafted.sum()))
    for words, max_stretch in _MAX_STRETCH:
        window = np.ones(min(words, len(tokens)))
        sums = [np.convolve(seconds, window, "valid") + 0.1 for seconds in (spoken, drafted)]
        ratio = np.log(sums[0] / sums[1]) - rate
        worst = int(np.abs(ratio).argmax())
        if abs(ratio[worst]) > max_stretch:
            more, less = ("recording", "text") if ratio[worst] > 0 else ("text", "recording")
            raise AlignmentError(
                f"the {more} says more than the {less} here, or in another order",
                **_place(tokens[worst].start, tokens[worst], text),
            )


def _place(seconds: float, token: Token, text: str) -> dict[str, str]:
    """Place and hint of an error: minutes and seconds, and the words from a token on."""
    tenths = round(10 * seconds)
    words = text[token.start_char : token.start_char + 80].split()[:6]
    place = f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"
    return {"place": place, "hint": f"Look at “{' '.join(words)} …”."}


def _coarse_of(samples: np.ndarray) -> np.ndarray:
    """Coarse features of a recording, block by block."""
    import numpy as np

    block = _BLOCK * SAMPLE_RATE
    return np.concatenate(
        [features.coarser(features.log_mel(samples[at : at + block]), _COARSE) for at in range(0, len(samples), block)]
    )


def _shifted(token: Token, characters: int, seconds: float) -> Token:
    return Token(token.start_char + characters, token.end_char + characters, token.start + seconds, token.end + seconds)


def _moved(piece: Alignment, seconds: float) -> Alignment:
    speech = (piece.speech[0] + seconds, piece.speech[1] + seconds)
    tokens = [_shifted(token, 0, seconds) for token in piece.tokens]
    return replace(piece, tokens=tokens, speech=speech)


def _cut(piece: Alignment, count: int) -> Alignment:
    """The first tokens of a piece; cost and margin remain those of the whole."""
    if count == len(piece.tokens):
        return piece
    tokens, confidence, stretch = piece.tokens[:count], piece.confidence[:count], piece.stretch[:count]
    speech = (piece.speech[0], tokens[-1].end)
    return replace(piece, tokens=tokens, confidence=confidence, stretch=stretch, speech=speech)

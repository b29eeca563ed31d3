"""Segmentation: sentences, cuts of over-long ones, and joins of short ones.

Sentences come from sentencex (Wikimedia; offline, linear in time), with a layer of our own for what it misses.
A sentence is a chunk, so that an edited sentence costs one take. Exceptions: a sentence that is too long is cut at its
best places, and one that is too short to be spoken well is joined with a neighbour.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from f5_pipeline.speech.text.cldr import weekdays
from f5_pipeline.speech.text.duration import pause_after
from f5_pipeline.speech.text.languages import Language, base, language_data, word_set
from f5_pipeline.speech.text.reading import Reading
from f5_pipeline.speech.text.words import Written, speakable, written_words

_ENUMERATOR = re.compile(r"[(\[]?(?:\d{1,3}|[a-zA-Z])[.)]\s*")
_LAST_WORD = re.compile(r"(?:^|[-\s(\[„“\"'«])([^\W\d_]+(?:\.[^\W\d_]+)*)\.\s*$")
_INSIDE = re.compile(r"(?:^|[\s.'’(])[^\W\d_]\.$|[^\W\d_]{2,}\.$(?<=Dipl\.)")
_AFTER_HYPHEN = re.compile(r"-[^\W\d_]{1,2}\.\s*$")
_ORDINAL_END = re.compile(r"(?:^|\s)(\S+)\s(\d{1,3})\.\s*$")
_ORDINAL_AFTER = word_set(
    "der die das den dem des am vom zum zur im bis seit ab dnia w na od do ein eine einen einem einer"
)
# An apostrophe between letters is none; the group keeps the quotes when a text is split at them.
_QUOTE = re.compile(r"([“”„‟«»\"「」『』‘]|’(?!\w)|(?<!\w)')")
_STARTERS = word_set("Dann Er Sie Es Ich Wir Das Der Die Und Aber Doch Danach Heute On Ona To A Potem")


def sentences(text: str, language: str, symbols: frozenset[str] = frozenset()) -> list[str]:
    """Split `text` into sentences that, joined, give `text` again; each has something to speak, if `text` has.

    Args:
        text: a paragraph, blanks collapsed.
        language: BCP 47 tag.
        symbols: signs that are words when they stand alone.
    """
    from sentencex import segment  # pyright: ignore[reportAttributeAccessIssue] - compiled, without stubs

    code = base(language)
    pieces = list(segment(code, text))
    if "".join(pieces) != text:
        pieces = [text]  # never lose a word to a segmenter
    pieces = [part for piece in pieces for part in _within_quotes(piece, code)]
    data = language_data(language)
    out: list[list[str]] = []
    for piece in pieces:
        if out and _belongs(out[-1][-1], piece, data, symbols):
            out[-1].append(piece)
        else:
            out.append([piece])
    return _all_speak(["".join(group) for group in out], symbols)


def sentence_ends(words: Sequence[Written], language: str) -> frozenset[int]:
    """Indices of the words, of one paragraph, with which a sentence ends; see `sentences`."""
    ends = list(accumulate(len(word.text) + len(word.space) for word in words))
    found, position = set(), 0
    for sentence in sentences("".join(word.text + word.space for word in words), language):
        found.add(bisect_left(ends, position + len(sentence.rstrip())))
        position += len(sentence)
    return frozenset(found)


def _all_speak(found: list[str], symbols: frozenset[str]) -> list[str]:
    """Join sentences without anything to speak to the one before them, or to the first with speech."""
    out: list[str] = []
    pending = ""
    for sentence in found:
        sentence = pending + sentence
        pending = ""
        if _speaks(sentence, symbols):
            out.append(sentence)
        elif out and _speaks(out[-1] + sentence, symbols):
            out[-1] += sentence
        else:
            pending = (out.pop() if out else "") + sentence
    if pending:
        out.append(pending)
    return out


def _speaks(sentence: str, symbols: frozenset[str]) -> bool:
    return speakable(sentence) or bool(written_words(sentence.strip(), symbols))


def _within_quotes(piece: str, code: str) -> list[str]:
    """Split a quotation of several sentences, which sentencex keeps whole, however long."""
    from sentencex import segment  # pyright: ignore[reportAttributeAccessIssue] - compiled, without stubs

    runs = _QUOTE.split(piece)
    if len(runs) == 1:
        return [piece]
    parts = [""]
    for run in runs:
        inner = list(segment(code, run)) if run else []
        if "".join(inner) != run:
            inner = [run]
        for index, item in enumerate(inner):
            if index:
                parts.append("")
            parts[-1] += item
    return [part for part in parts if part]


def _belongs(before: str, piece: str, data: Language, symbols: frozenset[str]) -> bool:
    """Whether `piece` continues the sentence of `before`, against the segmenter."""
    if not speakable(piece.strip(), symbols) or not speakable(before.strip(), symbols):
        return True
    if _ENUMERATOR.fullmatch(before):
        return True
    first = piece.lstrip("“„\"'«([¿¡‘")[:1]
    tail = before[-40:]
    if _INSIDE.search(tail) and (piece[:1] == "-" or piece[:1].isalpha()):
        return True  # "c.-à-d.", "la O.N.U."
    if _AFTER_HYPHEN.search(tail) and first.islower():
        return True  # "av. J.-C. il vint"
    if match := _LAST_WORD.search(tail):
        word = match[1]
        if word.lower() in data.split_fix and (first.isdecimal() or first.islower() or word.lower() in _always(data)):
            return True
        if first.isdecimal() and (word.lower() in data.month_abbreviations or word.lower() in data.before_number):
            return True
        if first.islower() and word.lower() in data.abbreviations:
            return True
        if word.lower() in data.bare and word[:1].isupper():
            return True
        if len(word) == 1 and first.islower():
            return True
        if word.lower() in ("a.m", "p.m") and (day := re.match(r"\w+", piece)):
            return day[0].lower() in weekdays(data.code) or day[0].lower() in data.month_abbreviations
        if data.code in ("ar", "hi", "ur", "fa") and len(word) <= 3 and word in ("د", "م", "أ", "ا"):
            return True
    if data.code == "hi" and tail.rstrip().endswith("डॉ."):
        return True
    if data.code == "fr" and re.search(r"(?:^|\s)(?:M|MM|Mme|Mlle|Mgr|St|Ste)\.\s*$", tail):
        return True
    if data.ordinal_stop and (match := _ORDINAL_END.search(tail)):
        word = re.match(r"\w*", piece.lstrip())
        return (
            match[1].lower() in _ORDINAL_AFTER and bool(word and word[0]) and (word[0] if word else "") not in _STARTERS
        )
    return False


def _always(data: Language) -> frozenset[str]:
    """Abbreviations after which a capital does not begin a sentence either: titles."""
    german = {"inkl", "exkl", "ca", "bzw", "vgl", "ggf", "evtl"} if data.code == "de" else set()
    return frozenset(data.before_name) - {"st", "г", "ft"} | german


@dataclass
class Unit:
    """Readings spoken in one call; `ends`: whether a sentence ends with them."""

    readings: list[Reading]
    seconds: float
    ends: bool

    @property
    def speech(self) -> float:
        """Seconds of speech, without the pause after it."""
        return self.seconds - pause_after(self.readings[-1].spoken)


def cut_long(
    readings: list[Reading], seconds: Sequence[float], language: str, longest: float, shortest: float
) -> list[Unit]:
    """Cut an over-long sentence at its best places into parts of about the same length.

    Best is after a semicolon, colon or dash, then after a comma, then before a conjunction, then at any blank; never
    inside what is read together (numbers with their units, dates, names with titles) unless nothing else is left.

    Args:
        readings: the words of one sentence.
        seconds: expected seconds of each.
        language: BCP 47 tag.
        longest: seconds that a part may have (a single word may exceed it).
        shortest: seconds below which no part is left over.
    """
    total = sum(seconds)
    if total <= longest or len(readings) < 2:
        return [Unit(readings, total, True)]
    conjunctions = language_data(language).conjunctions
    last_pause = pause_after(readings[-1].spoken)
    units: list[Unit] = []
    start = 0
    left = total
    while left > longest:
        ideal = left / _parts(left, longest)
        best, best_cost = start + 1, float("inf")
        length = 0.0
        best_seconds = seconds[start]
        for index in range(start, len(readings) - 1):
            length += seconds[index]
            if length > longest and index > start:
                break
            if length < 0.5 * ideal or left - length < shortest + last_pause:
                continue
            cost = _cost(readings[index], readings[index + 1], conjunctions) + 3.0 * abs(length - ideal) / ideal
            if cost < best_cost:
                best, best_cost, best_seconds = index + 1, cost, length
        if best >= len(readings):
            break
        units.append(Unit(readings[start:best], best_seconds, False))
        left -= best_seconds
        start = best
        if start >= len(readings) - 1:
            break
    units.append(Unit(readings[start:], sum(seconds[start:]), True))
    return units


def _parts(seconds: float, longest: float) -> int:
    # A little room, so that a good place near the ideal one can be taken.
    return max(2, int(-(-seconds // (longest * 0.9))))


def _cost(reading: Reading, following: Reading, conjunctions: frozenset[str]) -> float:
    """Cost of a cut between two words."""
    if reading.bound:
        return 8.0
    last = reading.spoken.rstrip("\"'")[-1:]
    if last in ";:.?!…；：。？！؛।":
        return 0.0
    if last in ",，、،":
        return 0.6 if not (reading.text[-1:].isalnum()) else 0.3
    if following.text.lower().strip("“„\"'«(") in conjunctions:
        return 1.2
    if _has_digit(reading.text) and _has_digit(following.text):
        return 5.0
    # Inside a token or between two characters of a script without blanks is the last resort.
    return 2.0 if reading.space or not reading.text[-1:].isascii() else 6.0


def _has_digit(text: str) -> bool:
    return any(char.isdecimal() for char in text)


def join_short(units: Sequence[Unit], longest: float, shortest: float) -> list[Unit]:
    """Join units that are too short to be spoken well with a neighbour.

    A run of short units is joined from the front until it is long enough; what is left of it goes to the unit after it,
    or to the one before it at the end of a paragraph. The effect of an edit ends at the next unit that is long enough.
    """
    out: list[Unit] = []
    run: Unit | None = None
    for unit in units:
        if run is not None:
            fits = run.seconds + unit.seconds <= longest + 2 * shortest
            if fits:
                unit = _joined(run, unit)
                run = None
            else:
                out.append(run)
                run = None
        if unit.speech < shortest:
            run = unit
        else:
            out.append(unit)
    if run is not None:
        if out and out[-1].seconds + run.seconds <= longest + 2 * shortest:
            out[-1] = _joined(out[-1], run)
        else:
            out.append(run)
    return out


def _joined(first: Unit, second: Unit) -> Unit:
    return Unit([*first.readings, *second.readings], first.seconds + second.seconds, second.ends)

"""espeak-ng's events to word times: its input text, and the positions of its events in the request's text.

espeak counts characters of its input, emits several events for a number, one for a Chinese character, one for a whole
run of Japanese, and sometimes none for a short word that it merges with its neighbour. Here they become one `Token` for
each word of the request, in order and without overlap.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

from f5_pipeline.speech.engine import Token

_JOINERS = "\u200c\u200d"
_CLINGING = frozenset(".,;:!?…،؛؟。，！？；：、")
_SPOKEN_SYMBOLS = frozenset("&%@#§°‰№")
_FIRST_PICTOGRAM = 0x2190
_MAX_CLAUSE = 300  # by `_load`; espeak's lists hold 800 bytes, 300 words, 1000 phonemes

# Scripts written without blanks between words: each character is timed on its own.
_UNSPACED = (
    (0x0E00, 0x0E7F),  # Thai
    (0x0E80, 0x0EFF),  # Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # halfwidth katakana
    (0x20000, 0x3FFFF),
)


def speakable(text: str) -> tuple[str, list[int]]:
    """The input of espeak, and for each of its characters the position in `text`.

    Control characters, unpaired surrogates and pictograms become blanks (espeak would read out the name of an emoji);
    invisible format characters go; a lone full stop moves up to the word before it (espeak would say "dot").
    """
    characters: list[tuple[str, int]] = []
    for place, character in enumerate(text):
        category = unicodedata.category(character)
        code = ord(character)
        if category in ("Cc", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"):
            characters.append((" ", place))
        elif category == "Cf":
            # Joiners shape Persian and Indic words; anywhere else they belong to emoji.
            before = unicodedata.category(characters[-1][0])[0] if characters else ""
            if character in _JOINERS and before in ("L", "M"):
                characters.append((character, place))
        elif 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or code == 0x20E3:
            continue  # variation selectors, keycap
        elif (category == "So" and code >= _FIRST_PICTOGRAM) or 0x1F3FB <= code <= 0x1F3FF:
            characters.append((" ", place))
        else:
            characters.append((character, place))
    joined = "".join(character for character, _ in characters)
    kept: list[tuple[str, int]] = []
    last = 0
    for match in re.finditer(r"(?<=\S)\s+(?=(\S+))", joined):
        kept.extend(characters[last : match.start()])
        if not _CLINGING.issuperset(match[1]):
            kept.extend(characters[match.start() : match.end()])
        last = match.end()
    kept.extend(characters[last:])
    kept = _with_breaks(kept)
    return "".join(character for character, _ in kept), [place for _, place in kept]


def _with_breaks(characters: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Commas into clauses that are longer than espeak can hold: it would leave out their ends without a word."""
    broken: list[tuple[str, int]] = []
    load = 0
    following = [character for character, _ in characters[1:]] + [" "]
    for (character, place), after in zip(characters, following, strict=False):
        if character in _CLINGING and (after.isspace() or character > "\u3000"):
            load = 0
        elif load > _MAX_CLAUSE and (character.isspace() or _is_unspaced(character)):
            broken.append(("," if character.isspace() else "，", place))
            load = 0
        load += _load(character)
        broken.append((character, place))
    return broken


def _load(character: str) -> int:
    """Approximate maximum that a character takes up in espeak's clause."""
    if character.isalpha():
        return 5 if _is_unspaced(character) or "\uac00" <= character <= "\ud7a3" else 1
    if character.isspace():
        return 1
    return 12 if _is_spoken(character) else 0


def has_speech(text: str) -> bool:
    """Whether the text has anything to speak: a letter, a digit or a symbol with a name."""
    return any(_is_spoken(character) for character in text)


def _is_spoken(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LN" or category in ("Sc", "Sm") or character in _SPOKEN_SYMBOLS


def _is_unspaced(character: str) -> bool:
    code = ord(character)
    return code >= 0x0E00 and any(low <= code <= high for low, high in _UNSPACED)


def spoken_units(text: str) -> list[tuple[int, int]]:
    """Spans of `text` that can have a time: words between blanks, single characters in scripts without blanks.

    Only spans with something to speak; punctuation belongs to the unit before it, or at the start of a word to the one
    after it.
    """
    units: list[tuple[int, int]] = []
    for match in re.finditer(r"\S+", text):
        starts = [match.start()]
        previous_unspaced: bool | None = None
        for place in range(match.start(), match.end()):
            character = text[place]
            if unicodedata.category(character)[0] not in "LN":
                continue
            unspaced = _is_unspaced(character)
            if previous_unspaced is not None and (unspaced or previous_unspaced):
                starts.append(place)
            previous_unspaced = unspaced
        for start, end in zip(starts, [*starts[1:], match.end()], strict=True):
            if has_speech(text[start:end]):
                units.append((start, end))
    return units


def tokens_of(
    text: str,
    places: Sequence[int],
    words: Sequence[tuple[int, int]],
    phones: Sequence[tuple[int, int]],
    samples: int,
    rate: int,
    spoken: str = "",
) -> list[Token]:
    """Times of the words of `text`, from espeak's events over `speakable(text)`.

    Args:
        text: the request's text.
        places: for each character of espeak's input, its position in `text`.
        words: word events: position in espeak's input (from 1), sample.
        phones: phoneme events: sample, 1 for a pause.
        samples: length of the audio.
        rate: samples a second.
        spoken: espeak's input, where it is another text than `text` (Japanese in kana).

    A word begins at its first event and ends at the first of the pauses before the next word, or at the next word. A
    word with a letter or a digit but no event shares the span of the event before it (at the start: after it), in
    proportion to the number of its letters and digits. A symbol without an event is not timed.
    """
    units = spoken_units(text)
    starts = [start for start, _ in units]
    first_sample: dict[int, int] = {}
    newest, newest_sample = -1, -1
    for position, sample in words:
        place = places[min(max(position - 1, 0), len(places) - 1)]
        unit = bisect_right(starts, place) - 1
        if unit < 0 or place >= units[unit][1]:
            # On a blank: the word after it. On punctuation that stands alone: part of the word before it.
            if not text[place].isspace() and unit >= 0:
                continue
            unit += 1
        if newest < unit < len(units) and newest_sample < sample < samples:
            first_sample[unit] = sample
            newest, newest_sample = unit, sample
    timed = [
        unit
        for unit, (start, end) in enumerate(units)
        if unit in first_sample or any(character.isalnum() for character in text[start:end])
    ]
    if not first_sample:
        return []
    said = Counter(place for place, character in zip(places, spoken, strict=False) if character.isalnum())

    def letters(unit: int) -> int:
        span = range(*units[unit])
        return (sum(said[place] for place in span) if spoken else sum(text[place].isalnum() for place in span)) or 1

    anchors = sorted(first_sample)
    tokens: list[Token] = []
    for number, anchor in enumerate(anchors):
        following = anchors[number + 1] if number + 1 < len(anchors) else None
        begin = first_sample[anchor]
        end = _end_of_word(phones, begin, samples if following is None else first_sample[following])
        group = [unit for unit in timed if (number == 0 or unit >= anchor) and (following is None or unit < following)]
        weights = [letters(unit) for unit in group]
        whole = sum(weights)
        done = 0
        for unit, weight in zip(group, weights, strict=True):
            edges = [(begin + (end - begin) * part / whole) / rate for part in (done, done + weight)]
            tokens.append(Token(*units[unit], edges[0], edges[1], divided=len(group) > 1))
            done += weight
    return tokens


def _end_of_word(phones: Sequence[tuple[int, int]], begin: int, limit: int) -> int:
    end = limit
    place = bisect_right(phones, (limit - 1, 1)) - 1
    while place >= 0 and phones[place][1] and phones[place][0] > begin:
        end = phones[place][0]
        place -= 1
    return end

"""Text to chunks: normalisation with a map back to the written words, segmentation, expected durations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from f5_pipeline.speech.script.model import Passage, Script
from f5_pipeline.speech.text.characters import cjk, unspaced
from f5_pipeline.speech.text.duration import expected_seconds
from f5_pipeline.speech.text.languages import language_data
from f5_pipeline.speech.text.lexicon import Lexicon, Matcher
from f5_pipeline.speech.text.normalise import lone_symbols, read
from f5_pipeline.speech.text.numerals import blank_groups
from f5_pipeline.speech.text.reading import Reading
from f5_pipeline.speech.text.say import Say, spoken_of
from f5_pipeline.speech.text.segment import Unit, cut_long, join_short, sentences
from f5_pipeline.speech.text.spans import Span
from f5_pipeline.speech.text.words import Written, attach, halves, speakable, written_words

__all__ = ["Chunk", "ChunkLimits", "Pause", "Word", "expected_seconds", "iter_chunks"]

Pause = Literal["none", "sentence", "paragraph", "chapter"]
_UNUSUAL = frozenset({"silence", "lead", "at", "seconds"})


class Word(BaseModel):
    """A word as the author wrote it, with its punctuation."""

    text: str
    space: str = Field(default=" ", description="text between it and the next word: a blank, or nothing (Chinese)")
    spoken: tuple[int, int] = Field(description="[start, end) of its spoken form in Chunk.spoken, in characters")


class Chunk(BaseModel):
    """The text of one synthesis call."""

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
    pause: Pause = Field(description="the unit that ends with this chunk; 'none' inside a sentence")
    silence: float | None = Field(default=None, ge=0, description="after it, in place of its usual pause, s")
    lead: float | None = Field(default=None, ge=0, description="silence before it, of the first chunk alone, s")
    at: float | None = Field(default=None, ge=0, description="when its speech is to begin in the narration, s")
    seconds: float | None = Field(default=None, gt=0, description="of the slot that its speech is to fill, s")

    @model_serializer(mode="wrap")
    def _without_usual(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what most chunks do not have: plans of scripts without pauses of their own stay as they were."""
        values = serialize(self)
        return {name: value for name, value in values.items() if value is not None or name not in _UNUSUAL}

    @property
    def touches(self) -> bool:
        """Whether the next chunk follows without a pause."""
        if self.at is not None:
            return False
        return self.pause == "none" if self.silence is None else self.silence == 0

    @property
    def written(self) -> str:
        """The text as the author wrote it."""
        return "".join(word.text + word.space for word in self.words).rstrip()


class ChunkLimits(BaseModel):
    """Bounds of a chunk, in expected seconds of speech at its own speed.

    The longest chunk possible is `longest + 2 * shortest`: F5 speaks at most 30 s a call, reference included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    longest: float = Field(default=15.0, ge=4, le=20, description="a longer sentence is cut, s")
    shortest: float = Field(
        default=1.2, ge=0, le=2, description="a shorter sentence or rest is joined with a neighbour, s"
    )

    @property
    def hard(self) -> float:
        """No chunk is expected to take longer, s."""
        return self.longest + 2 * self.shortest


def iter_chunks(
    script: Script,
    *,
    limits: ChunkLimits = ChunkLimits(),  # noqa: B008 - frozen
    lexicon: Lexicon | None = None,
) -> Iterator[Chunk]:
    """Chunks of a script, in order, one paragraph in memory at a time.

    The same text in the same language always gives the same chunks. A sentence is a chunk; see `segment` for the
    exceptions. Text that cannot be spoken (a line of stars, an emoji) stays with its neighbouring word; a passage of
    nothing else makes no chunk.

    The pause of a chunk names the unit that ends with it: "none" for a part of a sentence, "sentence" (also where the
    voice changes within a paragraph), "paragraph", and "chapter" around headings: after one, and after the paragraph
    before one. A pause of the script's own is `silence`, in place of the usual one. A subtitle is a chunk with a slot;
    one that is too long for a chunk is cut, and its slot is divided.

    Args:
        lexicon: how words are said, and whether the engine reads IPA.
    """
    index = 0
    paragraph = 0
    previous: Chunk | None = None
    before: Passage | None = None
    lead: float | None = None
    for number, passage in enumerate(script.passages):
        ends = None if passage.continues else "chapter" if passage.kind == "heading" else "paragraph"
        lead = passage.lead if passage.lead is not None else lead
        made = False
        language = passage.language or script.language
        matcher = lexicon.matcher(language, passage.voice) if lexicon else None
        phonemes = lexicon is not None and lexicon.phonemes
        for chunk in _passage_chunks(passage, language, limits, matcher, phonemes):
            if previous is not None:
                if not made and _same_line(before, passage):
                    previous.words[-1].space = " "
                if previous.pause == "paragraph" and passage.kind == "heading":
                    previous.pause = "chapter"
                yield previous
            chunk.index, chunk.passage, chunk.paragraph = index, number, paragraph
            chunk.lead = lead
            lead = None
            previous = chunk
            index += 1
            made = True
        if passage.silence is not None and made and previous is not None:
            previous.silence = passage.silence
        elif passage.silence is not None and previous is not None:
            previous.silence = round((previous.silence or 0.0) + passage.silence, 3)
        before = passage
        if ends and previous is not None and previous.paragraph == paragraph:
            previous.pause = ends
            paragraph += 1
    if previous is not None:
        yield previous


def _same_line(before: Passage | None, passage: Passage) -> bool:
    """Whether a passage goes on in the paragraph and the voice of the one before it, after a blank."""
    return before is not None and before.continues and before.voice == passage.voice and not cjk(before.text[-1])


def _passage_chunks(
    passage: Passage, language: str, limits: ChunkLimits, lexicon: Matcher | None, phonemes: bool
) -> Iterator[Chunk]:
    text = passage.text if passage.says else " ".join(passage.text.split())
    symbols = lone_symbols(language)
    if not speakable(text, symbols) and not written_words(text, symbols):
        return
    spans = [
        Span(said.start, said.end, spoken_of(Say(said.spoken, said.ipa), language, phonemes)) for said in passage.says
    ]
    units: list[Unit] = []
    for sentence, inside in _sentences(text, language, symbols, spans):
        readings = _read_sentence(sentence, language, limits.longest, passage.speed, inside, lexicon)
        if not readings:
            continue
        seconds = [_seconds(reading, language, passage.speed) for reading in readings]
        if lexicon and sum(spoken := [_spoken_seconds(reading, language, passage.speed) for reading in readings]) > max(
            limits.longest, sum(seconds)
        ):
            seconds = spoken  # too much is said now for the old cuts
        units += cut_long(readings, seconds, language, limits.longest, limits.shortest)
    slotted = passage.at is not None and passage.seconds is not None
    # A subtitle is spoken in one call where that is possible: all its units are joined up to the longest chunk.
    longest, shortest = (-limits.hard, limits.hard) if slotted else (limits.longest, limits.shortest)
    at, share = passage.at, (passage.seconds or 0.0) / max(sum(unit.seconds for unit in units), 1e-9)
    for unit in join_short(units, longest, shortest):
        spoken, words = _spoken(unit.readings)
        if lexicon:
            lexicon.count(reading.entry for reading in unit.readings if reading.entry)
        yield Chunk(
            index=0,
            passage=0,
            paragraph=0,
            line=passage.line,
            heading=passage.kind == "heading",
            voice=passage.voice,
            language=language,
            speed=passage.speed,
            spoken=spoken,
            words=words,
            expected_seconds=round(expected_seconds(spoken, language, passage.speed), 3),
            pause="sentence" if unit.ends else "none",
            at=at,
            seconds=round(unit.seconds * share, 3) if slotted else None,
        )
        at = round(at + unit.seconds * share, 3) if at is not None else None


def _sentences(
    text: str, language: str, symbols: frozenset[str], spans: list[Span]
) -> Iterator[tuple[str, list[Span]]]:
    """Sentences with the spans in each, by their places in it; no span is cut by a sentence's end."""
    sentence, start, at = "", 0, 0
    for piece in sentences(text, language, symbols):
        sentence += piece
        end = start + len(sentence)
        last = at
        while last < len(spans) and spans[last].start < end:
            last += 1
        if last > at and spans[last - 1].end > end:
            continue
        yield sentence, [span._replace(start=span.start - start, end=span.end - start) for span in spans[at:last]]
        sentence, start, at = "", end, last
    if sentence:
        yield sentence, [span._replace(start=span.start - start, end=span.end - start) for span in spans[at:]]


def _read_sentence(
    sentence: str, language: str, longest: float, speed: float, spans: list[Span], lexicon: Matcher | None
) -> list[Reading]:
    """Readings of a sentence, none longer than a chunk may be."""
    data = language_data(language)
    symbols = lone_symbols(language)
    words = written_words(sentence.rstrip(), symbols, blank_groups(data.thousands, data.decimal))
    if words:
        # Without a blank the next sentence follows directly, as in Chinese.
        words[-1] = Written(words[-1].text, " " if sentence.endswith(" ") else "")
    readings = read(words, language, lexicon, spans)
    if all(_seconds(reading, language, speed) <= longest for reading in readings):
        return readings
    # Cut a single word that is too long for a chunk (forty digits, a line of percent signs) into pieces.
    pieces: list[Written] = []
    for word, reading in zip(words, readings, strict=True):
        if _seconds(reading, language, speed) <= longest:
            pieces.append(word)
        else:
            parts = halves(word.text, 12)
            pieces += [Written(part, "") for part in parts[:-1]] + [Written(parts[-1], word.space)]
    return read(attach(pieces, symbols), language, lexicon, spans)


def _seconds(reading: Reading, language: str, speed: float) -> float:
    """Seconds that decide where text is cut: without the lexicon."""
    return _word_seconds(reading.plain or reading.spoken, language) / speed


def _spoken_seconds(reading: Reading, language: str, speed: float) -> float:
    return _word_seconds(reading.spoken, language) / speed


@lru_cache(maxsize=16384)
def _word_seconds(spoken: str, language: str) -> float:
    """Seconds of a word inside a sentence at the usual pace."""
    return expected_seconds(spoken + " -", language)


def _spoken(readings: list[Reading]) -> tuple[str, list[Word]]:
    """The chunk's spoken text, and the span of each word in it."""
    parts: list[str] = []
    words: list[Word] = []
    position = 0
    previous: Reading | None = None
    for reading in readings:
        if previous is not None and _blank_between(previous, reading):
            parts.append(" ")
            position += 1
        parts.append(reading.spoken)
        words.append(Word(text=reading.text, space=reading.space, spoken=(position, position + len(reading.spoken))))
        position += len(reading.spoken)
        previous = reading
    return "".join(parts), words


def _blank_between(left: Reading, right: Reading) -> bool:
    if left.glued:
        return False
    if left.space:
        return True
    if cjk(left.spoken[-1]) and cjk(right.spoken[0]):
        return False
    ends, begins = unspaced(left.spoken, end=True), unspaced(right.spoken)
    if ends and begins:
        return False
    # Pieces of one long word are spoken as one; pieces that were spelled out need a blank.
    return left.changed or right.changed or ends or begins

"""Voices of a script: the default, `[voice]` tags as in F5-TTS, and blocks of lines to passages."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.decoding import Block, Slot, listed, near, safe
from f5_pipeline.speech.script.footnotes import without_footnotes
from f5_pipeline.speech.script.front_matter import validated
from f5_pipeline.speech.script.markup import (
    ESCAPED,
    MARKS,
    MAX_PAUSE_SECONDS,
    Break,
    End,
    Markup,
    Reading,
    Style,
    pieces,
)
from f5_pipeline.speech.script.model import Passage, Pauses, Said, ScriptOptions
from f5_pipeline.speech.text.characters import cjk
from f5_pipeline.speech.text.normalise import lone_symbols
from f5_pipeline.speech.text.reading import Part
from f5_pipeline.speech.text.say import Say, say, spoken_of
from f5_pipeline.speech.text.say_as import say_as
from f5_pipeline.speech.text.words import speakable, written_words

MAIN = "main"
# F5-TTS (infer_cli) splits at \[(\w+)\]; names of voices may hold hyphens too, and a tag may set the speed.
_TAG = re.compile(r"\[([^\W_][\w-]{0,63})(?:[ \t,]+speed[ \t]*[=: ][ \t]*([\d.]+))?\]")
_BRACKET = re.compile(r"\[([^\[\]\n]{1,100})\]")
_BEFORE = frozenset(" \t\"'“”„«»‘’().!?…。！？—")
_MARKS = frozenset({"sic", "citation", "x"})
"""Editorial words in brackets, which are no voices even at the beginning of a line."""
_PAUSES = frozenset({"pause", "break"})
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")


@dataclass
class Cast:
    """The voices that a script can use.

    Attributes:
        file: for error messages.
        labels: label -> voice, as declared in the script.
        default: voice of text without a tag, or None.
        known: existing voices; None: unknown.
        speeds: voice -> its own speed, if any.
        speed: of other voices.
    """

    file: str
    labels: dict[str, str] = field(default_factory=dict)
    default: str | None = None
    known: Collection[str] | None = None
    speeds: dict[str, float] = field(default_factory=dict)
    speed: float = 1.0

    def main(self, line: int) -> str:
        """The default voice.

        Raises:
            InputError: none is set, and there is not exactly one voice.
        """
        if self.default is not None:
            return self.default
        if self.known is not None and len(self.known) == 1:
            return next(iter(self.known))
        names = listed(sorted(self.known)) if self.known else ""
        if self.known is not None and not names:
            hint = "Add a voice with: f5-pipeline voices add NAME RECORDING."
        else:
            hint = "Write a voice into the header, or give --voice." + (f" The voices are {names}." if names else "")
        raise InputError("no voice is named for this text", file=self.file, place=line, hint=hint)

    def find(self, label: str, line: int) -> str | None:
        """The voice of a label, or None."""
        if label in self.labels:
            return self.labels[label]
        if label.lower() == MAIN:
            return self.main(line)
        if self.known is not None and label in self.known:
            return label
        folded = label.casefold()
        voices = {voice for name, voice in self.labels.items() if name.casefold() == folded}
        voices |= {name for name in self.known or () if name.casefold() == folded}
        return voices.pop() if len(voices) == 1 else None

    def check(self, voice: str, line: int | None) -> str:
        """Return `voice` if it is known.

        Raises:
            InputError: it is unknown.
        """
        if self.known is not None and voice not in self.known:
            raise self.unknown(voice, line)
        return voice

    def unknown(self, label: str, line: int | None) -> InputError:
        known = self.known or ()
        names = sorted({*known, *(name for name, voice in self.labels.items() if voice in known)} - {label})
        hint = near(label, names) or (f"The voices are {listed(names)}." if names else "There is no voice yet.")
        return InputError(
            f"unknown voice '{label}'",
            file=self.file,
            place=line,
            hint=f"{hint} Add one with: f5-pipeline voices add {label} RECORDING.",
        )


@dataclass
class _Part:
    """Lines of a block that one voice speaks at one speed; `number` is the line of the first."""

    voice: str
    speed: float
    language: str | None
    number: int
    lines: list[str]
    ended: bool = False
    silence: float | None = None


def passages(
    blocks: Iterable[Block], cast: Cast, markup: Markup, language: str, pauses: Pauses, notes: list[str]
) -> list[Passage]:
    """Passages of a script; a tag is in force until the next one, across paragraphs too.

    Blocks with nothing to speak (a line of stars, an emoji) are left out.

    Args:
        markup: what the marks in the blocks stand for.
        language: of the script.
        pauses: the usual ones, for breaks that name a strength.
        notes: receives a sentence for each tag that continues over a heading, and one for the marks of footnotes.

    Raises:
        InputError: an unknown voice, or none; a pause out of bounds; words that cannot be read as asked.
    """
    reader = _Passages(cast, markup, language, pauses, notes)
    for block in blocks:
        reader.read(block)
    if reader.strangers:
        names = listed(reader.strangers)
        notes.append(f"there is no voice of these speakers, whose lines the script's own voice speaks: {names}")
    if reader.footnotes:
        lines = listed(map(str, dict.fromkeys(reader.footnotes)), 5)
        notes.append(f"marks of footnotes are not spoken (line{'s' if ',' in lines else ''} {lines})")
    return reader.out


class _Passages:
    """Reads blocks to passages, in order."""

    def __init__(self, cast: Cast, markup: Markup, language: str, pauses: Pauses, notes: list[str]) -> None:
        self.out: list[Passage] = []
        self.footnotes: list[int] = []
        self.strangers: dict[str, None] = {}
        self._cast, self._markup, self._language, self._notes = cast, markup, language, notes
        self._strengths: dict[str, float] = {
            "none": 0.0,
            "x-weak": pauses.sentence / 4,
            "weak": pauses.sentence / 2,
            "medium": pauses.sentence,
            "strong": pauses.paragraph,
            "x-strong": pauses.chapter,
        }
        self._voice: str | None = None
        self._tag_speed: float | None = None
        self._tagged = 0  # line of the tag in force
        self._style = Style()
        self._parts: list[_Part] = []
        self._lead: float | None = None

    def read(self, block: Block) -> None:
        """Append the passages of a block."""
        if block.slot is not None:
            self._subtitle(*block.lines[0], block.slot)
            return
        for number, line in block.lines:
            for tag, text in _split(line, number, self._cast, self._markup):
                if isinstance(tag, _Tag):
                    if self._style.voice is not None:
                        raise self._error(f"the tag of '{tag.voice}' stands in a <voice>", number, "Close it first.")
                    self._voice, self._tag_speed, self._tagged = self._cast.check(tag.voice, number), tag.speed, number
                elif tag is not None:
                    self._pause(tag, number)
                if not text.strip(" :\t"):
                    continue
                if tag is None and self._tagged and block.kind == "heading" and self._voice != self._cast.default:
                    self._notes.append(
                        f"[{self._voice}] of line {self._tagged} speaks on over the heading in line {number}"
                    )
                    self._tagged = 0
                self._text(text, number, block.kind)
        self._flush(block.kind)

    def _subtitle(self, number: int, text: str, slot: Slot) -> None:
        """A subtitle without a name goes on in the voice of the one before as long as the sentence does."""
        cast, speaker = self._cast, self._voice
        if slot.speaker is not None:
            speaker = cast.find(slot.speaker, number) or cast.find(re.sub(r"\W+", "-", slot.speaker), number)
            if speaker is None and slot.otherwise == text:
                self.strangers[slot.speaker] = None
            elif speaker is None:
                text = slot.otherwise
        speaker = speaker or cast.check(cast.main(number), number)
        self._voice = None if _SENTENCE_END.search(text) else speaker
        text = _join([text])
        if _speaks(text, lone_symbols(self._language)):
            rate = cast.speeds.get(speaker, cast.speed)
            self.out.append(
                Passage(text=text, voice=speaker, line=number, speed=rate, at=slot.at, seconds=slot.seconds)
            )

    def _text(self, text: str, number: int, kind: Literal["paragraph", "heading"]) -> None:
        joined = False  # whether the run stands in one line with the run before it
        run = ""
        for piece, character in pieces(text):
            run += piece
            mark = self._markup.of(character) if character else None
            if isinstance(mark, Reading) or (isinstance(mark, End) and mark.unit == "reading"):
                run += character
                continue
            if run.strip():
                self._append(run, number, joined)
                joined = True
            elif run and joined and self._parts:
                self._parts[-1].lines[-1] += run
            run = ""
            if isinstance(mark, Style):
                self._style = mark
            elif isinstance(mark, Break):
                self._pause(self._strengths[mark.strength] if mark.seconds is None else mark.seconds, number)
            elif isinstance(mark, End) and mark.unit == "paragraph":
                self._flush(kind)
                joined = False
            elif isinstance(mark, End) and self._parts:
                self._parts[-1].ended = True

    def _append(self, text: str, number: int, joined: bool) -> None:
        cast, style = self._cast, self._style
        without = without_footnotes(text)
        if without != text:
            self.footnotes.append(number)
        if style.voice is not None:
            speaker = cast.find(style.voice, number)
            if speaker is None and cast.known is None:
                speaker = style.voice
            if speaker is None:
                raise cast.unknown(style.voice, number)
            cast.check(speaker, number)
            rate = cast.speeds.get(speaker, cast.speed)
        else:
            speaker = self._voice if self._voice is not None else cast.check(cast.main(number), number)
            rate = self._tag_speed or cast.speeds.get(speaker, cast.speed)
        if style.rate != 1.0:
            rate = validated(ScriptOptions, {"speed": round(rate * style.rate, 4)}, cast.file, {"speed": number}).speed
        last = self._parts[-1] if self._parts else None
        if last and not last.ended and (last.voice, last.speed, last.language) == (speaker, rate, style.language):
            if joined:
                last.lines[-1] += without
            else:
                last.lines.append(without)
        else:
            self._parts.append(_Part(speaker, rate, style.language, number, [without]))

    def _pause(self, seconds: float, number: int) -> None:
        """A pause after what was read so far."""
        if self._parts:
            part = self._parts[-1]
            part.silence, part.ended = self._longer(part.silence, seconds, number), True
        else:
            self._silence(seconds, number)

    def _silence(self, seconds: float, number: int) -> None:
        """A pause after the last passage, or before the first."""
        if self.out:
            self.out[-1].silence = self._longer(self.out[-1].silence, seconds, number)
        else:
            self._lead = self._longer(self._lead, seconds, number)

    def _longer(self, present: float | None, seconds: float, number: int) -> float:
        total = round((present or 0.0) + seconds, 3)
        if total > MAX_PAUSE_SECONDS:
            message = f"pauses that follow one another last {total:g} s, longer than {MAX_PAUSE_SECONDS:g} s"
            raise self._error(message, number, "Write shorter ones.")
        return total

    def _flush(self, kind: Literal["paragraph", "heading"]) -> None:
        """Make passages of the parts of a paragraph."""
        first = len(self.out)
        for part in self._parts:
            language = part.language or self._language
            text, says = self._says(_join(part.lines), part.number, language)
            if _speaks(text, lone_symbols(language)):
                self.out.append(
                    Passage(
                        text=text,
                        voice=part.voice,
                        line=part.number,
                        kind=kind,
                        speed=part.speed,
                        language=part.language,
                        says=says,
                        lead=self._lead if not self.out else None,
                    )
                )
            if part.silence is not None:
                self._silence(part.silence, part.number)
        for passage in self.out[first:-1]:
            passage.continues = True
        self._parts = []

    def _says(self, text: str, line: int, language: str) -> tuple[str, list[Said]]:
        """A text without the marks of its readings, and where each of them is in it."""
        if not MARKS.search(text):
            return text, []
        out, reading, start = "", None, 0
        says: list[Said] = []
        for piece, character in pieces(text):
            out += piece.lstrip() if not out or out[-1] == " " else piece
            mark = self._markup.of(character) if character else None
            if isinstance(mark, Reading):
                reading, start = mark, len(out)
            elif mark is not None and reading is not None:
                words = out[start:]
                begin, end = start + len(words) - len(words.lstrip()), start + len(words.rstrip())
                said = self._said(reading, out[begin:end], line, language)
                says.append(Said(start=begin, end=end, spoken=said.spoken, ipa=said.ipa))
                reading = None
            elif mark is not None:
                raise self._error("an element ends in another paragraph than it begins", line, _WHOLE)
        if reading is not None:
            raise self._error(f"<{reading.element}> goes on over the end of a paragraph", line, _WHOLE)
        return out.rstrip(), says

    def _said(self, reading: Reading, words: str, line: int, language: str) -> Say:
        """How words are to be said."""
        if not _speaks(words, lone_symbols(language)):
            hint = "Write it around words, or write into the text what is to be said."
            raise self._error(f"<{reading.element}> holds no words", line, hint)
        said = say_as(reading.element, reading.value, reading.format, words, language)
        if said is None:
            hint = "Write it out in words."
            raise self._error(f"'{words[:60]}' cannot be read as {reading.value} in {language}", line, hint)
        try:
            spoken = spoken_of(said, language, phonemes=False)
            say([Part(word) for word in written_words(words, lone_symbols(language))], spoken)
        except InputError as error:
            raise self._error(error.message, line, error.hint or "Write more of it.") from None
        if not speakable(spoken):
            raise self._error(f"'{reading.value[:60]}' has nothing to speak", line, "Give it words.")
        return said

    def _error(self, message: str, line: int, hint: str) -> InputError:
        return InputError(message, file=self._cast.file, place=line, hint=hint)


_WHOLE = "Close it where its words end."


class _Tag(NamedTuple):
    """A voice tag; `speed`: where the tag sets one."""

    voice: str
    speed: float | None


def _speaks(text: str, symbols: frozenset[str]) -> bool:
    return speakable(text) or bool(written_words(text, symbols))


def _split(line: str, number: int, cast: Cast, markup: Markup) -> Iterator[tuple[_Tag | float | None, str]]:
    """Voice tags and pauses (s) of a line, each with the text after it; the first run has neither."""
    position = 0
    tag: _Tag | float | None = None
    for bracket in _BRACKET.finditer(line):
        start, end = bracket.span()
        voice = _voice(line, bracket, number, cast)
        if voice is None:
            label = bracket[1].strip().lower()
            if line[start - 1 : start] == "\\" or label in cast.labels:
                continue
            seconds = markup.bracket(bracket[1], number)
            if seconds is None:
                continue
        else:
            seconds = None
        yield tag, line[position:start]
        tag = voice if seconds is None else seconds
        position = end
        if voice is not None and line[position : position + 1] == ":":
            position += 1
    yield tag, line[position:]


def _voice(line: str, bracket: re.Match[str], number: int, cast: Cast) -> _Tag | None:
    """The voice that a bracket names, None where it names none."""
    match = _TAG.fullmatch(line, *bracket.span())
    if not match:
        return None
    label, start = match[1], match.start()
    first = not MARKS.sub("", line[:start]).strip() if start < 64 else False
    if not first and line[start - 1] not in _BEFORE and line[start - 1] != "]" and not MARKS.match(line[start - 1]):
        return None
    if (label.isdigit() and label not in cast.labels) or line[match.end() : match.end() + 1] == "(":
        return None
    voice = cast.find(label, number)
    if first and voice is None and label.lower() not in _MARKS and label.lower() not in _PAUSES:
        if cast.known is not None:
            raise cast.unknown(label, number)
        voice = label
        cast.labels.setdefault(label, label)
    return None if voice is None else _Tag(voice, _speed(match[2], cast.file, number))


def _speed(written: str | None, file: str, line: int) -> float | None:
    if written is None:
        return None
    return validated(ScriptOptions, {"speed": written}, file, {"speed": line}).speed


def _join(lines: list[str]) -> str:
    """Lines of a paragraph as one line, without a blank between Chinese or Japanese characters."""
    out: list[str] = []
    last = ""
    for line in lines:
        # Escapes of TOML and HTML can produce unsafe characters again.
        text = " ".join(safe(line).replace("\\[", "[").replace(ESCAPED, "[").split())
        if not text:
            continue
        plain = MARKS.sub("", text)
        if last and not (plain and cjk(last) and cjk(plain[0])):
            out.append(" ")
        out.append(text)
        last = plain[-1:] or last
    return "".join(out)

"""Voices of a script: the default, `[voice]` tags as in F5-TTS, and blocks of lines to passages."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.decoding import Block, listed, near, safe
from f5_pipeline.speech.script.front_matter import validated
from f5_pipeline.speech.script.model import Passage, ScriptOptions
from f5_pipeline.speech.script.sources.markdown import ESCAPED
from f5_pipeline.speech.text.characters import cjk
from f5_pipeline.speech.text.words import speakable, written_words

MAIN = "main"
# F5-TTS (infer_cli) splits at \[(\w+)\]; names of voices may hold hyphens too, and a tag may set the speed.
_TAG = re.compile(r"\[([^\W_][\w-]{0,63})(?:[ \t,]+speed[ \t]*[=: ][ \t]*([\d.]+))?\]")
_BEFORE = frozenset(" \t\"'“”„«»‘’().!?…。！？—")
_MARKS = frozenset({"sic", "citation", "x"})
"""Editorial words in brackets, which are no voices even at the beginning of a line."""


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


class _Part(NamedTuple):
    """Lines of a block that one voice speaks at one speed; `number` is the line of the first."""

    voice: str
    speed: float
    number: int
    lines: list[str]


def passages(blocks: Iterable[Block], cast: Cast, symbols: frozenset[str], notes: list[str]) -> Iterator[Passage]:
    """Passages of a script; a tag is in force until the next one, across paragraphs too.

    Blocks with nothing to speak (a line of stars, an emoji) are left out.

    Args:
        notes: receives a sentence for each tag that continues over a heading, for people.

    Raises:
        InputError: an unknown voice, or none.
    """
    voice: str | None = None
    tag_speed: float | None = None
    tagged = 0  # line of the tag in force
    for block in blocks:
        parts: list[_Part] = []
        for number, line in block.lines:
            for tag, speed, text in _split(line, number, cast):
                if tag is not None:
                    voice, tag_speed, tagged = cast.check(tag, number), speed, number
                if not text.strip(" :\t"):
                    continue
                if tag is None and tagged and block.kind == "heading" and voice != cast.default:
                    notes.append(f"[{voice}] of line {tagged} speaks on over the heading in line {number}")
                    tagged = 0
                speaker = voice if voice is not None else cast.check(cast.main(number), number)
                rate = tag_speed or cast.speeds.get(speaker, cast.speed)
                if parts and (parts[-1].voice, parts[-1].speed) == (speaker, rate):
                    parts[-1].lines.append(text)
                else:
                    parts.append(_Part(speaker, rate, number, [text]))
        spoken = [(part, text) for part in parts if _speaks(text := _join(part.lines), symbols)]
        for index, (part, text) in enumerate(spoken):
            yield Passage(
                text=text,
                voice=part.voice,
                line=part.number,
                kind=block.kind,
                speed=part.speed,
                continues=index < len(spoken) - 1,
            )


def _speaks(text: str, symbols: frozenset[str]) -> bool:
    return speakable(text) or bool(written_words(text, symbols))


def _split(line: str, number: int, cast: Cast) -> Iterator[tuple[str | None, float | None, str]]:
    """Voice (None: as before), its speed where the tag sets one, and the text after it."""
    position = 0
    tag: str | None = None
    speed: float | None = None
    for match in _TAG.finditer(line):
        label = match[1]
        first = not line[: match.start()].strip() if match.start() < 64 else False
        if not first and line[match.start() - 1] not in _BEFORE and line[match.start() - 1] != "]":
            continue
        if (label.isdigit() and label not in cast.labels) or line[match.end() : match.end() + 1] == "(":
            continue
        voice = cast.find(label, number)
        if voice is None and cast.known is None and first and label.lower() not in _MARKS:
            voice = label
            cast.labels.setdefault(label, label)
        if voice is None:
            if first and label.lower() not in _MARKS:
                raise cast.unknown(label, number)
            continue
        yield tag, speed, line[position : match.start()]
        tag, speed = voice, _speed(match[2], cast.file, number)
        position = match.end()
        if line[position : position + 1] == ":":
            position += 1
    yield tag, speed, line[position:]


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
        if last and not (cjk(last) and cjk(text[0])):
            out.append(" ")
        out.append(text)
        last = text[-1]
    return "".join(out)

"""Markup within a script, in one form for all kinds of scripts.

A reader puts one private character into its lines for each mark that it finds; `Markup` gives these characters out and
knows what each stands for. `voice_tags.passages` takes them away again. Elements are those of SSML 1.1
(https://www.w3.org/TR/speech-synthesis11/), a subset; docs/markup.md has the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.decoding import language_tag, listed, near
from f5_pipeline.speech.text.languages import word_set

ESCAPED = "\ue5f0"
"""Stands for a bracket that begins no voice tag and no pause; put back by `voice_tags`."""

_FIRST, _LAST = 0xF8000, 0xFFFFD
MARKS = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")
"""The characters that stand for marks, from the end of plane 15."""

MAX_PAUSE_SECONDS = 60.0
MAX_ALIAS = 200
"""Characters that may be said in place of a word."""
_MAX_DEPTH = 100

Strength = Literal["none", "x-weak", "weak", "medium", "strong", "x-strong"]
_STRENGTHS: tuple[Strength, ...] = ("none", "x-weak", "weak", "medium", "strong", "x-strong")
_RATES = {"x-slow": 0.6, "slow": 0.8, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.6}
READINGS = ("characters", "spell-out", "cardinal", "ordinal", "digits", "telephone", "date", "time")
"""Values of `interpret-as`."""

_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "speak": ("version", "xml:lang", "xml:base", "xsi:schemaLocation"),
    "p": ("xml:lang",),
    "s": ("xml:lang",),
    "break": ("time", "strength"),
    "sub": ("alias",),
    "say-as": ("interpret-as", "format"),
    "prosody": ("rate",),
    "phoneme": ("alphabet", "ph"),
    "voice": ("name", "xml:lang"),
    "lang": ("xml:lang",),
}
_NEEDED = {"sub": "alias", "say-as": "interpret-as", "prosody": "rate", "phoneme": "ph", "voice": "name"}
ELEMENTS = tuple(_ATTRIBUTES)
OURS_ALONE = frozenset(ELEMENTS) - {"p", "s", "sub"}
"""Elements that HTML does not have."""

_HTML_INLINE = word_set(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark nobr q rp rt ruby s samp "
    "small span strike strong sub sup time tt u var wbr input button select textarea output meter progress source "
    "track param"
)
_HTML_BLOCKS = word_set(
    "address article aside audio base blockquote body br canvas caption center col colgroup dd details dialog dir div "
    "dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html "
    "iframe legend li link main map area math menu meta nav noframes noscript object ol optgroup option p picture pre "
    "script search section slot style summary svg path circle ellipse rect line polygon polyline g defs use text "
    "tspan table tbody td template tfoot th thead title tr ul video"
)
HTML = _HTML_INLINE | _HTML_BLOCKS

_TAG = re.compile(r"(/?)([A-Za-z][\w-]*(?::[A-Za-z][\w-]*)?)(?=[\s/]|\Z)")
_ATTRIBUTE = re.compile(r"\s+([A-Za-z_][\w:.-]*)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'=]+)))?")
_BEGINS = re.compile(r"</?([a-z-]{1,8})\s[^<>=]{0,40}=")
_PLAIN = re.compile(r"\\[<>]|<!--|<[^<>]*>|<(?=[a-z-]{1,8}\s[^<>=]{0,40}=)|&(?:lt|gt|amp);")
_SECONDS = re.compile(r"\+?(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*(ms|s)")
_RATE = re.compile(r"([+-]?)(\d{1,4}(?:\.\d{0,4})?|\.\d{1,4})(%?)")
_SUPERSCRIPT = re.compile(r"<sup>(\d{1,4})</sup>")
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
"""Figures to raised ones: behind a word they are marks of footnotes, behind a unit a power."""
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}

_PAUSE = re.compile(
    r"pause(?:[\s:=,]+|(?=\d))(\d{1,9}(?:[.,]\d{0,9})?|\.\d{1,9})\s*"
    r"(ms|milliseconds?|s|secs?|seconds?|)",
    re.IGNORECASE,
)
_PAUSE_LIKE = re.compile(r"pause(?!\w)(?=[^\d]{0,60}\d|\Z)|break\Z", re.IGNORECASE)
_TIMED = re.compile(r"([^\W\d_]{2,20})[\s:=,]+\d{1,9}(?:[.,]\d{1,9})?\s*(ms|s|secs?|seconds?|)", re.IGNORECASE)


@dataclass(frozen=True)
class Break:
    """A pause in place of the usual one: of so many seconds, or of a strength."""

    seconds: float | None
    strength: Strength = "medium"


@dataclass(frozen=True)
class Style:
    """What is in force from here on, by the elements that are open: a voice, a rate, a language."""

    voice: str | None = None
    rate: float = 1.0
    language: str | None = None


@dataclass(frozen=True)
class Reading:
    """The text up to the next `End` is said in its own way: an element, its value and its format."""

    element: Literal["sub", "say-as", "phoneme"]
    value: str
    format: str = ""


@dataclass(frozen=True)
class End:
    """Ends a unit: a reading, a sentence or a paragraph."""

    unit: Literal["reading", "sentence", "paragraph"]


@dataclass(frozen=True)
class Raw:
    """Characters of the file that a parser between is not to see; see `sources.markdown`."""

    text: str


Mark = Break | Style | Reading | End | Raw


class _Open(NamedTuple):
    name: str
    line: int
    before: Style


@dataclass
class Markup:
    """The marks of a script.

    Attributes:
        file: for messages.
        ssml: whether the file is SSML: `<s>` is a sentence then and nothing is HTML.
        comments: lines of comments that were left out.
    """

    file: str
    ssml: bool = False
    comments: list[int] = field(default_factory=list)
    _marks: list[Mark] = field(default_factory=list)
    _characters: dict[Mark, str] = field(default_factory=dict)
    _open: list[_Open] = field(default_factory=list)
    _style: Style = Style()
    _reading: bool = False

    def clean(self, text: str) -> str:
        """A file's text without the characters that stand for marks here."""
        return MARKS.sub(" ", text.replace(ESCAPED, " "))

    def mark(self, mark: Mark, line: int) -> str:
        """The character of a mark."""
        if mark not in self._characters:
            if len(self._marks) > _LAST - _FIRST:
                raise self.error("there are too many different marks", line, "Split the script into several.")
            self._characters[mark] = chr(_FIRST + len(self._marks))
            self._marks.append(mark)
        return self._characters[mark]

    def of(self, character: str) -> Mark:
        """The mark that a character stands for."""
        return self._marks[ord(character) - _FIRST]

    def error(self, message: str, line: int, hint: str) -> InputError:
        return InputError(message, file=self.file, place=line, hint=hint)

    def text(self, text: str) -> str:
        """Text between two tags: where it is said in its own way, no bracket in it is a tag."""
        return text.replace("[", ESCAPED) if self._reading else text

    def scan(self, text: str, line: int, *, escapes: bool = True) -> str:
        """Plain text with its tags replaced by marks; line feeds stay where they are.

        Comments are left out.

        Args:
            line: number of its first line.
            escapes: whether `&lt;`, `\\<` and the like stand for the signs themselves.

        Raises:
            InputError: a tag that is not understood or cannot be where it is; a comment that is not closed.
        """
        out: list[str] = []
        position = 0
        text = _SUPERSCRIPT.sub(lambda found: found[1].translate(RAISED), text)
        while match := _PLAIN.search(text, position):
            out.append(self.text(text[position : match.start()]))
            line += text.count("\n", position, match.start())
            found, position = match[0], match.end()
            if found == "<!--":
                position = text.find("-->", match.end()) + 3
                if position < 3:
                    raise self.error("the comment is not closed", line, "Write --> where it ends.")
                self.comments.append(line)
                out.append("\n" * text.count("\n", match.start(), position))
            elif found == "<":
                self.check_closed(text[match.start() : position + 60], line)
                out.append(found)
            elif len(found) > 2 and found[0] == "<":
                out.append(self.tag(found, line))
            else:
                out.append(_ENTITIES.get(found, found[-1]) if escapes else found)
            line += text.count("\n", match.start(), position)
        out.append(self.text(text[position:]))
        return "".join(out)

    def check_closed(self, text: str, line: int) -> None:
        """Raises InputError where a tag of ours begins in a text that is none."""
        for begin in _BEGINS.finditer(text):
            if begin[1] in OURS_ALONE:
                raise self.error(f"the tag <{begin[1]} is not closed", line, "Write > where it ends.")

    def tag(self, tag: str, line: int) -> str:
        """A tag as marks, or as it stands where it is none: an address, a comparison.

        HTML tags that are no marks give a blank where a block begins or ends, else nothing. The tag's line feeds stay.

        Raises:
            InputError: what looks like a tag and is not understood.
        """
        feeds = "\n" * tag.count("\n")
        inner = tag[1:-1]
        head = _TAG.match(inner)
        if not head:
            return feeds if tag[1:2] in ("!", "?") else tag
        closing, name, rest = bool(head[1]), head[2], inner[head.end() :].rstrip()
        empty = rest.endswith("/")
        attributes: dict[str, str] = {}
        rest, position = rest.rstrip("/") if empty else rest, 0
        while found := _ATTRIBUTE.match(rest, position):
            attributes[found[1]] = found[2] or found[3] or found[4] or ""
            position = found.end()
        if name in ELEMENTS and self._is_ours(name, attributes, closing):
            if rest[position:].strip():
                hint = 'Write attributes as name="value".'
                raise self.error(f"the tag '{tag[:60]}' cannot be read", line, hint)
            return (self.close(name, line) if closing else self.open(name, attributes, line, empty=empty)) + feeds
        if name.lower() in HTML:
            if name.lower() in ("p", "div", "li", "br", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"):
                return self.mark(End("paragraph"), line) + feeds
            return (" " if name.lower() in _HTML_BLOCKS else "") + feeds
        hint = near(name, ELEMENTS)
        if not closing and rest and not hint and "=" not in rest:
            return tag  # "x<y and y>z"
        hint = hint or f"Elements are {listed(ELEMENTS)}."
        raise self.error(
            f"'{tag[:60]}' looks like markup, and is not understood", line, f"{hint} For the sign itself write &lt;."
        )

    def _is_ours(self, name: str, attributes: Mapping[str, str], closing: bool) -> bool:
        """Whether a tag is of SSML, and not the HTML of the same name."""
        if name in OURS_ALONE:
            return True
        if closing:
            return bool(self._open) and self._open[-1].name == name
        return "alias" in attributes if name == "sub" else "xml:lang" in attributes

    def open(self, name: str, attributes: Mapping[str, str], line: int, *, empty: bool = False) -> str:
        """The marks of an element's begin.

        Raises:
            InputError: an unknown element, attribute or value, or one where it may not be.
        """
        values = self._values(name, attributes, line)
        if self._reading:
            raise self.error(
                f"<{name}> stands in <{self._open[-1].name}>, which holds words alone", line, "Close that one first."
            )
        if name == "break":
            mark = self.mark(self._break(values, line), line)
            if not empty:
                self._open.append(_Open(name, line, self._style))
            return mark
        if empty:
            raise self.error(f"<{name}/> holds no words", line, f"Write it around the words: <{name} …>words</{name}>.")
        if len(self._open) >= _MAX_DEPTH:
            raise self.error("the markup is nested too deeply", line, "Close elements that are done.")
        self._open.append(_Open(name, line, self._style))
        if name in ("sub", "say-as", "phoneme"):
            self._reading = True
            return self.mark(self._reading_of(name, values, line), line)
        before = self._style
        if "xml:lang" in values:
            self._style = replace(self._style, language=language_tag(values["xml:lang"], self.file, line))
        if name == "voice":
            self._style = replace(self._style, voice=values["name"].strip())
        elif name == "prosody":
            self._style = replace(self._style, rate=round(self._style.rate * self._rate(values["rate"], line), 4))
        out = self.mark(End("paragraph"), line) if name == "p" else ""
        if name == "s" and self.ssml:
            out = self.mark(End("sentence"), line)
        return out + (self.mark(self._style, line) if self._style != before else "")

    def close(self, name: str, line: int) -> str:
        """The marks of an element's end.

        Raises:
            InputError: another element is open, or none.
        """
        if not self._open or self._open[-1].name != name:
            last = f"<{self._open[-1].name}> of line {self._open[-1].line} is open" if self._open else "none is open"
            raise self.error(f"</{name}> closes no element: {last}", line, "Close each element where it is opened.")
        opened = self._open.pop()
        if self._reading:
            self._reading = False
            return self.mark(End("reading"), line)
        changed, self._style = self._style != opened.before, opened.before
        out = self.mark(self._style, line) if changed else ""
        if name == "p":
            return out + self.mark(End("paragraph"), line)
        return out + self.mark(End("sentence"), line) if name == "s" and self.ssml else out

    def end(self) -> None:
        """Raises InputError where an element is still open at the end of the file."""
        if self._open:
            name, line, _ = self._open[-1]
            raise self.error(f"<{name}> is not closed", line, f"Write </{name}> where it ends.")

    def notes(self) -> list[str]:
        """For people: what was left out."""
        if not self.comments:
            return []
        lines = listed(map(str, self.comments), 5)
        return [f"comments are not spoken (line{'s' if len(self.comments) > 1 else ''} {lines})"]

    def _values(self, name: str, attributes: Mapping[str, str], line: int) -> dict[str, str]:
        """An element's attributes, checked."""
        allowed = _ATTRIBUTES.get(name)
        if allowed is None:
            hint = near(name, ELEMENTS) or f"Elements are {listed(ELEMENTS)}."
            raise self.error(f"<{name}> is not understood", line, hint)
        for attribute, value in attributes.items():
            if attribute not in allowed and not (attribute == "xmlns" or attribute.startswith("xmlns:")):
                hint = near(attribute, allowed) or f"Attributes of <{name}> are {listed(allowed)}."
                raise self.error(f"the attribute {attribute} of <{name}> is not understood", line, hint)
            if not value.strip():
                raise self.error(f"{attribute} of <{name}> is empty", line, "Give it a value.")
        needed = _NEEDED.get(name) or ("xml:lang" if name == "lang" else None)
        if needed and needed not in attributes:
            raise self.error(f"<{name}> has no {needed}", line, f'Write it as <{name} {needed}="…">.')
        return dict(attributes)

    def _break(self, values: Mapping[str, str], line: int) -> Break:
        strength = values.get("strength", "medium").strip()
        if strength not in _STRENGTHS:
            hint = near(strength, _STRENGTHS) or f"Strengths are {listed(_STRENGTHS)}."
            raise self.error(f"a break has no strength '{strength}'", line, hint)
        time = values.get("time")
        if time is None:
            return Break(None, strength)
        match = _SECONDS.fullmatch(time.strip())
        if not match:
            raise self.error(f"'{time[:40]}' is no length of a break", line, "Write it as 2s or 500ms.")
        return Break(self.seconds(match[1], match[2], line))

    def seconds(self, number: str, unit: str, line: int) -> float:
        """The length of a pause, s. Raises InputError where it is out of bounds."""
        value = float(number.replace(",", ".")) / (1000 if unit.lower().startswith("m") else 1)
        if value > MAX_PAUSE_SECONDS:
            limit = f"{MAX_PAUSE_SECONDS:g} s"
            raise self.error(f"a pause of {value:g} s is longer than {limit}", line, f"Write at most {limit}.")
        return value

    def _rate(self, rate: str, line: int) -> float:
        """The factor of a rate: a word, a number, a share of the usual rate (90%), or a change of it (-10%)."""
        rate = rate.strip()
        match = _RATE.fullmatch(rate)
        if match and not (match[1] and not match[3]):
            value = float(match[2]) / (100 if match[3] else 1)
            value = 1 + value if match[1] == "+" else 1 - value if match[1] else value
            if value > 0:
                return value
        if rate not in _RATES:
            hint = near(rate, _RATES) or f"Write {listed(_RATES)}, or a share such as 90%."
            raise self.error(f"'{rate[:40]}' is no rate", line, hint)
        return _RATES[rate]

    def _reading_of(self, name: str, values: Mapping[str, str], line: int) -> Reading:
        if name == "sub":
            alias = " ".join(values["alias"].split())
            if len(alias) > MAX_ALIAS:
                raise self.error(f"an alias is longer than {MAX_ALIAS} characters", line, "Write it into the text.")
            return Reading("sub", alias)
        if name == "phoneme":
            alphabet, ph = values.get("alphabet", "ipa"), " ".join(values["ph"].split())
            if alphabet != "ipa":
                raise self.error(f"the alphabet '{alphabet[:40]}' is not understood", line, 'Write alphabet="ipa".')
            if len(ph) > MAX_ALIAS:
                raise self.error(f"ph is longer than {MAX_ALIAS} characters", line, "Mark each word by itself.")
            return Reading("phoneme", ph)
        kind = values["interpret-as"].strip()
        if kind not in READINGS:
            hint = near(kind, READINGS) or f"Ways to read are {listed(READINGS)}."
            raise self.error(f"interpret-as='{kind[:40]}' is not understood", line, hint)
        return Reading("say-as", kind, values.get("format", "").strip().lower())

    def bracket(self, content: str, line: int) -> float | None:
        """Seconds of `[pause 2s]`; None where the text in brackets is no pause.

        Raises:
            InputError: it looks like a pause, and is none.
        """
        content = content.strip()
        match = _PAUSE.fullmatch(content)
        if match:
            return self.seconds(match[1], match[2], line)
        timed = _TIMED.fullmatch(content)
        word = timed[1].lower() if timed else ""
        slip = timed and (timed[2] or word in ("break", "silence") or sorted(word) == sorted("pause"))
        if slip or _PAUSE_LIKE.match(content):
            raise self.error(
                f"'[{content[:60]}]' looks like a pause, and is not understood",
                line,
                "Write it as [pause 2s] or [pause 500ms]; for the words in brackets themselves write \\[.",
            )
        return None


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """Runs of text, each with the mark after it; the last one has none."""
    position = 0
    for match in MARKS.finditer(text):
        yield text[position : match.start()], match[0]
        position = match.end()
    yield text[position:], ""

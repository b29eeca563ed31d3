"""Lexicons: how words are said that a voice would say wrong.

An entry stands for a word, for several words in a row, or for all words of a form ("Nietzsche*"). Of several that fit
at a place the most specific one is used: that of the narration before that of the voice, of the language, of all; then
the one of more words; then a word before a form. Words are found by their spelling in a dictionary, so that matching
takes time in proportion to the text, whatever the entries are.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from f5_pipeline.errors import InputError
from f5_pipeline.speech.text.characters import SYMBOLS, kinds
from f5_pipeline.speech.text.ipa import MARK, respelled, sounds
from f5_pipeline.speech.text.reading import Part
from f5_pipeline.speech.text.say import Say, say, spoken_of
from f5_pipeline.speech.text.words import MAX_WORD, Written, written_words

MAX_ENTRIES = 20_000
MAX_WORDS = 24
"""Words of an entry; a Chinese or Japanese character is one."""

_TOKEN = re.compile(r"\w+")
_TAG = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,4}")
_POSSESSIVES = ("'s", "'S")
_ELIDED = {"d": "d", "l": "l", "j": "ʒ", "n": "n", "s": "s", "c": "s", "m": "m", "t": "t", "qu": "k", "dell": "dell",
    "all": "all", "nell": "nell", "sull": "sull", "dall": "dall", "un": "un"}  # fmt: skip
"""What French, Italian and Catalan put before a word with an apostrophe, and its IPA."""


class Entry(BaseModel, frozen=True):
    """How a word, several words in a row or all words of a form are said; an empty field means all."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    written: str = Field(min_length=1, max_length=120, description="as in scripts; * in one word: any letters, or none")
    said: str = Field(default="", max_length=160, description="another spelling; *: the letters that * stood for")
    ipa: str = Field(default="", max_length=160, description="in the International Phonetic Alphabet")
    language: str = Field(default="", description="BCP 47 tag; en is for en-gb too")
    voice: str = ""
    narration: str = ""
    match_case: bool = Field(default=False, description="capitals must be the same")
    part_of_words: bool = Field(default=False, description="also inside longer words")
    note: str = Field(default="", max_length=500, description="for people")

    @field_validator("written", "said", "ipa", "note")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
            raise ValueError("it has control characters or line breaks")
        return " ".join(unicodedata.normalize("NFC", value).split())

    @field_validator("ipa")
    @classmethod
    def _bare(cls, value: str) -> str:
        return value.strip("/[] ")

    @field_validator("language")
    @classmethod
    def _tag(cls, value: str) -> str:
        value = value.lower().replace("_", "-")
        if value and not _TAG.fullmatch(value):
            raise ValueError("it is no language tag such as en or pt-br")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Entry:
        words = _words(self.written)
        stars = self.written.count("*")
        if not words:
            raise ValueError("written has no letter, digit or spoken sign")
        if len(words) > MAX_WORDS or any(len(word.core) > MAX_WORD for word in words):
            raise ValueError(f"written has more than {MAX_WORDS} words, or one of more than {MAX_WORD} characters")
        if self.written == "*":
            raise ValueError("written has no letter beside the *")
        if stars > 1 or (stars and (len(words) > 1 or self.part_of_words)):
            raise ValueError("one * may stand in written, in a single word, and not with part_of_words")
        if self.part_of_words and len(words) > 1:
            raise ValueError("part_of_words is for a single word")
        if not self.said and not self.ipa:
            raise ValueError("it is not said how: give another spelling or IPA")
        if min(len(said) for said in (self.said, self.ipa) if said) < len(words):
            raise ValueError("it says fewer letters than written has words")
        if self.said and not any(char.isalnum() for char in self.said.replace("*", "x" * stars)):
            raise ValueError("said has no letter or digit")
        if self.said.count("*") > stars or (self.ipa and stars):
            raise ValueError("* may stand in said where it stands in written, and never beside ipa")
        if any(mark in self.said for mark in MARK):
            raise ValueError("said has double brackets: give IPA as ipa")
        if self.ipa:
            try:
                sounds(self.ipa)
                respelled(self.ipa, self.language)
            except InputError as error:
                raise ValueError(error.message) from None
        return self

    @property
    def identity(self) -> tuple[str, str, str, str, bool]:
        """What two entries of a lexicon may not have in common."""
        written = self.written if self.match_case else self.written.lower()
        return written, self.language, self.voice, self.narration, self.match_case

    def applies_to(self, narration: str) -> bool:
        return self.narration in ("", narration)


def scope_of(entry: Entry) -> str:
    """What an entry is for, for people."""
    voice, narration = entry.voice and f"voice {entry.voice}", entry.narration and f"narration {entry.narration}"
    return ", ".join(filter(None, (entry.language, voice, narration))) or "all"


def checked_entry(fields: Mapping[str, Any], file: str, place: str | int | None = None) -> Entry:
    """An entry from its fields. Raises InputError that names the place and what is wrong with it."""
    try:
        return Entry.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(
            f"no entry for {str(fields.get('written', ''))[:40]!r}: {field + ': ' if field else ''}{message}",
            file=file,
            place=place,
            hint="Correct it, or leave it out.",
        ) from None


class UsedEntry(BaseModel):
    """An entry in a plan: what was written, what is said instead, and how often."""

    written: str
    said: str
    count: int


def _plain(text: str) -> str:
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).replace("’", "'")


def _lower(text: str) -> str:
    """In lower case, as long as `text`."""
    lower = text.lower()
    return (
        lower if len(lower) == len(text) else "".join(char if len(char.lower()) > 1 else char.lower() for char in text)
    )


def _words(written: str) -> list[Part]:
    """The words of an entry, as those of a script are cut; a * counts as a letter."""
    return [Part(word) for word in written_words(_plain(written).replace("*", "x"), SYMBOLS)]


class _Rule(NamedTuple):
    """An entry, ready to match: its words, the punctuation between and around them, and how specific it is."""

    entry: Entry
    words: tuple[str, ...]
    between: tuple[tuple[str, str], ...]
    lead: str
    trail: str
    rank: tuple[int, ...]


class _Match(NamedTuple):
    """A rule that fits: what stands before and after its words, and the letters of its *."""

    rank: tuple[int, ...]
    rule: _Rule
    head: str = ""
    tail: str = ""
    star: str = ""


@lru_cache(maxsize=2 * MAX_ENTRIES)
def _rule(entry: Entry, own: bool) -> _Rule:
    words = _words(entry.written)
    tags = len(entry.language.split("-")) if entry.language else 0
    narration = 2 if own else int(bool(entry.narration))
    return _Rule(
        entry,
        tuple(word.core for word in words),
        tuple((left.trail, right.lead) for left, right in pairwise(words)),
        words[0].lead,
        words[-1].trail,
        (narration, int(bool(entry.voice)), tags, len(words), int("*" not in entry.written)),
    )


class Lexicon:
    """The entries for one narration and one kind of engine.

    Args:
        entries: of the store.
        own: of the script itself; they come before all others.
        narration: entries of other narrations are left out.
        phonemes: whether the engine reads IPA; a respelling is used for others.

    Attributes:
        used: how often each entry was used, counted by `Matcher.count`.
    """

    def __init__(
        self, entries: Iterable[Entry], own: Iterable[Entry] = (), *, narration: str = "", phonemes: bool = False
    ) -> None:
        self._rules = [_rule(entry, own=False) for entry in entries if entry.applies_to(narration)]
        self._rules += [_rule(entry, own=True) for entry in own]
        self._matchers: dict[tuple[str, str], Matcher | None] = {}
        self.phonemes = phonemes
        self.used: Counter[Entry] = Counter()

    def __bool__(self) -> bool:
        return bool(self._rules)

    def matcher(self, language: str, voice: str) -> Matcher | None:
        """The entries for text in a language by a voice; None where there are none."""
        key = language.lower(), voice
        if key not in self._matchers:
            rules = [
                rule
                for rule in self._rules
                if rule.entry.voice in ("", voice) and f"{key[0]}-".startswith(f"{rule.entry.language or key[0]}-")
            ]
            self._matchers[key] = Matcher(rules, language, self) if rules else None
        return self._matchers[key]

    def report(self) -> list[UsedEntry]:
        """The entries that were used, the most frequent first."""
        return [
            UsedEntry(written=entry.written, said=entry.said or f"/{entry.ipa}/", count=count)
            for entry, count in self.used.most_common()
        ]


class Matcher:
    """The entries for one language and voice. Made by `Lexicon.matcher`."""

    def __init__(self, rules: Iterable[_Rule], language: str, lexicon: Lexicon) -> None:
        self._language, self._lexicon = language, lexicon
        self._elides = language.partition("-")[0].lower() in ("fr", "it", "ca")
        self._runs: dict[tuple[str, ...], list[_Rule]] = {}
        self._sizes: dict[str, set[int]] = {}
        self._forms: dict[str, dict[str, list[_Rule]]] = {}
        self._inside: dict[str, list[_Rule]] = {}
        for rule in rules:
            if "*" in rule.entry.written:
                prefix, suffix = _lower(_plain(rule.entry.written)).split("*")
                self._forms.setdefault(prefix, {}).setdefault(suffix, []).append(rule)
                continue
            words = tuple(map(_lower, rule.words))
            self._runs.setdefault(words, []).append(rule)
            self._sizes.setdefault(words[0], set()).add(len(words))
            if rule.entry.part_of_words:
                self._inside.setdefault(words[0], []).append(rule)
        self._prefixes = sorted(set(map(len, self._forms)))
        self._suffixes = sorted({len(suffix) for suffixes in self._forms.values() for suffix in suffixes})
        self._inside_sizes = sorted({len(word) for word in self._inside}, reverse=True)

    def count(self, entries: Iterable[Entry]) -> None:
        """Count entries whose words are in the text that is spoken."""
        self._lexicon.used.update(entries)

    def apply(self, parts: list[Part], read_word: Callable[[str], str]) -> None:
        """Give the words of a sentence that have an entry the spoken form that it says.

        Args:
            parts: already read; the others keep their reading.
            read_word: reads a word without the lexicon, for what an entry leaves of a longer word.
        """
        cores = [_plain(part.core) for part in parts]
        index = 0
        while index < len(parts):
            found = max(self._matches(parts, cores, index), key=lambda match: match.rank, default=None)
            if found is None:
                self._read_inside(parts[index], cores[index], read_word)
                index += 1
                continue
            size = len(found.rule.words)
            if index:
                parts[index - 1].glued = False
            self._put(parts[index : index + size], found, last=index + size == len(parts))
            index += size

    def _matches(self, parts: list[Part], cores: list[str], index: int) -> Iterator[_Match]:
        for head, first in self._starts(cores[index]):
            for size in self._sizes.get(_lower(first), ()):
                if 1 < size <= len(parts) - index:
                    middle = cores[index + 1 : index + size - 1]
                    for last, tail in _ends(cores[index + size - 1]):
                        yield from self._fitting(parts, index, (first, *middle, last), head, tail)
            for word, tail in _ends(first):
                yield from self._fitting(parts, index, (word,), head, tail)
                yield from self._of_form(word, head, tail)

    def _fitting(self, parts: list[Part], index: int, words: tuple[str, ...], head: str, tail: str) -> Iterator[_Match]:
        last = index + len(words) - 1
        for rule in self._runs.get(tuple(map(_lower, words)), ()):
            between = zip(parts[index:last], parts[index + 1 : last + 1], strict=True)
            if (
                (not rule.entry.match_case or words == rule.words)
                and parts[index].lead.endswith(rule.lead)
                and parts[last].trail.startswith(rule.trail)
                and all(
                    (left.trail, right.lead) == signs
                    for (left, right), signs in zip(between, rule.between, strict=True)
                )
            ):
                yield _Match((*rule.rank, not head, not tail), rule, head, tail)

    def _of_form(self, word: str, head: str, tail: str) -> Iterator[_Match]:
        lower = _lower(word)
        for start in self._prefixes:
            suffixes = self._forms.get(lower[:start]) if start <= len(lower) else None
            for size in self._suffixes if suffixes else ():
                end = len(lower) - size
                for rule in suffixes.get(lower[end:], ()) if suffixes and start <= end else ():
                    star = word[start:end]
                    prefix, suffix = _plain(rule.entry.written).split("*")
                    same_case = word.startswith(prefix) and word.endswith(suffix)
                    if (same_case or not rule.entry.match_case) and all(map(_is_letter, star)):
                        yield _Match((*rule.rank, not head, not tail), rule, head, tail, star)

    def _starts(self, core: str) -> Iterator[tuple[str, str]]:
        yield "", core
        if self._elides and "'" in core:
            head, _, rest = core.partition("'")
            if head.lower() in _ELIDED and rest:
                yield f"{head}'", rest

    def _put(self, parts: list[Part], match: _Match, last: bool) -> None:
        entry = match.rule.entry
        spoken = self._said(match, self._lexicon.phonemes)
        for part in parts:
            part.plain = part.spoken or part.core
        say(parts, spoken)
        first, end = parts[0], parts[-1]
        first.entry = entry
        if match.rule.lead:
            first.lead = first.lead.removesuffix(match.rule.lead)
        if match.rule.trail.startswith("."):
            end.stop_belongs = True
        elif match.rule.trail and not last:
            end.trail = end.trail.removeprefix(match.rule.trail)

    def _said(self, match: _Match, phonemes: bool) -> str:
        entry = match.rule.entry
        spoken = spoken_of(Say(entry.said.replace("*", match.star), entry.ipa), self._language, phonemes)
        if not spoken.startswith(MARK[0]):
            return f"{match.head}{spoken}{match.tail}"
        if match.head:
            spoken = MARK[0] + _ELIDED[match.head[:-1].lower()] + spoken.removeprefix(MARK[0])
        if match.tail:
            sound = next(char for char in reversed(spoken) if char.isalpha() and unicodedata.category(char) != "Lm")
            ending = "ɪz" if sound in "szʃʒ" else "s" if sound in "ptkfθ" else "z"
            spoken = spoken.removesuffix(MARK[1]) + ending + MARK[1]
        return spoken

    def _read_inside(self, part: Part, core: str, read_word: Callable[[str], str]) -> None:
        """Entries for a part of a word: the members of a compound with hyphens, and those with `part_of_words`."""
        if not self._inside and "-" not in core:
            return
        entries: list[Entry] = []
        out = "-".join(self._member(member, entries, alone="-" in core) for member in core.split("-"))
        if entries:
            part.plain = part.spoken or part.core
            part.say(read_word(out))
            part.entry = entries[0]

    def _member(self, word: str, entries: list[Entry], alone: bool) -> str:
        if alone and word:
            found = max(
                (match for match in self._matches([Part(Written(word, ""))], [word], 0)),
                key=lambda match: match.rank,
                default=None,
            )
            if found is not None:
                entries.append(found.rule.entry)
                return self._said(found, phonemes=False)
        out, lower, index = "", _lower(word), 0
        while index < len(word):
            fitting = (
                rule
                for size in self._inside_sizes
                for rule in self._inside.get(lower[index : index + size], ())
                if not rule.entry.match_case or word.startswith(rule.words[0], index)
            )
            rule = max(fitting, key=lambda rule: (len(rule.words[0]), rule.rank), default=None)
            if rule is None:
                out += word[index]
                index += 1
                continue
            entries.append(rule.entry)
            out += self._said(_Match(rule.rank, rule), phonemes=False)
            index += len(rule.words[0])
        return out


def _ends(core: str) -> Iterator[tuple[str, str]]:
    yield core, ""
    if core.endswith(_POSSESSIVES) and len(core) > 2:
        yield core[:-2], core[-2:]


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LM"


def possible(entries: Sequence[Entry], text: str) -> list[Entry]:
    """The entries whose words may stand in a text; all that do are among them."""
    if not entries:
        return []
    text = _lower(_plain(text))
    tokens, characters = set(_TOKEN.findall(text)), set(text)
    vocabulary = "\n".join(tokens)

    def may_stand(entry: Entry) -> bool:
        written = _lower(_plain(entry.written))
        pieces = _TOKEN.findall(written)
        if not pieces:
            return written in text
        if entry.part_of_words or "*" in written or "C" in kinds(written):
            return characters.issuperset("".join(pieces)) and all(piece in vocabulary for piece in pieces)
        return tokens.issuperset(pieces)

    return [entry for entry in entries if may_stand(entry)]

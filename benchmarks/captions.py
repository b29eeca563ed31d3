"""Captions against the norms of broadcasters, by kind of violation and language.

    python -m benchmarks.captions                    a table
    python -m benchmarks.captions --show fr phrase   cues with a violation of one kind

The prose is generated: English by `prose`, others from small grammars (`corpus/captions`), which hold abbreviations,
initials, numbers, quotations with and without blanks. Scripts are planned as always; words last as long as the planner
expects, with the usual pauses.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import budoux

from benchmarks.measure import in_words, machine, table, write_results
from benchmarks.prose import paragraphs
from f5_pipeline.speech.captions.cues import GAP_SECONDS, MAX_PAUSE_SECONDS, Cue, iter_cues, norm_of
from f5_pipeline.speech.captions.text import width
from f5_pipeline.speech.chunks import expected_seconds, iter_chunks
from f5_pipeline.speech.script.model import CaptionStyle, Pauses, parse_script
from f5_pipeline.speech.timeline import TimedWord

CORPUS = Path(__file__).parent / "corpus" / "captions"
WORDS = {"en": 20_000, "de": 3_000, "fr": 3_000, "es": 3_000, "ja": 3_000, "zh": 3_000, "th": 3_000, "ar": 3_000}
ENGLISH = (
    "Mr. Mrs. Ms. Dr. Prof. St. No. Rev. Capt. Col. Gen. Lt. Sgt. Hon. Jr. Sr. vs. approx. i.e. e.g. cf. p. pp. Vol. "
    "Jan. Feb. Mar. Apr. Aug. Sept. Oct. Nov. Dec."
)
HARD = (
    "line too wide", "more than 2 lines", "overlap", "gap of 1-79 ms", "under 5/6 s", "over 7 s", "across a paragraph",
    "across voices", "across a pause", "text differs", "ends on an abbreviation", "opening mark at the end",
    "closing mark in front", "phrase broken",
)  # fmt: skip
"""Violations that never need to be."""
SOFT = ("faster than the norm", "faster by a fifth", "ends on a small word")
"""Violations of the speech itself, or that a better one was preferred to."""

_OPENING, _CLOSING = "([{«“„¿¡「『（《", ")]}»”」』）》，。、！？；："
_SLOT = re.compile(r"\{(\^?)(\w+)\}")
_ENDS = re.compile(r"(?:^|\s)[\"'(\[«“„¿¡]*([^\s]+)$")
_PARSERS = {
    "ja": budoux.load_default_japanese_parser,
    "zh": budoux.load_default_simplified_chinese_parser,
    "th": budoux.load_default_thai_parser,
}


class Timed(NamedTuple):
    """Words with times, and the indices of those that end a sentence."""

    words: list[TimedWord]
    ends: set[int]


@lru_cache(maxsize=8)
def grammar(language: str) -> dict[str, list[str]]:
    lines = (CORPUS / f"{language}.txt").read_text(encoding="utf-8").splitlines()
    rules = (line.split(":", 1) for line in lines)
    return {name: [part.strip() for part in rest.split(" | ")] for name, rest in rules}


def abbreviations(language: str) -> frozenset[str]:
    """What no line may end on, unless a sentence ends there."""
    return frozenset(ENGLISH.split() if language == "en" else filter(None, grammar(language)["abbreviation"]))


def prose(language: str, words: int, seed: int) -> Iterator[str]:
    """Headings and paragraphs; a Japanese, Chinese or Thai word counts as three characters."""
    if language == "en":
        yield from paragraphs(words, seed)
        return
    source, rules = random.Random(seed), grammar(language)

    def expand(symbol: str) -> str:
        if symbol in ("n", "day"):
            return str(source.randint(2, 98 if symbol == "n" else 28))

        def fill(slot: re.Match[str]) -> str:
            text = expand(slot[2])
            return text[:1].upper() + text[1:] if slot[1] else text

        return _SLOT.sub(fill, source.choice(rules[symbol]))

    count, blank = 0, "" if language in ("ja", "zh") else " "
    while count < words:
        if source.random() < 0.05:
            yield f"# {expand('what')}"
        text = blank.join(expand("sentence") for _ in range(source.randint(1, 6)))
        count += len(text) // 3 if language in _PARSERS else len(re.findall(r"\S*\w\S*", text))
        yield text


def timed(language: str, words: int, seed: int = 7) -> Timed:
    """Words of a planned script, each as long as the planner expects, two voices in turn."""
    text = "\n\n".join(prose(language, words, seed))
    script = parse_script(f"---\nlanguage: {language}\nvoice: ada\n---\n{text}".encode(), "book.md")
    out, ends, at, pauses = [], set(), 0.5, Pauses()
    for chunk in iter_chunks(script):
        for word in chunk.words:
            spoken = chunk.spoken[slice(*word.spoken)]
            seconds = max(expected_seconds(spoken, language), 0.06)
            out.append(TimedWord(
                text=word.text, space=word.space, start=at, end=at + seconds, chunk=chunk.index, heading=chunk.heading,
                paragraph=chunk.paragraph, voice=("ada", "ben")[chunk.paragraph % 5 == 4], method="interpolated",
            ))  # fmt: skip
            at += seconds
        if chunk.pause != "none":
            ends.add(len(out) - 1)
        at += pauses.after(chunk.pause)
    return Timed(out, ends)


def violations(cues: Sequence[Cue], timed: Timed, language: str) -> Iterator[tuple[str, Cue]]:
    """Kind and cue of each violation."""
    norm, short = norm_of(language), abbreviations(language)
    parse = _PARSERS[language]().parse if language in _PARSERS else None
    position, times, text = 0, (), ""
    for before, cue in pairwise([None, *cues]):
        assert cue is not None
        seconds = cue.end - cue.start
        speed = sum(map(width, cue.lines)) / seconds
        first = position
        for line, spans in zip(cue.lines, cue.spans, strict=True):
            own_times = [span[1:] for span in spans]  # a long word has several spans
            position += sum(a != b for a, b in pairwise([times, *own_times]))
            times = own_times[-1]
            ended = position - 1 in timed.ends
            last = _ENDS.search(line)
            token = last[1].rstrip(_CLOSING + "'\"") if last else ""
            initial = len(token) == 2 and token[0].isupper() and token[1] == "."
            if not ended and (token in short or initial):
                yield "ends on an abbreviation", cue
            text += "".join(line.split())
            if line[-1] in _OPENING and (line[-1] != "“" or language != "de"):  # there it closes
                yield "opening mark at the end", cue
            if line[0] in _CLOSING:
                yield "closing mark in front", cue
            if width(line) > norm.columns:
                yield "line too wide", cue
            if not ended and last and last[1].lower() in _SMALL.get(language, ()):
                yield "ends on a small word", cue
            if parse and 0 < position < len(timed.words) and not timed.words[position - 1].space:
                near = timed.words[max(0, position - 24) : position + 24]
                around = "".join(word.text + word.space for word in near)
                at = sum(len(word.text + word.space) for word in timed.words[max(0, position - 24) : position])
                same = timed.words[position - 1].paragraph == timed.words[position].paragraph
                edges, reach = set(), 0
                for phrase in parse(around):
                    reach += len(phrase)
                    edges.add(reach)
                if same and not ended and at not in edges:
                    yield "phrase broken", cue
        own = timed.words[first:position]
        checks = {
            "more than 2 lines": len(cue.lines) > 2,
            "overlap": before is not None and cue.start < before.end,
            "gap of 1-79 ms": before is not None and 0.0005 < cue.start - before.end < GAP_SECONDS - 0.0005,
            "under 5/6 s": seconds < 5 / 6 - 0.0015,
            "over 7 s": seconds > 7.0015,
            "across a paragraph": len({word.paragraph for word in own}) > 1,
            "across voices": len({word.voice for word in own}) > 1 or own[0].voice != cue.voice,
            "across a pause": any(b.start - a.end > MAX_PAUSE_SECONDS for a, b in pairwise(own)),
            "faster than the norm": speed > norm.speed + 0.05,
            "faster by a fifth": speed > norm.speed * 20 / 17 + 0.05,
        }
        yield from ((kind, cue) for kind, broken in checks.items() if broken)
    if position != len(timed.words) or text != "".join("".join(word.text.split()) for word in timed.words):
        yield "text differs", cues[-1]


_SMALL = {
    "en": {"a", "an", "the", "my", "your", "his", "her", "of", "and", "or", "but", "with", "from", "to"},
    "de": {"der", "die", "das", "den", "dem", "ein", "eine", "und", "oder", "von", "mit", "vom", "zum"},
    "fr": {"le", "la", "les", "un", "une", "des", "de", "du", "et", "ou", "à", "au"},
    "es": {"el", "la", "los", "las", "un", "una", "de", "del", "y", "o", "a", "con"},
}


def measure(language: str, words: int) -> tuple[Counter[str], list[Cue], Timed]:
    given = timed(language, words)
    cues = list(iter_cues(given.words, CaptionStyle(), language=language, audio_seconds=given.words[-1].end + 1))
    return Counter(kind for kind, _ in violations(cues, given, language)), cues, given


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", nargs=2, metavar=("LANGUAGE", "KIND"))
    arguments = parser.parse_args()
    if arguments.show:
        language, kind = arguments.show
        given = timed(language, WORDS[language])
        cues = list(iter_cues(given.words, CaptionStyle(), language=language, audio_seconds=given.words[-1].end + 1))
        for name, cue in violations(cues, given, language):
            if kind in name:
                print(f"{cue.index} {cue.start:.3f}-{cue.end:.3f}  {' / '.join(cue.lines)}")
        return 0
    counts, facts = {}, {}
    for language, words in WORDS.items():
        counts[language], cues, given = measure(language, words)
        facts[language] = {"words": len(given.words), "cues": len(cues), **counts[language]}
    print(in_words(machine()), "\n")
    rows = [[kind, *(facts[language].get(kind, 0) for language in WORDS)] for kind in ("words", "cues", *HARD, *SOFT)]
    print(table(["", *WORDS], rows))
    write_results("captions", {"languages": facts})
    return int(any(count[kind] for count in counts.values() for kind in HARD))


if __name__ == "__main__":
    raise SystemExit(main())

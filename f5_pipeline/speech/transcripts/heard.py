"""What of a cue is heard: no speaker labels, no descriptions of sounds, and rolling captions unrolled."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from f5_pipeline.speech.transcripts.entries import TimedText
from f5_pipeline.speech.transcripts.text import clean_cue, join_texts, parse_time


@dataclass
class Cue:
    """A cue as it is written: line of its times in the file (in JSON its number), times in s, lines of text, word times
    if any."""

    place: int
    start: float
    end: float
    lines: list[str]
    words: list[TimedText] | None = None


_STAMP = re.compile(r"<((?:\d+:)?\d\d:\d\d\.\d{3})>")
_HOLD_SECONDS = 0.05
"""Rolling captions hold the finished line for 10 ms between two cues."""


def unrolled(cues: list[Cue]) -> Iterator[Cue]:
    """YouTube's automatic captions, each line once, with the times of its words; other cues as they are.

    Such a cue shows the line before and, below it, the new one with a stamp before each word but the first.
    """
    plain = [{text for line in cue.lines if (text := clean_cue(line))} for cue in cues]
    rolling = sum(bool(before & after) for before, after in pairwise(plain))
    if 3 * rolling < len(cues) or not any(_STAMP.search(line) for cue in cues for line in cue.lines):
        yield from cues
        return
    shown: list[str] = []  # the last lines
    for cue in cues:
        if cue.end - cue.start <= _HOLD_SECONDS:
            continue
        for line in cue.lines:
            text = clean_cue(line)
            if not text or (text in shown[-2:] and not _STAMP.search(line)):
                continue
            shown.append(text)
            yield _stamped(cue, line) if _STAMP.search(line) else Cue(cue.place, cue.start, cue.end, [line])


def _stamped(cue: Cue, line: str) -> Cue:
    first, *rest = _STAMP.split(line)
    starts = [cue.start, *(parse_time(stamp) or cue.start for stamp in rest[::2])]
    spoken = [(clean_cue(text), start) for text, start in zip([first, *rest[1::2]], starts, strict=True)]
    spoken = [(text, start) for text, start in spoken if text]
    ends = [start for _, start in spoken[1:]] + [cue.end]
    words = [
        TimedText(text=text, start=start, end=max(start, end)) for (text, start), end in zip(spoken, ends, strict=True)
    ]
    for index, word in enumerate(words):
        following = words[index + 1].text if index + 1 < len(words) else ""
        word.space = join_texts([word.text, following])[len(word.text) :].removesuffix(following) if following else ""
    return Cue(cue.place, cue.start, cue.end, [join_texts(word.text for word in words)], words)


_SOUNDS = re.compile(r"[\[(（【][^\])）】\n]{1,80}[\])）】]|[♪♫#]{1,4}[^♪♫\n]{0,200}[♪♫]+|[♪♫]+")
_SPEAKER = re.compile(r"\s*(?:>>+\s*)?(?:\[([^\]\n]{1,40})\]:?|([^\W\d_][\w .'’-]{0,30}):|(>>+))\s*(?=\S)")


def without_labels(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Cues without what nobody says: the name of a speaker before the text, and descriptions such as [music].

    A name counts where brackets, arrows or capitals show it, or where it stands before half of the cues.
    """
    cues = list(cues)
    labels = labels_of(cues)
    for cue in cues:
        lines = [rest if sure else line for line in cue.lines for _, rest, sure in [split_label(line, labels)]]
        lines = ["" if _is_sound(line) else line for line in lines]
        if cue.words and lines != cue.lines:
            cue.words = None  # the words would no longer spell the text
        cue.lines = lines
        yield cue


def labels_of(cues: Collection[Cue]) -> frozenset[str]:
    """What stands like a speaker's name before half of the cues, and is one therefore."""
    counts = Counter(label for cue in cues if cue.lines and (label := split_label(cue.lines[0])[0]))
    return frozenset(label for label, count in counts.items() if count >= 2 and 2 * count >= len(cues))


def split_label(line: str, labels: Collection[str] = ()) -> tuple[str | None, str, bool]:
    """What may be the name of a speaker before a line, the rest of it, and whether it surely is one.

    Args:
        labels: names that are known to be such.
    """
    match = _SPEAKER.match(line)
    if match is None or (match[1] is not None and line[match.end(1) + 1 : match.end(1) + 2] != ":"):
        return None, line, False  # "[music]" is no name
    label = next(filter(None, match.groups()))
    plain = label.isupper() or label.startswith(">") or label.lower().startswith("speaker") or match[1] is not None
    return label, line[match.end() :], plain or label in labels


def _is_sound(line: str) -> bool:
    """Whether a line only describes what is heard beside the speech, or is sung."""
    return bool(line.strip()) and not any(character.isalnum() for character in _SOUNDS.sub("", clean_cue(line)))

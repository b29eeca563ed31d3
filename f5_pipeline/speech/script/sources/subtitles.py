"""Subtitles (SRT, WebVTT) to be dubbed: each is spoken in its own time. Read as transcripts are: rolling captions and
overlaps likewise.

A name before a line, or in <v Name>, is a voice where there is one of this name. Descriptions of sounds, and what is
sung, are not spoken. A subtitle of several speakers is divided among them by the letters of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from f5_pipeline.speech.script.decoding import Block, Slot, decode, listed
from f5_pipeline.speech.script.front_matter import Header
from f5_pipeline.speech.script.sources import ScriptText
from f5_pipeline.speech.transcripts.cues import spoken_cues, srt_cues, vtt_cues
from f5_pipeline.speech.transcripts.heard import Cue, labels_of, split_label
from f5_pipeline.speech.transcripts.text import clean_cue

MAX_LISTED_SOUNDS = 8
"""Descriptions that the note about them shows."""

_VOICE = re.compile(r"<v(?:\.[^\s<>]{1,60})*[ \t]+([^<>\n]{1,100})>")
# Round brackets within a line are text: "the Union (EU) is".
_SOUND = re.compile(
    r"[♪♫][^♪♫]*(?:[♪♫]+|$)|^#[^#\n]{1,200}#$|[\[【][^\]】]{1,120}[\]】]|^\([^()]{1,120}\)", re.MULTILINE
)


@dataclass
class _Part:
    """Lines of a speaker in a cue; `otherwise`: as they stand in the file, where the name may be none."""

    speaker: str | None
    text: str
    otherwise: str


@dataclass
class _Dialogue(Cue):
    parts: list[_Part] = field(default_factory=list)


def read(data: bytes, file: str, gen_file: Callable[[str], bytes] | None) -> ScriptText:
    """See `sources.read_source`."""
    text = decode(data, file)
    is_vtt = text.lstrip().startswith("WEBVTT") or file.lower().endswith(".vtt")
    reader = _Reader()
    blocks: list[Block] = []
    for cue, segment in spoken_cues((vtt_cues if is_vtt else srt_cues)(text, file), file, reader.heard):
        assert isinstance(cue, _Dialogue)
        assert segment.start is not None and segment.end is not None
        at, share = segment.start, (segment.end - segment.start) / sum(len(part.text) for part in cue.parts)
        for part in cue.parts:
            seconds = len(part.text) * share
            slot = Slot(round(at, 3), max(round(seconds, 3), 0.001), part.speaker, part.otherwise)
            blocks.append(Block("paragraph", [(cue.place, part.text)], slot))
            at += seconds
    return ScriptText(Header(), blocks, file, notes=reader.notes())


class _Reader:
    """What is heard of cues, by speaker; collects what is not."""

    def __init__(self) -> None:
        self._sounds: dict[str, list[int]] = {}

    def notes(self) -> list[str]:
        if not self._sounds:
            return []
        lines = listed((str(line) for line in sorted({n for places in self._sounds.values() for n in places})), 20)
        return [
            f"sounds and songs are not spoken: {listed(islice(self._sounds, MAX_LISTED_SOUNDS + 1), MAX_LISTED_SOUNDS)}"
            f" (line{'s' if ',' in lines else ''} {lines})"
        ]

    def heard(self, cues: Iterable[Cue]) -> Iterator[Cue]:
        cues = list(cues)
        labels = labels_of(cues)
        for cue in cues:
            parts = [part for part in self._parts(cue, labels) if any(map(str.isalnum, part.text))]
            yield _Dialogue(cue.place, cue.start, cue.end, [part.text for part in parts], parts=parts)

    def _parts(self, cue: Cue, labels: frozenset[str]) -> Iterator[_Part]:
        """Lines by speaker, as far as they can be told."""
        first, *voiced = _VOICE.split("\n".join(cue.lines))
        for speaker, text in [(None, first), *zip(voiced[::2], voiced[1::2], strict=True)]:
            part = _Part(speaker, "", "")
            for line in filter(None, map(clean_cue, text.split("\n"))):
                label, rest, sure = split_label(line, labels)
                if label is not None and speaker is None:
                    yield self._spoken(part, cue.place)
                    named = None if label.startswith(">") else label
                    part = _Part(named, rest, rest if sure else line)
                else:
                    part.text, part.otherwise = f"{part.text}\n{line}", f"{part.otherwise}\n{line}"
            yield self._spoken(part, cue.place)

    def _spoken(self, part: _Part, place: int) -> _Part:
        for match in _SOUND.finditer(part.text):
            self._sounds.setdefault(clean_cue(match[0]), []).append(place)
        return _Part(part.speaker, *(clean_cue(_SOUND.sub(" ", text)) for text in (part.text, part.otherwise)))

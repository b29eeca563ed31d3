"""Timing files of a narration: one table for production, download service, page and metadata.

To add a format, write its module beside these and add its line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from f5_pipeline.speech.captions.srt import write_srt
from f5_pipeline.speech.captions.vtt import write_vtt
from f5_pipeline.speech.captions.word_files import write_words_csv, write_words_json
from f5_pipeline.speech.file_format import FileFormat

if TYPE_CHECKING:
    from f5_pipeline.speech.captions.cues import Cue
    from f5_pipeline.speech.timeline import TimedWord

WORD_TIMES, CAPTIONS = "Word times", "Captions"
"""Groups of formats, for people."""


@dataclass(frozen=True)
class TimedNarration:
    """The input of a writer.

    Attributes:
        words: returns the words with their times, in order; each call starts from the beginning.
        cues: returns the caption cues likewise, in the script's caption style.
        meta: narration, revision, title, seconds.
    """

    words: Callable[[], Iterable[TimedWord]]
    cues: Callable[[], Iterable[Cue]]
    meta: Mapping[str, Any]


@dataclass(frozen=True)
class CaptionFormat(FileFormat):
    """A kind of timing file.

    Attributes:
        write: writes a narration to a new file at the path, in flat memory.
    """

    write: Callable[[TimedNarration, Path], None]


def as_text(write: Callable[[TimedNarration, TextIO], object]) -> Callable[[TimedNarration, Path], None]:
    """Make a writer of text files (UTF-8, no byte order mark, newlines unchanged) from one that writes to a stream."""

    def write_file(narration: TimedNarration, path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="\n") as out:
            write(narration, out)

    return write_file


FORMATS: dict[str, CaptionFormat] = {
    file_format.suffix: file_format
    for file_format in (
        CaptionFormat(
            ".words.csv", "text/csv; charset=utf-8", WORD_TIMES, "CSV",
            as_text(lambda narration, out: write_words_csv(narration.words(), out)),
        ),
        CaptionFormat(
            ".words.json", "application/json", WORD_TIMES, "JSON",
            as_text(lambda narration, out: write_words_json(narration.words(), out, narration.meta)),
        ),
        CaptionFormat(
            ".srt", "application/x-subrip; charset=utf-8", CAPTIONS, "SubRip",
            as_text(lambda narration, out: write_srt(narration.cues(), out)),
        ),
        CaptionFormat(
            ".vtt", "text/vtt; charset=utf-8", CAPTIONS, "WebVTT",
            as_text(lambda narration, out: write_vtt(narration.cues(), out)),
        ),
    )
}  # fmt: skip
"""By suffix, in the order in which a manifest lists them."""

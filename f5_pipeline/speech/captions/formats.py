"""Timing files of a narration: one table for production, download service, page and metadata.

To add a format, write its module beside these and add its line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from f5_pipeline.errors import InputError
from f5_pipeline.speech.captions.ass import usual_look, write_ass
from f5_pipeline.speech.captions.srt import write_srt
from f5_pipeline.speech.captions.ttml import write_ttml
from f5_pipeline.speech.captions.vtt import write_vtt
from f5_pipeline.speech.captions.word_files import write_words_csv, write_words_json, write_words_parquet
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
        meta: narration, revision, title, language, seconds.
        voices: names of several voices, which captions tell apart; empty where one speaks or cues show the names.
    """

    words: Callable[[], Iterable[TimedWord]]
    cues: Callable[[], Iterable[Cue]]
    meta: Mapping[str, Any]
    voices: Sequence[str] = ()


@dataclass(frozen=True)
class CaptionFormat(FileFormat):
    """A kind of timing file.

    Attributes:
        write: writes a narration to a new file at the path.
        usual: whether it is written where a script asks for nothing.
        needs: module that must be installed, and the extra of this package that brings it.
    """

    write: Callable[[TimedNarration, Path], object]
    usual: bool = True
    needs: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """What a script calls it: "srt", "words.csv"."""
        return self.suffix[1:]


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
            as_text(lambda narration, out: write_vtt(narration.cues(), out, voices=bool(narration.voices))),
        ),
        CaptionFormat(
            ".words.vtt", "text/vtt; charset=utf-8", CAPTIONS, "WebVTT with the times of words",
            as_text(lambda narration, out: write_vtt(
                narration.cues(), out, voices=bool(narration.voices), words=True
            )),
            usual=False,
        ),
        CaptionFormat(
            ".ass", "text/x-ssa; charset=utf-8", CAPTIONS, "ASS with karaoke",
            as_text(lambda narration, out: write_ass(
                narration.cues(), out, narration.meta["title"], usual_look(narration.meta["language"])
            )),
            usual=False,
        ),
        CaptionFormat(
            ".ttml", "application/ttml+xml; charset=utf-8", CAPTIONS, "TTML (IMSC 1.1)",
            as_text(lambda narration, out: write_ttml(
                narration.cues(), out, language=narration.meta["language"], title=narration.meta["title"],
                voices=narration.voices,
            )),
            usual=False,
        ),
        CaptionFormat(
            ".words.parquet", "application/vnd.apache.parquet", WORD_TIMES, "Parquet",
            lambda narration, path: write_words_parquet(narration.words(), path),
            usual=False, needs=("pyarrow", "tables"),
        ),
    )
}  # fmt: skip
"""By suffix, in the order in which a manifest lists them."""


def chosen_formats(names: Sequence[str]) -> list[CaptionFormat]:
    """The formats to write, in the order of the table: all usual word times, and the captions among `names`, or the
    usual ones where none is.

    Args:
        names: as in the table; of "words.csv" the last part will do, where no format is called so.

    Raises:
        InputError: a name is unknown, or what its format needs is not installed.
    """
    named = [named_format(name) for name in names]
    captions = any(known.group == CAPTIONS for known in named)
    return [
        known
        for known in FORMATS.values()
        if known in named or (known.usual and not (captions and known.group == CAPTIONS))
    ]


def named_format(name: str) -> CaptionFormat:
    """The format of this name: see `chosen_formats`. Raises InputError."""
    known = FORMATS.get(f".{name}") or next((f for f in FORMATS.values() if f.name.endswith(f".{name}")), None)
    if known is None:
        listed = ", ".join(known.name for known in FORMATS.values())
        raise InputError(f"there is no caption format {name!r}", hint=f"The formats are {listed}.")
    if known.needs and find_spec(known.needs[0]) is None:
        module, extra = known.needs
        raise InputError(
            f"{known.name} needs the package {module}, which is not installed",
            hint=f"Install it: pip install 'f5-pipeline[{extra}]'.",
        )
    return known

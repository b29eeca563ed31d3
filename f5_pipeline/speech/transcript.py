"""Transcripts: what is said in a recording, with times where the file has them.

Reads plain text, SubRip (SRT), WebVTT, CSV and TSV tables, Audacity label tracks and the JSON of the Whisper family
(openai-whisper, faster-whisper, whisperX, whisper.cpp, the verbose_json of OpenAI's API, Hugging Face pipelines).

The caption formats are parsed here because the known libraries repair or drop what is malformed without a word; a
transcript decides which audio is kept for cloning, so every doubt must become an error that names the line.
"""

from __future__ import annotations

import csv
import html
import io
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, Field

from f5_pipeline.errors import InputError

MAX_BYTES = 50_000_000
"""Largest transcript accepted, bytes: hundreds of hours of Whisper JSON."""

OVERLAP_TOLERANCE = 0.05
"""Overlap of neighbours, s, taken for rounding and closed at the later one's start."""

FORMATS = ("txt", "srt", "vtt", "csv", "json")


class TimedText(BaseModel):
    """A word with its times in the recording, spelled and punctuated as in the segment's text."""

    text: str
    start: float = Field(ge=0, description="s from the recording's start")
    end: float = Field(ge=0, description="s from the recording's start")
    space: str = Field(default=" ", description="what stands between it and the next word: a blank, or nothing")


class TranscriptSegment(BaseModel):
    """A cue, a row or a Whisper segment. Where there are words, their texts and spaces joined are its text."""

    text: str
    start: float | None = Field(default=None, ge=0, description="s from the recording's start")
    end: float | None = Field(default=None, ge=0, description="s from the recording's start")
    words: list[TimedText] | None = None


class Transcript(BaseModel):
    """What is said in a recording: at least one segment, in order; all of them timed or none."""

    segments: list[TranscriptSegment] = Field(min_length=1)

    @property
    def timed(self) -> bool:
        """Whether every segment has a start and an end."""
        return all(segment.start is not None and segment.end is not None for segment in self.segments)

    @property
    def text(self) -> str:
        """The whole text on one line."""
        return join_texts(segment.text for segment in self.segments)


def read_transcript(data: bytes, name: str) -> Transcript:
    """Read a transcript, recognising its format by content first and by the extension of `name` second.

    Args:
        data: the file's bytes: UTF-8 with or without byte order mark, UTF-16 or UTF-32 with one.
        name: file name, for the extension and for messages.

    Raises:
        InputError: the file is empty, in another encoding or format, or malformed; with line or segment and the mend.
    """
    text = decode_text(data, name)
    kind = _recognise(text, name)
    if kind == "txt":
        segments = [TranscriptSegment(text=_need_text(_clean(text), name, 1))]
    elif kind == "srt":
        segments = _read_srt(text, name)
    elif kind == "vtt":
        segments = _read_vtt(text, name)
    elif kind == "csv":
        segments = _read_table(text, name)
    else:
        segments = _read_json(text, name)
    return Transcript(segments=segments)


def decode_text(data: bytes, name: str) -> str:
    """Decode a text file by its byte order mark, else as UTF-8; line ends become newlines.

    Raises:
        InputError: empty, too large, binary, or in another encoding.
    """
    if not data.strip():
        raise InputError("the transcript is empty", file=name, mend="Write into it what is said in the recording.")
    if len(data) > MAX_BYTES:
        raise InputError(
            f"the transcript has {len(data) / 1e6:.0f} MB, more than {MAX_BYTES / 1e6:.0f} MB",
            file=name,
            mend="Give the transcript of this recording alone, as text, SRT, VTT, CSV or Whisper JSON.",
        )
    # UTF-32's mark begins with UTF-16's: it must be asked for first.
    marks = ((b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"))
    marks += ((b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
    encoding = next((encoding for mark, encoding in marks if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, errors="replace")
        raise InputError(
            f"byte {error.start + 1} (0x{data[error.start]:02x}) is not {encoding.upper().replace('-SIG', '')}",
            file=name,
            place=_count_lines(before),
            mend="Save the file as UTF-8.",
        ) from error
    if "\0" in text:
        raise InputError(
            "holds NUL characters: it is a binary file, or UTF-16 without a byte order mark",
            file=name,
            place=_count_lines(text[: text.index("\0")]),
            mend="Save it as plain text in UTF-8.",
        )
    if not text.strip("\ufeff \t\r\n"):
        raise InputError("the transcript is empty", file=name, mend="Write into it what is said in the recording.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def join_texts(texts: Iterable[str]) -> str:
    """Join texts with blanks, or with nothing where Chinese or Japanese characters meet."""
    joined = ""
    for text in texts:
        if joined and text and not (_is_unspaced(joined[-1]) and _is_unspaced(text[0])):
            joined += " "
        joined += text
    return joined


def _is_unspaced(character: str) -> bool:
    """Whether a character belongs to a script written without blanks: Han, kana, their punctuation, Thai and kin."""
    code = ord(character)
    return (
        0x2E80 <= code <= 0x9FFF
        or 0xF900 <= code <= 0xFAFF
        or 0xFF00 <= code <= 0xFF65
        or 0x20000 <= code <= 0x3FFFF
        or 0x0E00 <= code <= 0x0EFF
        or 0x1000 <= code <= 0x109F
        or 0x1780 <= code <= 0x17FF
    )


def _count_lines(text: str) -> int:
    return len(re.findall(r"\r\n|\r|\n", text)) + 1


# --- recognising ------------------------------------------------------------------------------------------------------

_ARROW = re.compile(r"^[ \t]*[\d:.,]+[ \t]*-->", re.MULTILINE)
_LABELS = re.compile(r"^-?\d+([.,]\d+)?\t-?\d+([.,]\d+)?(\t|$)")


def _recognise(text: str, name: str) -> str:
    suffix = PurePath(name).suffix.lower()
    if re.match(r"\s*WEBVTT(\s|$)", text):
        return "vtt"
    if suffix == ".json":
        return "json"
    if text.lstrip().startswith(("{", "[")) and suffix != ".csv":
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            return "json"
    if _ARROW.search(text):
        return "vtt" if suffix == ".vtt" else "srt"
    if re.match(r"\s*\[Script Info\]", text, re.IGNORECASE) or suffix in (".ass", ".ssa", ".ttml", ".sbv", ".docx"):
        raise InputError(
            f"the transcript format {suffix or 'of this file'} is not read",
            file=name,
            mend="Convert it to SRT, VTT, CSV, Whisper JSON or plain text.",
        )
    if suffix in (".csv", ".tsv") or all(_LABELS.match(line) for line in text.splitlines() if line.strip()):
        return "csv"
    if suffix in (".srt", ".vtt"):
        raise InputError(
            f"no time line of the form 00:00:01{',' if suffix == '.srt' else '.'}000 --> 00:00:02"
            f"{',' if suffix == '.srt' else '.'}500 is in this {suffix[1:].upper()} file",
            file=name,
            place=1,
            mend="Name the file .txt if it is plain text.",
        )
    if suffix not in ("", ".txt", ".text", ".md", ".lab"):
        raise InputError(
            f"a transcript with the extension {suffix} is not known",
            file=name,
            mend="Give it as .txt, .srt, .vtt, .csv or .json.",
        )
    return "txt"


# --- text and times ---------------------------------------------------------------------------------------------------

_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<\d[\d:.]*>")
_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
# A hyphen that marks a change of speaker stands before a letter or blank; "-5" is a number.
_SPEAKER_HYPHEN = re.compile(r"^[ \t]*[-–—‐‑]+[ \t]*(?=[^\s\d-])", re.MULTILINE)


def _clean(text: str) -> str:
    """Spoken text on one line: no invisible characters, no speaker hyphens, single blanks, composed Unicode."""
    text = unicodedata.normalize("NFC", text)
    # Joiners (U+200C, U+200D) spell words in Persian and Indic scripts and stay.
    text = "".join(
        character
        for character in text
        if character in "\n\t\u200c\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cn")
    )
    return join_texts(" ".join(line.split()) for line in _SPEAKER_HYPHEN.sub("", text).splitlines() if line.strip())


def _clean_cue(text: str) -> str:
    """`_clean` for captions: tags, overrides, karaoke stamps and entities are gone too."""
    return _clean(html.unescape(_OVERRIDE.sub("", _TAG.sub("", text))))


def _need_text(text: str, name: str, place: int | str) -> str:
    if not any(character.isalnum() for character in text):
        raise InputError(
            "no text is there", file=name, place=place, mend="Write what is said there, or remove the entry."
        )
    return text


# Bounded digits: a number of hundreds of them is no time, and no float.
_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,3}):(\d{1,2}(?:[.,]\d{1,12})?)")
_NUMBER = re.compile(r"(\d{1,12}(?:[.,]\d{1,20})?|[.,]\d{1,20})\s*(ms|msec|s|sec|secs|seconds)?", re.IGNORECASE)


def _parse_time(text: str) -> float | None:
    """Seconds of "12.5", "12,5", "1:02.5", "0:01:02,500", "12.5 s" or "1500 ms"; negative ones too; else None."""
    text = text.strip()
    sign = 1.0
    if text[:1] in ("-", "−"):
        sign, text = -1.0, text[1:].lstrip()
    if match := _CLOCK.fullmatch(text):
        seconds = float(match[3].replace(",", "."))
        if seconds >= 60 or (match[1] and int(match[2]) >= 60):
            return None
        return sign * (int(match[1] or 0) * 3600 + int(match[2]) * 60 + seconds)
    if match := _NUMBER.fullmatch(text):
        seconds = float(match[1].replace(",", "."))
        return sign * (seconds / 1000 if (match[2] or "").lower().startswith("ms") else seconds)
    return None


class _Timeline:
    """Checks that spans follow each other, and closes overlaps that are mere rounding."""

    def __init__(self, name: str, *, instants: bool = False) -> None:
        self.name = name
        self.instants = instants
        self.last: TranscriptSegment | TimedText | None = None
        self.last_place: int | str = 0

    def add(self, span: TranscriptSegment | TimedText, place: int | str, what: str) -> None:
        start, end = span.start, span.end
        if start is None or end is None:
            return
        if end < start or (end == start and not self.instants):
            raise InputError(
                f"the {what} ends at {end:.3f} s, {'before' if end < start else 'when'} it starts ({start:.3f} s)",
                file=self.name,
                place=place,
                mend="Give it an end that is later than its start.",
            )
        last = self.last
        if last is not None and last.end is not None and last.start is not None and start < last.end:
            if start < last.start or last.end - start > OVERLAP_TOLERANCE:
                raise InputError(
                    f"the {what} starts at {start:.3f} s, before the one at {self.last_place} ends ({last.end:.3f} s)",
                    file=self.name,
                    place=place,
                    mend="Put the entries in order of time, without overlap.",
                )
            last.end = start
        self.last, self.last_place = span, place


def _segment(text: str, start: float, end: float, name: str, place: int | str) -> TranscriptSegment:
    if start < 0 or end < 0:
        raise InputError(
            f"the time {min(start, end):.3f} s is negative",
            file=name,
            place=place,
            mend="Count times from the recording's start.",
        )
    return TranscriptSegment(text=text, start=start, end=end)


# --- SRT and VTT ------------------------------------------------------------------------------------------------------

_CUE_TIMES = re.compile(r"\s*(-?[\d:.,]+)\s*-->\s*(-?[\d:.,]+)(?:\s+(.*))?")
_CUE_CLOCK = re.compile(r"-?(?:\d+:)?\d{1,2}:\d{1,2}[.,]\d{1,3}|-?\d+:\d{1,2}:\d{1,2}")


def _cue_times(line: str, name: str, number: int) -> tuple[float, float]:
    match = _CUE_TIMES.fullmatch(line)
    times = [_parse_time(part) if _CUE_CLOCK.fullmatch(part) else None for part in match.groups()[:2]] if match else []
    if len(times) != 2 or times[0] is None or times[1] is None:
        raise InputError(
            f"the time line {line.strip()[:80]!r} cannot be read",
            file=name,
            place=number,
            mend="Write it as 00:00:01,000 --> 00:00:02,500.",
        )
    return times[0], times[1]


def _read_srt(text: str, name: str) -> list[TranscriptSegment]:
    return _cues(text.split("\n"), 0, name)


def _read_vtt(text: str, name: str) -> list[TranscriptSegment]:
    lines = text.split("\n")
    first = next(index for index, line in enumerate(lines) if line.strip())
    if lines[first].startswith("WEBVTT"):
        # The header block runs to the first blank line.
        while first < len(lines) and lines[first].strip() and "-->" not in lines[first]:
            first += 1
    return _cues(lines, first, name, blocks=("NOTE", "STYLE", "REGION"))


def _cues(lines: list[str], index: int, name: str, blocks: tuple[str, ...] = ()) -> list[TranscriptSegment]:
    """Cues of an SRT or VTT file from line `index` (from 0) on: [identifier], time line, text up to a blank line."""
    segments: list[TranscriptSegment] = []
    timeline = _Timeline(name)
    while index < len(lines):
        if not lines[index].strip():
            index += 1
            continue
        if any(re.match(rf"{block}(\s|$)", lines[index]) for block in blocks):
            while index < len(lines) and lines[index].strip():
                index += 1
            continue
        if "-->" not in lines[index]:
            # An identifier: a number (SRT) or anything (VTT) directly above a time line.
            if index + 1 < len(lines) and "-->" in lines[index + 1]:
                index += 1
            else:
                raise InputError(
                    f"{lines[index].strip()[:60]!r} belongs to no cue",
                    file=name,
                    place=index + 1,
                    mend="Give it a time line, or remove the blank line above it if it belongs to the cue before.",
                )
        place = index + 1
        start, end = _cue_times(lines[index], name, place)
        index += 1
        body: list[str] = []
        while index < len(lines) and lines[index].strip():
            if "-->" in lines[index]:
                raise InputError(
                    "a time line stands inside a cue's text",
                    file=name,
                    place=index + 1,
                    mend="Put a blank line before each cue.",
                )
            body.append(lines[index])
            index += 1
        segment = _segment(_need_text(_clean_cue("\n".join(body)), name, place), start, end, name, place)
        timeline.add(segment, place, "cue")
        segments.append(segment)
    if not segments:
        raise InputError("no cue is in the file", file=name, mend="Give at least one cue with its times and text.")
    _refuse_rolling(segments, name)
    return segments


def _refuse_rolling(segments: list[TranscriptSegment], name: str) -> None:
    """Rolling captions (YouTube's automatic ones) show each line two or three times: their text is not what is said."""
    pairs = list(pairwise(segments))
    rolling = sum(later.text.startswith(earlier.text) and len(earlier.text) > 8 for earlier, later in pairs)
    if len(pairs) >= 3 and rolling * 3 > len(pairs):
        raise InputError(
            f"{rolling} of {len(segments)} cues repeat the text of the cue before (rolling captions)",
            file=name,
            mend="Give captions in which each word stands once.",
        )


# --- tables -----------------------------------------------------------------------------------------------------------

_START_NAMES = {"start", "begin", "from", "in", "onset", "start time", "begin time", "time start", "starttime", "tmin"}
_START_NAMES |= {"segment start", "cue start", "start timestamp", "time in", "timecode in", "begintime", "xmin", "t0"}
_END_NAMES = {"end", "stop", "to", "out", "offset", "end time", "stop time", "time end", "endtime", "tmax", "finish"}
_END_NAMES |= {"segment end", "cue end", "end timestamp", "time out", "timecode out", "stoptime", "xmax", "t1"}
_LENGTH_NAMES = {"duration", "length", "dur"}
# Best name first: "segment" is the text only where nothing better is.
_TEXT_NAMES = ["text", "transcript", "transcription", "caption", "subtitle", "sentence", "utterance", "content", "line"]
_TEXT_NAMES += ["words", "word", "spoken text", "label", "cue", "segment"]
_OTHER_NAMES = {"", "id", "index", "no", "nr", "number", "n", "#", "speaker", "name", "voice", "confidence", "language"}
_OTHER_NAMES |= {"probability", "score", "avg logprob", "no speech prob", "segment id", "cue id", "channel", "file"}


def _read_table(text: str, name: str) -> list[TranscriptSegment]:
    """CSV or TSV with start, end (or duration) and text, or text alone; with or without a header."""
    rows, delimiter = _table_rows(text, name)
    if not rows:
        raise InputError("the table has no rows", file=name, place=1, mend="Add a row for each phrase.")
    header_line, header = rows[0]
    if _parse_time(header[0]) is None and not (len(header) == 1 and header[0].strip().lower() not in _TEXT_NAMES):
        columns, scale = _columns(header, name, header_line)
        expected, rows = len(header), rows[1:]
    elif len(header) == 3 or (len(header) > 3 and _parse_time(header[1]) is not None):
        columns, scale = {"start": 0, "end": 1, "text": 2}, {}
        expected = 3
    else:
        raise InputError(
            f"the first row has {len(header)} column(s) and no header; start, end and text are needed",
            file=name,
            place=header_line,
            mend='Begin the file with a row "start,end,text".',
        )
    if not rows:
        raise InputError("the table has a header and no rows", file=name, place=1, mend="Add a row for each phrase.")
    text_is_last = columns["text"] == expected - 1
    entries: list[tuple[int, str, float | None, float | None]] = []
    for line, cells in rows:
        if text_is_last and len(cells) > expected:
            # Text in the last column with unquoted delimiters: nothing else can follow it, so it is put together again.
            rest = delimiter.join(cells[expected - 1 :])
            if re.match(r"\s*\d+[.,]\d", rest) and delimiter == ",":
                raise InputError(
                    f"the row has {len(cells)} cells instead of {expected}; its times seem to have decimal commas",
                    file=name,
                    place=line,
                    mend="Separate columns with semicolons, or write times with decimal points.",
                )
            cells = [*cells[: expected - 1], rest]
        if not max(columns.values()) < len(cells) <= expected:
            raise InputError(
                f"the row has {len(cells)} cells instead of {expected}",
                file=name,
                place=line,
                mend=f"Quote cells that contain {'a tab' if delimiter == chr(9) else repr(delimiter)}.",
            )
        times: dict[str, float] = {}
        for key in ("start", "end", "length"):
            if key in columns:
                value = _parse_time(cells[columns[key]])
                if value is None:
                    raise InputError(
                        f"{cells[columns[key]].strip()[:40]!r} is not a time",
                        file=name,
                        place=line,
                        mend="Write times as seconds (12.5) or as 00:00:12.500.",
                    )
                times[key] = value * scale.get(key, 1.0)
        start = times.get("start")
        end = times["end"] if "end" in times else start + times["length"] if start is not None and times else None
        entries.append((line, _need_text(_clean_cue(cells[columns["text"]]), name, line), start, end))
    factor = 1.0 if scale else _guess_unit(rows, columns, entries)
    segments: list[TranscriptSegment] = []
    timeline = _Timeline(name)
    for line, words, start, end in entries:
        if start is None or end is None:
            segments.append(TranscriptSegment(text=words))
            continue
        segment = _segment(words, start * factor, end * factor, name, line)
        timeline.add(segment, line, "row")
        segments.append(segment)
    return segments


def _table_rows(text: str, name: str) -> tuple[list[tuple[int, list[str]]], str]:
    """Rows with the line each begins on, and the delimiter: the one that gives the first row most columns."""
    first = next(line for line in text.split("\n") if line.strip())
    # A quoted cell hides its delimiters from the count; between equals, the tab is the safest, the comma the weakest.
    bare = re.sub(r'"[^"]*"', "", first)
    delimiter = max("\t;,", key=lambda mark: (bare.count(mark) >= 2, mark != "," and mark in bare, bare.count(mark)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"the table cannot be read: {error}",
            file=name,
            place=line,
            mend='Put cells with quotes or delimiters into double quotes, and double each quote inside ("").',
        ) from error
    return rows, delimiter


def _columns(header: list[str], name: str, line: int) -> tuple[dict[str, int], dict[str, float]]:
    """Columns by meaning, and the factor to seconds of those that name a unit."""
    columns: dict[str, int] = {}
    scale: dict[str, float] = {}
    texts: list[tuple[int, int]] = []
    unknown: list[str] = []
    for position, cell in enumerate(header):
        label = re.sub(r"[_\-./]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cell.strip())).lower()
        unit = re.search(r"[\[(]?\b(ms|msec|millis|milliseconds|s|sec|secs|seconds|hh:mm:ss.*|mm:ss.*)[\])]*$", label)
        plain = " ".join((label[: unit.start()] if unit else label).split())
        if plain in _START_NAMES:
            key = "start"
        elif plain in _END_NAMES:
            key = "end"
        elif plain in _LENGTH_NAMES:
            key = "length"
        elif " ".join(label.split()) in _TEXT_NAMES:
            texts.append((_TEXT_NAMES.index(" ".join(label.split())), position))
            continue
        else:
            if " ".join(label.split()) not in _OTHER_NAMES:
                unknown.append(cell.strip())
            continue
        if key in columns:
            raise InputError(
                f"the columns {header[columns[key]].strip()!r} and {cell.strip()!r} both give the {key}",
                file=name,
                place=line,
                mend="Keep one of them.",
            )
        columns[key] = position
        if unit:
            scale[key] = 0.001 if unit[1].startswith("m") and ":" not in unit[1] else 1.0
    if texts:
        columns["text"] = min(texts)[1]
    mend = 'Name the columns "start", "end" and "text" (times in s).'
    if unknown:
        names = ", ".join(repr(label) for label in unknown)
        raise InputError(
            f"the column {names} is not known" if len(unknown) == 1 else f"the columns {names} are not known",
            file=name,
            place=line,
            mend=mend,
        )
    if "text" not in columns:
        raise InputError("no column holds the text", file=name, place=line, mend=mend)
    if "end" in columns:
        columns.pop("length", None)
    if ("start" in columns) != ("end" in columns or "length" in columns):
        missing = "an end" if "start" in columns else "a start"
        raise InputError(f"no column gives {missing}", file=name, place=line, mend=mend)
    return columns, scale


def _guess_unit(rows: list[tuple[int, list[str]]], columns: dict[str, int], entries: list) -> float:
    """0.001 where a table without units counts milliseconds, as openai-whisper's .tsv does; else 1.

    Whole numbers throughout and less than one character in 3 s: read as seconds, no one speaks so slowly (speech has 10
    to 20 characters a second).
    """
    timed = [key for key in ("start", "end", "length") if key in columns]
    if not timed or not all(cells[columns[key]].strip().isdigit() for _, cells in rows for key in timed):
        return 1.0
    seconds = sum(end - start for _, _, start, end in entries)
    return 0.001 if sum(len(text) for _, text, _, _ in entries) < 0.33 * seconds else 1.0


# --- Whisper JSON -----------------------------------------------------------------------------------------------------


def _read_json(text: str, name: str) -> list[TranscriptSegment]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"not valid JSON: {error.msg} at column {error.colno}",
            file=name,
            place=error.lineno,
            mend="Give the JSON file as Whisper wrote it.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            "the JSON cannot be read: nested too deeply or with numbers too large",
            file=name,
            mend="Give the JSON file as Whisper wrote it.",
        ) from error
    entries, loose_words = _json_entries(data, name)
    segments: list[TranscriptSegment] = []
    # Whisper itself writes segments that end when they start.
    timeline = _Timeline(name, instants=True)
    for number, entry in enumerate(entries, 1):
        place = f"segment {number}"
        if not isinstance(entry, dict):
            raise InputError(
                f"a {type(entry).__name__} stands where an object with text, start and end is expected",
                file=name,
                place=place,
                mend="Give the JSON file as Whisper wrote it.",
            )
        words = entry.get("words") or []
        if not isinstance(words, list):
            raise InputError(
                "its words are not a list", file=name, place=place, mend="Give them as Whisper wrote them."
            )
        raw = entry.get("text")
        if raw is None and words:
            raw = "".join(_word_text(word) for word in words)
            if not any(character.isspace() for character in raw.strip()):
                raw = join_texts(_word_text(word) for word in words)
        if not isinstance(raw, str):
            raise InputError('it has no "text"', file=name, place=place, mend='Give each segment a "text".')
        cleaned = _clean(raw)
        if not cleaned and not words:
            # openai-whisper empties segments in which nothing is said and leaves them in its list.
            continue
        _need_text(cleaned, name, place)
        start, end = _json_times(entry, name, place)
        segment = TranscriptSegment(text=cleaned)
        if start is not None and end is not None:
            segment = _segment(cleaned, start, end, name, place)
        timeline.add(segment, place, "segment")
        if words:
            segment.words = _fit_words(segment, words, name, place)
        segments.append(segment)
    if not segments:
        raise InputError("no segment has text", file=name, mend="Give the JSON file as Whisper wrote it.")
    if loose_words and not any(segment.words for segment in segments):
        _hand_out(segments, loose_words, name)
    if len({segment.start is None for segment in segments}) > 1:
        number = next(number for number, segment in enumerate(segments, 1) if segment.start is None)
        raise InputError(
            "it has no times, while other segments have",
            file=name,
            place=f"segment {number}",
            mend="Give times to all segments or to none.",
        )
    return segments


def _json_entries(data: Any, name: str) -> tuple[list, list]:
    """Segments, and words that stand beside them, of every shape of the Whisper family."""
    if isinstance(data, list):
        if data and all(isinstance(item, dict) and "word" in item and "text" not in item for item in data):
            return [{"words": data}], []
        return data, []
    if isinstance(data, dict):
        for key in ("segments", "chunks", "transcription"):
            if isinstance(data.get(key), list) and data[key]:
                words = data.get("words") or data.get("word_segments") or []
                return data[key], words if isinstance(words, list) else []
        words = data.get("words") or data.get("word_segments")
        if isinstance(words, list) and words:
            return [{"words": words, **({"text": data["text"]} if isinstance(data.get("text"), str) else {})}], []
        if isinstance(data.get("text"), str):
            return [{"text": _need_text(_clean(data["text"]), name, "text")}], []
    raise InputError(
        "the JSON holds no segments",
        file=name,
        mend='Give an object with "segments", or a list of objects with text, start and end.',
    )


def _json_times(entry: dict, name: str, place: str) -> tuple[float | None, float | None]:
    start, end = entry.get("start"), entry.get("end")
    pair = entry.get("timestamp")
    if isinstance(pair, list) and len(pair) == 2:
        start, end = pair
    offsets = entry.get("offsets")
    if isinstance(offsets, dict):
        # whisper.cpp counts milliseconds here.
        start, end = (_json_time(offsets.get(key), name, place) for key in ("from", "to"))
        start, end = (None if value is None else value / 1000 for value in (start, end))
    words = entry.get("words") or []
    if start is None and end is None and words:
        times = [_json_times({**word, "words": None}, name, place) for word in words if isinstance(word, dict)]
        start = next((time[0] for time in times if time[0] is not None), None)
        end = next((time[1] for time in reversed(times) if time[1] is not None), None)
    start, end = _json_time(start, name, place), _json_time(end, name, place)
    if (start is None) != (end is None):
        raise InputError(
            "it has a start and no end" if end is None else "it has an end and no start",
            file=name,
            place=place,
            mend="Give both times.",
        )
    return start, end


def _json_time(value: Any, name: str, place: str) -> float | None:
    if value is None:
        return None
    seconds = _parse_time(value) if isinstance(value, str) else value
    try:
        # bool is an int to Python and no time to anyone.
        number = math.nan if isinstance(seconds, bool) or seconds is None else float(seconds)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{value!r} is not a time", file=name, place=place, mend="Write times as seconds (12.5).")
    return number


def _word_text(word: Any) -> str:
    text = (word.get("word") or word.get("text") or "") if isinstance(word, dict) else ""
    return text if isinstance(text, str) else ""


def _fit_words(segment: TranscriptSegment, words: list, name: str, place: str) -> list[TimedText]:
    """Times of words onto the segment's text: each word gets its piece of the text, with punctuation and blank.

    Words without letters or digits, and words without times (whisperX leaves numerals untimed), join their neighbour.

    Raises:
        InputError: the words do not spell the text, or their times are malformed.
    """
    spelled: list[tuple[str, float | None, float | None]] = []
    for word in words:
        core = "".join(filter(str.isalnum, _clean(_word_text(word)).casefold()))
        start, end = _json_times({**word, "words": None}, name, place) if isinstance(word, dict) else (None, None)
        if start is not None and end is not None and min(start, end) < 0:
            raise InputError(
                f"the time {min(start, end):.3f} s is negative", file=name, place=place, mend="Count times from 0."
            )
        spelled.append((core, start, end))
    letters = [index for index, character in enumerate(segment.text) if character.isalnum()]
    folded = [segment.text[index].casefold() for index in letters]
    # Some letters fold to two ("ß"): places in the folded text lead back to the letter.
    origin = [letters[n] for n, piece in enumerate(folded) for _ in filter(str.isalnum, piece)]
    if "".join(core for core, _, _ in spelled) != "".join(filter(str.isalnum, "".join(folded))):
        raise InputError(
            f"its words do not spell its text {segment.text[:60]!r}",
            file=name,
            place=place,
            mend="Correct the words too, or remove them from the file.",
        )
    timed: list[TimedText] = []
    timeline = _Timeline(name, instants=True)
    starts: list[int] = []
    cursor = 0
    open_end = False
    pending: int | None = None  # first letter of untimed words that precede any timed one
    for core, start, end in spelled:
        if not core:
            if timed and end is not None:
                timed[-1].end = max(timed[-1].end, end)
            continue
        first = origin[cursor]
        cursor += len(core)
        if start is None or end is None:
            if not timed:
                pending = first if pending is None else pending
            open_end = bool(timed)
            continue
        # An untimed word belongs to the one before it, which then lasts until the next known time.
        begin = first if pending is None else pending
        if pending is not None and segment.start is not None:
            start = min(start, segment.start)
        if open_end:
            timed[-1].end = max(timed[-1].end, start)
        pending, open_end = None, False
        word = TimedText(text="", start=start, end=end)
        timeline.add(word, place, f"word {segment.text[first : first + len(core)]!r}")
        timed.append(word)
        starts.append(begin)
    if open_end and segment.end is not None:
        timed[-1].end = max(timed[-1].end, segment.end)
    if not timed:
        return []
    _spread(timed, starts, segment)
    if segment.start is not None and segment.end is not None:
        slack = 0.5
        if timed[0].start < segment.start - slack or timed[-1].end > segment.end + slack:
            raise InputError(
                f"its words run from {timed[0].start:.3f} to {timed[-1].end:.3f} s, outside its own times "
                f"({segment.start:.3f} to {segment.end:.3f} s)",
                file=name,
                place=place,
                mend="Give the JSON file as Whisper wrote it.",
            )
    return timed


def _spread(words: list[TimedText], starts: list[int], segment: TranscriptSegment) -> None:
    """Divide the segment's text among its words at the blank, else before an opening mark, else before the word."""
    edges = [0]
    for first in starts[1:]:
        gap_start = first
        while gap_start > 0 and not segment.text[gap_start - 1].isalnum():
            gap_start -= 1
        gap = segment.text[gap_start:first]
        blank = max((index for index, character in enumerate(gap) if character.isspace()), default=-1)
        opening = next((i for i, mark in enumerate(gap) if unicodedata.category(mark) in ("Ps", "Pi")), len(gap))
        edges.append(gap_start + (blank + 1 if blank >= 0 else opening))
    edges.append(len(segment.text))
    for word, begin, end in zip(words, edges, edges[1:], strict=False):
        piece = segment.text[begin:end]
        word.text = piece.rstrip()
        word.space = piece[len(word.text) :]


def _hand_out(segments: list[TranscriptSegment], words: list, name: str) -> None:
    """Give each segment its share of a list of words that covers them all (verbose_json, whisperX)."""
    key: Callable[[str], str] = lambda text: "".join(filter(str.isalnum, _clean(text).casefold()))  # noqa: E731
    cursor = 0
    for number, segment in enumerate(segments, 1):
        target, share, spelled = key(segment.text), [], ""
        while cursor < len(words) and (len(spelled) < len(target) or not key(_word_text(words[cursor]))):
            spelled += key(_word_text(words[cursor]))
            share.append(words[cursor])
            cursor += 1
        segment.words = _fit_words(segment, share, name, f"segment {number}")

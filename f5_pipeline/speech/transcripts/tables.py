"""CSV and TSV tables and Audacity label tracks: rows with times."""

from __future__ import annotations

import csv
import io
import re

from f5_pipeline.errors import InputError
from f5_pipeline.speech.transcripts.entries import Timeline, TranscriptSegment, timed_segment
from f5_pipeline.speech.transcripts.text import clean_cue, need_text, parse_time

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


_LJSPEECH = re.compile(r"[\w./-]{1,200}\|[^|\n]+(\|[^|\n]*)?$")


def read_table(text: str, name: str) -> list[TranscriptSegment]:
    """CSV or TSV with start, end (or duration) and text, or text alone; with or without a header."""
    rows, delimiter = _table_rows(text, name)
    if not rows:
        raise InputError("the table has no rows", file=name, place=1, hint="Add a row for each phrase.")
    header_line, header = rows[0]
    if _LJSPEECH.match(text.split("\n")[header_line - 1]):
        raise InputError(
            "this is the list of a data set (LJSpeech: id|text|text), not the transcript of one recording",
            file=name,
            place=header_line,
            hint="Put the text of this recording into a .txt of its own.",
        )
    if parse_time(header[0]) is None and not (len(header) == 1 and header[0].strip().lower() not in _TEXT_NAMES):
        columns, scale = _columns(header, name, header_line)
        expected, rows = len(header), rows[1:]
    elif len(header) == 3 or (len(header) > 3 and parse_time(header[1]) is not None):
        columns, scale = {"start": 0, "end": 1, "text": 2}, {}
        expected = 3
    else:
        raise InputError(
            f"the first row has {len(header)} column(s) and no header; start, end and text are needed",
            file=name,
            place=header_line,
            hint='Begin the file with a row "start,end,text".',
        )
    if not rows:
        raise InputError("the table has a header and no rows", file=name, place=1, hint="Add a row for each phrase.")
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
                    hint="Separate columns with semicolons, or write times with decimal points.",
                )
            cells = [*cells[: expected - 1], rest]
        if not max(columns.values()) < len(cells) <= expected:
            raise InputError(
                f"the row has {len(cells)} cells instead of {expected}",
                file=name,
                place=line,
                hint=f"Quote cells that contain {'a tab' if delimiter == chr(9) else repr(delimiter)}.",
            )
        times: dict[str, float] = {}
        for key in ("start", "end", "length"):
            if key in columns:
                value = parse_time(cells[columns[key]])
                if value is None:
                    raise InputError(
                        f"{cells[columns[key]].strip()[:40]!r} is not a time",
                        file=name,
                        place=line,
                        hint="Write times as seconds (12.5) or as 00:00:12.500.",
                    )
                times[key] = value * scale.get(key, 1.0)
        start = times.get("start")
        end = times["end"] if "end" in times else start + times["length"] if start is not None and times else None
        entries.append((line, need_text(clean_cue(cells[columns["text"]]), name, line), start, end))
    factor = 1.0 if scale else _guess_unit(rows, columns, entries)
    segments: list[TranscriptSegment] = []
    timeline = Timeline(name)
    for line, words, start, end in entries:
        if start is None or end is None:
            segments.append(TranscriptSegment(text=words))
            continue
        segment = timed_segment(words, start * factor, end * factor, name, line)
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
            hint='Put cells with quotes or delimiters into double quotes, and double each quote inside ("").',
        ) from error
    return rows, delimiter


def _columns(header: list[str], name: str, line: int) -> tuple[dict[str, int], dict[str, float]]:
    """Position of each column by its meaning, and the factor to seconds of those that name a unit."""
    columns: dict[str, int] = {}
    scale: dict[str, float] = {}
    texts: list[tuple[int, int]] = []
    unknown: list[str] = []
    for position, cell in enumerate(header):
        spaced = re.sub(r"[_\-./]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cell)).lower()
        # On one line: with a line feed before the cell's end, the pattern below would try each bracket as its end.
        label = " ".join(spaced.split())
        unit = re.search(r"[\[(]?\b(ms|msec|millis|milliseconds|s|sec|secs|seconds|hh:mm:ss.*|mm:ss.*)[\])]*$", label)
        plain = (label[: unit.start()] if unit else label).strip()
        if plain in _START_NAMES:
            key = "start"
        elif plain in _END_NAMES:
            key = "end"
        elif plain in _LENGTH_NAMES:
            key = "length"
        elif label in _TEXT_NAMES:
            texts.append((_TEXT_NAMES.index(label), position))
            continue
        else:
            if label not in _OTHER_NAMES:
                unknown.append(cell.strip())
            continue
        if key in columns:
            raise InputError(
                f"the columns {header[columns[key]].strip()!r} and {cell.strip()!r} both give the {key}",
                file=name,
                place=line,
                hint="Keep one of them.",
            )
        columns[key] = position
        if unit:
            scale[key] = 0.001 if unit[1].startswith("m") and ":" not in unit[1] else 1.0
    if texts:
        columns["text"] = min(texts)[1]
    hint = 'Name the columns "start", "end" and "text" (times in s).'
    if unknown:
        names = ", ".join(repr(label) for label in unknown)
        raise InputError(
            f"the column {names} is not known" if len(unknown) == 1 else f"the columns {names} are not known",
            file=name,
            place=line,
            hint=hint,
        )
    if "text" not in columns:
        raise InputError("no column holds the text", file=name, place=line, hint=hint)
    if "end" in columns:
        columns.pop("length", None)
    if ("start" in columns) != ("end" in columns or "length" in columns):
        missing = "an end" if "start" in columns else "a start"
        raise InputError(f"no column gives {missing}", file=name, place=line, hint=hint)
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

"""Lexicons as files: our CSV, and the Pronunciation Lexicon Specification (PLS 1.0, W3C 2008), the XML of others."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from f5_pipeline.errors import InputError
from f5_pipeline.speech.text.lexicon import MAX_ENTRIES, Entry, checked_entry

COLUMNS = tuple(Entry.model_fields)
MAX_BYTES = 8 << 20

_PLS = "http://www.w3.org/2005/01/pronunciation-lexicon"
_LANG = "http://www.w3.org/XML/1998/namespace lang"
_TRUE = frozenset({"true", "yes", "1", "x"})
_FALSE = frozenset({"false", "no", "0", ""})


def read_lexicon(data: bytes, file: str) -> list[Entry]:
    """The entries of a CSV file, or of a PLS file where its name ends in .pls or .xml.

    Raises:
        InputError: with the line: it is too large or not of this form, or an entry is wrong or stands twice.
    """
    return (read_pls if file.lower().endswith((".pls", ".xml")) else read_csv)(data, file)


def read_csv(data: bytes, file: str) -> list[Entry]:
    """Entries of a CSV file: a header with `written` and any of the other `COLUMNS`, or two columns, written and said.

    Raises: as `read_lexicon`.
    """
    text = _text(data, file)
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    entries = _Entries(file)
    columns: Sequence[str] = ()
    try:
        for row in lines:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not columns:
                columns = _columns(cells, file, lines.line_num)
                if columns is not _PLAIN:
                    continue
            if len(cells) > len(columns) and any(cells[len(columns) :]):
                raise InputError(
                    f"{len(cells)} values in {len(columns)} columns",
                    file=file,
                    place=lines.line_num,
                    hint="Put values with commas in double quotes.",
                )
            fields: dict[str, Any] = dict(zip(columns, cells, strict=False))
            for name in ("match_case", "part_of_words"):
                if name in fields:
                    fields[name] = _flag(fields[name], name, file, lines.line_num)
            entries.add(fields, lines.line_num)
    except csv.Error as error:
        raise InputError(
            f"not CSV: {error}", file=file, place=lines.line_num, hint="Save it as CSV with commas, in UTF-8."
        ) from None
    return entries.all


_PLAIN = ("written", "said")


def _columns(cells: list[str], file: str, line: int) -> Sequence[str]:
    names = [cell.lower() for cell in cells]
    if "written" not in names:
        if len([cell for cell in cells if cell]) == len(_PLAIN):
            return _PLAIN
        raise InputError(
            "there is no column 'written'", file=file, place=line, hint=f"The columns are {', '.join(COLUMNS)}."
        )
    for name in names:
        if name not in COLUMNS or names.count(name) > 1:
            close = get_close_matches(name, COLUMNS, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"The columns are {', '.join(COLUMNS)}."
            problem = "stands twice" if name in COLUMNS else "is unknown"
            raise InputError(f"the column {name!r} {problem}", file=file, place=line, hint=hint)
    return names


def _flag(value: str, name: str, file: str, line: int) -> bool:
    if value.lower() not in _TRUE | _FALSE:
        raise InputError(f"{name} cannot be {value!r}", file=file, place=line, hint="Write true, or nothing.")
    return value.lower() in _TRUE


def write_csv(entries: Iterable[Entry]) -> bytes:
    """A CSV file with all columns, in UTF-8."""
    out = io.StringIO(newline="")
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for entry in entries:
        rows.writerow("true" if value is True else value or "" for value in entry.model_dump().values())
    return out.getvalue().encode()


def read_pls(data: bytes, file: str) -> list[Entry]:
    """Entries of a PLS file: one for each grapheme of a lexeme, with its alias and its preferred or first IPA.

    Raises: as `read_lexicon`; also where it declares a document type or another alphabet than IPA.
    """
    _check_size(data, file)
    reader = _PlsReader(file)
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        message = expat.ErrorString(error.code)
        raise InputError(f"not XML: {message}", file=file, place=error.lineno, hint="Correct the line.") from None
    except (LookupError, ValueError) as error:  # an encoding that Python does not know
        raise InputError(f"not XML: {error}", file=file, place=1, hint="Save it in UTF-8.") from None
    if not reader.is_lexicon:
        raise InputError(
            "not a lexicon of PLS 1.0", file=file, place=1, hint=f'It begins with <lexicon xmlns="{_PLS}">.'
        )
    return reader.entries.all


class _PlsReader:
    """Reads elements as they come, so that each error has its line; a document type, and with it every entity, is
    refused."""

    def __init__(self, file: str) -> None:
        self.file, self.entries = file, _Entries(file)
        self.is_lexicon = False
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self._language = self._alphabet = ""
        self._text: list[str] = []
        self._depth = 0
        self._lexeme: dict[str, list[str]] = {}
        self._line = 1
        self._preferred = False

    def _error(self, message: str, hint: str) -> InputError:
        return InputError(message, file=self.file, place=self.parser.CurrentLineNumber, hint=hint)

    def _refuse(self, *_: Any) -> None:
        raise self._error("it declares a document type", "Remove the line <!DOCTYPE …>.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._text = []
        local = name.removeprefix(f"{_PLS} ")
        if self._depth == 1:
            self.is_lexicon = name == f"{_PLS} lexicon"
            self._language = attributes.get(_LANG, "")
            self._alphabet = attributes.get("alphabet", "ipa")
        elif local == "lexeme":
            self._lexeme, self._line = {"grapheme": [], "phoneme": [], "alias": []}, self.parser.CurrentLineNumber
        elif local == "phoneme" and (alphabet := attributes.get("alphabet", self._alphabet)).lower() != "ipa":
            raise self._error(f"the alphabet {alphabet!r} cannot be read", "Write phonemes in IPA.")
        self._preferred = attributes.get("prefer") == "true"

    def _characters(self, text: str) -> None:
        self._text.append(text)

    def _end(self, name: str) -> None:
        self._depth -= 1
        local, text = name.removeprefix(f"{_PLS} "), "".join(self._text).strip()
        self._text = []
        if local in self._lexeme:
            self._lexeme[local].insert(0 if self._preferred else len(self._lexeme[local]), text)
        elif local == "lexeme":
            for written in self._lexeme["grapheme"]:
                ipa, said = (next(iter(self._lexeme[kind]), "") for kind in ("phoneme", "alias"))
                self.entries.add({"written": written, "said": said, "ipa": ipa, "language": self._language}, self._line)
            self._lexeme = {}


def write_pls(entries: Iterable[Entry], language: str) -> bytes:
    """A PLS file of entries in one language; their scopes and rules of case have no place in it."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<lexicon version="1.0" xmlns="{_PLS}" alphabet="ipa" xml:lang={quoteattr(language)}>',
    ]
    for entry in entries:
        said = f"<alias>{escape(entry.said)}</alias>" if entry.said else ""
        ipa = f"<phoneme>{escape(entry.ipa)}</phoneme>" if entry.ipa else ""
        lines.append(f"  <lexeme><grapheme>{escape(entry.written)}</grapheme>{ipa}{said}</lexeme>")
    return "\n".join([*lines, "</lexicon>", ""]).encode()


class _Entries:
    """Entries as they are read from a file, none twice."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._lines: dict[tuple[object, ...], int] = {}
        self.all: list[Entry] = []

    def add(self, fields: dict[str, Any], line: int) -> None:
        entry = checked_entry(fields, self._file, line)
        if (before := self._lines.setdefault(entry.identity, line)) != line:
            raise InputError(
                f"{entry.written!r} stands on line {before} already",
                file=self._file,
                place=line,
                hint="Keep one of the two, or give them other languages, voices or narrations.",
            )
        if len(self.all) == MAX_ENTRIES:
            raise InputError(f"more than {MAX_ENTRIES} entries", file=self._file, place=line, hint="Leave some out.")
        self.all.append(entry)


def _check_size(data: bytes, file: str) -> None:
    if len(data) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES >> 20} MiB", file=file, hint="Split it.")


def _text(data: bytes, file: str) -> str:
    _check_size(data, file)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8", file=file, place=line, hint="Save it in UTF-8.") from None

"""Metadata for people: pictures, tables, durations."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from f5_pipeline.speech.timeline import SlotFit

MAX_ROWS = 25
"""Rows of a table: metadata is kept in the event database."""


def picture(png: bytes, name: str) -> dg.MarkdownMetadataValue:
    """A small PNG, at most tens of kB, that the UI shows inline."""
    return dg.MetadataValue.md(f"![{name}](data:image/png;base64,{base64.b64encode(png).decode()})")


def table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """A table of the first rows; every row has the same columns."""
    shown = rows[:MAX_ROWS]
    kinds = {bool: "bool", int: "int", float: "float"}
    schema = dg.TableSchema(
        columns=[
            dg.TableColumn(name, kinds.get(type(value), "string"))
            for name, value in (shown[0] if shown else {}).items()
        ]
    )
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in shown], schema=schema)


def sentences(name: str, values: Sequence[str]) -> dict[str, Any]:
    """A list of sentences under `name`; nothing where there are none."""
    lines = [f"- {markdown_text(value)}" for value in values[:MAX_ROWS]]
    return {name: dg.MetadataValue.md("\n".join(lines))} if lines else {}


def slots_metadata(slots: SlotFit | None, name: str) -> dict[str, Any]:
    """How many subtitles there are and, under `name`, those that do not fit their slots."""
    if slots is None:
        return {}
    rows = [misfit.model_dump() for misfit in slots.misfits]
    return {"cues": slots.cues, f"{name}_count": slots.unfit, **({name: table(rows)} if rows else {})}


def format_duration(value: float) -> str:
    """A duration for people: 4.2 s, 3:07 min, 1:02:09 h."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def markdown_text(text: str) -> str:
    """Escape text for Markdown."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|" else c for c in text)

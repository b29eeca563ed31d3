"""What was measured and heard of delivered takes: one table across narrations, a Parquet file a month.

Needs the extra `tables`. A row is a chunk of a delivered narration, in the month in which its revision was made.
Takes of engines that are not measured, such as drafts, have no row.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from f5_pipeline.errors import InputError, NotFoundError
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record
from f5_pipeline.studio.narrating.gate import hearing_of
from f5_pipeline.studio.narrating.gathering import read_takes
from f5_pipeline.studio.narrating.scripts import list_scripts
from f5_pipeline.studio.records import Audio, ChosenTake, Manifest, PlannedChunk, Takes
from f5_pipeline.studio.state import find_state

if TYPE_CHECKING:
    import pandas

# Columns and their types in pandas; the measures of the gate (float64) follow them.
COLUMNS = {
    "narration": "string", "revision": "string", "chunk": "int32", "line": "int32", "chapter": "int32",
    "heading": "string", "voice": "string", "language": "string", "engine": "string", "model": "string",
    "preset": "string", "words": "int32", "seconds": "float64", "attempts": "int32",
    "doubtful": "bool", "why": "string", "heard_words": "Int32", "word_errors": "Int32", "similarity": "Float64",
    "misheard": "object",
}  # fmt: skip


def measured_rows(store: Store, narration: str) -> tuple[str, list[dict[str, Any]]]:
    """The month (YYYY-MM) in which a narration's newest revision was made, and a row for each measured chunk of it.

    Raises:
        InputError: nothing is delivered. StoreError: its records are damaged.
    """
    found = _delivered(store, narration)
    if found is None:
        raise InputError(
            f"nothing is delivered of {narration!r}", hint=f"Narrate it first: f5-pipeline narrate {narration}."
        )
    month, audio, takes = found
    return month, list(_rows(store, audio, takes))


def _delivered(store: Store, narration: str) -> tuple[str, Audio, Takes] | None:
    audio, takes = find_state(store, Audio, narration), find_state(store, Takes, narration)
    if audio is None or takes is None or takes.digest != audio.takes:
        return None
    manifest = find_record(store, layout.manifest(narration, audio.revision), Manifest)
    return (manifest.created[:7], audio, takes) if manifest else None


def _rows(store: Store, audio: Audio, takes: Takes) -> Iterator[dict[str, Any]]:
    plan, chapter, heading = audio.plan, 0, ""
    whole = {
        "narration": audio.narration,
        "revision": audio.revision,
        "engine": plan.engine,
        "model": plan.model or "",
        "preset": plan.preset or "",
    }
    within_heading = False
    for planned, chosen in read_takes(store, plan, takes):
        chunk = planned.chunk
        if chunk.heading:  # a long heading has several chunks
            chapter, heading = (
                (chapter, f"{heading} {chunk.written}") if within_heading else (chapter + 1, chunk.written)
            )
        within_heading = chunk.heading
        if chosen.take.measures is not None:
            yield whole | {"chapter": chapter, "heading": heading[:80]} | _row(planned, chosen)


def _row(planned: PlannedChunk, chosen: ChosenTake) -> dict[str, Any]:
    chunk, take, hearing = planned.chunk, chosen.take, hearing_of(chosen.take)
    measures = {name: value for name, value in (take.measures or {}).items() if isinstance(value, (int, float))}
    heard = hearing.differences if hearing else None
    return {
        **{name: float(value) for name, value in measures.items() if name not in COLUMNS},
        "chunk": chunk.index,
        "line": chunk.line,
        "voice": chunk.voice,
        "language": chunk.language,
        "words": len(chunk.words),
        "seconds": round(take.speech_end - take.speech_start, 3),
        "attempts": chosen.attempts,
        "doubtful": bool(chosen.doubts),
        "why": " ".join(chosen.doubts),
        "heard_words": heard and heard.words,
        "word_errors": heard and heard.errors,
        "similarity": hearing and hearing.similarity,
        "misheard": [*heard.missing, *(said for said, _ in heard.changed)] if heard else [],
    }


def frame(rows: Sequence[dict[str, Any]]) -> pandas.DataFrame:
    """Rows as a table, with all COLUMNS and whatever measures they have."""
    pandas = _pandas()
    others = sorted({name for row in rows for name in row} - set(COLUMNS))
    table = pandas.DataFrame(rows, columns=[*COLUMNS, *others])
    return table.astype({**COLUMNS, **dict.fromkeys(others, "float64")})


def write_month(store: Store, month: str, narrations: Iterable[str] | None = None) -> pandas.DataFrame:
    """Write the table of a month anew, of what is delivered now; returns it.

    Args:
        month: YYYY-MM.
        narrations: only these are looked at; None: all that have a script.

    Raises:
        InputError: the extra `tables` is missing. StoreError: a narration's records are damaged.
    """
    _pandas()
    names = sorted({name for name, _ in list_scripts(store)} if narrations is None else narrations)

    def rows(name: str) -> list[dict[str, Any]]:
        found = _delivered(store, name)
        return list(_rows(store, *found[1:])) if found and found[0] == month else []

    table = frame([row for found in in_parallel(store, rows, names) for row in found])
    out = io.BytesIO()
    table.to_parquet(out, index=False, compression="zstd")
    store.replace_bytes(layout.measures(month), out.getvalue())
    return table


def read_month(store: Store, month: str) -> pandas.DataFrame | None:
    """The table of a month as it was last written; None where it never was."""
    pandas = _pandas()
    try:
        return pandas.read_parquet(io.BytesIO(store.get_bytes(layout.measures(month))))
    except NotFoundError:
        return None


def summary(table: pandas.DataFrame, by: str | None = None) -> list[dict[str, Any]]:
    """What a table says of each group, the worst first, or of all: chunks, words, word errors by heard words (percent),
    mean similarity, and the shares (percent) of chunks that are doubtful or were made again.

    Args:
        by: a column, such as chapter or voice; chapters come in their order.
    """
    if not len(table):
        return []
    groups = [("all", table)] if by is None else list(table.groupby(by, sort=True))
    rows = [
        {
            **({} if by is None else {by: int(str(name)) if by == "chapter" else name}),
            **({"heading": group["heading"].iloc[0]} if by == "chapter" else {}),
            "chunks": len(group),
            "words": int(group["words"].sum()),
            "word_error_rate": percent(group["word_errors"].sum(), group["heard_words"].sum()),
            "similarity": _mean(group["similarity"]),
            "doubtful": percent(group["doubtful"].sum(), len(group)),
            "made_again": percent((group["attempts"] > 1).sum(), len(group)),
        }
        for name, group in groups
    ]
    if by in (None, "chapter"):
        return rows
    return sorted(rows, key=lambda row: (-(row["word_error_rate"] or 0.0), -row["doubtful"]))


def misheard_words(table: pandas.DataFrame, least: int = 2) -> list[tuple[str, int]]:
    """Words that were heard otherwise or not at all in at least so many chunks, the most frequent first."""
    counts = Counter(word for runs in table["misheard"] for word in {word for run in runs for word in run.split()})
    return [(word, count) for word, count in counts.most_common() if count >= least]


def misheard_before(store: Store, language: str) -> dict[str, int]:
    """Words of a language that were misheard in at least two chunks of the last year's tables, with their chunks;
    nothing without the extra `tables`."""
    if find_spec("pandas") is None or find_spec("pyarrow") is None:
        return {}
    months = [match["month"] for stat in store.list("measures/") if (match := layout.measures.match(stat.key))]
    tables = [some for month in sorted(months)[-12:] if (some := read_month(store, month)) is not None]
    counts: Counter[str] = Counter()
    for table in tables:
        counts.update(dict(misheard_words(table.query("language == @language"), least=1)))
    return {word: count for word, count in counts.items() if count > 1}


def percent(part: Any, whole: Any) -> float | None:
    """A share in percent; None of nothing."""
    return round(100 * float(part) / float(whole), 2) if whole else None


def _mean(values: pandas.Series) -> float | None:
    known = values.dropna()
    return round(float(known.mean()), 3) if len(known) else None


def _pandas() -> Any:
    try:
        import pandas
        import pyarrow  # noqa: F401
    except ImportError:
        raise InputError(
            "tables of measures need pandas and pyarrow", hint="Install them: pip install 'f5-pipeline[tables]'."
        ) from None
    return pandas

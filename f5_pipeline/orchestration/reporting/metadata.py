"""How assets tell people what happened: failures with a hint, metadata that is worth a look."""

from __future__ import annotations

import base64
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster import DagsterError
from sqlalchemy.exc import DBAPIError

from f5_pipeline.errors import PipelineError
from f5_pipeline.speech.engine import Cancelled

MAX_ROWS = 25
"""Rows of a table in metadata: it lives in the event database and is read at a glance."""


@contextmanager
def failures() -> Iterator[None]:
    """Turn an error into a Failure that says what a person can do; what cannot pass is not tried again.

    Passing are the errors that say so, and those of the machine and the instance's database. Any other is a fault of
    ours, and comes again each time.
    """
    try:
        yield
    except PipelineError as error:
        raise failure(error) from error
    except (dg.Failure, dg.RetryRequested, Cancelled):
        raise
    except Exception as error:
        if is_retryable(error):
            raise
        raise dg.Failure(f"{type(error).__name__}: {error}", allow_retries=False) from error


def is_retryable(error: Exception) -> bool:
    """Whether an error may be gone if the same is tried again."""
    if isinstance(error, PipelineError):
        return error.retryable
    return isinstance(error, (DagsterError, OSError, MemoryError, DBAPIError))


def failure(error: PipelineError) -> dg.Failure:
    metadata = {"error": error.message, "file": error.file, "place": error.place, "hint": error.hint}
    return dg.Failure(
        str(error),
        metadata={name: str(value) for name, value in metadata.items() if value is not None},
        allow_retries=error.retryable,
    )


def partition_check(name: str, asset: str, description: str, partitions: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
    """A check with a result for each partition, which Dagster calls a preview: without it the last voice or narration
    would speak for all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(name, asset=asset, description=description, partitions_def=partitions)


class Teller:
    """Tells how far a step is, as observations of its asset, which the UI and the command line show.

    Args:
        asset: whose step it is.
        partition: of the run, or None for many.
    """

    EVERY = 3.0
    """Seconds between two tellings: each is an event in the database."""

    def __init__(self, context: dg.OpExecutionContext | dg.AssetExecutionContext, asset: str, partition: str | None):
        self._context, self._asset, self._partition = context, asset, partition
        self._told = time.monotonic()

    def __call__(self, what: str, done: int, total: int, **numbers: float) -> None:
        """Tell that `done` of `total` are done, if it is time to, or if that is all."""
        if done < total and time.monotonic() - self._told < self.EVERY:
            return
        self._told = time.monotonic()
        self._context.log_event(
            dg.AssetObservation(
                self._asset,
                partition=self._partition,
                description=f"{done} of {total} {what}",
                metadata={"what": what, "done": done, "total": total, **numbers},
            )
        )


def picture(png: bytes, name: str) -> dg.MarkdownMetadataValue:
    """A small PNG that the UI shows in its place. Keep it to tens of kB."""
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


def seconds(value: float) -> str:
    """A duration as people read it: 4.2 s, 3:07 min, 1:02:09 h."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def markdown_text(text: str) -> str:
    """Text that a person wrote, safe inside Markdown."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|" else c for c in text)

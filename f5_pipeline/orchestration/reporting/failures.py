"""Errors as Dagster's failures, with a hint, and retried only where that can help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from dagster import DagsterError

from f5_pipeline.errors import InputError, PipelineError
from f5_pipeline.speech.engine import Cancelled


@contextmanager
def failures() -> Iterator[None]:
    """Turn an error into a Failure with a hint, which Dagster retries only where that can help.

    Our own errors say whether they are retryable; those of the machine and of the instance's database are. Any other is
    a bug, which retrying does not help.
    """
    try:
        yield
    except InputError as error:  # needs no stack trace
        raise failure(error) from None
    except PipelineError as error:
        raise failure(error) from error
    except (dg.Failure, dg.RetryRequested, Cancelled):
        raise
    except Exception as error:
        if is_retryable(error):
            raise
        raise dg.Failure(f"{type(error).__name__}: {error}", allow_retries=False) from error


def is_retryable(error: Exception) -> bool:
    """Whether another attempt may succeed."""
    if isinstance(error, PipelineError):
        return error.retryable
    from sqlalchemy.exc import DBAPIError  # takes a quarter of the import of the code location

    # dagster-postgres wraps what it has tried for some seconds in an exception that is no DagsterError.
    lost = isinstance(error.__cause__, DBAPIError)
    return lost or isinstance(error, (DagsterError, OSError, MemoryError, DBAPIError))


def failure(error: PipelineError) -> dg.Failure:
    """The Failure for an error, with the error's fields as metadata."""
    metadata = {"error": error.message, "file": error.file, "place": error.place, "hint": error.hint}
    return dg.Failure(
        str(error),
        metadata={name: str(value) for name, value in metadata.items() if value is not None},
        allow_retries=error.retryable,
    )

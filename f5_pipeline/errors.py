"""Errors that a person can act on: each names the file, the place in it, the problem, and a hint."""

from __future__ import annotations


class PipelineError(Exception):
    """Base of every error whose text is meant for the user.

    Attributes:
        message: the problem, without a full stop at the end.
        file: the file, voice or narration it is about.
        place: in the file, for example a line number, a row or a time.
        hint: what the user can do about it, as an imperative sentence.
        retryable: whether the same action may succeed if it is tried again.
    """

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        place: str | int | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = message
        self.file = file
        self.place = place
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.place) if part is not None)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}. {self.hint}" if self.hint else text

    # Errors are pickled between processes: keyword-only fields must survive.
    def __reduce__(self):
        return (_rebuild, (type(self), self.message, self.file, self.place, self.hint))


def _rebuild(cls, message, file, place, hint):
    return cls(message, file=file, place=place, hint=hint)


class InputError(PipelineError):
    """An input of the user (script, recording, transcript, option) is unusable."""


class StoreError(PipelineError):
    """The store cannot be read or written."""


class NotFoundError(StoreError):
    """There is no object under this key."""


class DamagedError(StoreError):
    """The content of an object is not what was written."""


class RetryableStoreError(StoreError):
    """The store could not be read or written this time."""

    retryable = True


class EngineError(PipelineError):
    """The speech engine cannot be started or has died."""

    retryable = True

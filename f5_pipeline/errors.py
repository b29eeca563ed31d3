"""Errors that a person can act on: each names the file, the place in it, what is wrong and the mend."""

from __future__ import annotations


class PipelineError(Exception):
    """Base of every error whose text is meant for the user.

    Attributes:
        message: what is wrong, without a full stop at its end.
        file: the file, voice or narration it is about.
        place: where in it, for example a line number, a row or a time.
        mend: what the user can do about it, as an imperative sentence.
        passing: whether it may be gone if the same is tried again.
    """

    passing = False

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        place: str | int | None = None,
        mend: str | None = None,
    ) -> None:
        self.message = message
        self.file = file
        self.place = place
        self.mend = mend
        super().__init__(message)

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.place) if part is not None)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}. {self.mend}" if self.mend else text

    # Steps of a run live in other processes: keyword-only fields must survive the way back.
    def __reduce__(self):
        return (_rebuild, (type(self), self.message, self.file, self.place, self.mend))


def _rebuild(cls, message, file, place, mend):
    return cls(message, file=file, place=place, mend=mend)


class InputError(PipelineError):
    """Something that the user gave (script, recording, transcript, option) cannot be used."""


class StoreError(PipelineError):
    """The store cannot be read or written."""


class NotFoundError(StoreError):
    """No object under this key."""


class DamagedError(StoreError):
    """What came from the store is not what was written."""


class PassingStoreError(StoreError):
    """The store could not be read or written this time."""

    passing = True


class EngineError(PipelineError):
    """The speech engine cannot be started or has died."""

    passing = True

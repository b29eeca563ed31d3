"""Times as records have them: ISO 8601, UTC, to the second."""

from __future__ import annotations

from datetime import datetime, timezone


def iso_time(seconds: float | None = None) -> str:
    """A POSIX time in s, or now, for example "2025-01-31T12:00:00+00:00"."""
    moment = datetime.now(timezone.utc) if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="seconds")


def posix_time(text: str) -> float:
    """The inverse of `iso_time`, s."""
    return datetime.fromisoformat(text).timestamp()

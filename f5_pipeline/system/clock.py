"""Times in records: ISO 8601, UTC, to the second."""

from __future__ import annotations

from datetime import datetime, timezone


def iso_time(seconds: float | None = None) -> str:
    """A POSIX time in s, or now, as text: "2025-01-31T12:00:00+00:00"."""
    time = datetime.now(timezone.utc) if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)
    return time.isoformat(timespec="seconds")


def posix_time(text: str) -> float:
    """The inverse of `iso_time`, s."""
    return datetime.fromisoformat(text).timestamp()

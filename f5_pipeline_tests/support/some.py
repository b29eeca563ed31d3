"""What is there, of what may be None."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def some(value: T | None) -> T:
    """The value; fails where it is None."""
    assert value is not None
    return value

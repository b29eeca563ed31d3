"""Waiting for states: a busy machine takes its time, and what takes longer than any machine needs hangs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

HANG_SECONDS = 600

T = TypeVar("T")


def wait_for(what: str, found: Callable[[], T | None]) -> T:
    """Ask until there is an answer that is true, and return it; fail with `what` where there is none in time."""
    limit = time.monotonic() + HANG_SECONDS
    while time.monotonic() < limit:
        if answer := found():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"no {what} within {HANG_SECONDS} s")

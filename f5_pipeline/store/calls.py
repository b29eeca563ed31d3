"""Counter of the calls to an object store, by the billing classes of Backblaze B2."""

from __future__ import annotations

import threading
from collections import Counter

CLASSES = {
    "A": (
        *("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload"),
        *("DeleteObject", "DeleteObjects"),
    ),
    "B": ("GetObject", "HeadObject"),
}
"""Operations of S3 by billing class; all others are of class C.

Source: Backblaze, "B2 transaction pricing": A is free, B 0.004 USD for 10,000, C 0.004 USD for 1,000, each after 2,500
free ones a day.
"""

PRICES = {"A": 0.0, "B": 0.004 / 10_000, "C": 0.004 / 1_000}
"""USD a call, beyond the free ones."""


def billing_class(operation: str) -> str:
    """The billing class of an S3 operation: A, B or C."""
    return next((name for name, operations in CLASSES.items() if operation in operations), "C")


class Calls:
    """Counts calls by operation; threads may share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_operation: Counter[str] = Counter()
        self._taken: Counter[str] = Counter()

    def add(self, operation: str, times: int = 1) -> None:
        with self._lock:
            self._by_operation[operation] += times

    @property
    def by_operation(self) -> dict[str, int]:
        with self._lock:
            return dict(sorted(self._by_operation.items()))

    @property
    def by_class(self) -> dict[str, int]:
        """Calls by class A, B and C, zeros included."""
        return count_classes(self.by_operation)

    @property
    def untaken(self) -> dict[str, int]:
        """Calls by class since the last `take`."""
        with self._lock:
            return count_classes(self._by_operation - self._taken)

    def take(self) -> dict[str, int]:
        """Calls by class since the last `take`, for the cost of one piece of work."""
        with self._lock:
            new = self._by_operation - self._taken
            self._taken = self._by_operation.copy()
        return count_classes(new)


def count_classes(by_operation: dict[str, int]) -> dict[str, int]:
    """Sum operations by billing class."""
    counts = dict.fromkeys("ABC", 0)
    for operation, times in by_operation.items():
        counts[billing_class(operation)] += times
    return counts


def dollars(by_class: dict[str, int]) -> float:
    """Upper bound of the cost of calls, USD."""
    return sum(PRICES[name] * times for name, times in by_class.items())

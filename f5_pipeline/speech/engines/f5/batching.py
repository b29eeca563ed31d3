"""Batches of chunks that are sampled together: alike in length, as many as the device has room for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, islice, takewhile
from typing import TypeVar

T = TypeVar("T")

WINDOW = 512
"""Chunks that are sorted into batches at a time."""


def batches(
    items: Iterable[T], frames: Callable[[T], int], budget: Callable[[], int], *, window: int = WINDOW
) -> Iterator[list[T]]:
    """Group items into batches; each item is in exactly one.

    Items are pulled `window` at a time and the longest come first, so that a lack of memory shows at once.
    The last batch of a window waits for more of its like from the next one, unless it is full.

    Args:
        frames: length of an item in mel frames, reference included.
        budget: maximum frames of a batch; called before each batch, since memory may prove smaller than expected. A
            longer item is a batch of its own.
    """
    source = iter(items)
    waiting: list[T] = []
    more = True
    while more:
        pulled = list(islice(source, window))
        more = len(pulled) == window
        waiting = sorted(waiting + pulled, key=frames, reverse=True)
        while waiting:
            count = _fitting(waiting, frames, budget())
            if more and count == len(waiting):
                break
            batch, waiting = waiting[:count], waiting[count:]
            yield batch


def _fitting(items: Sequence[T], frames: Callable[[T], int], budget: int) -> int:
    """How many of the first items have `budget` frames at most; at least one."""
    sums = accumulate(map(frames, items))
    return max(1, sum(1 for _ in takewhile(lambda total: total <= budget, sums)))

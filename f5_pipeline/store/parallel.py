"""Many small objects at once, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from f5_pipeline.store.base import Store

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(store: Store, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`work` of each item, in order, as many under way at once as the store is worth; never all items in memory.

    The first error of `work` is raised in its place; what is under way then is finished, what is not is left.
    """
    if store.parallel <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(store.parallel, thread_name_prefix="store") as threads:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(threads.submit(work, item))
                if len(waiting) >= 2 * store.parallel:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

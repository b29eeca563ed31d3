"""Work on many small objects in parallel, with results in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from f5_pipeline.speech.ahead import Item, Result, ahead
from f5_pipeline.store.base import Store


def in_parallel(store: Store, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`work` of each item, in order, `store.parallel` of them at once; see `ahead`."""
    if store.parallel <= 1:
        return map(work, items)
    return ahead(work, items, threads=store.parallel, max_pending=2 * store.parallel, name="store")

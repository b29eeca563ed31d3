"""Many small objects at once, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from f5_pipeline.store.base import Store
from f5_pipeline.system.ahead import Item, Result, ahead


def in_parallel(store: Store, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`work` of each item, in order, as many under way at once as the store is worth; see `ahead`."""
    if store.parallel <= 1:
        return map(work, items)
    return ahead(work, items, threads=store.parallel, most=2 * store.parallel, name="store")

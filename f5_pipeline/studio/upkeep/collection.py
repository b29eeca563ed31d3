"""Removing what a store no longer needs. Safe beside running work, and to be killed and run again at any moment.

While it removes it reads the references again every minute, and before each removal it asks how old the object is now.
What stays open: a plan or a delivery of that minute, or one that is made and not recorded yet, that comes back to an
old take, list or revision which nothing referred to. Its run then makes it anew, or fails and makes it when it is run
again: it costs time, and nothing is lost.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from f5_pipeline.errors import NotFoundError
from f5_pipeline.store.base import ObjectStat, Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.studio.upkeep.inventory import Inventory, OnProgress, Tally, Unused


@runtime_checkable
class BucketStore(Protocol):
    """What a bucket keeps besides objects, and has to be paid for. See `f5_pipeline.store.s3.store.S3Store`."""

    def abandoned_uploads(self, grace_s: float) -> Iterator[tuple[str, str, float]]: ...

    def abort(self, key: str, upload_id: str) -> None: ...

    def old_versions(self, prefix: str = "") -> Iterator[tuple[str, str, int, float, bool]]: ...

    def delete_version(self, key: str, version_id: str) -> None: ...


def collect(
    inventory: Inventory, *, delete: bool, on_progress: OnProgress = lambda what, done, total: None
) -> dict[str, Tally]:
    """Count what is unused by kind, old versions and abandoned uploads of a bucket among it, and remove it.

    Args:
        delete: remove it; else nothing is changed.
        on_progress: called with how many were counted or removed.

    Returns:
        By kind, what was removed, or would be. What turned out to be in use, or younger than the grace time, is not
        in it. What cannot be judged is counted in `inventory.held_back`.

    Raises:
        StoreError: something cannot be removed; what was removed before is gone.
    """
    counted: dict[str, Tally] = defaultdict(Tally)
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        on_progress("removed" if delete else "found unused", done, None)

    if delete:
        for unused, removed in in_parallel(inventory.store, _remover(inventory), inventory.unused(fresh=True)):
            if removed:
                counted[unused.kind].add(len(removed), sum(stat.size for stat in removed))
                report()
    else:
        for unused in inventory.unused():
            counted[unused.kind].add(unused.objects, unused.size)
            report()
    if isinstance(inventory.store, BucketStore):
        _uploads(inventory.store, inventory.limit, delete, counted["uploads"], report)
        _versions(inventory.store, inventory.store, inventory.limit, delete, counted["old versions"], report)
    return {kind: tally for kind, tally in counted.items() if tally.count}


def _remover(inventory: Inventory) -> Callable[[Unused], tuple[Unused, list[ObjectStat]]]:
    store = inventory.store

    def remove(one: Unused) -> tuple[Unused, list[ObjectStat]]:
        found = [stat for key in one.keys for stat in ([*store.list(key)] if one.run else _stat(store, key))]
        young = any(stat.modified > inventory.limit for stat in found)
        if young or (one.run is not None and inventory.alive(one.run)):
            return one, []
        for stat in found:
            store.delete(stat.key)
        return one, found

    return remove


def _stat(store: Store, key: str) -> list[ObjectStat]:
    try:
        return [store.stat(key)]
    except NotFoundError:
        return []


def _uploads(store: BucketStore, limit: float, delete: bool, tally: Tally, report: Callable[[], None]) -> None:
    for key, upload, started in store.abandoned_uploads(max(0.0, time.time() - limit)):
        if started > limit:
            continue
        if delete:
            store.abort(key, upload)
        tally.add(1, 0)
        report()


def _versions(
    parallel: Store, store: BucketStore, limit: float, delete: bool, tally: Tally, report: Callable[[], None]
) -> None:
    """Hidden versions first, then the marks that hide them: without its mark an older version would be back."""

    def remove(version: tuple[str, str, int]) -> int:
        if delete:
            store.delete_version(*version[:2])
        return version[2]

    for marks in (False, True):
        old = (
            (key, version, size)
            for key, version, size, modified, is_mark in store.old_versions()
            if is_mark is marks and modified <= limit
        )
        for size in in_parallel(parallel, remove, old):
            tally.add(1, size)
            report()

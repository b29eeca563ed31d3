"""Garbage collection of a store. Safe beside running work, and may be killed and run again at any time.

During removal it reads the references again every minute, and checks the age of each object just before removing it.
One race remains: a plan or delivery of the last minute, or one not recorded yet, may reuse an old take, list or
revision that nothing referred to. Its run then makes it again, at once or when it is run again: this costs time, and
nothing is lost.
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
    """What a bucket bills besides its objects. See `f5_pipeline.store.s3.store.S3Store`."""

    def abandoned_uploads(self, grace_s: float) -> Iterator[tuple[str, str, float]]: ...

    def abort(self, key: str, upload_id: str) -> None: ...

    def old_versions(self, prefix: str = "") -> Iterator[tuple[str, str, int, float, bool]]: ...

    def delete_version(self, key: str, version_id: str) -> None: ...


def collect(
    inventory: Inventory, *, delete: bool, on_progress: OnProgress = lambda unit, done, total: None
) -> dict[str, Tally]:
    """Count unused objects by kind, with old versions and abandoned uploads of a bucket, and remove them.

    Args:
        delete: whether to remove them; if not, nothing is changed.
        on_progress: called with the number counted or removed.

    Returns:
        By kind, what was removed, or would be: without what proved to be in use or younger than the grace time.
        Objects that cannot be judged are counted in `inventory.held_back`.

    Raises:
        StoreError: something cannot be removed; earlier removals stand.
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
        _uploads(inventory.store, inventory.cutoff, delete, counted["uploads"], report)
        _versions(inventory.store, inventory.store, inventory.cutoff, delete, counted["old versions"], report)
    return {kind: tally for kind, tally in counted.items() if tally.count}


def _remover(inventory: Inventory) -> Callable[[Unused], tuple[Unused, list[ObjectStat]]]:
    store = inventory.store

    def remove(unused: Unused) -> tuple[Unused, list[ObjectStat]]:
        stats = [stat for key in unused.keys for stat in ([*store.list(key)] if unused.run else _stat(store, key))]
        young = any(stat.modified > inventory.cutoff for stat in stats)
        if young or (unused.run is not None and inventory.alive(unused.run)):
            return unused, []
        for stat in stats:
            store.delete(stat.key)
        return unused, stats

    return remove


def _stat(store: Store, key: str) -> list[ObjectStat]:
    try:
        return [store.stat(key)]
    except NotFoundError:
        return []


def _uploads(store: BucketStore, cutoff: float, delete: bool, tally: Tally, report: Callable[[], None]) -> None:
    for key, upload, started in store.abandoned_uploads(max(0.0, time.time() - cutoff)):
        if started > cutoff:
            continue
        if delete:
            store.abort(key, upload)
        tally.add(1, 0)
        report()


def _versions(
    parallel: Store, store: BucketStore, cutoff: float, delete: bool, tally: Tally, report: Callable[[], None]
) -> None:
    """Hidden versions first, then the delete markers: without its marker an older version would reappear."""

    def remove(version: tuple[str, str, int]) -> int:
        if delete:
            store.delete_version(*version[:2])
        return version[2]

    for markers in (False, True):
        old = (
            (key, version, size)
            for key, version, size, modified, is_marker in store.old_versions()
            if is_marker is markers and modified <= cutoff
        )
        for size in in_parallel(parallel, remove, old):
            tally.add(1, size)
            report()

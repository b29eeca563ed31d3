"""Work done ahead in threads, with results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], *, threads: int, max_pending: int, name: str = "ahead"
) -> Ahead[Result]:
    """`work` of each item, in order, with at most `max_pending` results computed ahead of the caller.

    The first error of `work`, or of `items`, is raised in its place. After that, or where the caller closes it, running
    work is finished and pending work is cancelled.
    """
    pool, pending = ThreadPoolExecutor(threads, thread_name_prefix=name), deque[Future[Result]]()
    return Ahead(pool, pending, _results(pool, pending, work, items, max_pending))


class Ahead(Generic[Result], Iterator[Result]):
    """See `ahead`. One that is dropped, not closed, is not waited for: the garbage collector may drop it, in any thread
    and with any lock held, and to wait for threads takes locks."""

    def __init__(
        self, pool: ThreadPoolExecutor, pending: deque[Future[Result]], results: Generator[Result, None, None]
    ) -> None:
        self._pool, self._pending, self._results = pool, pending, results

    def __next__(self) -> Result:
        try:
            return next(self._results)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._stop(wait=True)
        self._results.close()

    def __del__(self) -> None:
        self._stop(wait=False)

    def _stop(self, *, wait: bool) -> None:
        for future in self._pending:
            future.cancel()
        self._pool.shutdown(wait=wait)


def _results(
    pool: ThreadPoolExecutor,
    pending: deque[Future[Result]],
    work: Callable[[Item], Result],
    items: Iterable[Item],
    max_pending: int,
) -> Generator[Result, None, None]:
    failure: Exception | None = None
    source = iter(items)
    while True:
        try:
            item = next(source)
        except StopIteration:
            break
        except Exception as error:
            failure = error
            break
        pending.append(pool.submit(work, item))
        if len(pending) >= max_pending:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
    if failure is not None:
        raise failure

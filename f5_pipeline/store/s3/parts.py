"""Parts of one transfer, moved in parallel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")

MAX_REPORT_SECONDS = 0.5
"""Time between two reports of progress."""


@dataclass(frozen=True)
class Part:
    """Bytes [start, end) of an object; numbers begin with 1."""

    number: int
    start: int
    end: int


def cut(size: int, part_bytes: int) -> list[Part]:
    """The parts of `size` bytes."""
    starts = range(0, size, part_bytes)
    return [Part(number, start, min(start + part_bytes, size)) for number, start in enumerate(starts, 1)]


class Stopped(Exception):
    """Another part has failed, so this one is not finished."""


def in_threads(
    work: Callable[[Part, threading.Event], Result], parts: Sequence[Part], threads: int, report: Callable[[], None]
) -> Generator[tuple[Part, Result], None, None]:
    """Yield each part with its result of `work` as it is finished; `report` is called in this thread in between. Close
    it: to be collected, it waits for threads, which takes locks.

    After an error no part is started, the event stops running parts, and the error is raised after all finished parts
    were yielded.
    """
    stop = threading.Event()
    failed: BaseException | None = None
    with ThreadPoolExecutor(min(threads, len(parts)) or 1, thread_name_prefix="part") as pool:
        try:
            pending = {pool.submit(work, part, stop): part for part in parts}
            while pending:
                done, _ = wait(pending, timeout=MAX_REPORT_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    part = pending.pop(future)
                    error = None if future.cancelled() else future.exception()
                    if error is not None and not isinstance(error, Stopped):
                        failed = failed or error
                        stop.set()
                        for other in pending:
                            other.cancel()
                    elif error is None and not future.cancelled():
                        yield part, future.result()
                report()
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
    if failed is not None:
        raise failed

"""Many parts of one transfer at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")

TELL_SECONDS = 0.5
"""Seconds between two reports of progress, at most."""


@dataclass(frozen=True)
class Part:
    """Bytes of an object from `start` to before `end`; numbers begin with 1."""

    number: int
    start: int
    end: int


def cut(size: int, part_bytes: int) -> list[Part]:
    """The parts of `size` bytes."""
    starts = range(0, size, part_bytes)
    return [Part(number, start, min(start + part_bytes, size)) for number, start in enumerate(starts, 1)]


class Stopped(Exception):
    """Another part has failed: this one is not worth finishing."""


def in_threads(
    work: Callable[[Part, threading.Event], Result], parts: Sequence[Part], threads: int, tell: Callable[[], None]
) -> Iterator[tuple[Part, Result]]:
    """`work` of each part as it is finished; `tell` is called in this thread in between.

    After an error no part is begun, those under way are told by the event to stop, and the error is raised when all
    that were finished have been given.
    """
    stop = threading.Event()
    failed: BaseException | None = None
    with ThreadPoolExecutor(min(threads, len(parts)) or 1, thread_name_prefix="part") as pool:
        try:
            waiting = {pool.submit(work, part, stop): part for part in parts}
            while waiting:
                done, _ = wait(waiting, timeout=TELL_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    part = waiting.pop(future)
                    error = None if future.cancelled() else future.exception()
                    if error is not None and not isinstance(error, Stopped):
                        failed = failed or error
                        stop.set()
                        for other in waiting:
                            other.cancel()
                    elif error is None and not future.cancelled():
                        yield part, future.result()
                tell()
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
    if failed is not None:
        raise failed

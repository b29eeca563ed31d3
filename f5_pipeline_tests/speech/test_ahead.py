"""Work ahead in threads: order, bounds, errors in their place."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator

import pytest

from f5_pipeline.speech.ahead import ahead


def test_results_come_in_order_whatever_is_ready_first():
    second = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert second.wait(30)
        elif number == 1:
            second.set()
        return number * 10

    assert list(ahead(work, range(5), threads=2, max_pending=3)) == [0, 10, 20, 30, 40]


def test_no_more_is_taken_ahead_than_said():
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = ahead(str, items(), threads=2, max_pending=4)
    assert taken == []
    assert next(results) == "0" and len(taken) == 4
    assert next(results) == "1" and len(taken) == 5
    results.close()
    assert len(taken) == 5


def test_an_error_is_raised_in_its_place_and_nothing_more_is_begun():
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 2:
            raise ValueError(number)
        return number

    results = ahead(work, range(100), threads=1, max_pending=3)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="2"):
        next(results)
    assert max(begun) <= 4


def test_an_error_of_the_items_comes_after_the_results_before_it():
    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("the fourth")

    results = ahead(str, items(), threads=2, max_pending=10)
    assert [next(results) for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(ValueError, match="the fourth"):
        next(results)


def test_what_is_dropped_is_not_waited_for():
    """A collection may drop it where to wait would be for ever."""
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work(number: int) -> int:
        if number:
            begun.set()
            assert release.wait(60)
            ended.set()
        return number

    held: list[object] = [ahead(work, range(3), threads=1, max_pending=2)]
    held.append(held)  # only the collector drops it
    assert next(held[0]) == 0  # type: ignore[call-overload]
    assert begun.wait(60)
    del held
    gc.collect()
    assert not ended.is_set()
    release.set()


def test_what_is_closed_is_waited_for():
    begun, ended = threading.Event(), threading.Event()

    def work(number: int) -> int:
        if number:
            begun.set()
            time.sleep(0.2)
            ended.set()
        return number

    results = ahead(work, range(3), threads=1, max_pending=2)
    assert next(results) == 0
    assert begun.wait(60)
    results.close()
    assert ended.is_set()

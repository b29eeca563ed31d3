"""Chunks into batches: each once, within the budget, alike in length, pulled by the window."""

from __future__ import annotations

import random
from itertools import chain

import pytest

from f5_pipeline.speech.engines.f5.batching import batches


def grouped(lengths: list[int], budget: int, window: int = 512) -> list[list[int]]:
    return list(batches(lengths, lambda length: length, lambda: budget, window=window))


@pytest.mark.parametrize("window", [1, 2, 7, 64, 1000])
def test_every_item_is_in_one_batch_and_none_is_over_the_budget(window: int):
    lengths = [random.Random(3).randint(1, 50) for _ in range(10)] * 30
    found = grouped(lengths, 120, window)
    assert sorted(chain.from_iterable(found)) == sorted(lengths)
    assert all(sum(batch) <= 120 for batch in found)


def test_the_longest_come_first():
    assert grouped([5, 9, 1, 7, 3], 12) == [[9], [7, 5], [3, 1]]


def test_an_item_over_the_budget_is_alone():
    assert grouped([50, 3, 2], 10) == [[50], [3, 2]]


def test_a_batch_that_is_not_full_waits_for_more_of_its_like():
    # Windows of four: [8, 2, 2, 1] leaves 2, 2, 1 waiting, which the next window fills up.
    assert grouped([2, 8, 1, 2, 8, 2, 1, 2], 8, window=4) == [[8], [8], [2, 2, 2, 2], [1, 1]]


def test_items_are_pulled_by_the_window():
    pulled = []

    def items():
        for length in range(1, 101):
            pulled.append(length)
            yield length

    stream = batches(items(), lambda length: length, lambda: 40, window=10)
    next(stream)
    assert len(pulled) <= 20


def test_a_budget_that_shrinks_counts_from_the_next_batch_on():
    budget = 20
    stream = batches([10] * 6, lambda length: length, lambda: budget)
    assert next(stream) == [10, 10]
    budget = 10
    assert [len(batch) for batch in stream] == [1, 1, 1, 1]


def test_nothing_makes_no_batch():
    assert grouped([], 10) == []

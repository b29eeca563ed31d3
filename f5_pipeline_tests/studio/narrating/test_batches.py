"""How work is shared out and capped, and what a report makes of it."""

from __future__ import annotations

import pytest

from f5_pipeline.studio.narrating.batches import BatchPart, BatchPlan, NarrationOutcome, divide, fit_within, report_of
from f5_pipeline.studio.records import ShardReport


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 50])
def test_parts_are_about_as_large_as_each_other(parts):
    sizes = [(number * 7919) % 97 + 1.0 for number in range(40)]
    made = divide(enumerate(sizes), parts)
    assert sorted(item for part in made for item in part) == list(range(40)), "each once"
    assert len(made) == min(parts, 40)
    sums = [sum(sizes[item] for item in part) for part in made]
    assert max(sums) - min(sums) <= max(sizes)


def test_nothing_is_no_part():
    assert divide([], 3) == [] and divide([], 0) == []


@pytest.mark.parametrize(
    ("most", "taken"),
    [(0, "abcd"), (100, "abcd"), (10, "abc"), (7, "ac"), (5, "a"), (1, "a")],
)
def test_the_first_that_fit_are_taken_and_one_in_any_case(most, taken):
    assert fit_within([("a", 5.0), ("b", 3.0), ("c", 2.0), ("d", 1.5)], most) == list(taken)


def shard(engine: str, wall: float, made: int, retakes: int = 0) -> ShardReport:
    return ShardReport(
        index=0,
        engine=engine,
        made={"a": made},
        retakes=retakes,
        audio_seconds=wall * (12 if engine == "f5" else 10),
        wall_seconds=wall,
    )


def report(*outcomes: NarrationOutcome, shards: list[ShardReport], cost: float = 3.6):
    failed = [NarrationOutcome(narration="z", version="1", reason="no such voice")]
    plan = BatchPlan(launcher="nightly", began=1000.0, versions={}, failed=failed)
    return report_of(
        plan,
        [BatchPart(index=0, outcomes=list(outcomes))],
        shards,
        run="run",
        ended=1060.5,
        waiting=2,
        gpu_hour_cost=cost,
    )


def test_a_report_adds_up():
    done = [NarrationOutcome(narration=name, version="1", seconds=150.0) for name in ("b", "a")]
    made = report(*done, shards=[shard("f5", 100.0, 7, 2), shard("f5", 50.0, 3), shard("draft", 9.0, 1)])
    assert (made.audio_seconds, made.gpu_seconds, made.draft_seconds) == (300.0, 150.0, 9.0)
    assert (made.takes_made, made.retakes, made.waiting, made.wall_seconds) == (11, 2, 2, 60.5)
    assert (made.gpu_speech_seconds, made.draft_speech_seconds) == (1800.0, 90.0)
    assert (made.cost, made.cost_per_minute) == (0.15, 0.03), "150 s at 3.6 an hour, for 5 minutes"
    assert [one.narration for one in made.narrations] == ["z", "a", "b"], "what failed comes first"
    assert [one.narration for one in made.failed] == ["z"]
    assert (made.began, made.ended) == ("1970-01-01T00:16:40+00:00", "1970-01-01T00:17:40+00:00")


def test_where_nothing_was_finished_a_minute_has_no_cost():
    made = report(shards=[shard("f5", 100.0, 7)])
    assert made.cost > 0 and made.cost_per_minute is None and made.done == []

"""From plans to takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from f5_pipeline.errors import StoreError
from f5_pipeline.speech.engine import Cancelled, Failed, Request, Speech
from f5_pipeline.store import layout
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio.narrating.gathering import MissingTakes, gather_takes, read_takes
from f5_pipeline.studio.narrating.shards import ShardLine, plan_shards
from f5_pipeline.studio.narrating.synthesis import Progress, synthesize_shard
from f5_pipeline.studio.records import PlannedChunk
from f5_pipeline_tests.support.toy_engine import ToyEngine

JAVANESE = "ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ"
"""A script that espeak-ng has no sound for."""


def sentences(count: int, about: str) -> str:
    return "\n\n".join(f"Sentence {n} of this text tells a thing about {about}." for n in range(count))


def test_shards_are_even_and_hold_every_take_once(studio):
    plans = [
        studio.plan(sentences(20, "birds"), "first.txt"),
        studio.plan(sentences(20, "birds") + "\n\nAnd one line more.", "second.txt"),
    ]
    shards = plan_shards(studio.store, plans, "run", studio.options.model_copy(update={"shards": 3}))
    assert [shard.index for shard in shards] == [0, 1, 2]
    assert sum(shard.requests for shard in shards) == 21, "what both need comes once"
    lengths = [shard.expected_seconds for shard in shards]
    assert max(lengths) - min(lengths) < 4
    lines = [line for shard in shards for line in read_lines(studio.store, shard.requests_key, ShardLine)]
    assert len({line.request.key for line in lines}) == 21
    assert [line.line for line in lines if line.narration == "second"] == [41]


def test_what_is_there_needs_no_shard(studio):
    plan = studio.plan(sentences(3, "bees"))
    assert [report.made for report in studio.synthesize(plan)] == [{"story": 3}]
    assert plan_shards(studio.store, [plan], "again", studio.options) == []
    takes = gather_takes(studio.store, plan, studio.options, [])
    assert (takes.chunks, takes.total, takes.synthesized, takes.reused) == (3, 3, 0, 3)


def test_more_shards_than_takes_are_not_made(studio):
    plan = studio.plan("Only one sentence is here.")
    assert [
        shard.requests
        for shard in plan_shards(studio.store, [plan], "run", studio.options.model_copy(update={"shards": 8}))
    ] == [1]


def test_a_plan_that_cannot_be_read_disturbs_no_other(studio):
    good, gone, bad = (studio.plan(f"The {name} one has this.", f"{name}.txt") for name in ("good", "gone", "bad"))
    studio.store.delete(gone.chunks_key)
    studio.store.put_bytes(bad.chunks_key, b"{}\n")
    (shard,) = plan_shards(studio.store, [gone, bad, good], "run", studio.options)
    assert shard.requests == 1
    reports = [synthesize_shard(studio.store, shard, studio.options)]
    assert gather_takes(studio.store, good, studio.options, reports).total == 1
    for plan in (gone, bad):
        with pytest.raises(StoreError, match=plan.chunks_key):
            gather_takes(studio.store, plan, studio.options, reports)


def test_one_chunk_without_sound_leaves_the_rest(studio):
    plan = studio.plan(f"This is in order.\n\n{JAVANESE}.\n\nThis is in order too.\n")
    (report,) = studio.synthesize(plan)
    assert report.made == {"story": 2}
    (problem,) = report.problems
    assert (problem.narration, problem.line) == ("story", 3)
    assert "no sound" in problem.reason
    with pytest.raises(MissingTakes, match=r"1 of 3 chunks have no take: line 3, .*no sound") as told:
        gather_takes(studio.store, plan, studio.options, [report])
    assert told.value.file == "scripts/story.txt" and told.value.hint
    assert list(studio.store.list("narrations/story/takes/")) == []
    (again,) = studio.synthesize(plan, run="again")
    assert again.made == {} and len(again.problems) == 1


def test_many_chunks_without_a_take_are_counted(studio):
    plan = studio.plan(sentences(10, "nothing"))
    with pytest.raises(MissingTakes, match=r"10 of 10 chunks .*\(and 7 more\)"):
        gather_takes(studio.store, plan, studio.options, [])


def test_a_take_that_another_run_made_meanwhile_is_found(studio):
    plan = studio.plan(sentences(4, "two runs"))
    first, second = (plan_shards(studio.store, [plan], run, studio.options) for run in ("one", "two"))
    assert synthesize_shard(studio.store, first[0], studio.options).made == {"story": 4}
    report = synthesize_shard(studio.store, second[0], studio.options)
    assert (report.made, report.found) == ({}, 4)


def test_progress_is_told_and_a_cancelled_shard_keeps_what_it_made(studio):
    plan = studio.plan(sentences(200, "an interruption"))
    (shard,) = plan_shards(studio.store, [plan], "run", studio.options)
    told: list[Progress] = []
    with pytest.raises(Cancelled):
        synthesize_shard(studio.store, shard, studio.options, on_progress=told.append, cancelled=lambda: len(told) >= 5)
    assert [one.done for one in told] == list(range(1, len(told) + 1))
    assert told[-1].total == 200 and told[-1].audio_seconds > 0
    kept = [one.key for one in studio.store.list("takes/") if one.key.endswith(".json")]
    assert 5 <= len(kept) < 200
    report = synthesize_shard(studio.store, shard, studio.options)
    assert (report.found, report.made) == (len(kept), {"story": 200 - len(kept)})


def test_how_full_the_batches_of_an_engine_are_is_counted(studio):
    class Batched(ToyEngine):
        """Tells of batches of 3, 3 and 1, as the f5 engine does."""

        def speak(self, requests: Iterable[Request], **options: Any) -> Iterator[Speech | Failed]:
            frames = [900] * 3 + [600] * 3 + [300]
            for speech, total in zip(super().speak(requests, **options), frames, strict=True):
                assert isinstance(speech, Speech)
                yield replace(speech, details={"batch": {"chunks": 1 if total == 300 else 3, "frames": total}})

    (shard,) = plan_shards(studio.store, [studio.plan(sentences(7, "batches"))], "run", studio.options)
    report = synthesize_shard(studio.store, shard, studio.options, engine=Batched())
    counted = report.batches, report.batch_frames, report.batch_room
    assert counted == pytest.approx((3, 1800, 3 * 900)) and report.after(report).batches == pytest.approx(6)
    for details in ({"batch": 7}, {"batch": {"chunks": 0}}):

        class Odd(ToyEngine):
            def _beeps(self, request: Request, details: dict = details) -> Speech:
                return replace(super()._beeps(request), details=details)

        (shard,) = plan_shards(studio.store, [studio.plan(f"{details} is no batch.")], "run", studio.options)
        assert synthesize_shard(studio.store, shard, studio.options, engine=Odd()).batches == 0


def test_takes_are_the_same_bytes_in_every_store(studio, make_studio):
    plan = studio.plan(sentences(3, "the same"))
    takes = studio.takes(plan)
    other = make_studio()
    again = other.takes(other.plan(sentences(3, "the same")))
    assert again.digest == takes.digest
    for planned, chosen in read_takes(studio.store, plan, takes):
        take = chosen.take
        assert planned.key == take.key and take.text == planned.chunk.spoken
        key = layout.take_audio(take.key)
        assert studio.store.get_bytes(key) == other.store.get_bytes(key)


def test_takes_of_another_plan_are_refused(studio):
    plan, other = studio.plan(sentences(2, "cats")), studio.plan(sentences(2, "dogs"), "other.txt")
    takes = studio.takes(plan)
    with pytest.raises(StoreError, match="do not belong together"):
        list(read_takes(studio.store, other, takes))


def test_a_damaged_record_is_told_with_its_key(studio):
    plan = studio.plan(sentences(2, "damage"))
    studio.takes(plan)
    key = next(read_lines(studio.store, plan.chunks_key, PlannedChunk)).key
    record = json.loads(studio.store.get_bytes(layout.take_record(key)))
    studio.store.put_bytes(layout.take_record(key), json.dumps({**record, "samples": "many"}).encode())
    with pytest.raises(StoreError, match="not a Take record of this version") as told:
        gather_takes(studio.store, plan, studio.options, [])
    assert (told.value.file, told.value.place) == (layout.take_record(key), "samples")

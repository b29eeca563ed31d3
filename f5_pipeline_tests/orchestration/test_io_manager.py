"""The store as IO manager: plain, partitioned, many partitions at once, and between the steps of a graph."""

import dagster as dg
import pytest

from f5_pipeline.orchestration.io_manager import ALLOW_MISSING, StoreIOManager
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.store.local import LocalStore
from f5_pipeline.studio.records import EngineWeights, ReferenceClip, Shard, ShardReport, Takes, Weights
from f5_pipeline.studio.state import read_state
from f5_pipeline_tests.support.some import some

VOICES = dg.StaticPartitionsDefinition(["ada", "ben", "cyd"])
NARRATIONS = dg.StaticPartitionsDefinition(["one", "two", "three"])


def weights() -> Weights:
    engine = EngineWeights(
        engine="draft",
        name="x",
        version="1",
        sha256="0" * 64,
        size=1,
        licence="MIT",
        commercial_use="yes",
        source="here",
    )
    return Weights(engines={"draft": engine}, digest="d")


def clip(voice: str) -> ReferenceClip:
    return ReferenceClip(
        voice=voice,
        language="en",
        audio="a",
        text="Größe 語. ",
        start=0,
        end=1,
        seconds=1,
        measures={},
        sha256=voice,
        recording="r",
    )


def takes_of(narration: str) -> Takes:
    return Takes(
        narration=narration,
        plan="p",
        takes_key="k",
        chunks=1,
        total=1,
        synthesized=0,
        reused=1,
        speech_seconds=1,
        audio_seconds_made=0,
        wall_seconds=0,
        digest="d",
    )


@pytest.fixture
def resources(here):
    store = StoreResource(url=here.env["F5_STORE"])
    return {"io_manager": StoreIOManager(store=store), "store": store}


@pytest.fixture
def store(resources) -> LocalStore:
    return resources["store"].open()


def materialize(assets, resources, **options):
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(assets, resources=resources, instance=instance, raise_on_error=False, **options)


def test_plain_values_go_in_and_out(resources, store):
    seen = []

    @dg.asset
    def model_weights() -> Weights:
        return weights()

    @dg.asset(io_manager_key="other")
    def reader(model_weights: Weights) -> None:
        seen.append(model_weights)

    resources["other"] = dg.mem_io_manager
    assert materialize([model_weights, reader], resources).success
    assert seen == [weights()] == [read_state(store, Weights)]


def test_a_partition_at_a_time(resources, store):
    @dg.asset(partitions_def=VOICES)
    def reference_audio(context: dg.AssetExecutionContext) -> ReferenceClip:
        return clip(context.partition_key)

    assert materialize([reference_audio], resources, partition_key="ben").success
    assert read_state(store, ReferenceClip, "ben") == clip("ben")
    assert not store.exists("voices/ada/reference.json")


def test_many_partitions_at_once_are_a_dict(resources, store):
    seen = []

    @dg.asset(partitions_def=NARRATIONS, backfill_policy=dg.BackfillPolicy.single_run())
    def takes(context: dg.AssetExecutionContext):
        return {key: takes_of(key) for key in context.partition_keys}

    @dg.asset(partitions_def=NARRATIONS, backfill_policy=dg.BackfillPolicy.single_run(), io_manager_key="other")
    def reader(context: dg.AssetExecutionContext, takes) -> None:
        seen.append(takes)

    resources["other"] = dg.mem_io_manager
    tags = {"dagster/asset_partition_range_start": "one", "dagster/asset_partition_range_end": "three"}
    assert materialize([takes], resources, tags=tags).success
    assert materialize([reader, takes.to_source_asset()], resources, tags=tags, selection=[reader]).success
    assert seen == [{key: takes_of(key) for key in ("one", "three", "two")}]
    assert read_state(store, Takes, "two") == takes_of("two")


def test_all_partitions_of_another_asset(resources):
    seen = []

    @dg.asset(partitions_def=VOICES)
    def reference_audio(context: dg.AssetExecutionContext) -> ReferenceClip:
        return clip(context.partition_key)

    @dg.asset(io_manager_key="other")
    def reader(reference_audio: dict[str, ReferenceClip]) -> None:
        seen.append(reference_audio)

    resources["other"] = dg.mem_io_manager
    for voice in ("ada", "ben"):
        assert materialize([reference_audio], resources, partition_key=voice).success
    sources = [reader, reference_audio.to_source_asset()]
    missing = materialize(sources, resources, selection=[reader])
    assert not missing.success
    told = missing.get_step_failure_events()[0].step_failure_data.user_failure_data
    assert "reference_audio of 'cyd' is not in the store" in some(some(told).description)

    @dg.asset(io_manager_key="other", ins={"reference_audio": dg.AssetIn(metadata={ALLOW_MISSING: True})})
    def lenient(reference_audio: dict[str, ReferenceClip]) -> None:
        seen.append(reference_audio)

    assert materialize([lenient, reference_audio.to_source_asset()], resources, selection=[lenient]).success
    assert seen == [{"ada": clip("ada"), "ben": clip("ben")}]


def test_steps_of_a_graph_hand_each_other_records_through_the_store(resources, store):
    def shard(index: int) -> Shard:
        return Shard(index=index, requests_key="k", requests=1, expected_seconds=1, engine="draft", voices=[])

    @dg.op(out=dg.DynamicOut(Shard))
    def split():
        for index in range(3):
            yield dg.DynamicOutput(shard(index), mapping_key=str(index))

    @dg.op
    def work(shard: Shard) -> ShardReport:
        return ShardReport(index=shard.index, engine=shard.engine, made={"one": shard.index})

    @dg.op
    def gather(reports: list[ShardReport]) -> Takes:
        return takes_of("-".join(str(report.made["one"]) for report in reports))

    @dg.graph_asset(partitions_def=NARRATIONS)
    def takes():
        return gather(split().map(work).collect())

    made = materialize([takes], resources, partition_key="one")
    assert made.success
    assert read_state(store, Takes, "one").narration == "0-1-2"
    kept = [one.key for one in store.list(f"runs/{made.run_id}/")]
    assert len(kept) == 6
    assert all(key.endswith("result.json") for key in kept)


def test_what_is_no_record_is_refused(resources, store):
    @dg.asset(partitions_def=NARRATIONS)
    def takes(context: dg.AssetExecutionContext):
        return {"audio": b"..."}

    assert not materialize([takes], resources, partition_key="one").success
    assert list(store.list()) == []


def test_the_config_of_a_run_does_not_aim_the_store_elsewhere(resources, tmp_path):
    @dg.asset(partitions_def=VOICES)
    def reference_audio(context: dg.AssetExecutionContext, store: StoreResource) -> ReferenceClip:
        store.open()
        return clip(context.partition_key)

    other = f"file:{tmp_path / 'other'}"
    run_config = {"resources": {"store": {"config": {"url": other}}}}
    result = materialize([reference_audio], resources, partition_key="ada", run_config=run_config)
    assert not result.success and not (tmp_path / "other").exists()
    assert f"store.config.url is {other!r} in the run's config" in str(result.get_step_failure_events())

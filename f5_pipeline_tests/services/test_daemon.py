"""Dagster's own web server and daemon on the code location, driven as the UI does."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from f5_pipeline.store import layout
from f5_pipeline_tests.support.installation import Services
from f5_pipeline_tests.support.waiting import wait_for

LAUNCH = """
mutation ($tags: [ExecutionTag!]!, $job: String!) {
  launchRun(executionParams: {
    selector: {repositoryLocationName: "f5_pipeline", repositoryName: "__repository__", jobName: $job}
    runConfigData: {}
    executionMetadata: {tags: $tags}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
BACKFILL = """
mutation ($assets: [AssetKeyInput!]!, $partitions: [String!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: $assets, partitionNames: $partitions}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
RUN = """
query ($id: ID!) { runOrError(runId: $id) { ... on Run { status stepStats { stepKey status } } } }
"""
OF_BACKFILL = """
query ($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status runs(limit: 50) { runId status tags { key value } } }
  }
}
"""
STATE = """
query ($asset: AssetKeyInput!) {
  assetNodeOrError(assetKey: $asset) {
    ... on AssetNode {
      assetPartitionStatuses {
        ... on DefaultPartitionStatuses { materializedPartitions failedPartitions unmaterializedPartitions }
      }
    }
  }
}
"""
STALE = """
query ($asset: AssetKeyInput!, $partition: String!) {
  assetNodeOrError(assetKey: $asset) {
    ... on AssetNode {
      staleStatusByPartition(partitions: [$partition])
      staleCausesByPartition(partitions: [$partition]) { key { path } reason }
    }
  }
}
"""
NARRATION_ASSETS = ("narration_plan", "takes", "narration_audio", "timing_files", "download_links")


def launch(services: Services, job: str, **tags: str) -> str:
    """Launch a job and wait for its end; its status."""
    made = services.graphql(LAUNCH, job=job, tags=[{"key": key, "value": value} for key, value in tags.items()])
    assert made["launchRun"]["__typename"] == "LaunchRunSuccess", made
    run_id = made["launchRun"]["run"]["runId"]

    def status() -> str | None:
        run = services.graphql(RUN, id=run_id)["runOrError"]
        return run["status"] if run["status"] in ("SUCCESS", "FAILURE", "CANCELED") else None

    return wait_for("end of the run", status)


def backfill_takes(services: Services, names: list[str]) -> dict:
    """Launch a backfill of `takes` and wait for its end; its status and runs."""
    made = services.graphql(BACKFILL, assets=[{"path": ["takes"]}], partitions=names)
    backfill = made["launchPartitionBackfill"]["backfillId"]

    def ended() -> dict | None:
        told = services.graphql(OF_BACKFILL, id=backfill)["partitionBackfillOrError"]
        return told if told["status"].startswith(("COMPLETED", "FAILED", "CANCELED")) else None

    return wait_for("end of the backfill", ended)


def partitions(services: Services, asset: str) -> dict[str, list[str]]:
    return services.graphql(STATE, asset={"path": [asset]})["assetNodeOrError"]["assetPartitionStatuses"]


def stale(services: Services, asset: str, partition: str) -> str:
    return services.graphql(STALE, asset={"path": [asset]}, partition=partition)["assetNodeOrError"][
        "staleStatusByPartition"
    ][0]


def add(services: Services, name: str, text: str, voice: str = "ada") -> None:
    services.installation.run("scripts", "add", services.installation.write(f"{name}.txt", text), "--voice", voice)


def test_a_partition_launched_in_the_ui_becomes_a_narration(services):
    add(services, "launched", "This one is launched from the UI. It has two sentences.")
    assert launch(services, "narrate", **{"dagster/partition": "launched"}) == "SUCCESS"
    for asset in NARRATION_ASSETS:
        assert "launched" in partitions(services, asset)["materializedPartitions"]
    links = services.installation.run("links", "launched", "--json").object
    with urllib.request.urlopen(links["files"]["launched.mp3"]) as answer:
        assert answer.headers["Content-Type"] == "audio/mpeg"
        assert answer.read(3) == b"ID3"
    with urllib.request.urlopen(links["page"]) as answer:
        assert b"<audio" in answer.read()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(links["files"]["launched.mp3"].replace("/d/", "/d/x"))
    assert refused.value.code == 403


def test_the_ui_calls_stale_what_truly_is(services):
    text = "The first sentence stays. The second one will be edited."
    add(services, "edited", text)
    assert launch(services, "narrate", **{"dagster/partition": "edited"}) == "SUCCESS"
    assert {stale(services, asset, "edited") for asset in NARRATION_ASSETS} == {"FRESH"}
    add(services, "edited", text)
    assert stale(services, "narration_plan", "edited") == "FRESH", "the same script again is no edit"

    add(services, "edited", text.replace("will be", "was"))
    assert stale(services, "narration_plan", "edited") == "STALE"
    assert launch(services, "plan", **{"dagster/partition": "edited"}) == "SUCCESS"
    assert stale(services, "narration_plan", "edited") == "FRESH"
    assert stale(services, "takes", "edited") == "STALE"
    assert launch(services, "narrate", **{"dagster/partition": "edited"}) == "SUCCESS"
    assert {stale(services, asset, "edited") for asset in NARRATION_ASSETS} == {"FRESH"}


def test_a_backfill_of_takes_is_one_run_and_one_bad_narration_fails_alone(services):
    """Four narrations in one run: one was never planned, one cannot be spoken, and two are in order."""
    texts = {
        "batch-a": "The first was never planned.",
        "batch-b": "The second begins well. \n\nꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ ꦏꦏꦏ.",
        "batch-c": "The third is in order.",
        "batch-d": "The fourth is in order as well.",
    }
    for name, text in texts.items():
        add(services, name, text, "ben")
    for name in ("batch-b", "batch-c", "batch-d"):
        assert launch(services, "plan", **{"dagster/partition": name}) == "SUCCESS"
    told = backfill_takes(services, list(texts))
    assert [run["status"] for run in told["runs"]] == ["FAILURE"], "one run for all, shown failed"
    state = partitions(services, "takes")
    assert {"batch-c", "batch-d"} <= set(state["materializedPartitions"])
    assert {"batch-a", "batch-b"} <= set(state["failedPartitions"])
    assert not {"batch-a", "batch-b"} & set(state["materializedPartitions"])

    # What is good goes on, and its data version is its own: nothing downstream is called stale.
    store = services.installation.store
    for name in ("batch-c", "batch-d"):
        assert launch(services, "deliver", **{"dagster/partition": name}) == "SUCCESS"
        assert store.exists(layout.narration_state(name, "links"))
        assert {stale(services, asset, name) for asset in NARRATION_ASSETS} == {"FRESH"}
    assert launch(services, "deliver", **{"dagster/partition": "batch-b"}) == "FAILURE"
    assert not store.exists(layout.narration_state("batch-b", "audio"))

    # Those that are good alone are a run that is shown so.
    told = backfill_takes(services, ["batch-c", "batch-d"])
    assert told["status"] == "COMPLETED_SUCCESS"
    assert [run["status"] for run in told["runs"]] == ["SUCCESS"]
    for name in ("batch-c", "batch-d"):
        takes = json.loads(store.get_bytes(layout.narration_state(name, "takes")))
        assert (takes["narration"], takes["total"], takes["synthesized"]) == (name, 1, 0)

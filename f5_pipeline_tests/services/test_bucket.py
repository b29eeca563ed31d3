"""The whole flow on a bucket of a strict S3 server, by configuration alone: machines come and go, the bucket stays."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import dagster as dg
import pytest

from f5_pipeline.store import layout
from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.servers.server import S3Server
from f5_pipeline_tests.support.tiny_hub import add_tiny_model, tiny_hub, tiny_settings
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for

STORY = """---
title: The Bell
voice: ada
voices: [ada, ben]
---

The bell rang twice. Nobody came to the door of the old house by the sea that evening.

[ben] Who is there?
"""


def secrets_in(server: S3Server, folder: Path) -> list[Path]:
    """Files of a machine that hold the secret of the bucket's key."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if server.key.encode() in path.read_bytes()]


def test_the_demo_on_a_bucket_from_an_empty_machine_twice(swift_server, tmp_path):
    env = swift_server.settings(swift_server.make_bucket("demo"))
    first = Installation(tmp_path / "one", env)
    told = first.run("demo", "--json").object
    assert told["takes"]["synthesized"] == told["takes"]["total"] > 0
    assert all(key.startswith("narrations/lighthouse/") for key in told["files"].values()), "no path of a machine"
    assert not [url for url in told["links"].values() if "demo/studio" in url or "X-Amz" in url]

    second = Installation(tmp_path / "two", env)
    again = second.run("demo", "--json").object
    assert again["takes"]["synthesized"] == 0
    assert again["revision"] == told["revision"]
    assert secrets_in(swift_server, tmp_path) == []

    with dg.DagsterInstance.from_config(second.env["DAGSTER_HOME"]) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("download_links"))
        assert event is not None and event.asset_materialization is not None
        calls = str(event.asset_materialization.metadata["calls_of_the_run"].value)
    counts = {name: int(times) for times, name in re.findall(r"(\d+) of class (\w)", calls)}
    assert counts["A"] > 0 and counts["B"] > 0
    assert counts["C"] <= 5, "nothing is listed but what must be"


def test_two_workers_share_a_bucket(swift_server, tmp_path, tmp_path_factory):
    """The second takes weights from the bucket and makes no take that the first has made."""
    pytest.importorskip("f5_tts")
    env = {**swift_server.settings(swift_server.make_bucket("workers")), "F5_RETAKES": "0"}
    with tiny_hub(tmp_path_factory.mktemp("tiny")) as hub:
        first = Installation(tmp_path / "one", {**env, **tiny_settings(hub)})
        first.add_voices()
        add_tiny_model(first)
        told = first.run("narrate", first.write("bell.md", STORY), "--json").object
        total = told["takes"]["total"]
        assert told["takes"]["synthesized"] == total == 2

        hub.forget()
        second = Installation(tmp_path / "two", {**env, **tiny_settings(hub)})
        edited = second.write("bell.md", STORY.replace("Who is there?", "Who is it?"))
        changed = second.run("narrate", edited, "--replace", "--json").object
        assert (changed["takes"]["synthesized"], changed["takes"]["reused"]) == (1, total - 1)
        assert changed["engine"] == "f5"
        assert not hub.requests, "the weights came from the bucket"

    manifest = json.loads(second.store.get_bytes(layout.manifest("bell", changed["revision"])))
    assert manifest["audio"]["plan"]["weights"]["place"] in ("store", "cache")


def test_links_of_a_bucket(swift_server, tmp_path):
    """By the download service as a user starts it; streaming is tested with the gateway."""
    from f5_pipeline_tests.support.installation import answers, free_port

    port = free_port()
    env = swift_server.settings(swift_server.make_bucket("links"))
    made = Installation(tmp_path, {**env, "F5_DOWNLOADS": "redirect", "F5_PORT": str(port)})
    made.add_voices()
    told = made.run("narrate", made.write("bell.md", STORY), "--json").object
    service = made.start("serve")
    try:
        wait_for("download service", lambda: answers(f"http://127.0.0.1:{port}/healthz"))
        with urllib.request.urlopen(told["links"]["bell.srt"]) as answer:
            came_from, text = answer.geturl(), answer.read()
            assert "bell.srt" in answer.headers["content-disposition"]
        assert b"-->" in text
        assert "X-Amz-Signature" in came_from
        made.run("links", "revoke", "bell")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(told["links"]["bell.srt"])
        assert refused.value.code == 410
    finally:
        service.terminate()
        log = "".join(service.communicate(timeout=HANG_SECONDS))
    assert swift_server.key not in log and "X-Amz" not in log

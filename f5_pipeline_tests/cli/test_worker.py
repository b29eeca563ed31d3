"""Workers in processes of their own: RunPod's real SDK, server and client library; the queue in the store."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import dagster as dg
import pytest

from f5_pipeline_tests.support.installation import Installation, abort_session, answers, free_port
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def here(tmp_path: Path, voices: Path) -> Installation:
    return Installation(tmp_path).copy(voices)


def test_runpods_sdk_hands_out_jobs(here: Installation):
    """Its trial of a job, then its local server asked by its own client; the same client asks the service."""
    runpod = pytest.importorskip("runpod")
    job = {"input": {"text": "Good day to you.", "local_voice": "ada.wav", "timing_format": "srt"}}
    refused = here.run("worker", "--runpod", "--test_input", json.dumps({"input": {"text": " "}}), code=1).out
    assert "there is no text" in refused
    port = free_port()
    worker = here.start("worker", "--runpod", "--rp_serve_api", "--rp_api_port", port)
    service = here.start("serve", "--port", here.env.setdefault("F5_PORT", str(free_port())))
    try:
        wait_for("the SDK's server", lambda: answers(f"http://localhost:{port}/openapi.json"))
        # Its client puts the endpoint's name between the base and the path, which the local server has not.
        runpod.api_key, runpod.endpoint_url_base = "unused", "http:/"
        endpoint = runpod.Endpoint(f"localhost:{port}")
        for _ in range(2):
            output = endpoint.run_sync(job, timeout=HANG_SECONDS)
            assert output["status"] == "COMPLETED" and output["timing_format"] == "srt", output
            assert output["audio_url"].startswith("http") and output["duration"] > 0.5

        base = f"http://127.0.0.1:{here.env['F5_PORT']}"
        wait_for("the service", lambda: answers(f"{base}/healthz"))
        runpod.endpoint_url_base = f"{base}/v2"
        here_too = runpod.Endpoint("any-name").run(job)
        assert here_too.status() == "IN_QUEUE"
        here_too.cancel()
        assert here_too.status() == "CANCELLED"
    finally:
        for process in (worker, service):
            abort_session(process)


def test_workers_share_a_queue_and_nothing_is_lost_or_doubled(here: Installation, tmp_path: Path):
    """One is stopped in the midst of a narration; two with instances of their own make that and the others."""
    text = "\n\n".join(f"This is paragraph {n} of a story that takes a while to be told." for n in range(90))
    here.run("scripts", "add", here.write("long.txt", text), "--voice", "ada", "--engine", "draft")
    first = here.start("worker", "--queue")
    wait_for("first takes", here.take_records)
    first.send_signal(signal.SIGTERM)
    _, err = first.communicate(timeout=HANG_SECONDS)
    assert first.returncode == 0 and "what was made is kept" in err, err
    made = here.take_records()
    assert 0 < len(made) < 90
    assert [stat.key for stat in here.store.list("work/")] == ["work/long/attempts.json"]
    assert json.loads(here.store.get_bytes("work/long/attempts.json"))["attempts"] == 0

    for n in range(2):
        here.run("scripts", "add", here.write(f"s{n}.txt", f"Sentence {n}."), "--voice", "ada")
    here.store.put_bytes("scripts/wrong.md", b"[nobody] Good day.")
    others = [Installation(tmp_path / name, {"F5_STORE": here.env["F5_STORE"]}) for name in ("a", "b")]
    workers = [other.start("worker", "--queue", "--idle-exit", "0") for other in others]
    errors = [process.communicate(timeout=HANG_SECONDS)[1] for process in workers]
    assert [process.returncode for process in workers] == [0, 0], errors

    runs = []
    for other in others:
        with dg.DagsterInstance.from_config(other.env["DAGSTER_HOME"]) as instance:
            runs += [run.tags["dagster/partition"] for run in instance.get_runs() if run.job_name == "narrate"]
    assert sorted(name for name in runs if name != "wrong") == ["long", "s0", "s1"]
    assert all(here.store.exists(f"narrations/{name}/links.json") for name in runs if name != "wrong")
    now = here.take_records()
    assert made.items() <= now.items() and len(now) == 92
    assert [stat.key for stat in here.store.list("work/")] == ["work/wrong/attempts.json"]
    assert "nobody" in json.loads(here.store.get_bytes("work/wrong/attempts.json"))["reason"]

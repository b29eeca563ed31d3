"""Ray's own client, where the head answers late, not at all, or only after a step was started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from f5_pipeline.orchestration import ray_patience
from f5_pipeline.orchestration.executors import ray_gpus
from f5_pipeline.orchestration.near_steps import NearSteps
from f5_pipeline.orchestration.ray_patience import Patience
from f5_pipeline.orchestration.step_attempts import Attempts
from f5_pipeline.settings import Settings

JOB = {"type": "SUBMISSION", "submission_id": "one", "status": "RUNNING", "entrypoint": "true"}
NODE = {
    "node_id": "one", "node_ip": "::1", "is_head_node": True, "state": "ALIVE", "state_message": None,
    "node_name": "one", "resources_total": {"GPU": 3.0}, "labels": {},
}  # fmt: skip
COUNTS = dict.fromkeys(("total", "num_after_truncation", "num_filtered"), 1)
ANSWERS = {
    "/api/version": {"version": "4", "ray_version": "2", "ray_commit": "", "session_name": "s"},
    "/api/v0/nodes": {"result": True, "msg": "", "data": {"result": {**COUNTS, "result": [NODE]}}},
}


class Head(BaseHTTPRequestHandler):
    """Answers with the statuses of `answers`, or breaks the connection where one is None; then with what is asked."""

    answers: ClassVar[list[int | None]] = []
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        status = self.answers.pop(0) if self.answers and self.path != "/api/version" else 200
        if status is None:
            self.connection.close()
            return
        found = ANSWERS.get(self.path.partition("?")[0], JOB)
        body = json.dumps(found).encode() if status == 200 else b"exists already"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    submission = pytest.importorskip("ray.job_submission")
    monkeypatch.setattr(ray_patience, "_PAUSE", 0.0)
    Head.answers, Head.asked = [], []
    with ThreadingHTTPServer(("127.0.0.1", 0), Head) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        made = submission.JobSubmissionClient(f"http://127.0.0.1:{server.server_port}")
        made._do_request = Patience(made._do_request)
        yield made
        server.shutdown()


def test_a_head_that_is_away_is_asked_again(client):
    Head.answers[:] = [None, 503, None]
    assert client.get_job_status("one") == "RUNNING"
    assert Head.asked.count("GET /api/jobs/one") == 4


def test_a_head_that_stays_away_is_told_as_what_ray_refuses(client, monkeypatch):
    monkeypatch.setattr(ray_patience, "SILENT_SECONDS", 0.0)
    Head.answers[:] = [None] * 20
    with pytest.raises(RuntimeError, match="Ray has not answered for"):
        client.get_job_status("one")
    Head.answers.clear()
    assert client.get_job_status("one") == "RUNNING"


def test_a_plan_waits_for_the_head_to_count_its_gpus(client, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    Head.answers[:] = [None, 503]
    settings = Settings.from_environment({"F5_EXECUTOR": "ray", "F5_RAY_ADDRESS": client._address})
    assert ray_gpus(settings) == 3
    assert sum("/api/v0/nodes" in one for one in Head.asked) == 3


@pytest.mark.parametrize("there", [True, False])
def test_a_step_whose_start_was_not_confirmed_is_not_started_twice(client, there):
    executor = pytest.importorskip("dagster_ray.core.executor")
    far = executor.RayStepHandler(client, None, None, None, None, None, None)
    far._get_ray_job_submission_id = lambda context: "one"

    def launch(context: Any) -> Iterator[Any]:
        yield from ()
        client.submit_job(entrypoint="true", submission_id="one")

    far.launch_step = launch
    context: Any = SimpleNamespace(
        step_tags={"step": {}}, execute_step_args=SimpleNamespace(step_keys_to_execute=["step"])
    )
    Head.answers[:] = [None, 400, 200 if there else 404]
    steps = NearSteps(far, Attempts())
    if there:
        assert list(steps.launch_step(context)) == []
    else:
        with pytest.raises(RuntimeError, match="exists already"):
            list(steps.launch_step(context))

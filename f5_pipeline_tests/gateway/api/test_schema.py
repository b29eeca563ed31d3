"""The OpenAPI document: what it promises holds for requests that are made from it, and its page stands alone."""

from __future__ import annotations

import re

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from starlette.testclient import TestClient

from f5_pipeline_tests.gateway.api.conftest import Api

EXAMPLES_EACH = 8
SLOW = ("/events", "/runsync")
"""What waits is asked little."""


def _ask(client: TestClient, operation: schemathesis.APIOperation, count: int, seen: dict[str, set[int]]) -> None:
    """Send an operation some requests, the same ones in every run."""

    @hypothesis.seed(5)
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy())
    def ask(case: schemathesis.Case) -> None:
        if operation.path == "/runsync":
            case.query["wait"] = 0
        answer = case.call(headers={"authorization": client.headers["authorization"]})
        seen.setdefault(operation.label, set()).add(answer.status_code)
        case.validate_response(answer, checks=[not_a_server_error])

    ask()


@pytest.mark.slow
def test_no_request_that_the_document_allows_or_forbids_breaks_the_service(api: Api):
    client = api.client(api.key("admin", rate=100_000))
    client.post("/v1/narrations", json={"text": "A text.", "voice": "ada"})
    schema = schemathesis.openapi.from_asgi("/openapi.json", client.app)
    seen: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        operation = result.ok()  # pyright: ignore[reportAttributeAccessIssue]
        count = 2 if operation.path.endswith(SLOW) else EXAMPLES_EACH

        _ask(client, operation, count, seen)
    assert len(seen) > 20 and sum(200 in statuses for statuses in seen.values()) > 5, seen


def test_the_document_and_its_page(api: Api):
    client = api.client(local=False)
    document = client.get("/openapi.json").json()
    assert document["security"] == [{"key": []}]
    paths = {"/v1/narrations", "/v1/voices", "/v1/plan", "/v1/audio/speech", "/run", "/runsync", "/status/{job}"}
    assert paths <= set(document["paths"])
    for name in ("Submission", "VoiceSubmission", "SpeechRequest", "RunRequest"):
        assert document["components"]["schemas"][name]["examples"]
    page = client.get("/docs")
    assert "script" not in page.text.partition("<h1>")[0] and "default-src 'none'" in str(page.headers)
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page.text)
    for path in paths:
        assert path in page.text
    assert client.get("/static/page.css").status_code == 200
    assert client.get("/docs/").status_code in (401, 403, 404)

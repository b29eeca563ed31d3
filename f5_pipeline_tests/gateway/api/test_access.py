"""Who is let in: keys, scopes, rates, quotas, and programs of this machine where there are no keys."""

from __future__ import annotations

import json
import logging

import pytest
from starlette.testclient import TestClient

from f5_pipeline.gateway.api import access
from f5_pipeline.studio.keys import SCOPES, find_key, list_keys, revoke_key
from f5_pipeline_tests.gateway.api.conftest import Api
from f5_pipeline_tests.support.quick import quick

TEXT = {"text": "A short text.", "voice": "ada"}

ALLOWED = {
    ("GET", "/v1/narrations"): {"narrate", "read"},
    ("GET", "/v1/voices"): {"narrate", "read", "voices"},
    ("GET", "/v1/models"): {"narrate", "read", "voices"},
    ("GET", "/v1/lexicon"): {"narrate", "read", "voices"},
    ("GET", "/metrics"): {"read"},
    ("POST", "/v1/plan"): {"narrate"},
    ("POST", "/v1/narrations"): {"narrate"},
    ("POST", "/v1/audio/speech"): {"narrate"},
    ("POST", "/v1/voices"): {"voices"},
    ("DELETE", "/v1/voices/nobody"): {"voices"},
    ("POST", "/v1/lexicon"): set(),
    ("DELETE", "/v1/lexicon?written=x"): set(),
    ("POST", "/run"): {"narrate", "read"},
    ("GET", "/status/x-0123456789abcdef"): {"narrate", "read"},
    ("POST", "/cancel/x-0123456789abcdef"): {"narrate"},
}


def test_each_scope_opens_what_is_its_own_and_nothing_else(api: Api):
    for scope in SCOPES:
        client = api.client(api.key(scope))
        for (method, path), scopes in ALLOWED.items():
            answer = client.request(method, path, json={} if method == "POST" else None)
            allowed = scope == "admin" or scope in scopes
            assert (answer.status_code != 403) == allowed, (scope, method, path, answer.text)
            assert answer.status_code < 500
    narrator = api.client(api.key("read"))
    answer = narrator.post("/run", json={"input": {"text": "Hello.", "local_voice": "ada"}})
    assert answer.status_code == 403, "reading is not narrating"


@pytest.mark.parametrize("token", ["", "x", "f5-000000000000-" + 43 * "A", "f5-../../x-" + 43 * "A", "Basic eDp4"])
def test_what_is_no_key_opens_nothing(api: Api, token):
    key = api.key()
    for wrong in (token, key[:-1], key + "A", key[:-1] + ("A" if key[-1] != "A" else "B"), key.upper()):
        answer = api.client().get("/v1/voices", headers={"authorization": f"Bearer {wrong}"})
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert key not in answer.text
    for header in ({"x-api-key": key}, {"authorization": key}, {"authorization": f"bearer {key}"}):
        assert api.client().get("/v1/voices", headers=header).status_code == 200


def test_a_revoked_key_ends_and_the_service_does_not_open_to_all(api: Api, monkeypatch):
    monkeypatch.setattr(access, "KEY_SECONDS", 0.0)
    key = api.key()
    client = api.client(key)
    assert client.get("/v1/voices").status_code == 200
    (record,) = list_keys(api.store)
    assert key not in record.model_dump_json(), "the store has its hash alone"
    revoke_key(api.store, record.key)
    assert client.get("/v1/voices").status_code == 401
    assert api.client().get("/v1/voices").status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:3080"}, 200),
        ({"host": "[::1]:3080"}, 200),
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"x-forwarded-for": "203.0.113.1"}, 403),
    ],
)
def test_without_keys_it_answers_programs_on_this_machine_alone(api: Api, headers, status):
    assert api.client().get("/v1/voices", headers=headers).status_code == status
    assert api.client(local=False).get("/v1/voices", headers=headers).status_code == 403
    assert api.client(address="192.0.2.1").get("/v1/voices", headers=headers).status_code == 403
    assert api.client(local=False).get("/v1/health", headers=headers).status_code == 200


def test_a_narration_is_its_owners_and_an_admins(api: Api):
    owner, other, admin = api.client(api.key()), api.client(api.key()), api.client(api.key("admin"))
    name = owner.post("/v1/narrations", json=TEXT).json()["id"]
    for method, path in (
        ("GET", ""), ("GET", "/events"), ("GET", "/result"), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")
    ):  # fmt: skip
        assert other.request(method, f"/v1/narrations/{name}{path}").status_code == 404
    for path in (f"/status/{name}", "/v1/narrations/ada", "/v1/narrations/..%2fx"):
        assert other.get(path).status_code == 404
    assert other.post(f"/cancel/{name}").status_code == 404
    for endpoint in ("status", "result", "download"):
        given = {"endpoint": endpoint, "job_id": name, "file_path": f"{name}.mp3"}
        assert other.post("/runsync", json={"input": given}).json()["status"] == "FAILED"
    assert other.get("/v1/narrations").json()["narrations"] == []
    for client in (owner, admin):
        assert client.get(f"/v1/narrations/{name}").json()["state"] == "queued"
        assert [narration["id"] for narration in client.get("/v1/narrations").json()["narrations"]] == [name]


def test_rates_and_minutes_end(api: Api):
    client = api.client(api.key(rate=8))
    answers = [client.get("/v1/voices").status_code for _ in range(5)]
    assert answers[:2] == [200, 200] and answers[-1] == 429
    assert int(client.get("/v1/voices").headers["retry-after"]) >= 1

    client = api.client(api.key(minutes=0.05))
    assert client.post("/v1/narrations", json=TEXT).status_code == 202
    answer = client.post("/v1/narrations", json=TEXT | {"text": "Many more words than there are minutes. " * 20})
    assert answer.status_code == 429 and "minutes" in answer.json()["error"]["message"]
    assert client.post("/v1/audio/speech", json={"voice": "ada", "input": "Word, " * 300}).status_code == 429


def test_the_log_has_a_line_for_each_request_and_no_secret(api: Api, caplog):
    key = api.key()
    client = api.client(key)
    with caplog.at_level(logging.INFO, "f5_pipeline.gateway.access"):
        name = client.post("/v1/narrations", json=TEXT).json()["id"]
        client.get("/v1/nothing")
    first, second = (json.loads(record.getMessage()) for record in caplog.records)
    assert (first["status"], first["path"], first["narration"]) == (202, "/v1/narrations", name)
    assert first["key"] == key.split("-")[1] == second["key"] and second["status"] == 404
    assert key.split("-", 2)[2] not in caplog.text


def test_a_body_that_is_too_large_is_not_read(api: Api):
    client: TestClient = api.client(api.key())
    assert client.post("/v1/lexicon", content=b"[" * (2 << 20)).status_code == 413
    assert client.post("/v1/narrations", headers={"content-length": "9" * 12}, content=b"{}").status_code == 413

    def endless():
        for _ in range(64):
            yield b" " * (1 << 20)

    assert client.post("/v1/narrations", content=endless()).status_code == 413
    assert api.client().post("/v1/narrations", content=b" " * (2 << 20)).status_code == 401, "nobody's body is read"


def test_keys_at_the_command_line(api: Api, here):
    made = quick(here, "keys", "add", "the website", "--scope", "narrate", "--minutes", "60", "--json").object
    record = find_key(here.store, made["token"])
    assert record is not None and (record.name, record.scopes, record.minutes) == ("the website", ["narrate"], 60)
    (row,) = quick(here, "keys", "list", "--json").objects
    assert row["key"] == record.key and "sha256" not in row and row["used"] == 0
    quick(here, "keys", "revoke", record.key)
    assert find_key(here.store, made["token"]) is None
    assert "revoked" in quick(here, "keys", "list").out
    assert "no key" in quick(here, "keys", "revoke", "x", code=2).err


def test_the_secret_of_webhooks_is_shown(here):
    secret = quick(here, "keys", "webhook").out
    assert secret.startswith("whsec_") and quick(here, "keys", "webhook").out == secret
    refused = quick(here, "keys", "webhook", code=2, F5_WEBHOOK_SECRET="x" * 40)
    assert "F5_WEBHOOK_SECRET" in refused.err and "x" * 40 not in refused.err

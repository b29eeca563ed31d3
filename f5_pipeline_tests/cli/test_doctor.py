"""f5-pipeline doctor."""

from __future__ import annotations

import os
import socket

import pytest

from f5_pipeline.cli.services import instance_lock
from f5_pipeline.settings import Settings
from f5_pipeline.system.locks import hold, release
from f5_pipeline_tests.support.installation import Installation, free_port
from f5_pipeline_tests.support.quick import quick

pytestmark = pytest.mark.slow

THINGS = [
    "python", "memory", "settings", "store", "disk", "temporary files", "Dagster", "draft engine", "F5 engine",
    "f5-tts", "torch", "device", "flash-attn", "weights", "hub", "Content Credentials", "links", "ports",
]  # fmt: skip


def findings(made: Installation, code: int, **env: str) -> dict[str, dict]:
    ended = quick(made, "doctor", "--json", code=code, **env)
    assert "Traceback" not in ended.out + ended.err
    assert [one["what"] for one in ended.objects] == THINGS, "everything is looked at, whatever is wrong"
    return {one["what"]: one for one in ended.objects}


def test_an_installation_in_order(tmp_path):
    made = Installation(tmp_path, {"F5_PORT": str(free_port()), "F5_UI_PORT": str(free_port())})
    found = findings(made, 0)
    assert all(set(one) == {"what", "state", "found", "hint"} for one in found.values())
    assert not [one for one in found.values() if one["state"] == "error"]
    assert "espeak-ng 1." in found["draft engine"]["found"]
    assert found["f5-tts"]["found"] == "1.1.22" and found["torch"]["found"].startswith("2.11.0")
    assert (found["device"]["state"], found["hub"]["found"]) == ("warning", "not asked: F5_OFFLINE is set")
    assert "F5TTS_v1_Base was never pulled" in found["weights"]["found"]
    assert "home = " in found["settings"]["found"]
    assert list(made.store.list()) == [], "it leaves nothing in the store"
    table = quick(made, "doctor").out
    assert all(what in table for what in THINGS)


def test_what_is_wrong_is_told_with_its_mend(tmp_path):
    made = Installation(tmp_path)
    file = made.write("a-file", "x")
    found = findings(made, 1, F5_STORE=f"file:{file}/below")
    assert found["store"]["state"] == "error" and found["store"]["hint"]
    found = findings(made, 1, F5_STORE="nonsense")
    assert (found["store"]["state"], found["store"]["hint"]) == (
        "error",
        "Use file:<folder>, b2://<bucket>/<prefix> or s3://<bucket>/<prefix>.",
    )
    found = findings(made, 1, DAGSTER_HOME=str(file))
    assert found["Dagster"]["state"] == found["links"]["state"] == "error" and found["Dagster"]["hint"]
    found = findings(made, 1, F5_LINK_SECRET="short")
    assert "5 characters, fewer than 32" in found["links"]["found"]
    (tmp_path / "dagster" / "dagster.yaml").write_text("storage: {nonsense: true}\n")
    found = findings(made, 1)
    assert found["Dagster"]["state"] == "error" and "dagster.yaml" in found["Dagster"]["hint"]
    assert [what for what, one in found.items() if one["state"] == "error"] == ["Dagster"]


def test_a_bad_setting_is_an_error_of_everything_that_reads_it(tmp_path):
    found = findings(Installation(tmp_path), 1, F5_PORT="abc")
    assert found["settings"]["state"] == "error" and "F5_PORT" in found["settings"]["found"]
    assert found["python"]["state"] == found["draft engine"]["state"] == "ok"


def test_a_port_in_use_is_a_warning(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = findings(Installation(tmp_path), 0, F5_PORT=str(port), F5_UI_PORT=str(free_port()))
    assert found["ports"]["state"] == "warning" and f"{port} in use" in found["ports"]["found"]


def test_the_ports_of_its_own_up_are_in_order(tmp_path):
    made = Installation(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"F5_PORT": str(taken.getsockname()[1]), "F5_UI_PORT": str(free_port())}
        lock = hold(instance_lock(Settings(DAGSTER_HOME=tmp_path / "dagster")))  # type: ignore[call-arg]
        assert lock is not None  # as `up` does
        found = findings(made, 0, **ports)["ports"]
        assert found["state"] == "ok" and f"process {os.getpid()}" in found["found"]
        release(lock)
        assert findings(made, 0, **ports)["ports"]["state"] == "warning"


def test_no_secret_is_shown(tmp_path):
    secret = "a-secret-that-nobody-may-see-0123456789"
    assert secret not in quick(Installation(tmp_path), "doctor", code=None, F5_LINK_SECRET=secret).out


def test_a_hub_that_does_not_answer_is_a_warning(tmp_path):
    port = free_port()
    found = findings(Installation(tmp_path), 0, F5_HUB=f"http://127.0.0.1:{port}", F5_OFFLINE="0")
    assert found["hub"]["state"] == "warning" and str(port) in found["hub"]["found"] and found["hub"]["hint"]

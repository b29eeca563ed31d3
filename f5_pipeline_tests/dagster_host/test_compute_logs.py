"""Where the output of steps goes, by a run on an instance as dagster.yaml makes it."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.compute_log_manager import ComputeIOType

from f5_pipeline.dagster_host.compute_logs import LocalComputeLogs
from f5_pipeline.errors import InputError
from f5_pipeline.orchestration.configured import open_store
from f5_pipeline.orchestration.resources import StoreResource, bucket_resources
from f5_pipeline.settings import get_settings
from f5_pipeline.store.s3.store import S3Store
from f5_pipeline_tests.support.servers.fixtures import moto_server, swift_server  # noqa: F401
from f5_pipeline_tests.support.some import some

pytestmark = pytest.mark.slow

INSTANCE = """
telemetry:
  enabled: false
compute_logs:
  module: f5_pipeline.dagster_host.compute_logs
  class: StoreComputeLogs
"""


@dg.op
def speak() -> None:
    print("said by a step")  # noqa: T201


@dg.job(executor_def=dg.in_process_executor)
def speaking() -> None:
    speak()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in list(os.environ):
        if name.startswith(("F5_", "AWS_", "B2_", "DAGSTER_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "dagster"
    folder.mkdir()
    (folder / "dagster.yaml").write_text(INSTANCE)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("F5_CACHE", str(tmp_path / "cache"))
    get_settings.cache_clear()
    yield folder
    get_settings.cache_clear()


@pytest.fixture(params=["moto_server", "swift_server"])
def store(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """A bucket that the settings of this process name, for its logs as well."""
    server = request.getfixturevalue(request.param)
    bucket = server.make_bucket(f"logs-{uuid.uuid4().hex}")
    values = {**server.settings(bucket), "F5_STORE": f"b2://{bucket}/studio", "F5_COMPUTE_LOGS": "store"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    opened = open_store(get_settings())
    assert isinstance(opened, S3Store)
    return opened


def log_key(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    (event,) = instance.all_logs(run_id, of_type=dg.DagsterEventType.LOGS_CAPTURED)
    return [run_id, "compute_logs", some(event.dagster_event).logs_captured_data.file_key]


def test_the_output_of_a_step_is_in_the_bucket(store, home):
    with dg.DagsterInstance.get() as instance:
        ended = speaking.execute_in_process(instance=instance)
        key = log_key(instance, ended.run_id)
        (out,) = [found.key for found in store.list("logs/") if found.key.endswith(".out")]
        assert store.get_bytes(out) == b"said by a step\n"
        assert ended.run_id in out
        manager = instance.compute_log_manager
        # As the web server of another machine reads it.
        assert not list((home / "storage").rglob("*.out"))
        data, _ = manager.get_log_data_for_type(key, ComputeIOType.STDOUT, 0, None)
        assert data == b"said by a step\n"
        url = manager.get_log_metadata(key).stdout_download_url
        assert url and "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
        assert manager.get_log_keys_for_log_key_prefix(key[:-1], ComputeIOType.STDOUT) == [key]
        manager.delete_logs(prefix=[ended.run_id])
        assert list(store.list("logs/")) == []


def test_the_log_of_a_running_step_is_followed(store, home):
    with dg.DagsterInstance.get() as instance:
        manager = instance.compute_log_manager
        key = ["run", "compute_logs", "step"]
        with manager.capture_logs(key):
            print("first", flush=True)  # noqa: T201
            manager.on_progress(key)  # type: ignore[attr-defined]
            (partial,) = [found.key for found in store.list("logs/") if ".out" in found.key]
            assert partial.endswith(".partial") and store.get_bytes(partial) == b"first\n"
            print("second", flush=True)  # noqa: T201
        (whole,) = [found.key for found in store.list("logs/") if ".out" in found.key]
        assert store.get_bytes(whole) == b"first\nsecond\n"


def test_the_resource_is_the_client_of_the_store(store, home):
    resource = bucket_resources(store.url)["s3"]
    opened = StoreResource(url=store.url).open()
    assert resource.get_client() is opened.client is store.client  # type: ignore[attr-defined]
    assert store.bucket.access.key not in repr(resource) + str(resource._resolved_config_dict)


def test_by_default_the_output_stays_on_this_machine(home):
    with dg.DagsterInstance.get() as instance:
        ended = speaking.execute_in_process(instance=instance)
        assert type(instance.compute_log_manager) is LocalComputeLogs
        (out,) = (home / "storage" / ended.run_id).rglob("*.out")
        assert out.read_text() == "said by a step\n"


CAPTURE = """
import subprocess, sys, psutil
from f5_pipeline.dagster_host.compute_logs import LocalComputeLogs
with LocalComputeLogs(sys.argv[1]).capture_logs(["run", "compute_logs", "step"]):
    print("said by a step", flush=True)
    subprocess.run([sys.executable, "-c", "import os; os.write(2, b'said by a child')"], check=True)
    assert not psutil.Process().children()
    sys.stdin.readline()
print("said afterwards")
"""


def test_the_output_of_a_step_and_its_children_is_kept_and_shown_without_more_processes(tmp_path):
    logs, key = LocalComputeLogs(str(tmp_path)), ["run", "compute_logs", "step"]
    for attempt in (1, 2):
        command = [sys.executable, "-c", CAPTURE, str(tmp_path)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert process.stdout and process.stdout.readline() == "said by a step\n"  # while the step runs
        assert process.communicate("go on\n") == ("said afterwards\n", "said by a child")
        assert process.returncode == 0
        assert logs.is_capture_complete(key)
        kept = logs.get_log_data(key)
        assert (kept.stdout, kept.stderr) == (b"said by a step\n" * attempt, b"said by a child" * attempt)


def test_logs_cannot_be_kept_in_a_folder_that_is_the_store(home, monkeypatch):
    monkeypatch.setenv("F5_COMPUTE_LOGS", "store")
    get_settings.cache_clear()
    with dg.DagsterInstance.get() as instance, pytest.raises(InputError) as refused:
        _ = instance.compute_log_manager
    assert refused.value.file == "F5_COMPUTE_LOGS"


def test_local_logs_import_no_boto():
    program = (
        "import sys, f5_pipeline.dagster_host.compute_logs, f5_pipeline.orchestration.resources as r\n"
        "assert r.bucket_resources('file:x') == {}\n"
        "print([name for name in ('boto3', 'dagster_aws') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"

"""Pools, tags and retries: what Dagster, Kubernetes and Ray read is what we mean, and who gives a GPU up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.events import EngineEventData
from dagster._core.execution.plan.resume_retry import ReexecutionStrategy
from dagster._core.instance.config import PoolGranularity
from dagster._core.launcher import WorkerStatus
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.tags import GRPC_INFO_TAG, USER_EDITABLE_SYSTEM_TAGS

from f5_pipeline.dagster_host.instance import fail_dead_runs
from f5_pipeline.dagster_host.run_launcher import LocalRunLauncher, process_of
from f5_pipeline.orchestration import tags as scheduling
from f5_pipeline.orchestration.tags import GPU_POOL, WORKER_TAG, should_yield_gpu
from f5_pipeline.system.bundled import bundled
from f5_pipeline.system.processes import process_name
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.waiting import HANG_SECONDS


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A real instance, by the dagster.yaml that users get."""
    (tmp_path / "dagster.yaml").write_bytes(bundled("dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


@dg.job
def nothing() -> None:
    """A job without steps."""


def new_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus | None = None, /, **tags: str) -> dg.DagsterRun:
    return instance.create_run_for_job(nothing, tags=tags, status=status)


def test_the_instance_is_as_dagster_yaml_says(instance):
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    assert isinstance(instance.run_launcher, LocalRunLauncher)
    assert isinstance(instance.compute_log_manager, LocalComputeLogManager), "F5_COMPUTE_LOGS is local where unset"
    limits = instance.get_concurrency_config()
    assert (limits.pool_config.pool_granularity, limits.pool_config.default_pool_limit) == (PoolGranularity.OP, 1)
    assert limits.run_queue_config is not None
    (batches,) = limits.run_queue_config.tag_concurrency_limits
    assert batches["key"] == scheduling.BATCH_TAG
    assert batches["limit"] < limits.run_queue_config.max_concurrent_runs, "there is room beside batches"
    assert instance.run_monitoring_enabled and instance.run_retries_enabled
    assert instance.run_retries_max_retries > 0 and not instance.run_retries_retry_on_asset_or_op_failure
    assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] > 0


def test_a_home_with_dagster_yaml_of_an_earlier_version_works(tmp_path):
    old = {"telemetry": {"enabled": False}, "run_monitoring": {"enabled": True}, "run_retries": {"enabled": False}}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(old))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        run = new_run(instance)
        assert not should_yield_gpu(instance, run)
        assert process_of(instance, run) is None


def test_tags_of_runs_are_those_that_dagster_reads():
    batch = scheduling.batch_run_tags("nightly")
    assert batch[scheduling.GPU_TAG] == "1" and batch[scheduling.BATCH_TAG] == "nightly"
    dagsters = {name for name in batch if name.startswith("dagster/")}
    assert dagsters == {"dagster/priority", "dagster/max_runtime", "dagster/max_retries", "dagster/retry_strategy"}
    assert dagsters <= set(USER_EDITABLE_SYSTEM_TAGS)
    assert all(isinstance(value, str) for value in batch.values())
    assert float(batch["dagster/max_runtime"]) > 3600
    assert int(batch["dagster/priority"]) < scheduling.INTERACTIVE_PRIORITY < scheduling.COMMAND_LINE_PRIORITY
    assert batch["dagster/retry_strategy"] in ReexecutionStrategy.__members__


def claim(instance: dg.DagsterInstance, run: dg.DagsterRun, step: str = "speak") -> bool:
    """Ask for a place in the pool as a run's executor does."""
    return instance.event_log_storage.claim_concurrency_slot(
        GPU_POOL, run.run_id, step, scheduling.priority_of(run.tags)
    ).is_claimed


def test_a_batch_gives_way_to_what_is_more_urgent_and_to_nothing_else(instance):
    storage = instance.event_log_storage
    storage.set_concurrency_slots(GPU_POOL, 1)
    batch = new_run(instance, **scheduling.batch_run_tags("nightly"))
    assert claim(instance, batch)
    assert not should_yield_gpu(instance, batch), "nobody waits"

    assert not claim(instance, new_run(instance, **scheduling.batch_run_tags("inbox")))
    assert not should_yield_gpu(instance, batch), "another batch may wait"

    urgent = new_run(instance)
    assert not claim(instance, urgent)
    assert should_yield_gpu(instance, batch)
    assert should_yield_gpu(instance, batch, "speak") and not should_yield_gpu(instance, batch, "another step")
    assert not should_yield_gpu(instance, urgent), "it holds nothing that it could give up"

    storage.free_concurrency_slot_for_step(batch.run_id, "speak")
    assert not claim(instance, batch), "it waits behind"
    assert claim(instance, urgent)
    assert not should_yield_gpu(instance, urgent), "the batch that waits is less urgent"


def test_one_batch_of_many_gives_way_to_one_that_waits(instance):
    instance.event_log_storage.set_concurrency_slots(GPU_POOL, 3)
    batches = [new_run(instance, **scheduling.batch_run_tags("nightly")) for _ in range(2)]
    middle = new_run(instance)
    assert all(claim(instance, run) for run in [*batches, middle])
    first, second = (new_run(instance, **scheduling.gpu_run_tags(scheduling.COMMAND_LINE_PRIORITY)) for _ in range(2))
    assert not claim(instance, first)
    assert sum(should_yield_gpu(instance, run) for run in batches) == 1
    assert not should_yield_gpu(instance, middle)
    assert not claim(instance, second)
    assert all(should_yield_gpu(instance, run) for run in batches)
    assert not should_yield_gpu(instance, middle)


def test_steps_of_one_run_give_way_one_by_one(instance):
    instance.event_log_storage.set_concurrency_slots(GPU_POOL, 2)
    batch = new_run(instance, **scheduling.batch_run_tags("nightly"))
    assert claim(instance, batch, "a") and claim(instance, batch, "b")
    assert not claim(instance, new_run(instance))
    assert [should_yield_gpu(instance, batch, step) for step in "ab"].count(True) == 1


@pytest.fixture
def process() -> Iterator[subprocess.Popen]:
    """A process that works on something, and ends with code 7 where it is interrupted as by Ctrl-C."""
    program = (
        "import signal, sys, time; signal.signal(signal.SIGINT, lambda *_: sys.exit(7)); print(1, flush=True)\n"
        "time.sleep(300)"
    )
    made = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    some(made.stdout).readline()
    yield made
    made.kill()
    made.wait()


def run_of_command_line(instance: dg.DagsterInstance, process: subprocess.Popen) -> dg.DagsterRun:
    return new_run(instance, dg.DagsterRunStatus.STARTED, **{WORKER_TAG: process_name(process.pid)})


def run_of_code_server(instance: dg.DagsterInstance, process: subprocess.Popen) -> dg.DagsterRun:
    """As Dagster's code server tells of a run that it has started."""
    tags = {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": "/tmp/gone.sock"})}
    run = new_run(instance, dg.DagsterRunStatus.STARTED, **tags)
    instance.report_engine_event(
        f"Started process for run (pid: {process.pid}).", run, EngineEventData.in_process(process.pid)
    )
    return run


@pytest.mark.parametrize("make", [run_of_command_line, run_of_code_server])
def test_a_run_whose_process_is_killed_is_noticed_and_gives_its_gpu_back(instance, process, make):
    instance.event_log_storage.set_concurrency_slots(GPU_POOL, 1)
    run = make(instance, process)
    assert claim(instance, run)
    launcher = instance.run_launcher
    assert launcher.supports_check_run_worker_health
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    assert fail_dead_runs(instance) == 0

    process.kill()
    process.wait()
    assert launcher.check_run_worker_health(run).status == WorkerStatus.FAILED
    assert fail_dead_runs(instance) == 1
    ended = instance.get_run_by_id(run.run_id)
    assert ended and ended.status == dg.DagsterRunStatus.FAILURE
    assert instance.event_log_storage.get_concurrency_info(GPU_POOL).claimed_slots == []
    assert claim(instance, new_run(instance))


@pytest.mark.parametrize("make", [run_of_command_line, run_of_code_server])
def test_a_run_is_canceled_though_its_code_server_is_gone(instance, process, make):
    run = make(instance, process)
    assert instance.run_launcher.terminate(run.run_id)
    assert process.wait(timeout=HANG_SECONDS) == 7
    found = instance.get_run_by_id(run.run_id)
    assert found and found.status == dg.DagsterRunStatus.CANCELING


@pytest.mark.parametrize(
    ("status", "retries"), [(dg.DagsterRunStatus.STARTING, "0"), (dg.DagsterRunStatus.STARTED, None)]
)
def test_a_run_that_is_canceled_while_its_process_starts_is_not_tried_again(instance, process, status, retries):
    run = new_run(instance, status, **{WORKER_TAG: process_name(process.pid)})
    assert instance.run_launcher.terminate(run.run_id)
    assert some(instance.get_run_by_id(run.run_id)).tags.get("dagster/max_retries") == retries


def test_a_run_that_is_continued_is_not_taken_for_its_dead_parent(instance, process):
    parent = run_of_command_line(instance, process)
    process.kill()
    process.wait()
    assert fail_dead_runs(instance) == 1
    child = instance.create_run_for_job(
        nothing, tags=parent.tags, parent_run_id=parent.run_id, root_run_id=parent.run_id
    )
    assert process_of(instance, child) is None
    assert fail_dead_runs(instance) == 0


def test_a_process_that_came_by_the_id_of_a_dead_one_is_another(instance, process, monkeypatch):
    run = run_of_code_server(instance, process)
    found = process_of(instance, run)
    assert found and found.living
    now = time.time
    monkeypatch.setattr(
        "f5_pipeline.dagster_host.run_launcher._MAX_CLOCK_CHANGE_SECONDS", now() * -1
    )  # as if it had started after it told
    found = process_of(instance, run)
    assert found and not found.living
    os.kill(process.pid, 0)


def test_a_run_on_another_host_is_left_alone(instance, process):
    elsewhere = f"elsewhere/{process.pid}/1"
    run = new_run(instance, dg.DagsterRunStatus.STARTED, **{WORKER_TAG: elsewhere})
    remote = new_run(instance, dg.DagsterRunStatus.STARTED, **{GRPC_INFO_TAG: json.dumps({"host": "user", "port": 1})})
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process_of(instance, run) is None and process_of(instance, remote) is None
    assert fail_dead_runs(instance) == 0
    assert instance.run_launcher.check_run_worker_health(remote).status == WorkerStatus.RUNNING

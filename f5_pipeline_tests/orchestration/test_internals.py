"""Every private name of Dagster that we use is there, and does what we count on: an upgrade that moves or changes one
fails here, by its name."""

from __future__ import annotations

import importlib.util
import inspect
import multiprocessing.util
import sys
from pathlib import Path

import dagster as dg
import pytest

from f5_pipeline.dagster_host import quick_import
from f5_pipeline.dagster_host.runs import MODULE
from f5_pipeline.orchestration import internals, step_processes
from f5_pipeline_tests.support.installation import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TAGS = {
    "ASSET_PARTITION_RANGE_END_TAG": "dagster/asset_partition_range_end",
    "ASSET_PARTITION_RANGE_START_TAG": "dagster/asset_partition_range_start",
    "AUTO_RETRY_RUN_ID_TAG": "dagster/auto_retry_run_id",
    "CODE_VERSION_TAG": "dagster/code_version",
    "DATA_VERSION_IS_USER_PROVIDED_TAG": "dagster/data_version_is_user_provided",
    "DATA_VERSION_TAG": "dagster/data_version",
    "GRPC_INFO_TAG": ".dagster/grpc_info",
    "MAX_RETRIES_TAG": "dagster/max_retries",
    "MAX_RUNTIME_SECONDS_TAG": "dagster/max_runtime",
    "PARTITION_NAME_TAG": "dagster/partition",
    "PRIORITY_TAG": "dagster/priority",
    "RETRY_STRATEGY_TAG": "dagster/retry_strategy",
    "RUN_KEY_TAG": "dagster/run_key",
    "WILL_RETRY_TAG": "dagster/will_retry",
}
"""They stand in the runs and events of users' instances: another value would hide what is there."""

PARAMETERS = {
    "CanCancelExecutionRequest": {"run_id"},
    "CanCancelExecutionResult": {"can_cancel"},
    "CapturedLogContext": {"log_key"},
    "CheckRunHealthResult": {"status", "msg"},
    "LoadableTargetOrigin": {"module_name"},
    "LocalComputeLogManager": {"base_dir", "inst_data"},
    "ManagedGrpcPythonEnvCodeLocationOrigin": {"loadable_target_origin", "location_name"},
    "RemoteJobOrigin": {"repository_origin", "job_name"},
    "RemoteRepositoryOrigin": {"code_location_origin", "repository_name"},
    "check_alembic_revision": {"alembic_config", "conn"},
    "create_execution_plan": {"job", "run_config", "tags", "instance_ref"},
    "execute_plan_iterator": {"execution_plan", "job", "dagster_run", "run_config", "retry_mode", "instance"},
    "execute_run_iterator": {"job", "dagster_run", "instance"},
    "get_alembic_config": {"dunder_file"},
    "run_step_in_child": {"event_queue", "command"},
}

REPLACED = {"create_engine", "check_alembic_revision", "get_alembic_config"}
"""Functions of the storages that a command replaces by its own."""

MEMBERS = {
    "ComputeIOType": {"STDOUT", "STDERR"},
    "ComputeLogManager": {"capture_logs", "get_log_data", "is_capture_complete"},
    "ConfigurableClass": {"config_type", "from_config_value", "inst_data"},
    "ConfigurableClassData": {"rehydrate"},
    "InstanceRef": {"defs_state_storage", "defs_state_storage_data"},
    "ReconstructableRepository": {"for_module", "get_reconstructable_job"},
    "CheckStepHealthResult": {"healthy", "unhealthy"},
    "RunFailureReason": {"UNEXPECTED_TERMINATION"},
    "StepHandler": {"name", "launch_step", "check_step_health", "terminate_step"},
    "WorkerStatus": {"RUNNING", "FAILED"},
    "event_log_schema": {"SqlEventLogStorageTable"},
    "sqlite_event_log": {*REPLACED, "SqliteEventLogStorage", "INDEX_SHARD_NAME"},
    "sqlite_run_storage": REPLACED,
    "sqlite_schedule_storage": REPLACED,
}

ELSEWHERE = {
    "DAEMON_MODULE",
    "IO_TYPE_EXTENSION",
    "RETRY_EVENTS",
    "DagsterUserCodeUnreachableError",
    "extract_data_version_from_entry",
    "get_input_data_version_tag",
    "get_input_event_pointer_tag",
    "is_valid_cron_schedule",
    "multiprocess_executor",
    "retry_cursor_key",
}
"""Names with a test of their own below."""


@pytest.mark.parametrize("name", TAGS)
def test_a_tag_is_what_it_was(name):
    assert getattr(internals, name) == TAGS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_it_takes_what_it_is_given(name):
    target = getattr(internals, name)
    # Dagster's records hide what they take behind *args; their fields tell.
    accepted = getattr(target, "_fields", None) or inspect.signature(target).parameters
    assert PARAMETERS[name] <= set(accepted)


@pytest.mark.parametrize("name", MEMBERS)
def test_it_has_what_is_asked_of_it(name):
    assert {member for member in MEMBERS[name] if hasattr(getattr(internals, name), member)} == MEMBERS[name]


def test_every_name_has_a_test():
    assert set(internals.__all__) == {*TAGS, *PARAMETERS, *MEMBERS, *ELSEWHERE}
    public = {name for name in vars(internals) if not name.startswith("_")} - {"annotations", "importlib"}
    assert public - {"Any", "TYPE_CHECKING"} <= set(internals.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = internals.nothing


def test_the_versions_of_data_are_read_from_events():
    key = dg.AssetKey(["a", "b"])
    assert internals.get_input_data_version_tag(key) == "dagster/input_data_version/a/b"
    assert internals.get_input_event_pointer_tag(key) == "dagster/input_event_pointer/a/b"
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {internals.DATA_VERSION_TAG: "seven"}
        instance.report_runless_asset_event(dg.AssetMaterialization(key, tags=tags))
        (record,) = instance.fetch_materializations(key, limit=1).records
    version = internals.extract_data_version_from_entry(record.event_log_entry)
    assert version and version.value == "seven"


def test_cron_is_judged():
    assert internals.is_valid_cron_schedule("0 1 * * *") and internals.is_valid_cron_schedule("@daily")
    assert not internals.is_valid_cron_schedule("at night")


def test_files_of_logs_have_their_extensions():
    extensions = internals.IO_TYPE_EXTENSION
    assert {kind.name: extensions[kind] for kind in internals.ComputeIOType} == {"STDOUT": "out", "STDERR": "err"}


def test_a_silent_code_server_is_an_error_of_dagsters():
    assert issubclass(internals.DagsterUserCodeUnreachableError, dg.DagsterError)


def test_the_daemon_keeps_how_far_its_retries_have_come():
    keys = {internals.retry_cursor_key(event) for event in internals.RETRY_EVENTS}
    assert keys == {"EVENT_LOG_CONSUMER_CURSOR-PIPELINE_FAILURE", "EVENT_LOG_CONSUMER_CURSOR-PIPELINE_SUCCESS"}


def test_the_daemon_is_run_as_a_module():
    assert importlib.util.find_spec(f"{internals.DAEMON_MODULE}.__main__")


@pytest.mark.parametrize("name", [*quick_import.INSTANCE_MODULES, quick_import.DEFERRED_PACKAGE])
def test_a_module_that_is_loaded_ahead_or_deferred_is_there(name):
    assert importlib.util.find_spec(name)


def test_a_job_is_found_by_its_module():
    job = internals.ReconstructableRepository.for_module(MODULE, "defs").get_reconstructable_job("narrate")
    assert job.get_definition().name == "narrate"


def test_the_process_of_a_step_is_known_by_its_target():
    """multiprocessing's own: what a process was started to do, and what is done in it before that."""
    process = multiprocessing.get_context("spawn").Process(target=internals.run_step_in_child)
    assert process._target is internals.run_step_in_child  # type: ignore[attr-defined]
    assert callable(multiprocessing.util.register_after_fork)


def test_the_executor_starts_steps_by_a_function_that_we_replace():
    """It takes what ours takes, the executor calls it by its name in this module, and a step's process sets its event
    when it is done."""
    module = internals.multiprocess_executor
    dagsters = step_processes._execute_step_out_of_process
    assert len(inspect.signature(dagsters).parameters) == len(
        inspect.signature(step_processes._execute_step).parameters
    )
    assert module.execute_step_out_of_process is step_processes._execute_step
    assert "= execute_step_out_of_process(" in inspect.getsource(module.MultiprocessExecutor.execute)
    assert "self.term_event.set()" in inspect.getsource(module.MultiprocessExecutorChildProcessCommand.execute)


def test_lint_knows_every_private_module():
    ruff = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert "TID251" in ruff["select"] and "f5_pipeline/orchestration/internals.py" in ruff["per-file-ignores"]
    private = {path.stem for path in Path(dg.__file__).parent.glob("_*") if not path.name.startswith("__")}
    banned = {name.removeprefix("dagster.") for name in ruff["flake8-tidy-imports"]["banned-api"]}
    assert private <= banned

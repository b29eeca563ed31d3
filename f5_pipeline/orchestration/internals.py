"""The private names of Dagster that we use. Only this module imports `dagster._…` (ruff's TID251 enforces it), and each
name has a test that fails where an upgrade of Dagster moves or changes it.

Modules that `import dagster` does not load are loaded at first use (`_LAZY`), so that the code location loads fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    extract_data_version_from_entry,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.events import RunFailureReason
from dagster._core.execution.api import create_execution_plan, execute_plan_iterator, execute_run_iterator
from dagster._core.executor import multiprocess as multiprocess_executor
from dagster._core.executor.child_process_executor import _execute_command_in_child_process as run_step_in_child
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.compute_log_manager import ComputeIOType, ComputeLogManager
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    AUTO_RETRY_RUN_ID_TAG,
    GRPC_INFO_TAG,
    MAX_RETRIES_TAG,
    MAX_RUNTIME_SECONDS_TAG,
    PARTITION_NAME_TAG,
    PRIORITY_TAG,
    RETRY_STRATEGY_TAG,
    RUN_KEY_TAG,
    WILL_RETRY_TAG,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster._utils.schedules import is_valid_cron_schedule

if TYPE_CHECKING:
    from dagster._core.executor.step_delegating import CheckStepHealthResult, StepHandler
    from dagster._core.instance.ref import InstanceRef
    from dagster._core.storage.compute_log_manager import CapturedLogContext
    from dagster._core.storage.event_log import schema as event_log_schema
    from dagster._core.storage.event_log.sqlite import sqlite_event_log
    from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION, LocalComputeLogManager
    from dagster._core.storage.runs.sqlite import sqlite_run_storage
    from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
    from dagster._core.storage.sql import check_alembic_revision, get_alembic_config
    from dagster._daemon.auto_run_reexecution.event_log_consumer import DAGSTER_EVENT_TYPES as RETRY_EVENTS
    from dagster._daemon.auto_run_reexecution.event_log_consumer import _create_cursor_key as retry_cursor_key
    from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult

DAEMON_MODULE = "dagster._daemon"
"""The daemon, for `python -m`: its public console script need not be on the PATH."""

_LAZY = {
    "CanCancelExecutionRequest": ("dagster._grpc.types", "CanCancelExecutionRequest"),
    "CanCancelExecutionResult": ("dagster._grpc.types", "CanCancelExecutionResult"),
    "IO_TYPE_EXTENSION": ("dagster._core.storage.local_compute_log_manager", "IO_TYPE_EXTENSION"),
    "LocalComputeLogManager": ("dagster._core.storage.local_compute_log_manager", "LocalComputeLogManager"),
    # The events that the daemon's retries of runs follow, and the key of their cursor.
    "RETRY_EVENTS": ("dagster._daemon.auto_run_reexecution.event_log_consumer", "DAGSTER_EVENT_TYPES"),
    "retry_cursor_key": ("dagster._daemon.auto_run_reexecution.event_log_consumer", "_create_cursor_key"),
    # The tables of events, alike in SQLite and Postgres.
    "event_log_schema": ("dagster._core.storage.event_log", "schema"),
    # The storages of SQLite, as modules: their functions are replaced.
    "check_alembic_revision": ("dagster._core.storage.sql", "check_alembic_revision"),
    "get_alembic_config": ("dagster._core.storage.sql", "get_alembic_config"),
    "sqlite_event_log": ("dagster._core.storage.event_log.sqlite", "sqlite_event_log"),
    "sqlite_run_storage": ("dagster._core.storage.runs.sqlite", "sqlite_run_storage"),
    "sqlite_schedule_storage": ("dagster._core.storage.schedules.sqlite", "sqlite_schedule_storage"),
    # Opened for state of components, which there is none of; it imports universal_pathlib.
    "InstanceRef": ("dagster._core.instance.ref", "InstanceRef"),
    # Of executors on clusters.
    "CheckStepHealthResult": ("dagster._core.executor.step_delegating", "CheckStepHealthResult"),
    "StepHandler": ("dagster._core.executor.step_delegating", "StepHandler"),
    "CapturedLogContext": ("dagster._core.storage.compute_log_manager", "CapturedLogContext"),
}

__all__ = [
    "ASSET_PARTITION_RANGE_END_TAG",
    "ASSET_PARTITION_RANGE_START_TAG",
    "AUTO_RETRY_RUN_ID_TAG",
    "CODE_VERSION_TAG",
    "DAEMON_MODULE",
    "DATA_VERSION_IS_USER_PROVIDED_TAG",
    "DATA_VERSION_TAG",
    "GRPC_INFO_TAG",
    "IO_TYPE_EXTENSION",
    "MAX_RETRIES_TAG",
    "MAX_RUNTIME_SECONDS_TAG",
    "PARTITION_NAME_TAG",
    "PRIORITY_TAG",
    "RETRY_EVENTS",
    "RETRY_STRATEGY_TAG",
    "RUN_KEY_TAG",
    "WILL_RETRY_TAG",
    "CanCancelExecutionRequest",
    "CanCancelExecutionResult",
    "CapturedLogContext",
    "CheckRunHealthResult",
    "CheckStepHealthResult",
    "ComputeIOType",
    "ComputeLogManager",
    "ConfigurableClass",
    "ConfigurableClassData",
    "DagsterUserCodeUnreachableError",
    "InstanceRef",
    "LoadableTargetOrigin",
    "LocalComputeLogManager",
    "ManagedGrpcPythonEnvCodeLocationOrigin",
    "ReconstructableRepository",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "RunFailureReason",
    "StepHandler",
    "WorkerStatus",
    "check_alembic_revision",
    "create_execution_plan",
    "event_log_schema",
    "execute_plan_iterator",
    "execute_run_iterator",
    "extract_data_version_from_entry",
    "get_alembic_config",
    "get_input_data_version_tag",
    "get_input_event_pointer_tag",
    "is_valid_cron_schedule",
    "multiprocess_executor",
    "retry_cursor_key",
    "run_step_in_child",
    "sqlite_event_log",
    "sqlite_run_storage",
    "sqlite_schedule_storage",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, private_name = _LAZY[name]
    return getattr(importlib.import_module(module), private_name)

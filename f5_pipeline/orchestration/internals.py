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
    from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION, LocalComputeLogManager
    from dagster._daemon.auto_run_reexecution.event_log_consumer import DAGSTER_EVENT_TYPES as RETRY_EVENTS
    from dagster._daemon.auto_run_reexecution.event_log_consumer import _create_cursor_key as retry_cursor_key
    from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult

DAEMON_MODULE = "dagster._daemon"
"""The daemon, for `python -m`: its public console script need not be on the PATH."""

INSTANCE_MODULES = (
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage",
    "dagster._daemon.daemon",
    "upath.implementations.local",
)
"""Modules that opening an instance imports. Loading them ahead starts steps sooner; one that is gone does no harm."""

_LAZY = {
    "CanCancelExecutionRequest": ("dagster._grpc.types", "CanCancelExecutionRequest"),
    "CanCancelExecutionResult": ("dagster._grpc.types", "CanCancelExecutionResult"),
    "IO_TYPE_EXTENSION": ("dagster._core.storage.local_compute_log_manager", "IO_TYPE_EXTENSION"),
    "LocalComputeLogManager": ("dagster._core.storage.local_compute_log_manager", "LocalComputeLogManager"),
    # The events that the daemon's retries of runs follow, and the key of their cursor.
    "RETRY_EVENTS": ("dagster._daemon.auto_run_reexecution.event_log_consumer", "DAGSTER_EVENT_TYPES"),
    "retry_cursor_key": ("dagster._daemon.auto_run_reexecution.event_log_consumer", "_create_cursor_key"),
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
    "INSTANCE_MODULES",
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
    "CheckRunHealthResult",
    "ComputeIOType",
    "ComputeLogManager",
    "ConfigurableClass",
    "ConfigurableClassData",
    "DagsterUserCodeUnreachableError",
    "LoadableTargetOrigin",
    "LocalComputeLogManager",
    "ManagedGrpcPythonEnvCodeLocationOrigin",
    "ReconstructableRepository",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "RunFailureReason",
    "WorkerStatus",
    "create_execution_plan",
    "execute_plan_iterator",
    "execute_run_iterator",
    "extract_data_version_from_entry",
    "get_input_data_version_tag",
    "get_input_event_pointer_tag",
    "is_valid_cron_schedule",
    "multiprocess_executor",
    "retry_cursor_key",
    "run_step_in_child",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, private_name = _LAZY[name]
    return getattr(importlib.import_module(module), private_name)

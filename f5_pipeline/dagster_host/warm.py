"""What the processes of steps need to begin: imported once in the fork server, which forks each of them.

Opening the Dagster instance imports some five hundred modules, 0.6 s of work in each process of a step. What is heavy
and starts threads (numpy, torch) is not imported here: it does not go well through a fork.
"""

import contextlib
import importlib

import f5_pipeline.definitions  # noqa: F401

# Private to Dagster, so none of them is counted on: where one is gone, steps begin more slowly.
for _name in (
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.storage.sqlite_storage",
    "dagster._daemon.daemon",
    "upath.implementations.local",
):
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)

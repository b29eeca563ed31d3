"""The imports of step processes, loaded once in the fork server, which forks each of them.

Opening the Dagster instance imports some five hundred modules, 0.6 s of work for each step. Modules that start threads
(numpy, torch) are not imported here: threads do not survive a fork.
"""

import contextlib
import importlib

import f5_pipeline.definitions  # noqa: F401
from f5_pipeline.orchestration.internals import INSTANCE_MODULES

for _name in INSTANCE_MODULES:
    with contextlib.suppress(ImportError):  # without one of them, steps start more slowly
        importlib.import_module(_name)

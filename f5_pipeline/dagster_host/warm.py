"""What the processes of steps need to begin: imported once in the fork server, which forks each of them.

Opening the Dagster instance imports some five hundred modules, 0.6 s of work in each process of a step. What is heavy
and starts threads (numpy, torch) is not imported here: it does not go well through a fork.
"""

import contextlib
import importlib

import f5_pipeline.definitions  # noqa: F401
from f5_pipeline.orchestration.internals import INSTANCE_MODULES

for _name in INSTANCE_MODULES:
    with contextlib.suppress(ImportError):  # where one is gone, steps begin more slowly
        importlib.import_module(_name)

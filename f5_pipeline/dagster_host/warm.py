"""The imports of step processes, loaded once in the fork server, which forks each of them.

Modules that start threads (numpy, torch) are not imported here: threads do not survive a fork.
"""

from f5_pipeline.dagster_host.quick_import import import_dagster

import_dagster()

import f5_pipeline.definitions  # noqa: E402, F401
from f5_pipeline.orchestration.sqlite_storage import keep_databases_open  # noqa: E402

keep_databases_open()

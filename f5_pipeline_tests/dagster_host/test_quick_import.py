"""What importing Dagster for a command leaves out, and that it comes when it is asked for."""

from __future__ import annotations

import subprocess
import sys

from f5_pipeline.dagster_host.quick_import import REPLACED_MODULES

PROGRAM = """
import gc, sys
from f5_pipeline.dagster_host.quick_import import import_dagster
import_dagster()
absent = ("alembic", "mako", "pygments", "structlog", "rich", "upath", "filelock", "dagster._daemon.controller")
print(*(name for name in absent if name in sys.modules))
assert gc.isenabled() and gc.get_freeze_count() > 100_000
import_dagster()  # again, which does nothing

import dagster._core.storage.sql as sql
import dagster._daemon
import dagster._utils as utils
from dagster._daemon import DagsterDaemonController, types
from dagster._daemon.daemon import SchedulerDaemon
import alembic.config, filelock
assert dagster._daemon.SchedulerDaemon is SchedulerDaemon and types.DaemonHeartbeat and DagsterDaemonController
assert sql.get_alembic_config(sql.__file__.replace("sql.py", "runs/sql.py")).attributes == {}
assert isinstance(sql.Config(), alembic.config.Config)
assert isinstance(utils.FileLock("unused"), filelock.FileLock)
try:
    dagster._daemon.nothing
except AttributeError as error:
    print(error)
"""


def test_what_a_command_does_not_need_is_imported_when_it_is_asked_for():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    assert ended.stdout.splitlines() == ["", "module 'dagster._daemon' has no attribute 'nothing'"]
    assert ended.stderr == ""


def test_only_what_dagster_calls_later_is_replaced():
    """Names are taken from these modules as Dagster is imported, and used no further then: classes would be subclassed
    and constants compared."""
    assert {name.partition(".")[0] for name in REPLACED_MODULES} == {"alembic", "filelock", "tqdm"}

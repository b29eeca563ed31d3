"""Dagster's SQLite storage in a process that works on one run and ends.

For each statement Dagster opens a database anew, compiles the statement anew, and writes its journal back into the
database as the last one to close it. It reads all of Alembic's scripts to learn whether a database is new, and builds
the tables of each run's database by SQLAlchemy. A narration has some five hundred statements: that was a third of its
time. Here each database is opened once.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from f5_pipeline.orchestration import internals

_BUSY_SECONDS = 30
"""How long a statement waits for another process's; Dagster's own value."""

_engines: dict[tuple[int, str], sqlalchemy.Engine] = {}
"""By process and address: a connection must not be used on both sides of a fork."""

_init_database = internals.sqlite_event_log.SqliteEventLogStorage._initdb


def keep_databases_open() -> None:
    """Make Dagster's SQLite storages of this process open each database once, until `close_databases`."""
    storages: list[Any] = [
        internals.sqlite_event_log,
        internals.sqlite_run_storage,
        internals.sqlite_schedule_storage,
    ]
    for storage in storages:
        storage.create_engine = _engine
        storage.get_alembic_config = _LaterConfig
        storage.check_alembic_revision = _revisions
    storages[0].SqliteEventLogStorage._initdb = _init_event_log


def close_databases() -> None:
    """Bring what this process wrote to the disk, and close its databases."""
    for key in [key for key in _engines if key[0] == os.getpid()]:
        engine = _engines.pop(key)
        with contextlib.suppress(DBAPIError), engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
        sqlalchemy.Engine.dispose(engine)


def _engine(url: str, **options: Any) -> sqlalchemy.Engine:
    """The engine of a database, in the place of `sqlalchemy.create_engine`."""
    key = os.getpid(), url
    if key not in _engines:
        if all(pid != os.getpid() for pid, _ in _engines):
            Finalize(None, close_databases, exitpriority=0)  # also at the end of a process of multiprocessing
        arguments = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
        engine = sqlalchemy.create_engine(url, poolclass=QueuePool, max_overflow=-1, connect_args=arguments)
        event.listen(engine, "connect", _set_up)
        engine.dispose = lambda close=True: None  # Dagster does so after each statement
        _engines.setdefault(key, engine)
    return _engines[key]


def _set_up(connection: sqlite3.Connection, _: Any) -> None:
    # Nothing is lost where this process is killed. Where the machine fails, the run is lost anyway; what was written
    # before is on the disk at the end of each command.
    connection.execute("PRAGMA synchronous=NORMAL")


class _LaterConfig:
    """Alembic's configuration, made at its first use, which imports Alembic."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def __getattr__(self, name: str) -> Any:
        return getattr(internals.get_alembic_config(*self._arguments), name)


def _revisions(config: Any, connection: sqlalchemy.Connection) -> tuple[Any, Any]:
    """A database's revision and the newest one. Dagster's storages ask only whether there is one, which a database
    answers by itself; the newest is only looked up for one that is new."""
    if sqlalchemy.inspect(connection).has_table("alembic_version"):
        revisions = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
        if len(revisions) == 1:
            return revisions[0], revisions[0]
    return internals.check_alembic_revision(config, connection)


def _init_event_log(storage: Any, engine: sqlalchemy.Engine, for_index_shard: bool = False) -> None:
    index_name = internals.sqlite_event_log.INDEX_SHARD_NAME
    path, index = Path(engine.url.database or ""), Path(storage.path_for_shard(index_name))
    if not for_index_shard and path != index and not path.exists():
        with contextlib.suppress(sqlite3.Error, OSError):  # Dagster's own way finds what is wrong, and says so
            _copy_tables(index, path)
    _init_database(storage, engine, for_index_shard)  # which finds nothing to do where that has worked


def _copy_tables(index: Path, path: Path) -> None:
    """Make the database of a run with the tables and the revision of the one that holds all runs' assets: Dagster makes
    both alike. Does nothing where that one has no revision.

    Raises:
        sqlite3.Error, OSError: it cannot be read or written, or there are no hard links.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with contextlib.closing(sqlite3.connect(index, timeout=_BUSY_SECONDS)) as source:
        query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC"
        statements = [sql for (sql,) in source.execute(query)]
        revisions = source.execute("SELECT version_num FROM alembic_version").fetchall()
    if len(revisions) != 1:
        return
    try:
        with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as target:
            target.execute("PRAGMA journal_mode=WAL")
            target.execute("BEGIN")
            for statement in statements:
                target.execute(statement)
            target.execute("INSERT INTO alembic_version VALUES (?)", revisions[0])
            target.execute("COMMIT")
        with contextlib.suppress(FileExistsError):  # another process of the run was faster
            os.link(new, path)
    finally:
        new.unlink(missing_ok=True)

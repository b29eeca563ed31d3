"""Dagster's databases, opened once for a command: what is in them is the same."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from f5_pipeline.dagster_host.instance import open_instance
from f5_pipeline.orchestration import sqlite_storage
from f5_pipeline.settings import get_settings

KEY = dg.AssetKey("seen")


@pytest.fixture
def instance(here) -> Iterator[dg.DagsterInstance]:
    with open_instance(get_settings()) as opened:
        yield opened


def tables(database: Path) -> tuple[set[str], list[tuple[str]]]:
    """What makes a database's tables and indices, and its revision."""
    with closing(sqlite3.connect(database)) as connection:
        made = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        revision = connection.execute("SELECT version_num FROM alembic_version")
        return {" ".join(sql.split()) for (sql,) in made}, revision.fetchall()


def touch(instance: dg.DagsterInstance, run_id: str) -> Path:
    """Make the database of a run."""
    with instance.event_log_storage.run_connection(run_id):  # type: ignore[attr-defined]
        return Path(instance.event_log_storage.path_for_shard(run_id))  # type: ignore[attr-defined]


def test_the_database_of_a_run_is_as_dagster_makes_it(instance, monkeypatch):
    ours = tables(touch(instance, "ours"))
    monkeypatch.setattr(sqlite_storage, "_copy_tables", lambda index, path: None)
    assert ours == tables(touch(instance, "dagsters"))
    assert ours[1] and any("event_logs" in statement for statement in ours[0])
    with closing(sqlite3.connect(touch(instance, "ours"))) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert set(instance.event_log_storage.get_all_run_ids()) == {"ours", "dagsters"}


def test_a_home_without_revisions_is_left_to_dagster(instance):
    """As one that a Dagster of some time ago has made."""
    path = touch(instance, "first")
    index = path.with_name("index.db")
    with closing(sqlite3.connect(index)) as connection:
        connection.execute("DROP TABLE alembic_version")
    expected = tables(path)
    assert tables(touch(instance, "second")) == expected


def test_a_database_that_is_made_at_the_same_time_is_kept(instance):
    path = touch(instance, "run")
    index = path.with_name("index.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")
        connection.commit()
    sqlite_storage._copy_tables(index, path)
    assert any("mine" in sql for sql in tables(path)[0])
    assert not list(path.parent.glob("*.new*"))


def test_what_was_written_is_there_for_others_at_once_and_closed_afterwards(here):
    with open_instance(get_settings()) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(KEY))
        folder = Path(instance.root_directory) / "history" / "runs"
        with closing(sqlite3.connect(folder / "index.db")) as other:
            assert other.execute("SELECT count(*) FROM asset_keys").fetchone() == (1,)
        assert [path for path in open_files() if path.is_relative_to(folder)]
    assert not [path for path in open_files() if path.is_relative_to(folder)]
    assert not list(folder.glob("*-wal"))  # all is in the databases
    with dg.DagsterInstance.get() as instance:
        assert instance.get_latest_materialization_event(KEY)


def open_files() -> list[Path]:
    handles = Path("/proc/self/fd").iterdir() if Path("/proc").exists() else iter(())
    return [handle.readlink() for handle in handles if handle.exists()]


@pytest.mark.slow
def test_what_was_written_outlives_a_process_that_is_killed(here):
    program = """
import os, signal, dagster as dg
from f5_pipeline.dagster_host.instance import open_instance
from f5_pipeline.settings import get_settings
with open_instance(get_settings()) as instance:
    for _ in range(3):
        instance.report_runless_asset_event(dg.AssetMaterialization("seen"))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -signal.SIGKILL
    with open_instance(get_settings()) as instance:
        assert len(instance.fetch_materializations(KEY, limit=9).records) == 3

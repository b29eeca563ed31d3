"""Dagster's instance as it comes: on SQLite, and on Postgres as in deploy/."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copy

import dagster as dg
import pytest

from f5_pipeline_tests.support.installation import REPOSITORY, Installation
from f5_pipeline_tests.support.servers.postgres import running_postgres


@pytest.fixture(params=["sqlite", "postgres"])
def instance(
    request: pytest.FixtureRequest, here: Installation, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    home = Path(here.env["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    if request.param == "sqlite":
        copy(REPOSITORY / "dagster.yaml", home)
        with dg.DagsterInstance.from_config(str(home)) as made:
            yield made
        return
    copy(REPOSITORY / "deploy" / "dagster.yaml", home)
    with running_postgres() as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        with dg.DagsterInstance.from_config(str(home)) as made:
            yield made

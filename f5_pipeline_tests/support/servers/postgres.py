"""A Postgres server of the tests' own, in a folder that goes with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from f5_pipeline_tests.support.installation import free_port


@dataclass
class Postgres:
    """A cluster in a folder. `env`: the settings that reach it, as `deploy/dagster.yaml` reads them."""

    tools: Path
    data: Path
    as_user: dict[str, Any]
    host: str = "127.0.0.1"
    env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        password = "s3cret/with@signs:"
        (self.data / "password").write_text(password)
        (self.data / "password").chmod(0o644)
        self.env = {
            "POSTGRES_HOST": self.host,
            "POSTGRES_PORT": str(free_port()),
            "POSTGRES_DB": "postgres",
            "POSTGRES_USER": "dagster",
            "POSTGRES_PASSWORD": password,
        }
        file = self.data / "password"
        options = ["--username=dagster", f"--pwfile={file}", "--auth=scram-sha-256", "--no-sync"]
        self._call("initdb", "--pgdata", self.data / "data", *options)
        with (self.data / "data" / "pg_hba.conf").open("a") as access:
            access.write("host all all samenet scram-sha-256\n")

    def start(self) -> None:
        port = self.env["POSTGRES_PORT"]
        options = f"-c listen_addresses={self.host} -c port={port} -c unix_socket_directories={self.data} -c fsync=off"
        self._pg_ctl("start", "--wait", "--log", self.data / "log", "--options", options)

    def stop(self) -> None:
        """As a crash does: connections are cut, and the next start recovers."""
        self._pg_ctl("stop", "--mode=immediate")

    def _pg_ctl(self, action: str, *options: object) -> None:
        self._call("pg_ctl", action, "--pgdata", self.data / "data", *options)

    def _call(self, tool: str, *options: object) -> None:
        command = [str(self.tools / tool), *map(str, options)]
        done = subprocess.run(
            command, check=False, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **self.as_user
        )
        assert done.returncode == 0, done.stdout.decode()


@contextmanager
def running_postgres(host: str = "127.0.0.1") -> Iterator[Postgres]:
    """Skips the test where Postgres is not installed, or has no user to run as."""
    tools = [*(Path(folder) for folder in os.environ["PATH"].split(":")), *Path("/usr/lib/postgresql").glob("*/bin")]
    folder = next((one for one in reversed(tools) if (one / "initdb").exists() and (one / "pg_ctl").exists()), None)
    if folder is None:
        pytest.skip("Postgres is not installed")
    as_user: dict[str, Any] = {}
    # Not under pytest's own folder: that is closed to other users.
    data = Path(subprocess.check_output(["mktemp", "-d", "/tmp/f5-postgres-XXXXXX"], text=True).strip())
    if os.geteuid() == 0:  # Postgres refuses to run as root
        try:
            shutil.chown(data, "postgres")
        except LookupError:
            pytest.skip("there is no user for Postgres to run as")
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    server = Postgres(folder, data, as_user, host)
    try:
        server.start()
        yield server
    finally:
        with contextlib.suppress(AssertionError):
            server.stop()
        shutil.rmtree(data, ignore_errors=True)

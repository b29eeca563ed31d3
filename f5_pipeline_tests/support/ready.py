"""The process that stands ready for commands, as `up` starts it, alone."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from f5_pipeline.cli.ready import address
from f5_pipeline_tests.support.waiting import wait_for


def connected(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        return None
    return connection


@contextmanager
def ready_process(env: dict[str, str], folder: Path) -> Iterator[tuple[subprocess.Popen, Path]]:
    """It, and its socket; commands with this environment are done by it."""
    path = address(env, str(folder))
    command = [sys.executable, "-m", "f5_pipeline.cli.ready_server", str(path)]
    process = subprocess.Popen(command, cwd=folder, env=env, start_new_session=True)
    try:
        with wait_for("the process that stands ready", lambda: connected(path)) as connection:
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)  # until the fork that asks for a request has ended
        yield process, path
    finally:
        process.kill()
        process.wait()
        path.unlink(missing_ok=True)

"""Whether a process stands ready for this command, and asking it: a command then needs no imports of its own.

`f5-pipeline up` keeps such a process (`ready_server`). It is found by the address of its socket, which is made of all
that it has read as it started: this installation and its files, the settings in the environment, and the folder where
paths are relative to it. A command with others does its work itself, as one does where no `up` runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from f5_pipeline.errors import StoreError
from f5_pipeline.system.locks import machine_folder

READ_AT_START = ("F5_", "B2_", "AWS_", "DAGSTER_", "HF_", "RAY_", "PYTHON", "LANG", "LC_", "TZ", "POSTGRES_")
"""How environment variables begin that a process reads as it starts, not as it works: those of all settings."""

OWN_PROCESS = frozenset({"up", "serve", "worker", "demo", "doctor"})
"""Commands that go on for long, or look at the process that they are."""

ANSWER_SECONDS = 5.0
"""How long the process that stands ready may take to accept a command."""

_NAME = "ready-"

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
LENGTH = struct.Struct("!I")
STATUS = struct.Struct("!i")
ACCEPTED = b"+"


def address(environment: Mapping[str, str], folder: str) -> Path:
    """The socket of the process that stands ready for commands with this environment in this folder.

    Raises:
        StoreError: see `machine_folder`.
    """
    read = sorted(item for item in environment.items() if item[0].startswith(READ_AT_START))
    home, store = environment.get("DAGSTER_HOME", ""), environment.get("F5_STORE", "")
    is_absolute = home.startswith("/") and (store.startswith("file:/") or "://" in store)
    facts = [sys.executable, sys.prefix, list(_files()), read, None if is_absolute else folder]
    return machine_folder() / f"{_NAME}{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]}.sock"


def _files() -> Iterator[tuple[str, int]]:
    """The package's modules, and when each was written."""
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        yield str(path), path.stat().st_mtime_ns


def receive(connection: socket.socket, size: int) -> bytes:
    """As many bytes; fewer where the other end closes before."""
    data = b""
    while len(data) < size and (more := connection.recv(min(65_536, size - len(data)))):
        data += more
    return data


def ask(arguments: list[str]) -> int | None:
    """Have a command done by the process that stands ready; its exit code, or None where there is none."""
    if not arguments or arguments[0] in OWN_PROCESS or "_F5_PIPELINE_COMPLETE" in os.environ:
        return None
    with suppress(OSError, StoreError), socket.socket(socket.AF_UNIX) as server:
        if not any(machine_folder().glob(f"{_NAME}*")):  # none at all: most commands need not look at what they are
            return None
        folder = str(Path.cwd())
        server.settimeout(ANSWER_SECONDS)  # whoever goes before it is accepted is not worked for
        server.connect(str(address(os.environ, folder)))
        umask = os.umask(0)
        os.umask(umask)
        request = json.dumps(
            {"arguments": arguments, "environment": dict(os.environ), "folder": folder, "umask": umask}
        ).encode()
        socket.send_fds(server, [LENGTH.pack(len(request))], [0, 1, 2])
        server.sendall(request)
        if server.recv(1) == ACCEPTED:
            server.settimeout(None)
            return _wait(server)
    return None


def _wait(server: socket.socket) -> int:
    def forward(number: int, _: Any = None) -> None:
        with suppress(OSError):
            server.sendall(bytes([number]))

    def suspend(*_: Any) -> None:
        forward(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        forward(signal.SIGCONT)

    for number in FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, forward)
    signal.signal(signal.SIGTSTP, suspend)
    answer = b""
    with suppress(OSError):
        answer = receive(server, STATUS.size)
    if len(answer) < STATUS.size:
        sys.stderr.write("error: the process that did this command was killed\n")
        return 1
    (code,) = STATUS.unpack(answer)
    if code < 0:  # by a signal, so that whoever started us sees the same
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code

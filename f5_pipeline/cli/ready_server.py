"""A process that has imported what commands need, and forks itself for each: `python -m f5_pipeline.cli.ready_server`.

Beside each command a second fork listens to the one who asked: signals are passed on, and who goes without a word, as
by kill -9, takes the command along. Both are in sessions of their own, so that they outlive `up`, as commands do that
work in their own process. See `ready` for who asks.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from f5_pipeline.cli import interrupted, run
from f5_pipeline.cli.ready import ACCEPTED, FORWARDED, LENGTH, STATUS, receive

ASK_SECONDS = 10.0
"""In which a request must be there."""

MAX_REQUEST = 4 << 20
"""Bytes of a request: its environment and arguments, which the kernel limits to less."""

IMPORTED = (
    "f5_pipeline.dagster_host.warm",
    "f5_pipeline.dagster_host.instance",
    "f5_pipeline.dagster_host.runs",
    "f5_pipeline.cli.commands",
    "f5_pipeline.speech.engines.f5.spec",
    "f5_pipeline.speech.script.parser",
    "f5_pipeline.weights.library",
    "numpy",
    "soundfile",
    "soxr",
    "sentencex",
    "PIL.PngImagePlugin",
)
"""What most commands import; none of it starts a thread."""

_PASSED_ON = {*FORWARDED, signal.SIGSTOP, signal.SIGCONT}
_PEER = struct.Struct("3i")


def main(path: str) -> None:
    """Serve commands at a socket until a signal comes. Returns in the forks that do commands."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's threads would not survive a fork
    for module in IMPORTED:
        importlib.import_module(module)
    Path(path).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)  # in a folder of this user alone
        listener.listen(64)
        signal.signal(signal.SIGCHLD, _reap)
        gc.collect()
        gc.freeze()
        while True:
            connection, _ = listener.accept()
            with connection:
                try:
                    if os.fork():
                        continue
                except OSError:  # too many processes: the command does its work itself
                    continue
                listener.close()
                if (request := _accepted(connection)) is None:
                    os._exit(0)
                if (worker := os.fork()) == 0:
                    break
                _watch(connection, worker, request["streams"])
                os._exit(0)
    try:
        _become(request)
    except KeyboardInterrupt:
        sys.exit(interrupted())
    run()


def _reap(*_: Any) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _accepted(connection: socket.socket) -> dict[str, Any] | None:
    """The request of this user's own process, and its standard streams; None where there is none."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    connection.settimeout(ASK_SECONDS)
    try:
        _, user, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        header, streams, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
        if user != os.getuid() or len(header) < LENGTH.size or len(streams) != 3:
            return None
        (size,) = LENGTH.unpack(header)
        text = receive(connection, min(size, MAX_REQUEST))
        if len(text) < size:
            return None
        connection.sendall(ACCEPTED)
    except OSError:
        return None
    return {**json.loads(text), "streams": streams}


def _watch(connection: socket.socket, worker: int, streams: list[int]) -> None:
    """Pass on signals to a command until it ends, and then its exit code."""
    for stream in (*streams, 0, 1, 2):  # whoever reads them waits until nobody has them
        os.close(stream)
    connection.settimeout(None)
    with suppress(OSError):  # it has ended already
        os.setpgid(worker, worker)  # here, so that it is a group before the first signal is passed on
    ended = os.pidfd_open(worker)
    while True:
        ready, _, _ = select.select([connection, ended], [], [])
        if ended in ready:
            _, status = os.waitpid(worker, 0)
            with suppress(OSError):  # nobody waits for it
                connection.sendall(STATUS.pack(os.waitstatus_to_exitcode(status)))
            return
        numbers = connection.recv(16)
        if not numbers:
            os.kill(worker, signal.SIGKILL)
            return
        for number in _PASSED_ON & {*map(signal.Signals, numbers)}:
            os.killpg(worker, number)  # as a terminal does


def _become(request: dict[str, Any]) -> None:
    """Become the process that asked: its streams, environment, folder, arguments."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where `up` was started by nohup
    for number, stream in enumerate(request["streams"]):
        os.dup2(stream, number)
        os.close(stream)
    os.umask(request["umask"])
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    random.seed()
    sys.argv = ["f5-pipeline", *request["arguments"]]
    sys.stdin, sys.stdout, sys.stderr = (
        _opened(number, stream, mode)
        for number, (stream, mode) in enumerate(((sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w")))
    )


def _opened(number: int, like: TextIO, mode: str) -> Any:
    """A standard stream as Python makes it as it starts."""
    by_line = 1 if number == 2 or os.isatty(number) else -1
    return open(number, mode, by_line, encoding=like.encoding, errors=like.errors, closefd=False)


if __name__ == "__main__":
    main(sys.argv[1])

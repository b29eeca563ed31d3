"""`f5-pipeline …` as a process of its own that need not import everything anew: a server that has imported Dagster and
the commands forks it. Of the 2 s that a short command takes, that saves most.

As a program: the server. Each request is a datagram with arguments, folder and environment as JSON, and the file
descriptors of the command's output, its errors, and of a pipe that gets its id and its return code, a line each.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_MAX_REQUEST_BYTES = 1 << 20


@cache
def _server() -> socket.socket:
    """The connection to this process's server, which ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.Popen([sys.executable, "-m", __name__, str(theirs.fileno())], pass_fds=[theirs.fileno()])
    return ours


def run_command(arguments: Sequence[str], folder: Path, env: dict[str, str], seconds: float) -> tuple[int, str, str]:
    """Run `f5-pipeline …` in a session of its own.

    Args:
        seconds: it is ended, with the places of its threads in its errors, and fails, where it takes longer.

    Returns:
        Return code, as of `subprocess`; output; errors.
    """
    request = json.dumps({"arguments": arguments, "folder": str(folder), "env": env}).encode()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        reader, writer = socket.socketpair()
        with reader:
            with writer:
                socket.send_fds(_server(), [request], [out.fileno(), err.fileno(), writer.fileno()])
            lines = reader.makefile()
            pid = int(lines.readline())
            reader.settimeout(seconds)
            try:
                code = int(lines.readline())
            except TimeoutError:
                os.killpg(pid, signal.SIGABRT)  # PYTHONFAULTHANDLER has it print its threads
                reader.settimeout(None)
                lines = reader.makefile()
                code = int(lines.readline())
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return code, *texts


def _serve(requests: socket.socket) -> None:
    import f5_pipeline.cli
    from f5_pipeline.dagster_host.quick_import import import_dagster

    import_dagster()
    for module in pkgutil.iter_modules(f5_pipeline.cli.__path__, "f5_pipeline.cli."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the waiters
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, _MAX_REQUEST_BYTES, 3)
        if not request:
            return
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _wait_for_command(json.loads(request), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _wait_for_command(request: dict, out: int, err: int, status: int) -> None:
    """Fork the command, tell its id, and how it ended."""
    pid = os.fork()
    if pid == 0:
        os.close(status)
        _become_command(request, out, err)
    for descriptor in (out, err):
        os.close(descriptor)
    with open(status, "w") as told, contextlib.suppress(BrokenPipeError):
        print(pid, file=told, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=told, flush=True)
    os._exit(0)


def _become_command(request: dict, out: int, err: int) -> None:
    os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["env"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, place in ((out, 1), (err, 2)):
        os.dup2(descriptor, place)
        os.close(descriptor)
    if path := request["env"].get("PYTHONPATH"):
        sys.path[1:1] = path.split(os.pathsep)
        importlib.invalidate_caches()
    sys.argv = ["f5-pipeline", *request["arguments"]]
    sys.orig_argv = [sys.executable, "-m", "f5_pipeline.cli", *request["arguments"]]
    if request["env"].get("PYTHONFAULTHANDLER"):
        import faulthandler

        faulthandler.enable()
    from f5_pipeline.cli import main

    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    _end(code)


def _end(code: int) -> None:
    """End as an interpreter does: its threads are waited for, its exit handlers run, its streams flushed."""
    import atexit
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))

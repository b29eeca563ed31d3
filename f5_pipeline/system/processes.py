"""Names of processes, from which it can be told whether they are still alive."""

from __future__ import annotations

import socket

import psutil

_MAX_START_DIFFERENCE = 100
"""Hundredths of a second by which two readings of one process' start may differ: boot time is in whole seconds."""


def process_name(pid: int) -> str:
    """A unique name of a process: host/id/start, as an id alone is reused after the process ends.

    Names of version 0.1 are the same on Linux; elsewhere they have no start and count as those of dead processes.
    """
    start = _start(pid)
    return f"{socket.gethostname()}/{pid}/{'' if start is None else start}"


def is_living(name: str) -> bool | None:
    """Whether a process is alive; None where the name is not one of a process of this host."""
    rest, _, start = name.rpartition("/")
    host, _, pid = rest.rpartition("/")
    if host != socket.gethostname() or not pid.isdigit():
        return None
    now = _start(int(pid))
    return now is not None and start.isdigit() and abs(int(start) - now) <= _MAX_START_DIFFERENCE


def start_time(pid: int) -> float | None:
    """POSIX time at which a living process started, s; None where no process has this id."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _start(pid: int) -> int | None:
    """Start of a living process in hundredths of a second: since boot on Linux, where both times move when the clock is
    set, elsewhere since 1970."""
    boot = psutil.boot_time() if psutil.LINUX else 0.0
    started = start_time(pid)
    return None if started is None else round((started - boot) * 100)

"""Names of processes that say whether they still live."""

from __future__ import annotations

import socket

import psutil

_SAME_START = 100
"""Hundredths of a second that two looks at one process' start may differ by: boot time is told in whole seconds."""


def process_name(pid: int) -> str:
    """Names a process beyond doubt, by host, id and start: its id alone is given to others after its end.

    Names of version 0.1 are the same on Linux; elsewhere they have no start and are taken for those of dead processes.
    """
    start = _start(pid)
    return f"{socket.gethostname()}/{pid}/{'' if start is None else start}"


def is_living(name: str) -> bool | None:
    """Whether a process still lives; None where that is no name of a process of this host."""
    rest, _, start = name.rpartition("/")
    host, _, pid = rest.rpartition("/")
    if host != socket.gethostname() or not pid.isdigit():
        return None
    now = _start(int(pid))
    return now is not None and start.isdigit() and abs(int(start) - now) <= _SAME_START


def start_time(pid: int) -> float | None:
    """POSIX time at which a living process started, s; None where there is none with this id."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _start(pid: int) -> int | None:
    """When a living process started, in hundredths of a second: since boot on Linux, where both times move when the
    clock is set, else since 1970."""
    boot = psutil.boot_time() if psutil.LINUX else 0.0
    started = start_time(pid)
    return None if started is None else round((started - boot) * 100)

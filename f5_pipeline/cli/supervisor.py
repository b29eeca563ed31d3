"""Keeps the services of `f5-pipeline up` alive, and stops them together."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from f5_pipeline.cli.output import print_error, print_info, print_note

STOP_SECONDS = 30
"""How long services, and runs, may take to stop before they are killed."""

MIN_UP_SECONDS = 10.0
"""How long a service that listens nowhere must live to count as up."""

MAX_DEATHS = 3
"""How often a service that has never been up may die."""

MAX_DELAY_SECONDS = 30.0
"""The longest delay before a service that died is started again."""

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent ends."""


@dataclass
class Service:
    """A process that is kept alive.

    Attributes:
        name: for messages.
        command: starts it.
        listens: host and port, or path of the socket, where it answers when it is up; None: it is up when it lives on.
        after: the service that must be up before its first start.
    """

    name: str
    command: list[str]
    listens: tuple[str, int] | str | None = None
    after: Service | None = None

    process: subprocess.Popen | None = None
    up: bool = False
    ever_up: bool = False
    deaths: int = 0
    """Since it was last up."""
    started: float = 0.0
    next_start: float = 0.0
    groups: list[int] = field(default_factory=list)
    """Process groups of its starts: its children may live on in them."""

    def start(self) -> None:
        if isinstance(self.listens, str):
            Path(self.listens).unlink(missing_ok=True)
        # In a session of its own, so that Ctrl-C reaches only us, and we stop all in order.
        self.process = subprocess.Popen(self.command, start_new_session=True, preexec_fn=_end_with_parent)
        self.groups.append(self.process.pid)
        self.started, self.up = time.monotonic(), False

    def check_up(self) -> None:
        """Record whether it is up."""
        if not self.up and self._answers():
            self.up = self.ever_up = True
            self.deaths = 0

    def _answers(self) -> bool:
        if self.listens is None:
            return time.monotonic() - self.started > MIN_UP_SECONDS
        try:
            if isinstance(self.listens, str):
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(self.listens)
            else:
                socket.create_connection(self.listens, timeout=1).close()
        except OSError:
            return False
        return True


def _end_with_parent() -> None:
    """Called in a new service: let the kernel end it with this process, even when that is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def supervise(services: list[Service], *, before_stop: Callable[[], object] = lambda: None) -> int:
    """Keep services alive until a signal comes, then stop them all. Return the exit code.

    A service that dies is started again, at once and then after growing delays. One that dies `MAX_DEATHS` times
    without ever being up ends them all.

    Args:
        services: the first is stopped last.
        before_stop: called between stopping the others and the first.
    """
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    code = 0
    try:
        while not stopping:
            for service in services:
                code = max(code, _keep_alive(service))
            if code:
                break
            time.sleep(0.2)
    finally:
        print_info("stopping")
        first, *others = services
        _stop(others)
        before_stop()
        _stop([first])
    return code


def _keep_alive(service: Service) -> int:
    """Start a service if it is due; return 1 where it has died too often."""
    now = time.monotonic()
    if service.process is None:
        if now >= service.next_start and (service.after is None or service.after.up or service.ever_up):
            service.start()
        return 0
    ended = service.process.poll()
    if ended is None:
        service.check_up()
        return 0
    service.process = None
    service.groups = [group for group in service.groups if _has_members(group)]
    service.deaths += 1
    if not service.ever_up and service.deaths >= MAX_DEATHS:
        print_error(f"the {service.name} does not start: it ended with code {ended}, {service.deaths} times; see above")
        return 1
    delay = 0.0 if service.up else min(MAX_DELAY_SECONDS, 2.0 ** (service.deaths - 1))
    when = f"in {delay:g} s" if delay else "now"
    print_note(f"the {service.name} ended with code {ended}; starting it again {when}")
    service.up, service.next_start = False, now + delay
    return 0


def _stop(services: list[Service]) -> None:
    running = [service.process for service in services if service.process is not None]
    for process in running:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
    # Also children that are left of services, including those that died.
    for group in (group for service in services for group in service.groups):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

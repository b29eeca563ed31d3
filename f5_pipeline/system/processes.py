"""Names of processes that tell whether they still live."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def process_name(pid: int) -> str:
    """Names a process beyond doubt, by host, id and start: its id alone is given to others after its end."""
    return f"{socket.gethostname()}/{pid}/{_started(pid)}"


def is_living(name: str) -> bool | None:
    """Whether a process still lives; None where that is no name of a process of this host."""
    host, _, pid = name.rpartition("/")[0].rpartition("/")
    if host != socket.gethostname() or not pid.isdigit():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, so there is one
    return name == process_name(int(pid))


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty where it is gone or the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""

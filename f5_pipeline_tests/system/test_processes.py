"""Names of processes: of living ones, of dead ones, and of those that came by a dead one's id."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from f5_pipeline.system.processes import is_living, process_name, start_time

HOST = socket.gethostname()


def test_a_name_is_alive_until_its_process_ends():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = process_name(process.pid)
    assert is_living(name) is True
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert is_living(name) is False, "a zombie, that nobody has waited for yet, works on nothing"
    process.wait()
    assert is_living(name) is False
    assert start_time(process.pid) is None
    assert is_living(process_name(process.pid)) is False, "a name that was given too late"


def test_a_process_that_came_by_the_id_of_a_dead_one_is_another():
    host, pid, start = process_name(os.getpid()).split("/")
    assert is_living(f"{host}/{pid}/{int(start) - 500}") is False
    assert is_living(f"{host}/{pid}/") is False


def test_what_is_no_name_of_this_host_is_not_judged():
    for name in ("another-host/1/2", "", "c0ffee-a-run-id", f"{HOST}/x/1"):
        assert is_living(name) is None


@pytest.mark.skipif(not psutil.LINUX, reason="names of version 0.1 have a start on Linux alone")
def test_a_name_of_version_0_1_is_read():
    ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    assert is_living(f"{HOST}/{os.getpid()}/{ticks}") is True
    assert is_living(f"{HOST}/{os.getpid()}/{int(ticks) + 500}") is False


def test_the_start_of_a_process_is_in_posix_time():
    assert start_time(os.getpid()) == pytest.approx(psutil.Process().create_time())

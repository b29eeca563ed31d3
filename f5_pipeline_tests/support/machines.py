"""Machines of a network of their own on this one: each has its address, host name, processes, temporary files and a
folder, which it sees where this machine sees its own. They share what listens on GATEWAY, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from f5_pipeline_tests.support.waiting import HANG_SECONDS

_NETWORK = f"198.{18 + (os.getpid() >> 8) % 2}.{os.getpid() % 256}"  # of those that are nobody's (RFC 2544)
GATEWAY = f"{_NETWORK}.1"
"""The address of this machine among them."""

_BRIDGE = f"f5-{os.getpid()}"
# What Ray and others write at one place on every machine.
_BOOT = """
hostname "$1" && mount --bind "$2" "$3" && shift 3
for place in /dev/shm /tmp/ray; do mount -t tmpfs tmpfs $place; done
exec "$@"
"""


@dataclass
class Machine:
    """A machine that is switched on. `folder`: what it sees as `seen`."""

    name: str
    address: str
    folder: Path
    seen: Path
    _process: subprocess.Popen | None = None

    @property
    def _namespace(self) -> str:
        return f"{_BRIDGE}-{self.name}"

    def start(self, *command: str, env: Mapping[str, str]) -> None:
        """Start what the machine is there for; it ends when the machine goes."""
        (self.folder / "tmp").mkdir(parents=True)
        apart = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        boot = ["sh", "-euc", _BOOT, "boot", self.name, str(self.folder), str(self.seen)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", self._namespace, "setpriv", "--pdeathsig", "KILL", *apart, *boot, *command],
                env={**env, "TMPDIR": str(self.seen / "tmp"), "RAY_TMPDIR": "/tmp"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def lose(self) -> None:
        """As by a cut of power: nobody is told, and no connection is closed."""
        self.unplug()
        self._end()

    def unplug(self) -> None:
        """The network hears no more of it; what it runs goes on."""
        _ip("link", "set", self._port, "down")

    def kill(self, process: int) -> None:
        """One of its processes, by its number there."""
        assert self._process
        inside = ["nsenter", "--target", str(_child(self._process.pid)), "--pid", "--mount"]
        subprocess.run([*inside, "kill", "-KILL", str(process)], check=False)  # it may have ended

    def plug(self) -> None:
        """After `unplug`."""
        _ip("link", "set", self._port, "up")

    @property
    def ended(self) -> bool:
        """Whether what it was started with has ended."""
        return self._process is not None and self._process.poll() is not None

    @property
    def _port(self) -> str:
        return f"f5-{os.getpid()}p{self.address.rpartition('.')[2]}"

    def _connect(self) -> None:
        _ip("netns", "add", self._namespace)
        _ip("link", "add", self._port, "type", "veth", "peer", "name", "eth0", "netns", self._namespace)
        _ip("link", "set", self._port, "master", _BRIDGE, "up")
        _ip("-n", self._namespace, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", self._namespace, "link", "set", device, "up")
        _ip("-n", self._namespace, "route", "add", "default", "via", GATEWAY)  # Ray looks for its own address by it

    def _end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(HANG_SECONDS)

    def _remove(self) -> None:
        self._end()
        for what in (("link", "delete", self._port), ("netns", "delete", self._namespace)):
            with suppress(subprocess.CalledProcessError):
                _ip(*what)


@contextmanager
def machines(*names: str, folder: Path, seen: Path) -> Iterator[dict[str, Machine]]:
    """Machines with empty folders under `folder`; skips the test where there may be none."""
    if os.geteuid() or not all(map(shutil.which, ("ip", "unshare", "setpriv"))):
        pytest.skip("machines of a network of their own take root, iproute2 and util-linux")
    made = {name: Machine(name, f"{_NETWORK}.{n}", folder / name, seen) for n, name in enumerate(names, start=2)}
    Path("/tmp/ray").mkdir(exist_ok=True)
    try:
        try:
            _ip("link", "add", _BRIDGE, "type", "bridge")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network of their own for machines: {error.stderr}")
        _ip("address", "add", f"{GATEWAY}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        for machine in made.values():
            machine.folder.mkdir(parents=True)
            machine._connect()
        yield made
    finally:
        for machine in made.values():
            machine._remove()
        with suppress(subprocess.CalledProcessError):
            _ip("link", "delete", _BRIDGE)


def _child(process: int) -> int:
    """The first process of a namespace of processes that `process` has made."""
    return int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)

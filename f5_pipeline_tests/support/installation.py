"""What tests stand on: an installation of their own (store, Dagster instance, secret), the command line as a process of
its own, and the services as a user starts them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from f5_pipeline.store.base import Store
from f5_pipeline.store.connect import Access, connect
from f5_pipeline_tests.support.forks import run_command
from f5_pipeline_tests.support.servers.fixtures import moto_server, swift_server  # noqa: F401
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for

# A shell starts what it runs in the background with SIGINT ignored, and children inherit that: tests interrupt them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Bytecode is kept, as it is for users: without it each of hundreds of processes compiles our modules anew, for 0.5 s.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"


def environment(root: Path, **more: str) -> dict[str, str]:
    """The environment of an installation under `root`, free of what the machine has set."""
    foreign = ("F5_", "DAGSTER_", "AWS_", "B2_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "DAGSTER_HOME": str(root / "dagster"),
        "F5_STORE": f"file:{root / 'studio'}",
        "F5_WORKERS": "2",
        "F5_CACHE": str(root / "cache"),
        "F5_OFFLINE": "1",
        "F5_LISTEN": "off",  # the same everywhere: the default depends on what is installed
        "CUDA_VISIBLE_DEVICES": "",  # the same everywhere: what asks for no engine is spoken by the draft
        "NO_COLOR": "1",
        "PYTHONFAULTHANDLER": "1",
        **more,
    }


def bring_engine(root: Path, name: str, spec: str) -> dict[str, str]:
    """Install an engine under `root` as another package would: by an entry point, `spec` (module:name); the environment
    in which it is found."""
    package = root / "site" / f"{name}_engine-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-engine\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[f5_pipeline.engines]\n{name} = {spec}\n")
    return {"PYTHONPATH": f"{package.parent}{os.pathsep}{REPOSITORY}"}


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The JSON objects it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def object(self) -> dict[str, Any]:
        (only,) = self.objects
        return only


@dataclass
class Installation:
    """A store and a Dagster instance of a test's own, and the command line on them."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "dagster").mkdir(parents=True, exist_ok=True)
        self.env = environment(self.root, **self.env)

    @property
    def store(self) -> Store:
        if self.env["F5_STORE"].startswith("file:"):
            return connect(self.env["F5_STORE"])
        said = (self.env[f"F5_STORE_{name}"] for name in ("KEY_ID", "KEY", "ENDPOINT", "REGION"))
        return connect(self.env["F5_STORE"], Access(*said), state=self.root / "uploads")

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen:
        """Start `f5-pipeline …`, in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "f5_pipeline.cli", *map(str, arguments)],
            cwd=self.root,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, *arguments: object, code: int | None = 0) -> Ended:
        """Run `f5-pipeline …` to its end; its exit code must be `code`, whatever it is where None."""
        ended = Ended(*run_command([*map(str, arguments)], self.root, self.env, HANG_SECONDS))
        assert code is None or ended.code == code, f"exit code {ended.code}\n{ended.out}\n{ended.err}"
        return ended

    def write(self, name: str, text: str | bytes) -> Path:
        """A file in the installation's folder."""
        path = self.root / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def add_voices(self) -> None:
        """The two voices of the examples, as a user adds them."""
        self.run("voices", "add", "ada", EXAMPLES / "voices" / "ada.flac")
        self.run("voices", "add", "ben", EXAMPLES / "voices" / "ben.ogg")

    def copy(self, installation: Path) -> Installation:
        """Store and instance as those of an installation on folders."""
        for folder in ("studio", "dagster"):
            shutil.copytree(installation / folder, self.root / folder, dirs_exist_ok=True)
        return self

    def take_records(self) -> dict[str, float]:
        """Every take in the store and when it was written."""
        return {one.key: one.modified for one in self.store.list("takes/") if one.key.endswith(".json")}

    def settled_takes(self, before: Collection[str]) -> dict[str, float] | None:
        """The records of takes that are not in `before`, once nobody makes more; None until then."""
        first = self.take_records()
        time.sleep(3)
        second = self.take_records()
        return {key: when for key, when in second.items() if key not in before} if first == second else None


def abort_session(process: subprocess.Popen) -> str:
    """End a process that leads a session, and all of that; tells what ran, and where its threads were."""
    ran = []
    for one in psutil.process_iter(["cmdline", "status"]):
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            if os.getsid(one.pid) == process.pid:
                ran.append(f"{one.pid} child of {one.ppid()}, {one.info['status']}: {one.info['cmdline']}")
                one.send_signal(signal.SIGABRT)  # PYTHONFAULTHANDLER has them print their threads
    return "\n".join((*ran, *map(str, process.communicate(timeout=HANG_SECONDS))))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Services:
    """`f5-pipeline up` on an installation."""

    installation: Installation
    ui: str
    links: str
    process: subprocess.Popen

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask Dagster's web server."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.ui}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            told = json.load(answer)
        assert "errors" not in told, told["errors"]
        return told["data"]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def running_services(root: Path, voices: Path, **env: str) -> Iterator[Services]:
    """Web server, daemon and download service, started and stopped as a user does, with what `voices` holds."""
    ui_port, port = free_port(), free_port()
    installation = Installation(root, {"F5_UI_PORT": str(ui_port), "F5_PORT": str(port), **env}).copy(voices)
    log = (installation.root / "up.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "f5_pipeline.cli", "up"],
        cwd=installation.root,
        env=installation.env,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    made = Services(installation, f"http://127.0.0.1:{ui_port}", f"http://127.0.0.1:{port}", process)
    try:
        wait_for("web server", lambda: answers(f"{made.ui}/server_info"))
        wait_for("download service", lambda: answers(f"{made.links}/healthz"))
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=HANG_SECONDS)
        log.close()


def small_file_system(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own for a fixture, of a size as mount(8) takes it; skips the test where it may not be."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no permission to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)

"""f5-pipeline serve and up, as processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from f5_pipeline_tests.conftest import Installation, answers, free_port, wait_for


def fetch(url: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), {name.lower(): value for name, value in error.headers.items()}


@pytest.fixture(scope="module")
def served(narrated) -> Iterator[dict]:
    """What was narrated, served by a process."""
    made = narrated.installation
    process = made.start("serve")
    try:
        wait_for("download service", lambda: answers(f"http://127.0.0.1:{made.env['F5_PORT']}/healthz"))
        yield narrated.told
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err


def test_the_links_that_narrate_printed_are_served(served):
    status, page, headers = fetch(served["links"]["listen"])
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"story" in page
    for name, path in served["files"].items():
        status, body, _ = fetch(served["links"][name])
        assert (status, body) == (200, Path(path).read_bytes())


def test_a_part_of_a_file_is_served(served):
    whole = Path(served["files"]["story.flac"]).read_bytes()
    status, body, headers = fetch(served["links"]["story.flac"], Range="bytes=100-299")
    assert (status, body) == (206, whole[100:300])
    assert headers["content-range"] == f"bytes 100-299/{len(whole)}"
    status, _, _ = fetch(served["links"]["story.flac"], Range=f"bytes={len(whole)}-")
    assert status == 416


def test_a_link_that_was_changed_is_refused(served):
    url = served["links"]["story.mp3"]
    token = url.split("/d/")[1].split("/")[0]
    other = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
    for changed in (url.replace(token, other), served["links"]["story.flac"].replace("/story.flac", "/story.mp3")):
        status, body, _ = fetch(changed)
        assert status in (403, 404) and not body.startswith(b"fLaC")
    assert fetch(url.replace(token, other))[0] == 403


def processes(made: Installation) -> set[int]:
    """Every live process that has this installation's environment: whatever `up` has started, however deep."""
    mark = f"DAGSTER_HOME={made.env['DAGSTER_HOME']}\0".encode()
    found = set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and mark in (folder / "environ").read_bytes():
                found.add(int(folder.name))
        except OSError:
            continue
    return found


class Up:
    """`f5-pipeline up` on an installation of its own."""

    def __init__(self, root: Path) -> None:
        self.port, self.ui_port = free_port(), free_port()
        self.made = Installation(root, {"F5_PORT": str(self.port), "F5_UI_PORT": str(self.ui_port)})
        self.log = self.made.root / "up.log"

    def start(self) -> Up:
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "f5_pipeline", "up"],
                cwd=self.made.root,
                env=self.made.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def wait_until_all_answer(self) -> None:
        wait_for("web server", lambda: answers(f"http://127.0.0.1:{self.ui_port}/server_info"))
        wait_for("download service", lambda: answers(f"http://127.0.0.1:{self.port}/healthz"))
        wait_for("daemon", lambda: self.running("dagster._daemon"))

    def running(self, command: str) -> list[int]:
        """Its processes whose command line holds `command`."""
        found = []
        for pid in processes(self.made):
            with suppress(OSError):
                if f" {command} " in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode():
                    found.append(pid)
        return found

    def end(self) -> int:
        return self.process.wait(timeout=90)


@pytest.fixture
def up(tmp_path) -> Iterator[Up]:
    made = Up(tmp_path)
    yield made
    for pid in processes(made.made):  # only after a failure
        os.kill(pid, signal.SIGKILL)


linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_starts_all_and_stops_all(up, number):
    up.start().wait_until_all_answer()
    assert len(processes(up.made)) >= 4
    up.process.send_signal(number)
    assert up.end() == 0, up.log.read_text()
    assert processes(up.made) == set(), "nobody is left"
    assert not answers(f"http://127.0.0.1:{up.port}/healthz")
    assert "Traceback" not in up.log.read_text()


@linux
@pytest.mark.parametrize(
    ("command", "told"),
    [("f5_pipeline serve", "download service ended with code -9"), ("dagster_webserver", "Dagster ended with code ")],
)
def test_up_ends_with_an_error_when_a_service_dies(up, command, told):
    up.start()
    (pid,) = wait_for(command, lambda: up.running(command))
    os.kill(pid, signal.SIGKILL)
    assert up.end() == 1
    assert told in up.log.read_text() and "stopping the others" in up.log.read_text()
    assert processes(up.made) == set()


@linux
@pytest.mark.parametrize("which", ["port", "ui_port"])
def test_up_ends_with_an_error_where_a_port_is_taken(up, which):
    with socket.create_server(("127.0.0.1", getattr(up, which))):
        assert up.start().end() == 2
    told = up.log.read_text()
    assert str(getattr(up, which)) in told and "error: " in told
    assert processes(up.made) == set()


def test_serve_tells_of_a_taken_port(narrated):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = narrated.installation.run("serve", "--port", port, code=2)
    assert f"cannot listen on 127.0.0.1 port {port}" in ended.err and "Choose another" in ended.err

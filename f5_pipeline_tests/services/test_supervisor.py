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
from typing import Any

import pytest

from f5_pipeline.cli.services import code_socket
from f5_pipeline.settings import Settings
from f5_pipeline_tests.support.gpu_engine import HOLD, bring_gpu_engine
from f5_pipeline_tests.support.installation import EXAMPLES, Installation, Services, answers, free_port
from f5_pipeline_tests.support.narrated import BASE_URL
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for

LOADED = "RepositoryLocation"
LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }
"""
RUNS = """
{ runsOrError(limit: 20) { ... on Runs { results {
  runId status parentRunId repositoryOrigin { repositoryLocationName }
} } } }
"""
RUN = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
LAUNCH = """
mutation ($tags: [ExecutionTag!]!, $job: String!) {
  launchRun(executionParams: {
    selector: {repositoryLocationName: "f5_pipeline", repositoryName: "__repository__", jobName: $job}
    runConfigData: {}
    executionMetadata: {tags: $tags}
  }) { ... on LaunchRunSuccess { run { runId } } }
}
"""
REEXECUTE = """
mutation ($id: String!) {
  launchRunReexecution(reexecutionParams: {parentRunId: $id, strategy: ALL_STEPS}) {
    ... on LaunchRunSuccess { run { runId } }
  }
}
"""
POOL = """{ instance { concurrencyLimit(concurrencyKey: "gpu") { slotCount } } }"""


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
        here = f"http://127.0.0.1:{made.env['F5_PORT']}"
        wait_for("download service", lambda: answers(f"{here}/healthz"))
        yield {**narrated.told, "links": {n: url.replace(BASE_URL, here) for n, url in narrated.told["links"].items()}}
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=HANG_SECONDS)
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
        ports = {"F5_PORT": str(self.port), "F5_UI_PORT": str(self.ui_port)}
        self.made = Installation(root, {**ports, "F5_INBOX": "off", "F5_NIGHTLY": "off"})
        self.log = self.made.root / "up.log"

    def start(self) -> Up:
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "f5_pipeline.cli", "up"],
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
        wait_for("code server", self.code_server)
        wait_for("code location", self.location)

    def code_server(self) -> bool:
        """Whether the code server answers: the web server shows what it knows of it for a while without it."""
        path = code_socket(Settings.from_environment(self.made.env))
        with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            return True
        return False

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask Dagster's web server."""
        ui = f"http://127.0.0.1:{self.ui_port}"
        return Services(self.made, ui, f"http://127.0.0.1:{self.port}", self.process).graphql(query, **variables)

    def location(self) -> str | None:
        """The name of the code location that the web server has loaded."""
        try:
            nodes = self.graphql(LOCATIONS)["workspaceOrError"]["locationEntries"]
        except OSError:
            return None
        loaded = [node["name"] for node in nodes if (node["locationOrLoadError"] or {}).get("__typename") == LOADED]
        return loaded[0] if loaded else None

    def launch(self, job: str, **tags: str) -> str:
        """Launch a job as the UI does; the run's id."""
        told = self.graphql(LAUNCH, job=job, tags=[{"key": key, "value": value} for key, value in tags.items()])
        return told["launchRun"]["run"]["runId"]

    def status(self, run_id: str) -> str:
        return self.graphql(RUN, id=run_id)["runOrError"]["status"]

    def running(self, command: str) -> list[int]:
        """Its processes whose command line holds `command`."""
        found = []
        for pid in processes(self.made):
            with suppress(OSError):
                if f" {command} " in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode():
                    found.append(pid)
        return found

    def end(self) -> int:
        return self.process.wait(timeout=HANG_SECONDS)


@pytest.fixture
def up(tmp_path) -> Iterator[Up]:
    made = Up(tmp_path)
    yield made
    for pid in processes(made.made):  # only after a failure
        os.kill(pid, signal.SIGKILL)


linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


@linux
@pytest.mark.parametrize(("number", "gpus", "slots"), [(signal.SIGTERM, "0,1", 2), (signal.SIGINT, "none", 1)])
def test_up_starts_all_and_stops_all(up, number, gpus, slots):
    """It tells the GPUs and sets their pool: on the processor one at a time."""
    up.made.env["F5_GPUS"] = gpus
    up.start().wait_until_all_answer()
    assert len(processes(up.made)) >= 4
    assert up.graphql(POOL)["instance"]["concurrencyLimit"]["slotCount"] == slots
    assert ("GPUs: GPU 0; GPU 1" in up.log.read_text()) == (slots == 2)
    up.process.send_signal(number)
    assert up.end() == 0, up.log.read_text()
    assert processes(up.made) == set(), "nobody is left"
    assert not answers(f"http://127.0.0.1:{up.port}/healthz")
    assert "Traceback" not in up.log.read_text() and "No cursor" not in up.log.read_text()


SERVICES = {
    "download service": "f5_pipeline.cli serve",
    "web server": "f5_pipeline.dagster_host.web_server",
    "daemon": "dagster._daemon",
    "code server": "api grpc",
}


@linux
def test_every_service_that_is_killed_comes_back_and_the_others_go_on(up):
    """Also a run of the command line shows in the UI, and can be launched again from there."""
    up.start().wait_until_all_answer()
    up.made.run("voices", "add", "ada", EXAMPLES / "voices" / "ada.flac")
    assert up.location() == "f5_pipeline"
    (own,) = up.graphql(RUNS)["runsOrError"]["results"]
    assert own["repositoryOrigin"]["repositoryLocationName"] == "f5_pipeline"

    for name, command in SERVICES.items():
        before = {each: set(up.running(each)) for each in SERVICES.values()}
        (pid,) = before[command]
        os.kill(pid, signal.SIGKILL)
        wait_for(f"{name} again", lambda command=command, pid=pid: set(up.running(command)) - {pid})
        up.wait_until_all_answer()
        for other in SERVICES.values():
            if other != command:
                assert set(up.running(other)) == before[other], f"{other} was not touched"
        assert f"the {name} ended with code -9; starting it again now" in up.log.read_text()

    reexecuted = up.graphql(REEXECUTE, id=own["runId"])["launchRunReexecution"]["run"]["runId"]
    wait_for("end of the run", lambda: up.status(reexecuted) == "SUCCESS")


@linux
def test_a_run_outlives_its_services_and_is_continued_after_a_stop(up, voices):
    """Killed in mid-run: daemon, web server, code server. Then `up` is stopped, and started again."""
    sentences = 60
    up.made.env |= {**bring_gpu_engine(up.made.root, seconds=0), "F5_DEVICE": "cpu", "F5_WORKERS": "1"}
    up.made.copy(voices)
    hold = Path(up.made.env[HOLD])
    hold.write_text("10")
    text = "\n\n".join(f"This is sentence number {number} of a story." for number in range(sentences))
    up.made.run("scripts", "add", up.made.write("long.txt", text), "--voice", "ada", "--engine", "gpu")
    up.start().wait_until_all_answer()
    run_id = up.launch("narrate", **{"dagster/partition": "long"})
    wait_for("first takes", up.made.take_records)
    for command in ("dagster._daemon", "api grpc", "f5_pipeline.dagster_host.web_server"):
        (pid,) = up.running(command)
        os.kill(pid, signal.SIGKILL)
    up.wait_until_all_answer()
    hold.write_text("30")
    wait_for("more takes", lambda: len(up.made.take_records()) > 10)
    assert up.status(run_id) == "STARTED", up.log.read_text()

    up.process.send_signal(signal.SIGTERM)
    assert up.end() == 0, up.log.read_text()
    assert processes(up.made) == set(), "nobody is left"
    assert f"interrupting run {run_id[:8]}" in up.log.read_text()
    kept = up.made.take_records()
    assert len(kept) < sentences, "it was stopped in mid-run"

    hold.unlink()
    up.start().wait_until_all_answer()

    def continued() -> str | None:
        runs = up.graphql(RUNS)["runsOrError"]["results"]
        later = [run for run in runs if run["parentRunId"] == run_id and run["status"] == "SUCCESS"]
        return later[0]["runId"] if later else None

    wait_for("end of the run that goes on", continued)
    now = up.made.take_records()
    assert {key: now[key] for key in kept} == kept, "no take was made twice"
    assert len(now) == sentences


@linux
def test_nothing_outlives_an_up_that_is_killed(up):
    config = up.made.root / "dagster" / "dagster.yaml"
    config.write_text("telemetry:\n  enabled: false\nnux:\n  enabled: false\n")
    up.start().wait_until_all_answer()
    assert f"{config} is of an earlier version" in up.log.read_text()
    second = up.made.run("up", "--port", free_port(), "--ui-port", free_port(), code=2)
    assert f"up runs there already, as process {up.process.pid}" in second.err
    up.process.kill()
    up.process.wait()
    wait_for("end of all", lambda: not processes(up.made))


@linux
def test_a_service_that_never_comes_up_ends_all(up):
    broken = up.made.root / "broken"
    broken.mkdir()
    (broken / "dagster_webserver.py").write_text("raise SystemExit('no web server here')")
    up.made.env["PYTHONPATH"] = str(broken)
    assert up.start().end() == 1
    told = up.log.read_text()
    assert "no web server here" in told and "the web server does not start" in told
    assert processes(up.made) == set()


def test_a_dagster_yaml_that_cannot_be_used_is_an_error_that_names_it(up):
    config = up.made.root / "dagster" / "dagster.yaml"
    config.write_text("run_monitoring:\n  enabled: perhaps\n")
    assert up.start().end() == 2
    assert str(config) in up.log.read_text() and "Traceback" not in up.log.read_text()


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

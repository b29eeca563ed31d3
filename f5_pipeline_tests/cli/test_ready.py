"""Commands that a process which stands ready does are what they are in a process of their own."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from pydantic import AliasChoices

from f5_pipeline.cli.ready import LENGTH, OWN_PROCESS, READ_AT_START, address, ask
from f5_pipeline.settings import Settings
from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.ready import connected, ready_process
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is for Linux")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, voices: Path) -> Installation:
    return Installation(tmp_path_factory.mktemp("ready")).copy(voices)


@pytest.fixture(scope="module")
def server(studio: Installation) -> Iterator[tuple[psutil.Process, Path]]:
    with ready_process(studio.env, studio.root) as (process, path):
        found = psutil.Process(process.pid)
        wait_for("the end of the fork that was asked whether it stands ready", lambda: not found.children())
        yield found, path


def elsewhere(studio: Installation) -> Installation:
    """The same, whose commands do their work themselves."""
    return Installation(studio.root, {**studio.env, "PYTHON_COLORS": "0"})


def test_it_has_one_thread_and_none_is_lost_by_a_fork(server: tuple[psutil.Process, Path]):
    assert server[0].num_threads() == 1


def work_of_forks(process: psutil.Process) -> int:
    """Pages that forks which have ended asked for (proc(5): cminflt)."""
    return int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[8])


@pytest.mark.parametrize(
    "arguments",
    [
        ("voices", "list"),
        ("voices", "list", "--json"),
        ("status", "nobody"),
        ("narrate", "missing.txt"),
        ("no-such-command",),
        ("voices", "--help"),
    ],
    ids=" ".join,
)
def test_a_command_says_the_same(arguments: tuple[str, ...], studio: Installation, server: tuple[psutil.Process, Path]):
    before = work_of_forks(server[0])
    own = elsewhere(studio).run(*arguments, code=None)
    assert work_of_forks(server[0]) == before
    ours = studio.run(*arguments, code=None)
    wait_for("the end of its fork", lambda: work_of_forks(server[0]) > before)
    assert ours == own
    assert ours.out or ours.err


def test_it_works_as_who_asked(studio: Installation, server: tuple[psutil.Process, Path]):
    """In another folder, with another file mask, other variables, and streams of its own."""
    folder = studio.root / "deeper"
    folder.mkdir()
    (folder / "tale.md").write_text("---\nvoice: ada\nengine: draft\n---\n\nShe was told once.\n")
    narrate = [sys.executable, "-m", "f5_pipeline.cli", "narrate", "tale.md", "--json"]
    with psutil.Popen(
        narrate, cwd=folder, env={**studio.env, "NO_COLOR": "1"}, umask=0o077, stdout=subprocess.PIPE
    ) as asking:
        assert asking.stdout is not None
        told = json.loads(asking.stdout.read())
        assert asking.wait(HANG_SECONDS) == 0
    delivered = next(one for one in studio.store.list("narrations/tale/") if one.key.endswith("tale.flac"))
    path = studio.root / "studio" / delivered.key
    assert told["narration"] == "tale" and not path.stat().st_mode & 0o077
    process, _ = server
    wait_for("the end of its forks", lambda: not process.children(recursive=True))


def test_a_terminal_is_one_there_too(studio: Installation, server: object):
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "f5_pipeline.cli", "voices", "list"],
        cwd=studio.root,
        env={**studio.env, "TERM": "xterm", "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as asking:
        os.close(theirs)
        said = b""
        try:
            while more := os.read(ours, 4096):
                said += more
        except OSError:  # the last who had the terminal is gone
            pass
        assert asking.wait(HANG_SECONDS) == 0
    os.close(ours)
    assert b"ada" in said and b"\r\n" in said


def test_who_is_refused_or_goes_disturbs_nobody(studio: Installation, server: tuple[psutil.Process, Path]):
    process, path = server
    for sent in (b"", b"\0", LENGTH.pack(100) + b"{}", LENGTH.pack(2**32 - 1) + b"x" * 100_000):
        connection = connected(path)
        assert connection is not None
        with connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b"", "nothing is done for it"
    assert "ada" in studio.run("voices", "list").out
    wait_for("the end of its forks", lambda: not process.children())


def test_one_that_does_not_answer_is_not_waited_for(studio: Installation, server: tuple[psutil.Process, Path]):
    process, _ = server
    before = work_of_forks(process)
    process.suspend()
    try:
        assert "ada" in studio.run("voices", "list").out
    finally:
        process.resume()
    wait_for("its forks for nobody", lambda: work_of_forks(process) > before and not process.children())
    assert len(studio.run("voices", "list", "--json").objects) == 2


def test_what_it_was_not_started_for_is_not_asked_of_it(studio: Installation, server: tuple[psutil.Process, Path]):
    _, path = server
    here, env = str(studio.root), studio.env
    assert address(env, here) == path
    for other in ({"F5_STORE": "file:/elsewhere"}, {"DAGSTER_HOME": "/elsewhere"}, {"F5_PORT": "1"}, {"LANG": "tlh"}):
        assert address({**env, **other}, here) != path
    assert address({**env, "NO_COLOR": "1"}, here) == address(env, "/") == path
    relative = {**env, "F5_STORE": "file:studio"}
    assert address(relative, here) != address(relative, "/"), "there it is another store"
    assert all(ask([command]) is None for command in OWN_PROCESS)


def test_every_variable_of_a_setting_is_one_that_is_read_at_start():
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        variables = alias.choices if isinstance(alias, AliasChoices) else [f"F5_{name.upper()}"]
        assert all(str(variable).startswith(READ_AT_START) for variable in variables), name


def test_a_command_whose_signal_ends_it_ends_by_it(studio: Installation, server: tuple[psutil.Process, Path]):
    process, _ = server
    (studio.root / "long.md").write_text("---\nvoice: ada\nengine: draft\n---\n\n" + "It goes on and on. " * 2000)
    asking = studio.start("narrate", "long.md")
    wait_for("its work", lambda: len(process.children(recursive=True)) > 1)
    asking.send_signal(signal.SIGTERM)
    asking.communicate(timeout=HANG_SECONDS)
    assert asking.returncode == -signal.SIGTERM
    wait_for("the end of its forks", lambda: not process.children(recursive=True))

"""The HTTP API as `f5-pipeline up` serves it: the session of docs/api.md, from a voice to links."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from f5_pipeline_tests.support.installation import EXAMPLES, REPOSITORY, Services, running_services
from f5_pipeline_tests.support.waiting import HANG_SECONDS

DOCS = REPOSITORY / "docs" / "api.md"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, voices: Path) -> Iterator[Services]:
    # The in-box looks so seldom that only a call can have brought a narration on its way.
    with running_services(
        tmp_path_factory.mktemp("api"), voices, F5_INBOX_SECONDS="3600", F5_NIGHTLY="off", F5_WORKERS="1"
    ) as services:
        yield services


def test_the_session_of_the_docs(up: Services):
    root = up.installation.root
    (root / "examples").symlink_to(EXAMPLES)
    (session,) = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.S)
    session = re.sub(r"(?m)^API=.*", f"API={up.links}", session)
    ended = subprocess.run(
        ["sh", "-e", "-c", session], cwd=root, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}\n{(root / 'up.log').read_text()[-3000:]}"
    states = re.findall(r"\"state\":\"(\w+)\"", ended.stdout)
    assert states[-1] == "done", ended.stdout
    result = json.loads(
        next(line for line in re.findall(r"\{\"id\":.*?\}(?=\{|$|\n)", ended.stdout) if "timing" in line)
    )
    with urllib.request.urlopen(result["timing_files"]["srt"]) as answer:
        assert b"-->" in answer.read()
    assert (root / "speech.mp3").stat().st_size > 2000
    assert "it answers programs on this machine alone" in (root / "up.log").read_text()

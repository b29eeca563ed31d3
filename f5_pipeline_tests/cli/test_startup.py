"""What commands import before they do anything: how long they take to start is what they import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from f5_pipeline.cli import keys as cli_keys
from f5_pipeline.studio import keys as studio_keys
from f5_pipeline_tests.support.installation import Installation

PROGRAM = """
import sys
from f5_pipeline.cli import main
sys.argv = ["f5-pipeline", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print("imported", *sys.modules)
"""
ALWAYS = {"numpy", "scipy", "numba", "soundfile", "PIL", "boto3", "httpx", "starlette", "torch", "babel", "alembic"}
DAGSTER = {"dagster", "sqlalchemy", "asyncio"}


def test_constants_of_commands_are_those_of_the_studio():
    for name in ("SCOPES", "DEFAULT_SCOPES", "DEFAULT_RATE"):
        assert getattr(cli_keys, name) == getattr(studio_keys, name)


@pytest.mark.parametrize(
    "arguments, absent",
    [
        (["--help"], {*DAGSTER, "pydantic", "rich", "importlib.metadata"}),
        (["narrate", "--help"], {*DAGSTER, "pydantic", "rich"}),
        (["voices", "list"], DAGSTER),
        (["scripts", "--help"], {*DAGSTER, "pydantic", "rich"}),
        (["status"], {"f5_pipeline.definitions", "structlog", "pygments", "upath", "dagster._daemon.controller"}),
    ],
    ids=["help", "narrate", "voices", "scripts", "status"],
)
def test_a_light_command_imports_what_it_needs(arguments, absent, voices, tmp_path):
    installation = Installation(tmp_path).copy(voices)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=installation.root,
        env=installation.env,
        check=True,
        capture_output=True,
        text=True,
    )
    imported = set(ended.stdout.splitlines()[-1].split())
    assert "f5_pipeline.cli" in imported
    assert imported & (ALWAYS | absent) == set()

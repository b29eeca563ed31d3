"""The command line in a process of its own that need not import Dagster first: commands in tests cost a tenth of it."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from f5_pipeline_tests.support.installation import Ended, Installation

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        "f5_pipeline.cli.commands",
        "f5_pipeline.dagster_host.runs",
        "f5_pipeline.speech.references.prepare",
        "f5_pipeline.studio.narrating.planning",
    ]
)


def quick(made: Installation, *arguments: object, code: int | None = 0, **env: str) -> Ended:
    """Run `f5-pipeline …` as `Installation.run` does, forked from a process that has the modules loaded already.

    For commands that launch no run: runs read their settings as the code location is imported.

    Args:
        code: what the exit code must be; whatever it is where None.
        env: variables that differ for this command.
    """
    with TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        texts = [str(argument) for argument in arguments]
        process = _forks.Process(target=_command, args=(texts, {**made.env, **env}, str(made.root), str(out), str(err)))
        process.start()
        process.join(120)
        if process.exitcode is None:
            process.kill()
        ended = Ended(-1 if process.exitcode is None else process.exitcode, out.read_text(), err.read_text())
    assert code is None or ended.code == code, f"exit code {ended.code}\n{ended.out}\n{ended.err}"
    return ended


def _command(arguments: list[str], env: dict[str, str], folder: str, out: str, err: str) -> None:
    from f5_pipeline.cli import main
    from f5_pipeline.settings import get_settings

    for path, stream in ((out, 1), (err, 2)):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(handle, stream)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as a new process has them
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    get_settings.cache_clear()
    sys.argv = ["f5-pipeline", *arguments]
    main()

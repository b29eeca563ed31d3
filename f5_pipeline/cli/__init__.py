"""The command line: `f5-pipeline …`.

Exit codes: 0 done, 1 something failed, 2 the input or the call is wrong, 130 interrupted.
"""

from __future__ import annotations

import gc
import sys

import click

from f5_pipeline import __version__
from f5_pipeline.errors import InputError, PipelineError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="f5-pipeline")
def cli() -> None:
    """Scripts to finished narrations in cloned voices: batch, reproducible, inspectable.

    \b
    f5-pipeline demo                        narrate the example
    f5-pipeline voices add ada ada.flac     add a voice (its transcript beside it: ada.txt, .srt, .vtt, .csv, .json)
    f5-pipeline narrate story.md            narrate a script
    f5-pipeline up                          Dagster's UI and the download service

    f5-pipeline doctor                      check the installation and its configuration
    """


def main() -> None:
    """Entry point: has a command done by a process that stands ready for it, or does it."""
    from f5_pipeline.cli.ready import ask

    try:
        code = ask(sys.argv[1:])
    except KeyboardInterrupt:  # before it was accepted
        code = interrupted()
    if code is None:
        run()
    sys.exit(code)


def run() -> None:
    """Run a command in this process, and turn errors into messages and exit codes."""
    # Importing makes a million objects that stay; looking for garbage among them costs a tenth of a short command.
    gc.set_threshold(50_000, 20, 100)
    from f5_pipeline.cli import commands  # noqa: F401  # registers the commands
    from f5_pipeline.cli.output import print_error

    try:
        code = cli.main(prog_name="f5-pipeline", standalone_mode=False)
    except click.exceptions.Abort:
        code = interrupted()
    except click.ClickException as error:
        error.show()
        code = 2
    except click.exceptions.Exit as end:
        code = end.exit_code
    except KeyboardInterrupt:
        code = interrupted()
    except PipelineError as error:
        print_error(str(error))
        code = 2 if isinstance(error, InputError) else 1
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output is gone
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def interrupted() -> int:
    """Report the interruption; return the exit code."""
    from f5_pipeline.cli.output import print_error

    print_error("interrupted; what was made is kept, run the same command again to go on")
    return 130

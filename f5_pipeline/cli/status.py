"""f5-pipeline status."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import Progress, print_error, print_info, print_json, print_table, progress
from f5_pipeline.cli.session import open_session

COLUMNS = ("narration", "state", "takes", "missing", "length", "engine", "revision", "run")


@cli.command()
@click.argument("narration", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per narration, one per line.")
def status(narration: str | None, as_json: bool) -> None:
    """Show the state of each narration, or of one NARRATION; those whose scripts were removed are retired.

    Length and revision are those of the last delivery, even if the script was edited or an attempt failed since.
    """
    with open_session(quiet=as_json) as session, ExitStack() as stack:
        from f5_pipeline.orchestration.reporting.metadata import format_duration
        from f5_pipeline.orchestration.reporting.states import narration_states
        from f5_pipeline.studio.narrating.scripts import find_script

        if narration is not None:
            find_script(session.store, narration)
        names = None if narration is None else [narration]

        @cache  # what loads the bar takes longer than to look at a few narrations
        def shown() -> Progress:
            return stack.enter_context(progress("status", quiet=as_json))

        def show(done: int, total: int) -> None:
            shown().count("narrations read", done, total)

        looked = narration_states(session.instance, session.store, session.options, names, on_progress=show)
        states = list(looked)
    lengths = [None if state.seconds is None else format_duration(state.seconds) for state in states]
    rows = [{**state.model_dump(), "length": length} for state, length in zip(states, lengths, strict=True)]
    if as_json:
        for row in rows:
            print_json(row)
    elif rows:
        print_table(COLUMNS, ([row[column] for column in COLUMNS] for row in rows))
    else:
        print_info("no narrations yet; make one: f5-pipeline narrate FILE")
    for state in states:
        if state.state == "damaged" or (state.state == "failed" and not as_json):
            reason = state.reason or "for an unknown reason"
            print_error(reason if state.narration in reason else f"{state.narration}: {reason}")
    if any(state.state == "damaged" for state in states):
        raise click.exceptions.Exit(1)

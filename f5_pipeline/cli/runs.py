"""f5-pipeline runs: clear."""

from __future__ import annotations

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_info, print_json, progress
from f5_pipeline.cli.session import open_session
from f5_pipeline.cli.store import Duration


@cli.group()
def runs() -> None:
    """Runs of Dagster: what is kept of them."""


@runs.command()
@click.option("--older-than", type=Duration(), required=True, help="Runs created before that: 90d, 12w.")
@click.option("--delete", is_flag=True, help="Clear them; else they are only counted.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object, and no progress.")
def clear(older_than: float, delete: bool, as_json: bool) -> None:
    """Clear what Dagster keeps of the steps of old runs: their events and what they printed.

    The runs stay, with how they ended; so do materializations, observations and checks: lineage and partitions look as
    before. A run that failed can no longer be re-executed from its failure. Every night by itself: F5_RUN_DAYS.

    \b
    f5-pipeline runs clear --older-than 90d --delete
    """
    from f5_pipeline.orchestration.history import clear_run, old_runs

    count = events = 0
    with open_session(quiet=as_json) as session, progress("runs", quiet=as_json) as show:
        for run in old_runs(session.instance, older_than / 86_400):
            events += clear_run(session.instance, run) if delete else 0
            count += 1
            show.count("old runs", count, None)
    if as_json:
        print_json({"deleted": delete, "runs": count, "events": events})
    elif delete:
        print_info(f"{count} runs cleared, {events} events of them")
    else:
        print_info(f"{count} runs to clear; nothing was removed; to do it add --delete")

"""f5-pipeline verify."""

from __future__ import annotations

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_json, print_table, say
from f5_pipeline.cli.session import open_store, studio_options


@cli.command()
@click.argument("narration")
@click.option("--sample", type=click.IntRange(min=1), default=5, show_default=True, help="Takes to make again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a take, one a line.")
def verify(narration: str, sample: int, as_json: bool) -> None:
    """Make a sample of the takes of NARRATION again and compare them with what is kept; nothing is stored.

    On the same device and software a take comes out identical; on others it is close (up to 1 dB of mean log-mel
    difference). Exits with 1 where one is different.

    \b
    f5-pipeline verify story --sample 20
    """
    from f5_pipeline.studio.narrating.verification import verify_narration

    rows, wrong, count = [], 0, 0
    for one in verify_narration(open_store(), narration, studio_options(), sample=sample):
        count += 1
        wrong += one.outcome in ("different", "failed")
        if as_json:
            print_json(one.model_dump())
            continue
        difference = "" if one.difference_db is None else f"{one.difference_db:.3f} dB"
        rows.append((one.chunk, one.line, one.take[:12], one.outcome, difference, one.reason or one.text))
    if not as_json:
        print_table(("chunk", "line", "take", "outcome", "difference", "text"), rows)
    say(f"{narration}: {count} takes made again, {count - wrong} as they were, {wrong} not")
    if wrong:
        raise click.exceptions.Exit(1)

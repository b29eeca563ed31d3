"""f5-pipeline verify."""

from __future__ import annotations

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_info, print_json, print_table
from f5_pipeline.cli.session import open_store, studio_options


@cli.command()
@click.argument("narration")
@click.option("--sample", type=click.IntRange(min=1), default=5, show_default=True, help="Takes to make again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per take, one per line.")
def verify(narration: str, sample: int, as_json: bool) -> None:
    """Make a sample of the takes of NARRATION again and compare them with the kept ones; nothing is stored.

    On the same device and software a take is identical; on others it is close (up to 1 dB of mean log-mel difference).
    Exits with 1 where one is different.

    \b
    f5-pipeline verify story --sample 20
    """
    from f5_pipeline.studio.narrating.verification import verify_narration

    rows, wrong, count = [], 0, 0
    for take in verify_narration(open_store(), narration, studio_options(), sample=sample):
        count += 1
        wrong += take.outcome in ("different", "failed")
        if as_json:
            print_json(take.model_dump())
            continue
        difference = "" if take.difference_db is None else f"{take.difference_db:.3f} dB"
        rows.append((take.chunk, take.line, take.take[:12], take.outcome, difference, take.reason or take.text))
    if not as_json:
        print_table(("chunk", "line", "take", "outcome", "difference", "text"), rows)
    print_info(f"{narration}: {count} takes made again, {count - wrong} as they were, {wrong} not")
    if wrong:
        raise click.exceptions.Exit(1)

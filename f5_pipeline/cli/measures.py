"""f5-pipeline measures."""

from __future__ import annotations

import time

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_info, print_json, print_table
from f5_pipeline.cli.session import open_store
from f5_pipeline.errors import InputError

PERCENT = ("word_error_rate", "doubtful", "made_again")
BY = ("narration", "chapter", "voice", "model", "preset", "language")


@cli.command()
@click.argument("narration", required=False)
@click.option(
    "--month", metavar="YYYY-MM", help="All narrations that were made in a month; the present one by default."
)
@click.option("--by", type=click.Choice(BY), help="One row for each; chapter is the default for one narration.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def measures(narration: str | None, month: str | None, by: str | None, as_json: bool) -> None:
    """What was measured and heard of delivered takes: word errors and doubtful chunks in percent, how much the speaker
    is like the reference, chunks that were made again. Of one NARRATION, or of all of a month, whose table is written
    into the store. Drafts are not measured. Needs the extra tables."""
    from f5_pipeline.studio.measures import frame, measured_rows, misheard_words, summary, write_month

    if narration is not None and month is not None:
        raise InputError("a narration and a month cannot both be given", hint="Leave one of them out.")
    if narration is not None:
        rows = frame(measured_rows(open_store(), narration)[1])
    else:
        month = month or time.strftime("%Y-%m", time.gmtime())
        try:
            time.strptime(month, "%Y-%m")
        except ValueError:
            raise InputError(f"{month!r} is no month", hint="Write it as 2026-11.") from None
        rows = write_month(open_store(), month)
    found = summary(rows, by or ("chapter" if narration else "narration"))
    words = misheard_words(rows)
    if as_json:
        for row in [*found, *summary(rows)]:
            print_json(row)
        return
    if not found:
        print_info(f"{narration or month}: nothing was measured; drafts are not")
        return
    columns = list(found[0])
    heads = [column.replace("_", " ") + (", %" if column in PERCENT else "") for column in columns]
    print_table(heads, ([row[column] for column in columns] for row in [*found, *_total(found, summary(rows))]))
    if words:
        print_info("heard otherwise or not at all: " + ", ".join(f"{word} ({count})" for word, count in words[:20]))


def _total(found: list[dict], whole: list[dict]) -> list[dict]:
    """A last row for all, where there are several."""
    if len(found) < 2:
        return []
    return [dict.fromkeys(found[0], "") | {next(iter(found[0])): "all"} | whole[0]]

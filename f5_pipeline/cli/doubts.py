"""f5-pipeline doubts."""

from __future__ import annotations

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_info, print_json, print_table
from f5_pipeline.cli.session import open_store


@cli.command()
@click.argument("narration")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per chunk, one per line.")
def doubts(narration: str, as_json: bool) -> None:
    """List the chunks of NARRATION that the quality gate doubts after all retakes: where to listen, and why."""
    from f5_pipeline.store import layout
    from f5_pipeline.store.records import read_record
    from f5_pipeline.studio.records import Takes

    takes = read_record(open_store(), layout.narration_state(narration, "takes"), Takes)
    if as_json:
        for doubt in takes.doubts:
            print_json(doubt.model_dump())
        return
    if takes.doubts:
        columns = ("chunk", "line", "voice", "attempts", "why", "text")
        rows = (doubt.model_dump() | {"why": " ".join(doubt.reasons)} for doubt in takes.doubts)
        print_table(columns, ([row[column] for column in columns] for row in rows))
    if not takes.measured:
        print_info(f"{narration}: not measured; the quality gate is for cloned voices, not for drafts")
        return
    print_info(
        f"{narration}: {takes.measured} of {takes.chunks} chunks measured, {takes.retaken} made again with success, "
        f"{takes.doubtful} doubtful"
    )

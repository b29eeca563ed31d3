"""f5-pipeline links."""

from __future__ import annotations

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import complain, print_json, say
from f5_pipeline.cli.session import open_session


@cli.command()
@click.argument("narration")
@click.option("--fresh", is_flag=True, help="Make new links, though the present ones still live.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def links(narration: str, fresh: bool, as_json: bool) -> None:
    """Print the links of a NARRATION; new ones are made where the present ones have expired."""
    from contextlib import suppress
    from datetime import datetime, timezone

    from f5_pipeline.errors import InputError, StoreError
    from f5_pipeline.store import layout
    from f5_pipeline.studio.records import Links, Timings
    from f5_pipeline.studio.state import find_record

    layout.check_name(narration, "narration")
    with open_session(quiet=as_json) as session:
        timings = find_record(session.store, layout.narration_state(narration, "timings"), Timings)
        if timings is None:
            raise InputError(
                f"nothing of {narration!r} is delivered yet", mend=f"Run: f5-pipeline narrate {narration}."
            )
        key, known = layout.narration_state(narration, "links"), None
        with suppress(StoreError):  # a damaged record is written anew
            known = find_record(session.store, key, Links)
        alive = known is not None and datetime.fromisoformat(known.expires) > datetime.now(timezone.utc)
        if fresh or not alive or known is None or known.revision != timings.revision:
            outcome = session.run(narration, "link", partition=narration)
            if not outcome.success:
                complain("\n".join(outcome.errors))
                raise click.exceptions.Exit(1)
            known = find_record(session.store, key, Links)
        assert known is not None
        if as_json:
            print_json(known.model_dump())
            return
        for name, url in [("listen", known.page), *known.files.items()]:
            click.echo(f"{name}\t{url}")
        say(f"until {known.expires}; served by: f5-pipeline up (or serve)")

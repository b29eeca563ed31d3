"""f5-pipeline links: show, list, revoke."""

from __future__ import annotations

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_error, print_info, print_json, print_table
from f5_pipeline.cli.session import open_session, open_store


class _ShowByDefault(click.Group):
    """`links story` is `links show story`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@cli.group(cls=_ShowByDefault, subcommand_metavar="NARRATION | COMMAND [ARGS]...")
def links() -> None:
    """Links of a narration: `links NARRATION` prints them; the commands list and revoke them.

    For a narration that is named like a command: links show NARRATION.
    """


@links.command()
@click.argument("narration")
@click.option("--fresh", is_flag=True, help="Make new links, even if the present ones are valid.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def show(narration: str, fresh: bool, as_json: bool) -> None:
    """Print the links of a NARRATION; expired or revoked ones are replaced by new ones.

    The first, "listen", is its permanent address, which new links and new revisions do not change.
    """
    from contextlib import suppress

    from f5_pipeline.errors import InputError, StoreError
    from f5_pipeline.store import layout
    from f5_pipeline.store.records import find_record
    from f5_pipeline.studio.links.grants import links_are_valid
    from f5_pipeline.studio.records import Links, Timings

    layout.check_name(narration, "narration")
    with open_session(quiet=as_json) as session:
        timings = find_record(session.store, layout.narration_state(narration, "timings"), Timings)
        if timings is None:
            raise InputError(
                f"nothing of {narration!r} is delivered yet", hint=f"Run: f5-pipeline narrate {narration}."
            )
        key, record = layout.narration_state(narration, "links"), None
        with suppress(StoreError):  # a damaged record is replaced
            record = find_record(session.store, key, Links)
        if fresh or record is None or record.revision != timings.revision or not links_are_valid(session.store, record):
            outcome = session.run(narration, "link", partition=narration)
            if not outcome.success:
                print_error("\n".join(outcome.errors))
                raise click.exceptions.Exit(1)
            record = find_record(session.store, key, Links)
        assert record is not None
        if as_json:
            print_json(record.model_dump())
            return
        for name, url in [("listen", record.page), *record.files.items()]:
            click.echo(f"{name}\t{url}")
        print_info(f"until {record.expires}; served by: f5-pipeline up (or serve)")


@links.command("list")
@click.argument("narration")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per grant, one per line.")
def list_grants(narration: str, as_json: bool) -> None:
    """List the grants of a NARRATION: what each covers, until when, whether it is still valid, and what was fetched.

    Grants of "newest" belong to its permanent address. A player asks for a file in many requests. --json has who
    fetched what: file, address, program, requests, bytes, first and last time.
    """
    from f5_pipeline.store import layout
    from f5_pipeline.studio.links.fetches import fetches_of
    from f5_pipeline.studio.links.grants import grant_state, grants_of

    layout.check_name(narration, "narration")
    store = open_store()
    grants = [(grant, grant_state(grant)) for grant in grants_of(store, narration)]
    fetches = fetches_of(store, narration)
    if as_json:
        for grant, state in grants:
            fetched = [fetch.model_dump() for fetch in fetches.get(grant.grant, ())]
            print_json({**grant.model_dump(), "state": state, "fetches": fetched})
    elif grants:
        columns = ("grant", "covers", "made", "expires", "state", "requests", "readers", "last fetch", "note")
        rows = []
        for grant, state in grants:
            known = fetches.get(grant.grant, [])
            counts = {
                "state": state,
                "requests": sum(fetch.requests for fetch in known),
                "readers": len({fetch.address for fetch in known}),
                "last fetch": known[-1].last if known else "never",
            }
            rows.append(grant.model_dump() | counts)
        print_table(columns, ([row[column] for column in columns] for row in rows))
    else:
        print_info(f"no links of {narration!r} were given yet; print some: f5-pipeline links {narration}")


@links.command()
@click.argument("narration")
@click.option("--grant", metavar="ID", help="Only this grant, as `links list` names it.")
@click.option("--note", metavar="TEXT", default="", help="Why, for those who list them.")
def revoke(narration: str, grant: str | None, note: str) -> None:
    """End all links of a NARRATION at once, including its permanent address.

    Its next links have another address.
    """
    from f5_pipeline.settings import get_settings
    from f5_pipeline.store import layout
    from f5_pipeline.studio.links.grants import revoke as revoke_grants

    layout.check_name(narration, "narration")
    revoked = revoke_grants(open_store(), narration, grant, note=note)
    for record in revoked:
        click.echo(f"{record.grant}\t{record.covers}\trevoked")
    if not revoked:
        print_info(f"nothing of {narration!r} was left to revoke")
    elif (settings := get_settings()).downloads == "redirect":
        print_info(f"addresses in the bucket that were given out before live on for up to {settings.presign_seconds} s")

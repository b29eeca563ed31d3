"""f5-pipeline links: show, list, revoke."""

from __future__ import annotations

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import complain, print_json, print_table, say
from f5_pipeline.cli.session import open_session, open_store


class _ShowByDefault(click.Group):
    """`links story` is `links show story`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@cli.group(cls=_ShowByDefault, subcommand_metavar="NARRATION | COMMAND [ARGS]...")
def links() -> None:
    """Links of a narration: `links NARRATION` prints them; see and revoke what was given.

    One that is called like a command here: links show NARRATION.
    """


@links.command()
@click.argument("narration")
@click.option("--fresh", is_flag=True, help="Make new links, though the present ones still live.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def show(narration: str, fresh: bool, as_json: bool) -> None:
    """Print the links of a NARRATION; new ones are made where the present ones are over.

    The first, "listen", is its permanent address: new links, and new revisions, leave it as it is.
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
        key, known = layout.narration_state(narration, "links"), None
        with suppress(StoreError):  # a damaged record is written anew
            known = find_record(session.store, key, Links)
        if fresh or known is None or known.revision != timings.revision or not links_are_valid(session.store, known):
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


@links.command("list")
@click.argument("narration")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a grant a line.")
def list_grants(narration: str, as_json: bool) -> None:
    """List what was given of a NARRATION: each grant, what it covers, until when, and whether it still holds.

    Grants of "newest" are those of its permanent address.
    """
    from f5_pipeline.store import layout
    from f5_pipeline.studio.links.grants import grant_state, grants_of

    layout.check_name(narration, "narration")
    found = [(grant, grant_state(grant)) for grant in grants_of(open_store(), narration)]
    if as_json:
        for grant, state in found:
            print_json({**grant.model_dump(), "state": state})
    elif found:
        columns = ("grant", "covers", "made", "expires", "state", "note")
        print_table(columns, ((one.grant, one.covers, one.made, one.expires, state, one.note) for one, state in found))
    else:
        say(f"no links of {narration!r} were given yet; print some: f5-pipeline links {narration}")


@links.command()
@click.argument("narration")
@click.option("--grant", metavar="ID", help="Of this grant alone, as `links list` names it.")
@click.option("--note", metavar="TEXT", default="", help="Why, for those who list them.")
def revoke(narration: str, grant: str | None, note: str) -> None:
    """End links of a NARRATION at once: all that were given, its permanent address among them.

    Its next links have another address.
    """
    from f5_pipeline.settings import get_settings
    from f5_pipeline.store import layout
    from f5_pipeline.studio.links.grants import revoke as revoke_grants

    layout.check_name(narration, "narration")
    revoked = revoke_grants(open_store(), narration, grant, note=note)
    for one in revoked:
        click.echo(f"{one.grant}\t{one.covers}\trevoked")
    if not revoked:
        say(f"nothing of {narration!r} was left to revoke")
    elif (settings := get_settings()).downloads == "redirect":
        say(f"addresses in the bucket that were given out before live on for up to {settings.presign_seconds} s")

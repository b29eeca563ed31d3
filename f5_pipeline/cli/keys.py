"""f5-pipeline keys: add, list, revoke, webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_info, print_json, print_table
from f5_pipeline.cli.session import open_store

if TYPE_CHECKING:
    from f5_pipeline.store.base import Store
    from f5_pipeline.studio.keys import ApiKey, Scope

SCOPES: tuple[Scope, ...] = ("narrate", "voices", "read", "admin")
DEFAULT_SCOPES: tuple[Scope, ...] = ("narrate", "voices", "read")
DEFAULT_RATE = 120
"""As `studio.keys` has them, which takes long to import."""


@cli.group()
def keys() -> None:
    """Keys of the HTTP API. Without any it is open to programs on this machine alone."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help=f"What it may do; several times for several. [default: {', '.join(DEFAULT_SCOPES)}]",
)
@click.option("--rate", type=click.IntRange(1), default=DEFAULT_RATE, show_default=True, help="Requests a minute.")
@click.option("--minutes", type=click.FloatRange(0), help="Minutes of narration in a month. [default: no limit]")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def add(name: str, scopes: tuple, rate: int, minutes: float | None, as_json: bool) -> None:
    """Make a key for NAME and print it, this once: the store keeps only its hash."""
    from f5_pipeline.studio.keys import add_key

    token, key = add_key(open_store(), name, scopes or DEFAULT_SCOPES, rate=rate, minutes=minutes)
    if as_json:
        print_json({"token": token, **key.model_dump(exclude={"sha256"})})
        return
    click.echo(token)
    print_info(f"key {key.key} of {name}: {', '.join(key.scopes)}. It is not shown again.")


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def list_(as_json: bool) -> None:
    """List the keys and what each has used this month."""
    from f5_pipeline.studio.keys import list_keys

    store = open_store()
    rows = [_row(store, key) for key in list_keys(store)]
    if as_json:
        for row in rows:
            print_json(row)
    elif rows:
        columns = ("key", "name", "scopes", "rate", "minutes", "used", "created", "revoked")
        print_table(columns, ([str(row[column]) for column in columns] for row in rows))
    else:
        print_info("no keys yet; make one: f5-pipeline keys add NAME")


def _row(store: Store, key: ApiKey) -> dict[str, Any]:
    from f5_pipeline.studio.keys import usage_of

    return {**key.model_dump(exclude={"sha256"}), "used": round(usage_of(store, key).minutes, 2)}


@keys.command()
@click.argument("key")
def revoke(key: str) -> None:
    """End a KEY, named by its id as `keys list` shows it, at once."""
    from f5_pipeline.studio.keys import revoke_key

    record = revoke_key(open_store(), key)
    print_info(f"key {record.key} of {record.name} is revoked")


@keys.command()
def webhook() -> None:
    """Print the secret that webhooks are signed with; whoever has it can sign in this installation's name."""
    from f5_pipeline.settings import get_settings
    from f5_pipeline.studio.webhooks import open_secrets

    settings = get_settings()
    click.echo(open_secrets(settings.home_folder, settings.webhook_secret)[0])

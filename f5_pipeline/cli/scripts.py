"""f5-pipeline scripts: add, list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.options import parse_options, same_name_error, script_options
from f5_pipeline.cli.output import print_info, print_json, print_table
from f5_pipeline.cli.session import open_session, open_store


@cli.group()
def scripts() -> None:
    """Scripts: what is narrated."""


@scripts.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", help="Name of the narration; else the file's.")
@script_options
def add(files: tuple[Path, ...], name: str | None, replace: bool, allow_outside: bool, **values: Any) -> None:
    """Keep FILES (.txt, .md, .toml, .ssml, .epub, .docx, .html, .pdf) in the store and show them in the UI.

    Where `f5-pipeline up` is running the in-box narrates them, at once or at night (F5_INBOX).
    """
    from f5_pipeline.studio.narrating.scripts import keep_script, read_script

    if name and len(files) > 1:
        raise click.UsageError("--name goes with one file")
    store, options = open_store(), parse_options(values)
    scripts = {}
    for file in files:
        loaded = read_script(store, file, name, options, replace=replace, allow_outside=allow_outside)
        if loaded.narration in scripts:
            raise same_name_error(scripts[loaded.narration].file, file, loaded.narration)
        scripts[loaded.narration] = loaded
    with open_session() as session:  # after all are read: a refused call leaves nothing behind
        for loaded in scripts.values():
            keep_script(store, loaded)
            session.report_script(loaded)
            print_info(f"{loaded.narration}: {loaded.script.title}, {len(loaded.script.passages)} passages")


@scripts.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def list_(as_json: bool) -> None:
    """List the scripts in the store."""
    from f5_pipeline.studio.narrating.scripts import script_stats

    rows = [(name, stat.key, stat.size) for name, stat in script_stats(open_store())]
    if as_json:
        for name, key, size in rows:
            print_json({"narration": name, "key": key, "size": size})
    elif rows:
        print_table(("narration", "script", "bytes"), rows)
    else:
        print_info("no scripts yet; narrate one: f5-pipeline narrate FILE")

"""f5-pipeline plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.options import parse_options, script_options
from f5_pipeline.cli.output import print_info, print_json, print_note, print_table
from f5_pipeline.cli.session import open_store, studio_options


@cli.command()
@click.argument("script", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the narration; else the file's.")
@script_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object per chunk, one per line.")
def plan(script: Path, name: str | None, replace: bool, as_json: bool, **values: Any) -> None:
    """Print the chunks of a SCRIPT (a file, or a narration in the store): which have a take, which need one.

    Nothing is synthesized and nothing is stored.
    """
    from f5_pipeline.store import layout
    from f5_pipeline.studio.narrating.engines import chosen_engine, foreign_voices
    from f5_pipeline.studio.narrating.planning import planned_chunks
    from f5_pipeline.studio.narrating.scripts import check_language, open_script

    store = open_store()
    loaded = open_script(store, script, name, parse_options(values), replace=replace)
    needed: dict[str, bool] = {}
    rows, words, missing_seconds, seconds, pause = [], 0, 0.0, 0.0, 0.0
    with chosen_engine(store, loaded, studio_options()) as (engine, choice):
        check_language(engine, loaded)
        for planned in planned_chunks(loaded.script, engine):
            chunk = planned.chunk
            first = planned.key not in needed
            if first:
                needed[planned.key] = not store.exists(layout.take_record(planned.key))
            state = "needs a take" if needed[planned.key] else "has a take"
            words += len(chunk.words)
            seconds += pause + chunk.expected_seconds
            pause = loaded.script.pauses.after(chunk.pause)
            missing_seconds += chunk.expected_seconds if first and needed[planned.key] else 0.0
            if as_json:
                print_json({"key": planned.key, "state": state, "written": chunk.written, **chunk.model_dump()})
            else:
                rows.append(
                    (chunk.index, chunk.line, chunk.voice, f"{chunk.expected_seconds:.1f} s", state, chunk.written)
                )
    if not as_json:
        print_table(("chunk", "line", "voice", "expected", "take", "text"), rows)
    for note in (*loaded.script.notes, *foreign_voices(store, loaded, choice)):
        print_note(f"{loaded.file}: {note}")
    missing = sum(needed.values())
    print_info(
        f"{loaded.narration}: {words} words, {len(needed)} takes, {missing} to make; about {seconds / 60:.1f} minutes "
        f"with pauses, {missing_seconds / 60:.1f} of speech to make. Engine: {choice.engine}, {choice.note}."
    )

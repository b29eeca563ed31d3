"""f5-pipeline plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.options import parse_options, script_options
from f5_pipeline.cli.output import print_info, print_json, print_note, print_table
from f5_pipeline.cli.session import open_store, studio_options

if TYPE_CHECKING:
    from f5_pipeline.store.base import Store
    from f5_pipeline.studio.narrating.scripts import LoadedScript

MAX_LISTED = 20
"""Entries of the lexicon that are shown, the most used first."""


@cli.command()
@click.argument("script", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the narration; else the file's.")
@script_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object per chunk, one per line.")
@click.option("--diff", is_flag=True, help="Only the takes to make: why each, how long, and what they cost.")
def plan(
    script: Path, name: str | None, replace: bool, allow_outside: bool, as_json: bool, diff: bool, **values: Any
) -> None:
    """Print the chunks of a SCRIPT (a file, or a narration in the store): which have a take, which need one.

    Nothing is synthesized and nothing is stored. With --diff it shows what an edit of the script, the lexicon, a voice,
    the settings or the model would make anew; with `--chapters list`, its chapters.
    """
    from f5_pipeline.speech.timeline import SlotFit
    from f5_pipeline.store import layout
    from f5_pipeline.studio.narrating.engines import chosen_engine, foreign_voices
    from f5_pipeline.studio.narrating.planning import add_expected, lexicon_of, planned_chunks
    from f5_pipeline.studio.narrating.scripts import check_language, open_script

    store = open_store()
    if listed := values["chapters"] == "list":
        values["chapters"] = "all"
    loaded = open_script(store, script, name, parse_options(values), replace=replace, allow_outside=allow_outside)
    if listed:
        _print_chapters(loaded, as_json)
        return
    if diff:
        _show_changes(store, loaded, as_json)
        return
    needed: dict[str, bool] = {}
    slots = SlotFit()
    rows, words, missing_seconds, seconds, pause = [], 0, 0.0, 0.0, 0.0
    with chosen_engine(store, loaded, studio_options()) as (engine, choice):
        check_language(engine, loaded)
        lexicon = lexicon_of(loaded, engine)
        for planned in planned_chunks(loaded.script, engine, lexicon):
            chunk = planned.chunk
            first = planned.key not in needed
            if first:
                needed[planned.key] = not store.exists(layout.take_record(planned.key))
            state = "needs a take" if needed[planned.key] else "has a take"
            words += len(chunk.words)
            if chunk.at is not None and chunk.seconds is not None:
                add_expected(slots, chunk)
                seconds = max(seconds, chunk.at + chunk.seconds)
            else:
                seconds += (chunk.lead or 0.0) + pause + chunk.expected_seconds + (chunk.silence or 0.0)
            pause = loaded.script.pauses.after(chunk.pause) if chunk.silence is None else 0.0
            missing_seconds += chunk.expected_seconds if first and needed[planned.key] else 0.0
            if as_json:
                print_json({"key": planned.key, "state": state, "written": chunk.written, **chunk.model_dump()})
            else:
                rows.append(
                    (chunk.index, chunk.line, chunk.voice, f"{chunk.expected_seconds:.1f} s", state, chunk.written)
                )
    if not as_json:
        print_table(("chunk", "line", "voice", "expected", "take", "text"), rows)
    for used in lexicon.report()[:MAX_LISTED]:
        print_note(f"{used.written} is said as {used.said}: {used.count}×")
    for note in (*loaded.script.notes, *foreign_voices(store, loaded, choice)):
        print_note(f"{loaded.file}: {note}")
    for sentence in slots.report():
        print_note(f"{loaded.file}: expected not to fit: {sentence}")
    missing = sum(needed.values())
    print_info(
        f"{loaded.narration}: {words} words, {len(needed)} takes, {missing} to make; about {seconds / 60:.1f} minutes "
        f"with pauses, {missing_seconds / 60:.1f} of speech to make. Engine: {choice.engine}, {choice.note}."
    )


def _show_changes(store: Store, loaded: LoadedScript, as_json: bool) -> None:
    from f5_pipeline.settings import get_settings
    from f5_pipeline.studio.narrating.changes import script_changes

    changes = script_changes(store, loaded, studio_options(), get_settings().gpu_hour_cost)
    if as_json:
        print_json({"narration": loaded.narration, **changes.model_dump()})
        return
    rows = [(row.line, row.voice, f"{row.seconds:.1f} s", row.reason, row.text) for row in changes.first]
    print_table(("line", "voice", "expected", "why", "text"), rows)
    if changes.takes > len(rows):
        print_info(f"… and {changes.takes - len(rows)} more")
    for reason, takes in changes.reasons.items():
        print_info(f"{takes} takes: {reason}")
    cost = "" if changes.cost is None else f", costs {changes.cost:.2f}"
    print_info(
        f"{loaded.narration}: {changes.takes} takes to make, {changes.speech_seconds / 60:.1f} minutes of speech; "
        f"{changes.gpu_seconds:.0f} s of a GPU ({changes.basis}){cost}"
    )


def _print_chapters(loaded: LoadedScript, as_json: bool) -> None:
    """Print number, title, words and minutes of each chapter, without pauses."""
    from f5_pipeline.speech.chunks import iter_chunks
    from f5_pipeline.speech.script.chapters import chapters_of

    chapters = chapters_of(loaded.script.passages)
    numbers = [chapter.number for chapter in chapters for _ in chapter.passages]
    words, seconds = dict.fromkeys(numbers, 0), dict.fromkeys(numbers, 0.0)
    for chunk in iter_chunks(loaded.script):
        words[numbers[chunk.passage]] += len(chunk.words)
        seconds[numbers[chunk.passage]] += chunk.expected_seconds
    rows = [(number, title, words[number], f"{seconds[number] / 60:.1f} min") for number, title, _ in chapters]
    if as_json:
        for number, title, count, _ in rows:
            print_json({"chapter": number, "title": title, "words": count, "seconds": round(seconds[number], 1)})
    else:
        print_table(("chapter", "title", "words", "about"), rows)
    for note in loaded.script.notes:
        print_note(f"{loaded.file}: {note}")

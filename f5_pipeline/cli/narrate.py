"""f5-pipeline narrate."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.options import parse_options, same_name_error, script_options
from f5_pipeline.cli.output import print_error, print_info, print_json, print_note
from f5_pipeline.cli.session import Session, open_session, open_store, studio_options

if TYPE_CHECKING:
    from f5_pipeline.dagster_host.runs import RunOutcome
    from f5_pipeline.speech.script.model import ScriptOptions
    from f5_pipeline.store.base import Store
    from f5_pipeline.studio.narrating.scripts import LoadedScript
    from f5_pipeline.studio.records import NarrateResult


@cli.command()
@click.argument("scripts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", help="Name of the narration; else the file's. With one script.")
@script_options
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object per narration, one per line, and no progress."
)
@click.option("--max-cost", type=click.FloatRange(min=0), help="Refuse where the GPU is expected to cost more.")
@click.option("--verbose", is_flag=True, help="Show Dagster's own log.")
def narrate(
    scripts: tuple[Path, ...],
    name: str | None,
    replace: bool,
    allow_outside: bool,
    as_json: bool,
    max_cost: float | None,
    verbose: bool,
    **values: Any,
) -> None:
    """Narrate SCRIPTS (files, or narrations in the store) by the Dagster job, and print files and links.

    Nothing is made twice: run the same command again after an edit or an interruption. Voice, language, speed and
    engine are kept with the script for the next time.

    \b
    f5-pipeline narrate story.md
    f5-pipeline narrate hello.txt --voice ada --engine draft --json
    """
    from f5_pipeline.studio.narrating.scripts import keep_script

    if name and len(scripts) > 1:
        raise click.UsageError("--name goes with one script")
    # Before the instance is opened: a refused call leaves nothing behind.
    store = open_store()
    loaded = _read_all(
        store, scripts, name, parse_options(values), quiet=as_json, replace=replace, allow_outside=allow_outside
    )
    if max_cost is not None:
        _check_cost(store, loaded, max_cost)
    with open_session(quiet=as_json, verbose=verbose) as session:
        with claim(session, loaded):
            for script in loaded:
                keep_script(session.store, script)
            results = narrate_all(session, loaded)
        show_results(results, as_json)
        if any(isinstance(result, str) for result in results.values()):
            raise click.exceptions.Exit(1)


def _check_cost(store: Store, scripts: list[LoadedScript], limit: float) -> None:
    """Raise InputError where the takes to make are expected to cost more than `limit`."""
    from f5_pipeline.errors import InputError
    from f5_pipeline.settings import get_settings
    from f5_pipeline.studio.narrating.changes import script_changes

    hour = get_settings().gpu_hour_cost
    if not hour:
        hint = "Set it to what an hour of your GPU costs."
        raise InputError("--max-cost needs F5_GPU_HOUR_COST, which is not set", file="environment", hint=hint)
    changes = [script_changes(store, loaded, studio_options(), hour) for loaded in scripts]
    cost = sum(change.cost or 0.0 for change in changes)
    if cost > limit:
        raise InputError(
            f"{sum(change.takes for change in changes)} takes are expected to cost {cost:.2f} ({changes[0].basis}), "
            f"more than --max-cost {limit:g}",
            hint=f"See why: f5-pipeline plan --diff {scripts[0].narration}. Allow more, or narrate less.",
        )


@contextmanager
def claim(session: Session, scripts: list[LoadedScript]) -> Iterator[None]:
    """Keep the in-box from launching these scripts for as long as this process lives."""
    from f5_pipeline.orchestration.ledger import Ledger
    from f5_pipeline.system.processes import process_name

    ledger, this_process = Ledger(session.instance), process_name(os.getpid())
    versions = {loaded.narration: loaded.version for loaded in scripts}
    ledger.start(versions, this_process)
    try:
        yield
    finally:
        for narration, outcome in ledger.outcomes(versions).items():
            if outcome.run == this_process and outcome.state == "started":
                ledger.finish(narration, versions[narration], this_process, "It was interrupted at the command line.")


def _read_all(
    store: Store,
    scripts: tuple[Path, ...],
    name: str | None,
    options: ScriptOptions | None,
    *,
    quiet: bool,
    replace: bool,
    allow_outside: bool,
) -> list[LoadedScript]:
    """Read all scripts; raise an error where one cannot be narrated, before any is kept."""
    from f5_pipeline.cli.weights import download_progress
    from f5_pipeline.studio.narrating.delivery import formats_of
    from f5_pipeline.studio.narrating.engines import chosen_engine, foreign_voices
    from f5_pipeline.studio.narrating.scripts import check_language, open_script
    from f5_pipeline.studio.weights import open_library

    acquired: set[str] = set()
    seen: dict[str, tuple[Path, LoadedScript]] = {}
    for script in scripts:
        loaded = open_script(store, script, name, options, replace=replace, allow_outside=allow_outside)
        narration = loaded.narration
        with chosen_engine(store, loaded, studio_options()) as (engine, choice):
            check_language(engine, loaded)
        formats_of(loaded, studio_options())
        for note in foreign_voices(store, loaded, choice):
            print_note(f"{loaded.file}: {note}")
        model = choice.model
        if model is not None and model not in acquired:
            # Now and not in the run: with a progress bar, and so that it can fail before anything is kept.
            acquired.add(model)
            with download_progress(quiet=quiet) as show:
                open_library(store, studio_options()).acquire(model, show).release()
        if narration in seen:
            raise same_name_error(seen[narration][0], script, narration)
        seen[narration] = script, loaded
    return [loaded for _, loaded in seen.values()]


def narrate_all(session: Session, scripts: list[LoadedScript]) -> dict[str, NarrateResult | str]:
    """Narrate claimed scripts; return the result of each narration, or the reason of its failure.

    One script is a run of the job `narrate`, several are one run of `narrate_batch`.
    """
    from f5_pipeline.orchestration.launching.requests import batch_config
    from f5_pipeline.orchestration.ledger import BATCH_JOB, SINGLE_JOB, Ledger
    from f5_pipeline.speech.engines import spec_of
    from f5_pipeline.studio.narrating.engines import choose_engine
    from f5_pipeline.studio.voices import warnings_of

    started, ledger = time.monotonic(), Ledger(session.instance)
    for loaded in scripts:
        choice = choose_engine(loaded, session.options)
        if not session.quiet:
            (print_info if spec_of(choice.engine).clones else print_note)(f"{loaded.narration}: {choice.note}")
        if spec_of(choice.engine).clones:
            for warning in warnings_of(session.store, loaded.script.voices):
                print_note(warning)
        for note in loaded.script.notes if not session.quiet else ():
            print_note(f"{loaded.narration}: {note}")
        session.report_script(loaded)
    names = [loaded.narration for loaded in scripts]
    if len(scripts) == 1:
        outcome = _prepare_voices(session, scripts[0]) or session.run(names[0], SINGLE_JOB, partition=names[0])
        if not outcome.success:
            ledger.finish(names[0], scripts[0].version, outcome.run_id, "\n".join(outcome.errors))
    else:
        config = batch_config(names, "the command line")
        outcome = session.run(f"{len(names)} narrations", BATCH_JOB, config=config)
    wall = time.monotonic() - started
    results: dict[str, NarrateResult | str] = {}
    for name, entry in ledger.outcomes(names).items():
        if entry.state == "done":
            results[name] = read_result(session, name, wall)
        else:
            results[name] = entry.reason or "\n".join(outcome.errors) or "Another run works on it: f5-pipeline status"
    return {name: results[name] for name in names}


def _prepare_voices(session: Session, loaded: LoadedScript) -> RunOutcome | None:
    """Prepare the references that are missing; return the run that failed, if one did."""
    from f5_pipeline.orchestration.partitions import VOICES
    from f5_pipeline.studio.voices import find_voice, needs_reference

    for name in loaded.script.voices:
        voice = find_voice(session.store, name)
        if voice is None:
            continue  # the plan reports it, with the line
        known = session.instance.has_dynamic_partition(str(VOICES.name), name)
        if needs_reference(session.store, name) or not known:
            outcome = session.prepare_voice(voice)
            if not outcome.success:
                return outcome
    return None


def read_result(session: Session, narration: str, wall_seconds: float) -> NarrateResult:
    """Files, links and counts of a finished narration."""
    from f5_pipeline.studio.links.making import read_manifest
    from f5_pipeline.studio.records import Links, NarrateResult, Takes, TakesCount
    from f5_pipeline.studio.state import read_state

    links = read_state(session.store, Links, narration)
    takes = read_state(session.store, Takes, narration)
    manifest = read_manifest(session.store, narration, links.revision)
    return NarrateResult(
        narration=narration,
        revision=links.revision,
        engine=manifest.audio.plan.engine,
        files={file.name: str(session.store.local_path(file.key) or file.key) for file in manifest.files},
        links={"listen": links.page, **links.files},
        takes=TakesCount.model_validate(takes.model_dump()),
        slots=manifest.audio.slots,
        audio_seconds=manifest.audio.seconds,
        wall_seconds=round(wall_seconds, 3),
    )


def show_results(results: dict[str, NarrateResult | str], as_json: bool) -> None:
    """Print the results of narrations."""
    for narration, result in results.items():
        if isinstance(result, str):
            if as_json:
                print_json({"narration": narration, "error": result})
            print_error(f"{narration}: {result}" if narration not in result else result)
            continue
        if as_json:
            print_json(result.model_dump())
            continue
        takes = result.takes
        click.echo(
            f"{narration}, revision {result.revision}: {result.audio_seconds:.1f} s of audio by {result.engine}, "
            f"{takes.synthesized} takes made, {takes.reused} reused, {result.wall_seconds:.1f} s"
        )
        if takes.doubtful:
            print_note(
                f"{takes.doubtful} chunks are doubtful even after retakes; to see where to listen: "
                f"f5-pipeline doubts {narration}"
            )
        if result.slots is not None:
            click.echo(
                f"  {result.slots.cues} cues, {result.slots.cues - result.slots.unfit} in their slots; "
                f"the latest starts {result.slots.max_late_ms:.0f} ms after its own"
            )
            for sentence in result.slots.report():
                print_note(sentence)
        for path in result.files.values():
            click.echo(f"  {path}")
        click.echo(f"  listen:   {result.links['listen']}")
        click.echo("  all links: f5-pipeline links " + narration)

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
from f5_pipeline.cli.options import options_of, script_options
from f5_pipeline.cli.output import complain, print_json, say, warn
from f5_pipeline.cli.session import Session, open_session

if TYPE_CHECKING:
    from f5_pipeline.speech.script.model import ScriptOptions
    from f5_pipeline.studio.narrating.scripts import LoadedScript
    from f5_pipeline.studio.records import NarrateResult


@cli.command()
@click.argument("scripts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", help="Name of the narration; else the file's. With one script.")
@script_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a narration, one a line, and no progress.")
@click.option("--verbose", is_flag=True, help="Show Dagster's own log.")
def narrate(scripts: tuple[Path, ...], name: str | None, as_json: bool, verbose: bool, **said: Any) -> None:
    """Narrate SCRIPTS (files, or narrations in the store) by the real Dagster job, and print files and links.

    What was made is never made twice: run the same command again after an edit or an interruption. Voice, language,
    speed and engine are kept beside the script for the next time.

    \b
    f5-pipeline narrate story.md
    f5-pipeline narrate hello.txt --voice ada --engine draft --json
    """
    from f5_pipeline.studio.narrating.scripts import keep_script

    if name and len(scripts) > 1:
        raise click.UsageError("--name goes with one script")
    with open_session(quiet=as_json, verbose=verbose) as session:
        loaded = _read_all(session, scripts, name, options_of(said))
        with claim(session, loaded):
            for one in loaded:
                keep_script(session.store, one)
            results = narrate_all(session, loaded)
        show_results(results, as_json)
        if any(isinstance(result, str) for result in results.values()):
            raise click.exceptions.Exit(1)


@contextmanager
def claim(session: Session, scripts: list[LoadedScript]) -> Iterator[None]:
    """Keep the in-box from launching what is narrated here, for as long as this process lives."""
    from f5_pipeline.orchestration.ledger import Ledger
    from f5_pipeline.system.processes import process_name

    ledger, here = Ledger(session.instance), process_name(os.getpid())
    versions = {one.narration: one.version for one in scripts}
    ledger.start(versions, here)
    try:
        yield
    finally:
        for narration, outcome in ledger.outcomes(versions).items():
            if outcome.run == here and outcome.state == "started":  # what was delivered has told so itself
                ledger.finish(narration, versions[narration], here, "it failed or was interrupted at the command line")


def _read_all(
    session: Session, scripts: tuple[Path, ...], name: str | None, options: ScriptOptions | None
) -> list[LoadedScript]:
    """Read all scripts; raise an error where one of them cannot be narrated, before any of them is kept."""
    from f5_pipeline.cli.weights import download_progress
    from f5_pipeline.errors import InputError
    from f5_pipeline.studio.narrating.engines import choose_engine
    from f5_pipeline.studio.narrating.scripts import open_script
    from f5_pipeline.studio.weights import open_library

    brought: set[str] = set()
    seen: dict[str, tuple[Path, LoadedScript]] = {}
    for script in scripts:
        loaded = open_script(session.store, script, name, options)
        narration = loaded.narration
        model = choose_engine(loaded, session.options).model
        if model is not None and model not in brought:
            # Now, with a bar, and not in the run: also what is wrong with it is told before anything is kept.
            brought.add(model)
            with download_progress(quiet=session.quiet) as show:
                open_library(session.store, session.options).acquire(model, show).release()
        if narration in seen:
            raise InputError(
                f"{seen[narration][0]} and {script} are both the narration {narration!r}",
                hint="Narrate them one by one, each with a --name of its own.",
            )
        seen[narration] = script, loaded
    return [loaded for _, loaded in seen.values()]


def narrate_all(session: Session, scripts: list[LoadedScript]) -> dict[str, NarrateResult | str]:
    """Narrate scripts; by narration its result, or why it failed.

    One script is one run. Several are planned one by one, synthesized together (an engine loads once, what they share
    is made once), and delivered one by one, so that one that fails harms no other.
    """
    from f5_pipeline.dagster_host.runs import contiguous
    from f5_pipeline.orchestration.partitions import NARRATIONS
    from f5_pipeline.speech.engines import spec_of
    from f5_pipeline.studio.narrating.engines import choose_engine

    started = time.monotonic()
    for loaded in scripts:
        choice = choose_engine(loaded, session.options)
        if not session.quiet:
            (say if spec_of(choice.engine).clones else warn)(f"{loaded.narration}: {choice.note}")
    failed: dict[str, str] = {}
    for loaded in scripts:
        session.tell_script(loaded)
        if (error := _prepare_voices(session, loaded)) is not None:
            failed[loaded.narration] = error
    names = [loaded.narration for loaded in scripts if loaded.narration not in failed]

    def run_each(job: str) -> None:
        for name in [name for name in names if name not in failed]:
            outcome = session.run(name, job, partition=name)
            if not outcome.success:
                failed[name] = "\n".join(outcome.errors)

    if len(names) == 1:
        run_each("narrate")
    elif names:
        run_each("plan")
        keys = session.instance.get_dynamic_partitions(str(NARRATIONS.name))
        for span in contiguous(keys, [name for name in names if name not in failed]):
            outcome = session.run(f"{span[0]} to {span[1]}", "synthesize", partitions=span)
            within = keys[keys.index(span[0]) : keys.index(span[1]) + 1]
            for name in set(within) - outcome.materialized.get("takes", set()):
                failed[name] = outcome.reasons.get(name) or "; ".join(outcome.errors) or "its takes were not made"
        run_each("deliver")
    wall = time.monotonic() - started
    return {
        loaded.narration: failed.get(loaded.narration) or result_of(session, loaded.narration, wall)
        for loaded in scripts
    }


def _prepare_voices(session: Session, loaded: LoadedScript) -> str | None:
    from f5_pipeline.orchestration.partitions import VOICES
    from f5_pipeline.studio.voices import find_voice, needs_reference

    for name in loaded.script.voices:
        voice = find_voice(session.store, name)
        if voice is None:
            continue  # the plan says so, with the line
        known = session.instance.has_dynamic_partition(str(VOICES.name), name)
        if needs_reference(session.store, name) or not known:
            outcome = session.prepare_voice(voice)
            if not outcome.success:
                return "\n".join(outcome.errors)
    return None


def result_of(session: Session, narration: str, wall_seconds: float) -> NarrateResult:
    """What a finished narration has come to."""
    from f5_pipeline.store import layout
    from f5_pipeline.store.records import read_record
    from f5_pipeline.studio.links.making import read_manifest
    from f5_pipeline.studio.records import Links, NarrateResult, Takes, TakesCount

    links = read_record(session.store, layout.narration_state(narration, "links"), Links)
    takes = read_record(session.store, layout.narration_state(narration, "takes"), Takes)
    manifest = read_manifest(session.store, narration, links.revision)
    return NarrateResult(
        narration=narration,
        revision=links.revision,
        engine=manifest.audio.plan.engine,
        files={file.name: str(session.store.local_path(file.key) or file.key) for file in manifest.files},
        links={"listen": links.page, **links.files},
        takes=TakesCount.model_validate(takes.model_dump()),
        audio_seconds=manifest.audio.seconds,
        wall_seconds=round(wall_seconds, 3),
    )


def show_results(results: dict[str, NarrateResult | str], as_json: bool) -> None:
    """Print what came of narrations."""
    for narration, result in results.items():
        if isinstance(result, str):
            if as_json:
                print_json({"narration": narration, "error": result})
            complain(f"{narration}: {result}" if narration not in result else result)
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
            warn(
                f"{takes.doubtful} chunks are doubtful even after retakes; listen to what this tells: "
                f"f5-pipeline doubts {narration}"
            )
        for path in result.files.values():
            click.echo(f"  {path}")
        click.echo(f"  listen:   {result.links['listen']}")
        click.echo("  all links: f5-pipeline links " + narration)

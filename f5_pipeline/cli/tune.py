"""f5-pipeline voices tune."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from f5_pipeline.cli.compare import PRESETS
from f5_pipeline.cli.output import print_info, print_json, print_note, print_table, progress
from f5_pipeline.cli.session import Session, open_session
from f5_pipeline.cli.voices import prepare_and_show, voices

_PACE = click.FloatRange(0.5, 2.0)


@voices.command()
@click.argument("name")
@click.option("--windows", type=click.IntRange(1, 20), default=4, show_default=True, help="Parts of the recording.")
@click.option("--speed", "speeds", type=_PACE, multiple=True, help="A pace; repeatable. [default: 0.9, 1.0 and 1.1]")
@click.option("--sentences", type=click.Path(path_type=Path), help="A text with one sentence a line, in place of ours.")
@click.option("--model", metavar="NAME", help="Of the F5 engine. [default: F5_MODEL]")
@click.option("--preset", type=click.Choice(PRESETS), help="Of its sampler. [default: F5_PRESET]")
@click.option("--dry-run", is_flag=True, help="Try, tell, and keep nothing but the takes.")
@click.option("--undo", is_flag=True, help="Go back to the setting before the last tuning; nothing is tried.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def tune(name: str, undo: bool, dry_run: bool, as_json: bool, **tried: Any) -> None:
    """Try other parts of a voice's recording, then other paces, on the same sentences; keep what is measured best.

    They are judged by the quality gate's chance of a fault and, with the extra asr, by the words that Whisper hears
    and the likeness of the speaker. The present setting stays, unless another is better beyond chance. What was spoken
    is kept: after an interruption, run it again. Needs an engine that clones voices.

    \b
    f5-pipeline voices tune ada --dry-run
    f5-pipeline voices tune ada --windows 6 --speed 0.95 --speed 1.05
    f5-pipeline voices tune ada --undo
    """
    if undo and dry_run:
        raise click.UsageError("--undo goes without --dry-run")
    with open_session(quiet=as_json) as session:
        if undo:
            _undo(session, name, as_json)
        else:
            _tune(session, name, dry_run, as_json, **tried)


def _tune(session: Session, name: str, dry_run: bool, as_json: bool, sentences: Path | None, **tried: Any) -> None:
    from f5_pipeline.speech.engines.f5.engine import keep_models
    from f5_pipeline.studio.narrating import tuning
    from f5_pipeline.system.reading import read_file

    keep_models(1)  # each setting is spoken by an engine of its own, and all by the same model
    lines = read_file(sentences).decode("utf-8-sig").splitlines() if sentences else []
    tried["speeds"] = tried["speeds"] or tuning.SPEEDS
    if not dry_run and not as_json:
        _tell_narrations(session, name, "If another setting is kept")
    with progress(f"voice {name}", quiet=as_json) as show:
        voice, tuned = tuning.tune(
            session.store,
            name,
            session.options,
            sentences=[line.strip() for line in lines if line.strip()],
            on_progress=partial(show.count, "takes"),
            **tried,
        )
    kept = bool(tuned.chosen and not dry_run)
    if kept:
        voice = tuning.keep_tuning(session.store, voice, tuned)
    if as_json:
        print_json({**tuned.model_dump(), "verdict": tuned.verdict(), "kept": kept})
    else:
        _print(tuned)
    if kept:
        _prepare(session, voice, as_json)
        print_note(f"to go back: f5-pipeline voices tune {name} --undo")
    elif tuned.chosen:
        print_note("nothing was kept (--dry-run)")


def _undo(session: Session, name: str, as_json: bool) -> None:
    from f5_pipeline.studio.narrating.tuning import undo_tuning
    from f5_pipeline.studio.records import ReferenceSetting

    voice, undone = undo_tuning(session.store, name)
    now = voice.setting or ReferenceSetting()
    if as_json:
        print_json({"voice": name, "undone": undone.model_dump(), "setting": now.model_dump()})
    else:
        print_info(f"{name}: the tuning of {undone.made} is taken back: {undone} ({undone.why})")
        print_info(f"{name}: now {now}, {f'tuned on {voice.tunings[-1].made}' if voice.tunings else 'not tuned'}")
        _tell_narrations(session, name, "With the setting before")
    _prepare(session, voice, as_json)


def _prepare(session: Session, voice, as_json: bool) -> None:
    """Make the reference of the setting that is in force now; its own output is for people."""
    if as_json:
        outcome = session.prepare_voice(voice)
        if not outcome.success:
            raise click.exceptions.Exit(1)
        return
    prepare_and_show(session, voice, as_json=False)


def _tell_narrations(session: Session, name: str, when: str) -> None:
    from f5_pipeline.studio.narrating.tuning import narrations_with

    if names := narrations_with(session.store, name):
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        print_note(
            f"{when}, takes of {name} are made anew where these are narrated next: {', '.join(names[:10])}{more}; "
            f"what is delivered stays"
        )


def _print(tuned) -> None:
    base = tuned.trials[0].figures if tuned.trials else []
    rows = [(str(tuned.present), *(figure.first for figure in base), "the present one")]
    for trial in tuned.trials:
        note = f"better: {trial.better.partition(',')[0]}" if trial.better else ""
        if trial.left_out:
            note = f"{trial.left_out} sentences not spoken"
        rows.append((str(trial.setting), *(figure.second for figure in trial.figures), note))
    print_table(("setting", *(figure.name for figure in base), ""), rows)
    if not tuned.heard:
        print_note("nobody listened: measures alone decide. With the extra asr and a Whisper model: F5_LISTEN=all")
    print_info(f"{tuned.verdict()} ({tuned.sentences} sentences, {tuned.by})")

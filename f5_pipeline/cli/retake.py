"""f5-pipeline retake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_info, print_json, print_table
from f5_pipeline.cli.session import open_session, open_store, studio_options

if TYPE_CHECKING:
    from f5_pipeline.studio.narrating.retakes import RetakeDesk


@cli.command()
@click.argument("narration")
@click.option("--chunk", type=click.IntRange(min=0), required=True, help="Its number, as plan and doubts show it.")
@click.option("--count", type=click.IntRange(1, 20), help="Make so many more attempts.")
@click.option("--seed", "seeds", type=int, multiple=True, help="Make the attempt of this number; may be repeated.")
@click.option("--pick", metavar="LETTER", help="Use this attempt, whatever the quality gate says.")
@click.option("--lock", is_flag=True, help="With --pick: also after a change of model, preset or reference.")
@click.option("--speed", type=float, help="Speak this chunk at another speed.")
@click.option("--undo", is_flag=True, help="Take back the last choice.")
@click.option("--release", is_flag=True, help="Leave the chunk to script and quality gate again.")
@click.option("--save", type=click.Path(path_type=Path, file_okay=False), help="Write the attempts there as FLAC.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per attempt, one per line.")
def retake(
    narration: str,
    chunk: int,
    count: int | None,
    seeds: tuple[int, ...],
    pick: str | None,
    lock: bool,
    speed: float | None,
    undo: bool,
    release: bool,
    save: Path | None,
    as_json: bool,
) -> None:
    """The attempts at one chunk of NARRATION: list them, make more, pick one. Only what is touched is made anew.

    \b
    f5-pipeline retake story --chunk 12                  what there is
    f5-pipeline retake story --chunk 12 --count 2        two more attempts
    f5-pipeline retake story --chunk 12 --save listen/   to hear them
    f5-pipeline retake story --chunk 12 --pick B         use B and deliver
    """
    from f5_pipeline.studio.narrating.retakes import RetakeDesk

    actions = [bool(count or seeds), pick is not None, speed is not None, undo, release]
    if sum(actions) > 1 or (count and seeds):
        raise click.UsageError("one of --count, --seed, --pick, --speed, --undo and --release at a time")
    if lock and pick is None:
        raise click.UsageError("--lock goes with --pick")
    desk = RetakeDesk(open_store(), narration, chunk, studio_options())
    if count or seeds:
        desk.ask(count or 1, seeds)
    elif pick is not None:
        desk.pick(pick, lock=lock)
    elif speed is not None:
        desk.set_speed(speed)
    elif undo:
        desk.roll_back()
    elif release:
        desk.release()
    if any(actions):
        _narrate(narration, quiet=as_json)
        desk = RetakeDesk(open_store(), narration, chunk, studio_options())
    _show(desk, save, as_json)


def _narrate(narration: str, *, quiet: bool) -> None:
    from f5_pipeline.cli.narrate import claim, narrate_all, show_results
    from f5_pipeline.studio.narrating.scripts import load_script

    with open_session(quiet=quiet) as session:
        scripts = [load_script(session.store, narration)]
        with claim(session, scripts):
            results = narrate_all(session, scripts)
    if not quiet or isinstance(results[narration], str):
        show_results(results, as_json=quiet)
    if isinstance(results[narration], str):
        raise click.exceptions.Exit(1)


def _show(desk: RetakeDesk, save: Path | None, as_json: bool) -> None:
    attempts = desk.attempts()
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        for attempt in attempts:
            if attempt.made:
                (save / f"{desk.plan.narration}-{desk.planned.chunk.index}-{attempt.letter}.flac").write_bytes(
                    desk.audio(attempt)
                )
    if as_json:
        for attempt in attempts:
            print_json(attempt.model_dump())
        return
    print_info(f"line {desk.planned.chunk.line}, {desk.planned.chunk.voice}: {desk.planned.chunk.written}")
    choice = desk.choice
    rows = []
    for attempt in attempts:
        marks = ["in use"] if attempt.used else []
        marks += (["locked"] if choice.locked else ["picked"]) if attempt.picked else []
        seconds = "not made" if attempt.seconds is None else f"{attempt.seconds:.2f}"
        score = "" if attempt.score is None else f"{attempt.score:.2f}"
        rows.append((attempt.letter, attempt.attempt, seconds, score, ", ".join(marks), " ".join(attempt.reasons)))
    print_table(("", "attempt", "seconds", "score", "", "doubts"), rows)
    if choice.speed is not None:
        print_info(f"speed {choice.speed:g}, chosen for this chunk")

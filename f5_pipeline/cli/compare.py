"""f5-pipeline compare."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_info, print_json, print_table
from f5_pipeline.cli.session import open_store, studio_options
from f5_pipeline.errors import InputError

PRESETS = ("final", "fast", "rapid")


@cli.command()
@click.argument("narration")
@click.option("--model", "models", multiple=True, metavar="NAME", help="A model; given twice, the two are compared.")
@click.option("--preset", "presets", multiple=True, type=click.Choice(PRESETS), help="A preset; the same.")
@click.option("--sample", type=click.IntRange(2, 2000), default=40, show_default=True, help="Chunks to compare.")
@click.option(
    "--listen",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for pairs to listen to, in random order, and answers.csv, which says which is which.",
)
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
def compare(
    narration: str,
    models: tuple[str, ...],
    presets: tuple[Any, ...],
    sample: int,
    listen: Path | None,
    as_json: bool,
) -> None:
    """Let two models or presets speak the same chunks of NARRATION, and compare what Whisper hears. The takes are
    kept, so that narrating with either goes on from them. The retake desk plays the pairs blind, and what is voted
    there comes into the table. Needs the extra asr.

    \b
    f5-pipeline compare story --model F5TTS_v1_Base --model F5TTS_Base
    f5-pipeline compare story --preset final --preset rapid --listen pairs
    """
    from f5_pipeline.studio.narrating.comparison import Variant
    from f5_pipeline.studio.narrating.comparison import compare as compare_variants

    if len(models) > 2 or len(presets) > 2 or max(len(models), len(presets)) < 2:
        raise InputError("two are compared", hint="Give --model twice, or --preset twice, or both.")
    pairs = [values * 2 if len(values) == 1 else values or (None, None) for values in (models, presets)]
    first, second = (Variant(model, preset) for model, preset in zip(*pairs, strict=True))
    if listen is not None and listen.exists() and any(listen.iterdir()):
        raise InputError("it is not empty", file=str(listen), hint="Name a new folder.")
    store = open_store()

    def show(variant: str, progress) -> None:
        if not as_json and progress.done == progress.total:
            print_info(f"{variant}: {progress.done} chunks, {progress.audio_seconds:.1f} s of speech made")

    result = compare_variants(store, narration, (first, second), studio_options(), sample=sample, on_progress=show)
    if listen is not None:
        _write_pairs(store, result, listen)
    if as_json:
        print_json(result.model_dump() | {"verdict": result.verdict()})
        return
    print_table(
        ("", *result.variants, "difference, 95 %"),
        (
            (figure.name, figure.first, figure.second, "" if figure.low is None else f"{figure.low} to {figure.high}")
            for figure in result.figures
        ),
    )
    differing = [chunk for chunk in result.chunks if chunk.first.errors != chunk.second.errors][:10]
    if differing:
        columns = ("chunk", "line", "errors", "text", "why")
        print_table(
            columns,
            (
                (one.chunk, one.line, f"{one.first.errors} / {one.second.errors}", one.text[:60], " ".join(worse.why))
                for one in differing
                for worse in [max(one.first, one.second, key=lambda scores: scores.errors)]
            ),
        )
    if result.left_out:
        print_info(f"{result.left_out} chunks were left out: one of the two could not speak them, or nobody listened")
    print_info(result.verdict())
    voted = f"; {result.voted} of {len(result.chunks)} are voted on" if result.voted else ""
    print_info(f"to hear the pairs blind, and vote: /desk/n/{narration}/pairs of the download service{voted}")


def _write_pairs(store, result, folder: Path) -> None:
    """Both takes of each chunk as 012-x.flac and 012-y.flac, which of them is which by lot."""
    import csv

    from f5_pipeline.store import layout

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "answers.csv").open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(("chunk", "x", "y", "text"))
        for one in sorted(result.chunks, key=lambda chunk: chunk.chunk):
            sides = list(zip(result.variants, (one.first, one.second), strict=True))
            random.shuffle(sides)
            for letter, (_, scores) in zip("xy", sides, strict=True):
                data = store.get_bytes(layout.take_audio(scores.take))
                (folder / f"{one.chunk:03}-{letter}.flac").write_bytes(data)
            rows.writerow((one.chunk, *(variant for variant, _ in sides), one.text))

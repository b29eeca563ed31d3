"""f5-pipeline captions, audiogram and epub."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_note, progress
from f5_pipeline.cli.session import open_store

if TYPE_CHECKING:
    from f5_pipeline.speech.video.captioned import AudioUse

_FILE = click.Path(path_type=Path)


@cli.command()
@click.argument("narration")
@click.option("--format", "name", metavar="NAME", help="srt, vtt, words.vtt, ass, ttml, words.csv …: docs/captions.md.")
@click.option("--words-per-cue", type=click.IntRange(0, 20), help="Words of a caption; 0: by the norms.")
@click.option("--output", type=_FILE, metavar="FILE", help="Else NARRATION.FORMAT in this folder.")
@click.option("--burn", type=_FILE, metavar="VIDEO", help="Draw them into the picture of this video.")
@click.option("--mux", type=_FILE, metavar="VIDEO", help="Add them to this video, for players to show.")
@click.option(
    "--audio",
    type=click.Choice(["replace", "add"]),
    is_flag=False,
    flag_value="replace",
    help="The narration replaces the sound of the video, or is a track more; else it stays as it is.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def captions(
    narration: str,
    name: str | None,
    words_per_cue: int | None,
    output: Path | None,
    burn: Path | None,
    mux: Path | None,
    audio: AudioUse | None,
    force: bool,
) -> None:
    """Write the captions of a NARRATION anew, as a file or into a video, without narrating again.

    \b
    f5-pipeline captions story --format ass --words-per-cue 1
    f5-pipeline captions story --burn film.mp4 --output subtitled.mp4
    f5-pipeline captions story --mux film.mkv --output dubbed.mkv --audio
    """
    from f5_pipeline.speech.captions.formats import FORMATS, named_format
    from f5_pipeline.store import layout
    from f5_pipeline.studio.videos import caption_video, newest_delivery, write_captions

    layout.check_name(narration, "narration")
    video = burn or mux
    if burn and mux:
        raise click.UsageError("either --burn or --mux")
    if video and output is None:
        raise click.UsageError("--burn and --mux need --output")
    if audio and not video:
        raise click.UsageError("--audio goes with --burn or --mux")
    if name is not None:
        named_format(name)
    store = open_store()
    manifest = newest_delivery(store, narration)
    if video and output:
        with progress(narration, quiet=False) as show:
            notes = caption_video(
                store,
                manifest,
                video,
                output,
                burnt=video is burn,
                name=name,
                words_per_cue=words_per_cue,
                use=audio or "keep",
                force=force,
                on_progress=partial(show.count, "seconds of video"),
            )
        for note in notes:
            print_note(note)
    else:
        if name is None:
            ends = [known for suffix, known in FORMATS.items() if output and output.name.lower().endswith(suffix)]
            name = max(ends, key=lambda known: len(known.suffix)).name if ends else "srt"
        output = output or Path(f"{narration}{named_format(name).suffix}")
        write_captions(store, manifest, name, output, words_per_cue=words_per_cue, force=force)
    click.echo(output)


@cli.command()
@click.argument("narration")
@click.option(
    "--shape",
    type=click.Choice(["landscape", "square", "portrait"]),
    default="landscape",
    show_default=True,
    help="1920 x 1080, 1080 x 1080 or 1080 x 1920.",
)
@click.option("--output", type=_FILE, metavar="FILE", help="Else NARRATION-SHAPE.mp4 in this folder.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def audiogram(narration: str, shape: str, output: Path | None, force: bool) -> None:
    """Write a NARRATION as a video: cover, title, waveform, and its words lit as they are said."""
    from f5_pipeline.store import layout
    from f5_pipeline.studio.videos import newest_delivery, write_audiogram

    layout.check_name(narration, "narration")
    store = open_store()
    manifest = newest_delivery(store, narration)
    output = output or Path(f"{narration}-{shape}.mp4")
    with progress(narration, quiet=False) as show:
        show_seconds = partial(show.count, "seconds of video")
        write_audiogram(store, manifest, shape, output, force=force, on_progress=show_seconds)
    click.echo(output)


@cli.command()
@click.argument("narration")
@click.option("--output", type=_FILE, metavar="FILE", help="Else NARRATION.epub in this folder.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def epub(narration: str, output: Path | None, force: bool) -> None:
    """Write a NARRATION as an EPUB 3 with its sound, whose sentences reading systems light as they are said."""
    from f5_pipeline.store import layout
    from f5_pipeline.studio.videos import newest_delivery, write_book

    layout.check_name(narration, "narration")
    store = open_store()
    manifest = newest_delivery(store, narration)
    output = output or Path(f"{narration}.epub")
    with progress(narration, quiet=False) as show:
        write_book(store, manifest, output, force=force, on_progress=partial(show.count, "seconds of sound"))
    click.echo(output)

"""f5-pipeline weights: pull, list, verify, evict, add."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import complain, print_json, print_table, say, warn
from f5_pipeline.cli.session import open_store, studio_options
from f5_pipeline.settings import get_settings

if TYPE_CHECKING:
    from f5_pipeline.weights.library import Library, OnProgress, Progress


@cli.group()
def weights() -> None:
    """Models of the F5 engine: on the hub, in the store, in this machine's cache."""


@weights.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a model, one a line, and no progress.")
def pull(names: tuple[str, ...], as_json: bool) -> None:
    """Bring models to the store and to this machine; without NAMES the one that F5_MODEL names.

    Interrupted, it goes on where it was when the same command runs again.
    """
    library = _library()
    for name in names or (get_settings().model,):
        with download_progress(quiet=as_json) as show, library.acquire(name, show) as acquired:
            record = acquired.record
            if as_json:
                print_json(
                    {
                        "model": name,
                        "sha256": record.sha256,
                        "repo": record.repo,
                        "revision": record.revision,
                        "size": record.size,
                        "licence": record.licence,
                        "commercial_use": record.commercial_use,
                        "source": acquired.source,
                        "received": acquired.received,
                        "seconds": round(acquired.seconds, 3),
                        "files": {
                            role: {"sha256": record.files[role].sha256, "path": str(getattr(acquired.files, role))}
                            for role in record.files
                        },
                        "notes": acquired.notes,
                    }
                )
                continue
        for note in acquired.notes:
            warn(note)
        moved = f", {_size(acquired.received)} from the {acquired.source}" if acquired.received else ""
        say(f"{name}: {_size(record.size)}{moved}, {acquired.seconds:.1f} s")
        say(f"  licence {record.licence}, commercial use: {record.commercial_use}. {record.note}".rstrip())
        for role in record.files:
            click.echo(str(getattr(acquired.files, role)))


@weights.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a model, one a line.")
def list_(as_json: bool) -> None:
    """Every known model: what it speaks, its licence, and where its bytes are."""
    entries = _library().models()
    rows = []
    for entry in entries:
        told = entry.record or entry.spec
        if told is None:
            continue
        size = entry.record.size if entry.record else None
        if as_json:
            print_json(
                {
                    "model": entry.name,
                    "languages": list(told.languages),
                    "licence": told.licence,
                    "commercial_use": told.commercial_use,
                    "repo": told.repo,
                    "revision": told.revision,
                    "sha256": entry.record.sha256 if entry.record else None,
                    "size": size,
                    "cached": entry.cached,
                    "stored": entry.stored,
                    "note": told.note,
                }
            )
            continue
        rows.append(
            (
                entry.name,
                " ".join(told.languages),
                told.licence,
                told.commercial_use,
                _size(size) if size is not None else "",
                _share(entry.cached, size),
                _share(entry.stored, size),
                (told.revision or "")[:12],
            )
        )
    if not as_json:
        print_table(("model", "languages", "licence", "commercial", "size", "cache", "store", "revision"), rows)


@weights.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file, one a line.")
def verify(names: tuple[str, ...], as_json: bool) -> None:
    """Compute the hash of every file in cache and store again; without NAMES of all models. Exits with 1 on damage."""
    library = _library()
    damaged = 0
    rows = []
    for name in names or [record.name for record in library.locked()]:
        found = library.verify(name)
        if not found:
            say(f"{name} was never pulled")
        for one in found:
            damaged += one.state == "corrupt"
            if as_json:
                print_json(vars(one))
            else:
                rows.append((one.model, one.file, one.place, one.state, one.sha256[:16]))
    if rows:
        print_table(("model", "file", "place", "state", "sha256"), rows)
    if damaged:
        complain(f"{damaged} damaged. `f5-pipeline weights pull` fetches what is damaged again.")
        raise click.exceptions.Exit(1)


@weights.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All models.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file, one a line.")
def evict(names: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Remove models from this machine's cache. The store keeps them; what is in use stays."""
    if bool(names) == everything:
        raise click.UsageError("name models, or say --all")
    library = _library()
    gone: dict[str, int] = {}
    for name in names or (None,):
        gone.update(library.evict(name))
    if as_json:
        for file, size in gone.items():
            print_json({"file": file, "size": size})
    else:
        say(f"{len(gone)} files, {_size(sum(gone.values()))} freed")


@weights.command()
@click.argument("name")
@click.argument("checkpoint")
@click.option("--vocabulary", help="One entry a line; else f5-tts's own.")
@click.option(
    "--architecture",
    default="F5TTS_v1_Base",
    show_default=True,
    help="F5TTS_v1_Base, F5TTS_Base, F5TTS_v1_Small, F5TTS_Small, or the YAML file it was trained with.",
)
@click.option(
    "--vocoder",
    default="vocos-mel-24khz",
    show_default=True,
    help="A known one, a folder with config.yaml and pytorch_model.bin, or hf://owner/name.",
)
@click.option("--language", "languages", multiple=True, metavar="TAG", help="That it speaks; again for each.")
@click.option("--licence", default="unknown", show_default=True, help="Of the weights.")
@click.option(
    "--commercial-use",
    type=click.Choice(["yes", "no", "disputed"]),
    default="disputed",
    show_default=True,
    help="Whether what it speaks may be sold.",
)
@click.option("--note", default="", help="What people should know of it.")
@click.option("--json", "as_json", is_flag=True, help="Print its lock as JSON, and no progress.")
def add(name: str, checkpoint: str, languages: tuple[str, ...], as_json: bool, **said: str) -> None:
    """Add a model of your own: a CHECKPOINT (.safetensors, .pt, or a file of the hub) for every worker.

    \b
    f5-pipeline weights add mine model_50000.safetensors --architecture F5TTS_v1_Base --language en
    f5-pipeline weights add thai hf://owner/name/model.safetensors --vocabulary hf://owner/name/vocab.txt
    """
    library = _library()
    with download_progress(quiet=as_json) as show:
        record = library.add(name, _path(checkpoint), languages=languages or ("en",), on_progress=show, **_paths(said))
    if as_json:
        print_json({**record.model_dump(mode="json"), "sha256": record.sha256, "size": record.size})
    else:
        say(f"{name}: {_size(record.size)}, sha256 {record.sha256[:16]}. Speak with it: F5_MODEL={name}")


def _library() -> Library:
    from f5_pipeline.studio.weights import open_library

    return open_library(open_store(), studio_options())


def _path(given: str) -> str:
    return given if given.startswith("hf://") else str(Path(given).expanduser())


def _paths(said: dict[str, str]) -> dict:
    return {
        key: _path(value) if value and key in ("vocabulary", "architecture", "vocoder") else value
        for key, value in said.items()
    }


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"


def _share(present: int, size: int | None) -> str:
    if not size or not present:
        return ""
    return "yes" if present == size else f"{100 * present / size:.0f} %"


@contextmanager
def download_progress(*, quiet: bool) -> Iterator[OnProgress]:
    """A bar a file on standard error for as long as the context; lines where it is no terminal; nothing if quiet."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    told: set[tuple[str, str]] = set()
    if quiet or not console.is_terminal:

        def line(now: Progress) -> None:
            if not quiet and (now.file, now.what) not in told:
                told.add((now.file, now.what))
                waits = "waiting for another process that fetches it" if now.what == "waiting" else now.what
                say(f"{now.model}: {now.file} {waits}")

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        tasks = {}

        def show(now: Progress) -> None:
            key = (now.file, now.what)
            if key not in tasks:
                tasks[key] = bar.add_task(f"{now.file} {now.what}", total=now.total or None)
            bar.update(tasks[key], completed=now.done)

        yield show

"""f5-pipeline weights: pull, list, verify, evict, add."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_error, print_info, print_json, print_note, print_table
from f5_pipeline.cli.session import open_store, studio_options

if TYPE_CHECKING:
    from f5_pipeline.weights.library import Library, OnProgress, Progress


@cli.group()
def weights() -> None:
    """Models of the F5 engine, and Whisper's for transcripts: on the hub, in the store, in this machine's cache."""


@weights.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per model, one per line, and no progress.")
def pull(names: tuple[str, ...], as_json: bool) -> None:
    """Fetch models to the store and to this machine; without NAMES the one that F5_MODEL names.

    After an interruption, run the same command again to go on.
    """
    from f5_pipeline.settings import get_settings
    from f5_pipeline.weights.recognisers import borrow_recogniser, lock_recogniser
    from f5_pipeline.weights.registry import RECOGNISERS

    library = _library()
    for name in names or (get_settings().model,):
        if name is not None and name in RECOGNISERS:
            with download_progress(quiet=as_json) as show, borrow_recogniser(library, name, show):
                locked = lock_recogniser(library, name)
            if as_json:
                print_json({"model": name, "size": locked.size, **locked.model_dump(mode="json", exclude={"name"})})
            else:
                print_info(f"{name}: {_size(locked.size)}, licence {locked.licence}")
            continue
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
            print_note(note)
        moved = f", {_size(acquired.received)} from the {acquired.source}" if acquired.received else ""
        print_info(f"{name}: {_size(record.size)}{moved}, {acquired.seconds:.1f} s")
        print_info(f"  licence {record.licence}, commercial use: {record.commercial_use}. {record.note}".rstrip())
        for role in record.files:
            click.echo(str(getattr(acquired.files, role)))


@weights.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per model, one per line.")
def list_(as_json: bool) -> None:
    """List every known model: its languages, its licence, and where its files are."""
    from f5_pipeline.weights.recognisers import find_recogniser
    from f5_pipeline.weights.registry import RECOGNISERS

    library = _library()
    entries = library.models()
    rows = []
    for entry in entries:
        model = entry.record or entry.spec
        if model is None:
            continue
        size = entry.record.size if entry.record else None
        if as_json:
            print_json(
                {
                    "model": entry.name,
                    "languages": list(model.languages),
                    "licence": model.licence,
                    "commercial_use": model.commercial_use,
                    "repo": model.repo,
                    "revision": model.revision,
                    "sha256": entry.record.sha256 if entry.record else None,
                    "size": size,
                    "cached": entry.cached,
                    "stored": entry.stored,
                    "note": model.note,
                }
            )
            continue
        rows.append(
            (
                entry.name,
                " ".join(model.languages),
                model.licence,
                model.commercial_use,
                _size(size) if size is not None else "",
                _share(entry.cached, size),
                _share(entry.stored, size),
                (model.revision or "")[:12],
            )
        )
    for name, spec in RECOGNISERS.items():
        locked = find_recogniser(library, name)
        blobs = list(locked.files.values()) if locked else []
        cached = sum(blob.size for blob in blobs if library.cache.has(blob))
        stored = sum(blob.size for blob in blobs if library.transfer.stored_size(blob) == blob.size)
        size = locked.size if locked else None
        if as_json:
            facts = spec.model_dump(include={"licence", "commercial_use", "repo", "note"})
            known = {"revision": locked.revision if locked else None, "sha256": None, "size": size}
            print_json({"model": name, "languages": [], **facts, **known, "cached": cached, "stored": stored})
            continue
        rows.append(
            (
                name,
                "transcripts",
                spec.licence,
                spec.commercial_use,
                _size(size) if size is not None else "",
                _share(cached, size),
                _share(stored, size),
                (locked.revision if locked else "")[:12],
            )
        )
    if not as_json:
        print_table(("model", "languages", "licence", "commercial", "size", "cache", "store", "revision"), rows)


@weights.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file, one per line.")
def verify(names: tuple[str, ...], as_json: bool) -> None:
    """Hash every file in cache and store again; without NAMES of all models, Whisper's too. Exits with 1 on damage."""
    from f5_pipeline.weights.recognisers import find_recogniser, verify_recogniser
    from f5_pipeline.weights.registry import RECOGNISERS

    library = _library()
    damaged = 0
    rows = []
    recognisers = [name for name in RECOGNISERS if find_recogniser(library, name)]
    for name in names or [*(record.name for record in library.locked()), *recognisers]:
        files = verify_recogniser(library, name) if name in RECOGNISERS else library.verify(name)
        if not files:
            print_info(f"{name} was never pulled")
        for file in files:
            damaged += file.state == "corrupt"
            if as_json:
                print_json(vars(file))
            else:
                rows.append((file.model, file.file, file.place, file.state, file.sha256[:16]))
    if rows:
        print_table(("model", "file", "place", "state", "sha256"), rows)
    if damaged:
        print_error(f"{damaged} damaged. `f5-pipeline weights pull` fetches the damaged files again.")
        raise click.exceptions.Exit(1)


@weights.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All models.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per file, one per line.")
def evict(names: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Remove models from this machine's cache. The store keeps them; what is in use stays."""
    from f5_pipeline.weights.recognisers import find_recogniser
    from f5_pipeline.weights.registry import RECOGNISERS

    if bool(names) == everything:
        raise click.UsageError("name models, or say --all")
    library = _library()
    evicted: dict[str, int] = {}
    for name in names or (None,):
        if name is not None and name in RECOGNISERS:
            locked = find_recogniser(library, name)
            evicted.update(library.cache.evict({blob.sha256 for blob in locked.files.values()} if locked else set()))
        else:
            evicted.update(library.evict(name))
    if as_json:
        for file, size in evicted.items():
            print_json({"file": file, "size": size})
    else:
        print_info(f"{len(evicted)} files, {_size(sum(evicted.values()))} freed")


@weights.command()
@click.argument("name")
@click.argument("checkpoint")
@click.option("--vocabulary", help="File with one entry a line; else f5-tts's own.")
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
    help="Name of a known vocoder, a folder with config.yaml and pytorch_model.bin, or hf://owner/name.",
)
@click.option("--language", "languages", multiple=True, metavar="TAG", help="A language of the model; repeatable.")
@click.option("--licence", default="unknown", show_default=True, help="Licence of the weights.")
@click.option(
    "--commercial-use",
    type=click.Choice(["yes", "no", "disputed"]),
    default="disputed",
    show_default=True,
    help="Whether its speech may be used commercially.",
)
@click.option("--note", default="", help="What people should know of it.")
@click.option("--json", "as_json", is_flag=True, help="Print its lock as JSON, and no progress.")
def add(name: str, checkpoint: str, languages: tuple[str, ...], as_json: bool, **values: str) -> None:
    """Add a model of your own: a CHECKPOINT (.safetensors, .pt, or a file of the hub) for every worker.

    \b
    f5-pipeline weights add mine model_50000.safetensors --architecture F5TTS_v1_Base --language en
    f5-pipeline weights add thai hf://owner/name/model.safetensors --vocabulary hf://owner/name/vocab.txt
    """
    library = _library()
    with download_progress(quiet=as_json) as show:
        record = library.add(
            name, _path(checkpoint), languages=languages or ("en",), on_progress=show, **_paths(values)
        )
    if as_json:
        print_json({**record.model_dump(mode="json"), "sha256": record.sha256, "size": record.size})
    else:
        print_info(f"{name}: {_size(record.size)}, sha256 {record.sha256[:16]}. Speak with it: F5_MODEL={name}")


def _library() -> Library:
    from f5_pipeline.studio.weights import open_library

    return open_library(open_store(), studio_options())


def _path(value: str) -> str:
    return value if value.startswith("hf://") else str(Path(value).expanduser())


def _paths(values: dict[str, str]) -> dict:
    return {
        key: _path(value) if value and key in ("vocabulary", "architecture", "vocoder") else value
        for key, value in values.items()
    }


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"


def _share(present: int, size: int | None) -> str:
    if not size or not present:
        return ""
    return "yes" if present == size else f"{100 * present / size:.0f} %"


@contextmanager
def download_progress(*, quiet: bool) -> Iterator[OnProgress]:
    """A progress bar for each file on standard error; lines where it is no terminal; nothing if quiet."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    reported: set[tuple[str, str]] = set()
    if quiet or not console.is_terminal:

        def line(progress: Progress) -> None:
            if not quiet and (progress.file, progress.what) not in reported:
                reported.add((progress.file, progress.what))
                waits = "waiting for another process that fetches it" if progress.what == "waiting" else progress.what
                print_info(f"{progress.model}: {progress.file} {waits}")

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        tasks = {}

        def show(progress: Progress) -> None:
            key = (progress.file, progress.what)
            if key not in tasks:
                tasks[key] = bar.add_task(f"{progress.file} {progress.what}", total=progress.total or None)
            bar.update(tasks[key], completed=progress.done)

        yield show

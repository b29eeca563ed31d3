"""The output of commands: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from f5_pipeline.dagster_host.runs import Step


def print_info(text: str = "") -> None:
    """Print a line for people on standard error."""
    click.echo(text, err=True)


def print_error(text: str) -> None:
    """Print an error."""
    click.echo(click.style("error: ", fg="red", bold=True) + text, err=True)


def print_note(text: str) -> None:
    click.echo(click.style("note: ", fg="yellow") + text, err=True)


def print_json(value: Any) -> None:
    """Print one JSON object on a line of standard output."""
    click.echo(json.dumps(value, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table on standard output, up to 200 columns wide where that is no terminal."""
    numbers = [True] * len(columns)
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    for row in cells:
        for n, cell in enumerate(row):
            numbers[n] &= not cell or cell.replace(".", "").replace(":", "").strip("s min%").isdigit()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 200
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    plain = all(cell.isascii() and cell.isprintable() for row in cells for cell in row)
    if plain and sum(widths) + 2 * len(widths) <= width:
        aligned = ["rjust" if number and cells else "ljust" for number in numbers]
        for row in (columns, *cells):
            fields = zip(row, aligned, widths, strict=True)
            line = "  ".join(getattr(cell, align)(width) for cell, align, width in fields).rstrip()
            click.echo(click.style(line, bold=True) if row is columns else line)
        return
    # Lines to be folded, or letters of another width.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, number in zip(columns, numbers, strict=True):
        table.add_column(name, justify="right" if number and cells else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(width=width, highlight=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


@contextmanager
def progress(label: str, *, quiet: bool) -> Iterator[Progress]:
    """A progress bar on standard error for as long as the context; lines where it is no terminal; nothing if quiet."""
    with _own_stderr() as stream:
        if quiet or not stream.isatty():
            yield Progress(None, label, None if quiet else stream)
            return
        with _progress_bar(stream) as bar:
            yield Progress(bar, label, None)


def _progress_bar(stream: IO[str]) -> AbstractContextManager[Any]:
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Elapsed(ProgressColumn):
        """Time since the start; the library's own column stops at the end of each stage."""

        def render(self, task: Task) -> Text:
            return Text(f"{timedelta(seconds=int(task.elapsed or 0))} elapsed")

    columns = (TextColumn("{task.fields[label]}"), BarColumn(30), TextColumn("{task.description}"), Elapsed())
    console = Console(file=stream)
    return Bar(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)


@contextmanager
def _own_stderr() -> Iterator[IO[str]]:
    """Standard error as it is now: while a step runs in this process, Dagster keeps what is written to it as a log."""
    try:
        number = os.dup(sys.stderr.fileno())
    except OSError:  # no file, as in tests
        yield sys.stderr
        return
    with os.fdopen(number, "w", encoding=sys.stderr.encoding, errors=sys.stderr.errors, buffering=1) as stream:
        yield stream


LINE_SECONDS = 5.0
"""How far apart lines of the same count are, at least, where there is no terminal."""


class Progress:
    """Shows the steps of a run, with the time left for the present one."""

    def __init__(self, bar: Any, label: str, stream: IO[str] | None) -> None:
        self._bar, self._label, self._stream = bar, label, stream
        self._task = bar.add_task("starting", label=label, total=None) if bar else None
        self._parts: dict[str, dict[str, tuple[int, int]]] = {}
        self._first: dict[str, tuple[float, int]] = {}
        self._told: dict[str, tuple[int, float]] = {}
        self._shown = ""

    def __call__(self, step: Step) -> None:
        from f5_pipeline.orchestration.lineage import stage_of

        if step.kind == "progress" and "total" in step.numbers:
            what = str(step.numbers["what"])
            parts = self._parts.setdefault(what, {})
            parts[step.name] = (step.numbers["done"], step.numbers["total"])
            done, total = (sum(numbers) for numbers in zip(*parts.values(), strict=True))
            rate = f", {step.numbers['x_real_time']:.0f} x real time" if "x_real_time" in step.numbers else ""
            self._show(f"{done} of {total} {what}{rate}{self._left(what, done, total)}", done, total)
        elif step.kind in ("start", "retry"):
            stage = stage_of(step.name)
            if stage:
                self._show(stage + (" (again)" if step.kind == "retry" else ""), None, None)

    def count(self, what: str, done: int, total: int | None) -> None:
        """Show how far work without steps is, in numbers of `what`; `total` is None while nobody knows it.

        Lines come at the start, then at each tenth or each half minute, but not within LINE_SECONDS of the last one.
        """
        if self._bar is None:
            now = time.monotonic()
            part = 10 * done // total if total else int(now // 30)
            before, when = self._told.get(what, (-1, -LINE_SECONDS))
            if part == before or now - when < LINE_SECONDS:
                return
            self._told[what] = part, now
        of = f" of {total:,}" if total else ""
        self._show(f"{done:,}{of} {what}{self._left(what, done, total or 0)}", done, total)

    def _left(self, what: str, done: int, total: int) -> str:
        """The time left at the pace so far; empty before the pace is known."""
        began, before = self._first.setdefault(what, (time.monotonic(), done))
        if done >= total or done <= before:
            return ""
        seconds = (time.monotonic() - began) / (done - before) * (total - done)
        return f", about {timedelta(seconds=max(1, round(seconds)))} left"

    def _show(self, text: str, done: int | None, total: int | None) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=text, completed=done or 0, total=total)
        elif self._stream is not None and text != self._shown:
            click.echo(f"{self._label}: {text}", file=self._stream)
        self._shown = text

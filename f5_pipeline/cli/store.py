"""f5-pipeline store: check, gc."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_error, print_info, print_json, print_note, print_table, progress
from f5_pipeline.cli.session import Session, open_session

if TYPE_CHECKING:
    import dagster as dg

    from f5_pipeline.studio.upkeep.inventory import Inventory, OnProgress, Tally

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}
_ALIVE_SECONDS = 5.0


class Duration(click.ParamType):
    """A number with its unit, for example 90m or 7d; in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", str(value))
        if match is None:
            self.fail(f"{value!r} is not a duration; write 90m, 12h, 7d or 2w", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


_grace = click.option(
    "--grace", type=Duration(), default="7d", show_default=True, help="What is younger counts as in use: 12h, 7d, 2w."
)


@cli.group()
def store() -> None:
    """The store: whether it is whole, and what it no longer needs."""


@store.command()
@click.option("--deep", is_flag=True, help="Read delivered files, recordings, references and models, and compare.")
@_grace
@click.option("--json", "as_json", is_flag=True, help="Print all as one JSON object, and no progress.")
def check(deep: bool, grace: float, as_json: bool) -> None:
    """Show what is missing, damaged or unreadable, each with a hint, and what nothing refers to any more.

    Planned takes that are not made yet do not count as missing. Exits with 1 where something is wrong.

    \b
    f5-pipeline store check --deep
    """
    from f5_pipeline.studio.upkeep.collection import collect

    with open_session(quiet=as_json) as session, progress("store", quiet=as_json) as show:
        inventory = _inventory(session, grace, False, show.count)
        findings = list(inventory.findings())
        if deep:
            findings += inventory.damage()
        unused = collect(inventory, delete=False, on_progress=show.count)
    if as_json:
        print_json(
            {
                "store": inventory.store.url,
                "findings": [finding._asdict() for finding in findings],
                "there": _counts(inventory.listed),
                "unused": _counts(unused),
                "held_back": _counts(inventory.held_back),
                "replaced_originals": vars(inventory.replaced_originals()),
            }
        )
    else:
        for finding in findings:
            by = f" (of {finding.by})" if finding.by else ""
            click.echo(f"{finding.state}\t{finding.key}{by}: {finding.problem}. {finding.hint}")
        print_table(("in the store", "objects", "size"), _rows(inventory.listed, objects=True))
        _show_unused(inventory, unused, "to remove them: f5-pipeline store gc --delete")
        if (originals := inventory.replaced_originals()).count:
            print_info(f"{originals.count} replaced recordings and transcripts, {_size(originals.size)}, are kept")
    if findings:
        print_error(f"{len(findings)} findings in {inventory.store.url}")
        raise click.exceptions.Exit(1)
    print_info(f"{inventory.store.url} is whole")


@store.command()
@click.option("--delete", is_flag=True, help="Remove what is unused; else it is only counted.")
@_grace
@click.option(
    "--old-revisions", is_flag=True, help="Also delivered revisions that are not the newest and have no valid link."
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as one JSON object, and no progress.")
def gc(delete: bool, grace: float, old_revisions: bool, as_json: bool) -> None:
    """Remove what nothing refers to any more; without --delete it is only counted.

    That is: takes, plans and bands of edited texts, interrupted deliveries, values that runs passed between steps,
    expired grants; in a bucket also abandoned uploads and hidden old versions. A failed run can be re-executed from
    failure within the grace time. Other work may go on meanwhile; after an interruption, run it again. Exits with 1
    where something had to stay because what may refer to it cannot be read.

    \b
    f5-pipeline store gc
    f5-pipeline store gc --delete --old-revisions --grace 30d
    """
    from f5_pipeline.studio.upkeep.collection import collect

    with open_session(quiet=as_json) as session, progress("store", quiet=as_json) as show:
        inventory = _inventory(session, grace, old_revisions, show.count)
        removed = collect(inventory, delete=delete, on_progress=show.count)
    if as_json:
        print_json(
            {
                "store": inventory.store.url,
                "deleted": delete,
                "unused": _counts(removed),
                "held_back": _counts(inventory.held_back),
                "blocked_by": inventory.blocked_by,
            }
        )
    elif delete:
        _show_unused(inventory, removed, "removed")
    else:
        _show_unused(inventory, removed, "nothing was removed; to remove it add --delete")
    if inventory.held_back:
        raise click.exceptions.Exit(1)


def _inventory(session: Session, grace: float, old_revisions: bool, show: OnProgress) -> Inventory:
    from f5_pipeline.studio.upkeep.inventory import Inventory

    alive = _alive(session.instance)
    return Inventory(session.store, alive=alive, grace=grace, old_revisions=old_revisions, on_progress=show)


def _alive(instance: dg.DagsterInstance) -> Callable[[str], bool]:
    """Whether a run is unfinished, or an unfinished one re-executes it and reads what it made."""
    import time

    import dagster as dg

    from f5_pipeline.orchestration.ledger import ACTIVE

    active: set[str] = set()
    checked: float | None = None

    def active_runs() -> Iterator[str]:
        for run in instance.get_runs(dg.RunsFilter(statuses=ACTIVE)):
            ancestor: dg.DagsterRun | None = run
            while ancestor is not None:
                yield ancestor.run_id
                ancestor = instance.get_run_by_id(ancestor.parent_run_id) if ancestor.parent_run_id else None

    def alive(run_id: str) -> bool:
        nonlocal active, checked
        if checked is None or time.monotonic() - checked > _ALIVE_SECONDS:
            active, checked = set(active_runs()), time.monotonic()
        return run_id in active

    return alive


def _show_unused(inventory: Inventory, unused: dict[str, Tally], what: str) -> None:
    if unused:
        print_table(("unused", "count", "objects", "size"), _rows(unused))
        print_info(f"{_size(sum(tally.size for tally in unused.values()))}; {what}")
    else:
        print_info("nothing is unused")
    if inventory.blocked_by:
        kept = ", ".join(f"{tally.count} {kind}" for kind, tally in inventory.held_back.items()) or "nothing"
        print_note(
            f"{', '.join(inventory.blocked_by[:5])}: missing, or cannot be read. Kept, because they may refer to it: "
            f"{kept}. To see what to do about it: f5-pipeline store check"
        )


def _rows(tallies: dict[str, Tally], *, objects: bool = False) -> list[tuple[str, ...]]:
    return [
        (kind, *(() if objects else (str(tally.count),)), str(tally.objects), _size(tally.size))
        for kind, tally in sorted(tallies.items())
    ]


def _counts(tallies: dict[str, Tally]) -> dict[str, dict[str, int]]:
    return {kind: vars(tally) for kind, tally in sorted(tallies.items())}


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.2f} GB"

"""f5-pipeline voices remove, scripts remove, narrations remove, receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import Progress, print_info, print_json, print_note, print_table, progress
from f5_pipeline.cli.scripts import scripts
from f5_pipeline.cli.session import Session, open_session, open_store
from f5_pipeline.cli.voices import voices
from f5_pipeline.errors import InputError

if TYPE_CHECKING:
    from f5_pipeline.studio.removal import Kind, Receipt, Removal, Removed


@cli.group()
def narrations() -> None:
    """Narrations: what is made of scripts."""


_delete = click.option("--delete", is_flag=True, help="Remove it; else it is only shown what would go.")
_json = click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")


@voices.command("remove")
@click.argument("name")
@_delete
@click.option("--with-narrations", is_flag=True, help="Also the narrations that it speaks in; their scripts stay.")
@_json
def remove_voice(name: str, delete: bool, with_narrations: bool, as_json: bool) -> None:
    """Remove the voice NAME for good: its recording, transcript, references, takes, entries of the lexicon.

    A voice that speaks in narrations is refused without --with-narrations, which ends their links and removes their
    files. Without --delete nothing is changed. After an interruption, run it again.

    \b
    f5-pipeline voices remove ada --with-narrations
    f5-pipeline voices remove ada --with-narrations --delete
    """
    _remove("voice", name, delete, as_json, with_narrations)


@scripts.command("remove")
@click.argument("name")
@_delete
@_json
def remove_script(name: str, delete: bool, as_json: bool) -> None:
    """Remove the script NAME for good, and all that was made of it: files, links, takes that nothing else uses.

    Without --delete nothing is changed. After an interruption, run it again.
    """
    _remove("script", name, delete, as_json)


@narrations.command("remove")
@click.argument("name")
@_delete
@_json
def remove_narration(name: str, delete: bool, as_json: bool) -> None:
    """Remove the narration NAME for good: files, links, takes that nothing else uses. Its script stays.

    It is narrated again where its script is edited, or by f5-pipeline narrate NAME. Without --delete nothing is
    changed. After an interruption, run it again.
    """
    _remove("narration", name, delete, as_json)


def _remove(kind: Kind, name: str, delete: bool, as_json: bool, with_narrations: bool = False) -> None:
    from f5_pipeline.orchestration.reporting.removals import check_no_run, runs_of
    from f5_pipeline.studio.removal import find_removal, narrations_of

    with open_session(quiet=as_json) as session, progress("removal", quiet=as_json) as show:
        fallen = narrations_of(session.store, kind, name)
        runs = runs_of(session.instance, session.store, fallen)
        removal = find_removal(session.store, kind, name, runs=runs, on_progress=show.count)
        needs = kind == "voice" and bool(removal.narrations) and not with_narrations and removal.receipt is None
        if not delete:
            _show(removal, as_json, needs)
            return
        if needs:
            raise InputError(
                f"the voice {name!r} speaks in {_listed(removal.narrations)}",
                hint="Their files and links go with it: --with-narrations.",
            )
        check_no_run(session.instance, session.store, removal.narrations)
        receipt = _carry_out(session, removal, runs, show)
    if as_json:
        print_json(receipt.model_dump())
    else:
        _table(receipt.removed)
        print_info(f"removed; {receipt.links} links ended; receipt {receipt.receipt}")


def _carry_out(session: Session, removal: Removal, runs: list[str], show: Progress) -> Receipt:
    from f5_pipeline.orchestration.reporting.removals import report_removal
    from f5_pipeline.studio.removal import remove

    receipt = remove(session.store, removal, runs=runs, on_progress=show.count)
    report_removal(session.instance, session.store, receipt)
    return receipt


def _show(removal: Removal, as_json: bool, needs: bool) -> None:
    if as_json:
        print_json(
            {
                "kind": removal.kind,
                "name": removal.name,
                "deleted": False,
                "narrations": removal.narrations,
                "revisions": ["/".join(revision) for revision in removal.revisions],
                "removed": {kind: counts.model_dump() for kind, counts in removal.removed.items()},
                "entries": removal.entries,
                "unfinished": removal.receipt.receipt if removal.receipt else None,
            }
        )
        return
    _table(removal.removed)
    if removal.kind == "voice" and removal.narrations:
        print_info(f"narrations that fall with it: {_listed(removal.narrations)}; their scripts stay")
    if removal.revisions:
        older = _listed(["/".join(revision) for revision in removal.revisions])
        print_info(f"older revisions of narrations that do without it now: {older}")
    if removal.entries:
        print_info(f"{removal.entries} entries of the lexicon")
    if removal.receipt:
        print_note(f"a removal was cut off: receipt {removal.receipt.receipt}; --delete finishes it")
    print_info(f"nothing was removed; to remove it add {'--with-narrations ' if needs else ''}--delete")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _table(removed: dict[str, Removed]) -> None:
    rows = [(kind, counts.objects, f"{counts.bytes / 1e6:.1f} MB") for kind, counts in sorted(removed.items())]
    print_table(("what", "objects", "size"), rows)


@cli.command()
@click.option("--finish", is_flag=True, help="Finish removals that were cut off.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def receipts(finish: bool, as_json: bool) -> None:
    """List what was removed for good, and when: counts by kind, and the narrations that fell."""
    from f5_pipeline.studio.removal import receipts as list_receipts

    if finish:
        for receipt in list(list_receipts(open_store())):
            if receipt.finished is None:
                _remove(receipt.kind, receipt.name, True, as_json, True)
        return
    found = list(list_receipts(open_store()))
    if as_json:
        for receipt in found:
            print_json(receipt.model_dump())
    elif found:
        rows = (
            (
                receipt.receipt,
                f"{receipt.kind} {receipt.name}",
                receipt.finished or "unfinished: --finish",
                sum(counts.objects for counts in receipt.removed.values()),
                f"{sum(counts.bytes for counts in receipt.removed.values()) / 1e6:.1f} MB",
                receipt.links,
                _listed(receipt.narrations),
            )
            for receipt in found
        )
        print_table(("receipt", "removed", "finished", "objects", "size", "links", "narrations"), rows)
    else:
        print_info("nothing was removed yet")

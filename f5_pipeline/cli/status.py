"""f5-pipeline status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import complain, print_json, print_table, say
from f5_pipeline.cli.session import Session, open_session
from f5_pipeline.errors import StoreError

if TYPE_CHECKING:
    from f5_pipeline.orchestration.ledger import Outcome

COLUMNS = ("narration", "state", "takes", "missing", "length", "engine", "revision", "run")


@cli.command()
@click.argument("narration", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a narration, one a line.")
def status(narration: str | None, as_json: bool) -> None:
    """Tell how far each narration is, or one NARRATION; those whose scripts were removed are retired."""
    from f5_pipeline.orchestration.ledger import Ledger
    from f5_pipeline.studio.narrating.scripts import find_script, list_scripts

    with open_session(quiet=as_json) as session:
        if narration is not None:
            names = [narration]
            find_script(session.store, narration)
        else:
            names = [name for name, _ in list_scripts(session.store)]
        ledger = Ledger(session.instance)
        retired = (
            {} if narration else {name: seen for name, seen in ledger.seen(ledger.narrations()).items() if seen.retired}
        )
        outcomes = ledger.outcomes(names)
        states = [{**dict.fromkeys(COLUMNS), "narration": name, "state": "retired", "reason": None} for name in retired]
        for name in names:
            try:
                states.append(state_of(session, name, outcomes.get(name)))
            except StoreError as error:  # of one narration: the others are told
                complain(str(error))
                states.append({**dict.fromkeys(COLUMNS), "narration": name, "state": "damaged", "reason": str(error)})
        states.sort(key=lambda state: state["narration"])
    if as_json:
        for state in states:
            print_json(state)
    elif states:
        print_table(COLUMNS, ([state[column] for column in COLUMNS] for state in states))
        for state in states:
            if state["state"] == "failed":
                complain(f"{state['narration']}: {state['reason']}")
    else:
        say("no narrations yet; make one: f5-pipeline narrate FILE")
    if any(state["state"] == "damaged" for state in states):
        raise click.exceptions.Exit(1)


def state_of(session: Session, narration: str, outcome: Outcome | None) -> dict[str, Any]:
    """How far a narration is: scripted, planned, running, synthesized, delivered; edited where its script is newer,
    failed where the last attempt at it did, with the reason."""
    import dagster as dg

    from f5_pipeline.orchestration.reporting.metadata import seconds
    from f5_pipeline.store import layout
    from f5_pipeline.store.records import find_record
    from f5_pipeline.studio.narrating.planning import missing_takes
    from f5_pipeline.studio.narrating.scripts import find_script, read_options, script_version
    from f5_pipeline.studio.records import Audio, Links, Plan, Takes

    def record(step: str, kind: Any) -> Any:
        return find_record(session.store, layout.narration_state(narration, step), kind)

    plan, takes, audio, links = (
        record("plan", Plan),
        record("takes", Takes),
        record("audio", Audio),
        record("links", Links),
    )
    missing = sum(1 for _ in missing_takes(session.store, plan, session.options)) if plan else None
    runs = session.instance.get_runs(filters=dg.RunsFilter(tags={"dagster/partition": narration}), limit=1)
    run = runs[0].status.value.lower() if runs else ""
    key = find_script(session.store, narration)
    edited = plan is not None and (
        plan.script.sha256 != _sha256(session.store.get_bytes(key))
        or plan.options != read_options(session.store, narration).model_dump()
    )
    if plan is None:
        state = "scripted"
    elif edited:
        state = "edited"
    elif links and audio and takes and links.revision == audio.revision and audio.plan.digest == plan.digest:
        state = "delivered"
    elif takes and takes.plan == plan.digest:
        state = "synthesized"
    else:
        state = "planned"
    failed = outcome is not None and outcome.state == "failed"
    if failed and outcome and outcome.version == script_version(session.store, narration):
        state = "failed"
    if run in ("started", "starting"):
        state = "running"
    return {
        "narration": narration,
        "state": state,
        "takes": plan.takes if plan else None,
        "missing": missing,
        "length": seconds(audio.seconds) if audio and state == "delivered" else None,
        "engine": plan.engine if plan else None,
        "revision": links.revision if links else None,
        "run": run,
        "reason": outcome.reason if outcome and state == "failed" else None,
    }


def _sha256(data: bytes) -> str:
    from hashlib import sha256

    return sha256(data).hexdigest()

"""From a script to chunks with keys. Nothing is synthesized."""

from itertools import islice
from typing import Any

import dagster as dg

from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.orchestration.lineage import asset
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.materializing import Product
from f5_pipeline.orchestration.reporting.metadata import MAX_ROWS, format_duration, sentences, slots_metadata, table
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.settings import get_settings
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio.narrating.changes import Changes, plan_changes
from f5_pipeline.studio.narrating.planning import plan_narration
from f5_pipeline.studio.records import Plan, PlannedChunk, Weights


@asset
def narration_plan(context: dg.AssetExecutionContext, store: StoreResource, model_weights: Weights):
    """All chunks of a narration, each with the key of its take.

    The text of the script is normalised (numbers, dates, abbreviations) with a map back to the words as written, and
    cut into chunks at the ends of sentences; the lexicon has the last word on how words are said. The key of a take is
    a hash of everything that decides its sound: the plan shows which takes exist already and what an edit costs, before
    any GPU time is spent.
    """
    narration = context.partition_key
    with failures():
        opened, options = store.open(), studio_options(get_settings())
        plan = plan_narration(opened, narration, model_weights, options)
        changes = plan_changes(opened, plan, options, get_settings().gpu_hour_cost)
        result = product(opened, plan, changes)
    yield from result.outputs()


def product(store: Store, plan: Plan, changes: Changes | None = None) -> Product[Plan]:
    """A plan, with its metadata and the takes that it needs anew."""
    return Product(plan, plan.digest, {**_metadata(store, plan), **(_changes(changes) if changes else {})})


def _changes(changes: Changes) -> dict[str, Any]:
    rows = [{"reason": reason, "takes": takes} for reason, takes in changes.reasons.items()]
    return {
        "takes_missing": changes.takes,
        "to_speak": format_duration(changes.speech_seconds),
        "expected_gpu_time": f"{format_duration(changes.gpu_seconds)}, {changes.basis}",
        **({"expected_cost": changes.cost} if changes.cost is not None else {}),
        **({"why": table(rows)} if rows else {}),
        **({"first_to_make": table([row.model_dump() for row in changes.first])} if rows else {}),
    }


def _metadata(store: Store, plan: Plan) -> dict[str, Any]:
    rows = [
        {
            "chunk": planned.chunk.index,
            "line": planned.chunk.line,
            "voice": planned.chunk.voice,
            "written": planned.chunk.written,
            "spoken": planned.chunk.spoken,
            "expected_s": round(planned.chunk.expected_seconds, 2),
            "pause": planned.chunk.pause,
            "key": planned.key[:12],
        }
        for planned in islice(read_lines(store, plan.chunks_key, PlannedChunk), MAX_ROWS)
    ]
    return {
        "title": plan.title,
        "engine": f"{plan.engine}: {plan.engine_note}",
        **({"model": f"{plan.model}, {plan.weights.licence}", "preset": plan.preset or ""} if plan.model else {}),
        "voices": ", ".join(f"{voice} ({plan.references[voice][:12]})" for voice in plan.voices),
        "language": plan.language,
        "words": plan.words,
        "characters": plan.characters,
        "chunks": plan.chunks,
        "takes_needed": plan.takes,
        "expected": format_duration(plan.expected_seconds),
        "first_chunks": table(rows),
        **slots_metadata(plan.slots, "expected_misfits"),
        **sentences("warnings", plan.warnings),
        **sentences("not_spoken", plan.notes),
        **({"lexicon": table([entry.model_dump() for entry in plan.lexicon])} if plan.lexicon else {}),
        "script": plan.script.key,
        "digest": plan.digest,
    }

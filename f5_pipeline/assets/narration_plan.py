"""From a script to chunks with keys. Nothing is synthesized."""

from itertools import islice

import dagster as dg

from f5_pipeline.assets.told import failures, seconds, table
from f5_pipeline.partitions import NARRATIONS
from f5_pipeline.resources import StoreResource
from f5_pipeline.studio.planning import missing_takes, plan_narration
from f5_pipeline.studio.records import Plan, PlannedChunk, Weights
from f5_pipeline.studio.state import read_lines


@dg.asset(
    partitions_def=NARRATIONS,
    group_name="narration",
    kinds={"python"},
    code_version="1",
    deps=[
        "script",
        # Every voice, since which voices speak is known only from the script; the one needed is read from the store.
        dg.AssetDep("reference_audio", partition_mapping=dg.AllPartitionMapping()),
    ],
)
def narration_plan(context: dg.AssetExecutionContext, store: StoreResource, model_weights: Weights) -> dg.Output[Plan]:
    """All chunks of a narration, each with the key of its take.

    The script is read, its text normalised (numbers, dates, abbreviations) with a map back to the words as written, and
    cut into chunks at the ends of sentences. The key of a take is a hash of everything that decides its sound, so the
    plan tells, before any time on a GPU is spent, what is there already and what an edit will cost.
    """
    narration = context.partition_key
    with failures():
        opened = store.open()
        plan = plan_narration(opened, narration, model_weights)
        missing = sum(1 for _ in missing_takes(opened, plan))
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
            for planned in islice(read_lines(opened, plan.chunks_key, PlannedChunk), 25)
        ]
    return dg.Output(
        plan,
        data_version=dg.DataVersion(plan.digest),
        metadata={
            "title": plan.title,
            "engine": f"{plan.engine}: {plan.engine_note}",
            **({"model": f"{plan.model}, {plan.weights.licence}", "preset": plan.preset or ""} if plan.model else {}),
            "voices": ", ".join(f"{voice} ({plan.references[voice][:12]})" for voice in plan.voices),
            "language": plan.language,
            "words": plan.words,
            "characters": plan.characters,
            "chunks": plan.chunks,
            "takes_needed": plan.takes,
            "takes_missing": missing,
            "expected": seconds(plan.expected_seconds),
            "first_chunks": table(rows),
            "script": plan.script.key,
            "digest": plan.digest,
        },
    )

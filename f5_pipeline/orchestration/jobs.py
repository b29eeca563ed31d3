"""The jobs, launched from the UI, the command line, the in-box and at night."""

import warnings

import dagster as dg

from f5_pipeline.orchestration.batch.job import narrate_batch
from f5_pipeline.orchestration.launching.old_runs import clear_old_runs
from f5_pipeline.orchestration.launching.submissions import submit_script, take_in_voice
from f5_pipeline.orchestration.lineage import NARRATION_ASSETS
from f5_pipeline.orchestration.tags import gpu_run_tags

# Intended: only `takes` makes many partitions in one run, so a run of this job has one partition.
warnings.filterwarnings("ignore", message="Asset job narrate materializes assets with varying BackfillPolicies")

narrate = dg.define_asset_job(
    "narrate",
    selection=dg.AssetSelection.assets("model_weights", *NARRATION_ASSETS),
    tags=gpu_run_tags(),
    description="From a script to its finished narration, with timing files and links. A partition is a narration.",
)

plan = dg.define_asset_job(
    "plan",
    selection=dg.AssetSelection.assets("model_weights", "narration_plan"),
    description="Read scripts and plan their chunks; nothing is synthesized.",
)

synthesize = dg.define_asset_job(
    "synthesize",
    selection=dg.AssetSelection.assets("takes"),
    tags=gpu_run_tags(),
    description="Make the missing takes of many planned narrations in one run.",
)

deliver = dg.define_asset_job(
    "deliver",
    selection=dg.AssetSelection.assets("narration_audio", "timing_files", "download_links"),
    description="From takes to audio, timing files and links.",
)

link = dg.define_asset_job(
    "link",
    selection=dg.AssetSelection.assets("download_links"),
    description="Fresh download links for a finished narration.",
)

prepare_voice = dg.define_asset_job(
    "prepare_voice",
    selection=dg.AssetSelection.assets("reference_audio"),
    description="From a voice's recording to its reference. A partition is a voice.",
)

JOBS = [
    narrate,
    plan,
    synthesize,
    deliver,
    link,
    prepare_voice,
    narrate_batch,
    submit_script,
    take_in_voice,
    clear_old_runs,
]

"""The Dagster code location: assets, jobs, automation and resources."""

import dagster as dg

from f5_pipeline.orchestration.assets.download_links import download_links
from f5_pipeline.orchestration.assets.measures import measures
from f5_pipeline.orchestration.assets.model_weights import model_weights
from f5_pipeline.orchestration.assets.narration_audio import narration_audio
from f5_pipeline.orchestration.assets.narration_plan import narration_plan
from f5_pipeline.orchestration.assets.reference_audio import reference_audio
from f5_pipeline.orchestration.assets.sources import lexicon, script, voice_recording
from f5_pipeline.orchestration.assets.takes import takes
from f5_pipeline.orchestration.assets.timing_files import timing_files
from f5_pipeline.orchestration.batch.report import batch_report
from f5_pipeline.orchestration.executors import executor_of
from f5_pipeline.orchestration.io_manager import StoreIOManager
from f5_pipeline.orchestration.jobs import JOBS
from f5_pipeline.orchestration.launching.inbox import inbox, inbox_calls
from f5_pipeline.orchestration.launching.missed_retries import missed_retries
from f5_pipeline.orchestration.launching.nightly import OFF, nightly
from f5_pipeline.orchestration.launching.old_runs import old_runs_at_night
from f5_pipeline.orchestration.launching.webhooks import webhooks
from f5_pipeline.orchestration.resources import LinksResource, StoreResource, bucket_resources
from f5_pipeline.orchestration.step_processes import (
    end_steps_with_their_run,
    open_databases_once_in_workers,
    run_single_steps_in_their_run,
)
from f5_pipeline.settings import get_settings

end_steps_with_their_run()
run_single_steps_in_their_run()
open_databases_once_in_workers()

_settings = get_settings()
_store = StoreResource(url=_settings.store_url)

defs = dg.Definitions(
    assets=[
        model_weights,
        voice_recording,
        reference_audio,
        script,
        lexicon,
        narration_plan,
        takes,
        narration_audio,
        timing_files,
        download_links,
        measures,
        batch_report,
    ],
    jobs=JOBS,
    sensors=[webhooks, missed_retries, *([inbox, inbox_calls] if _settings.inbox != "off" else [])],
    schedules=[
        *([nightly] if _settings.nightly != OFF else []),
        *([old_runs_at_night] if _settings.run_days else []),
    ],
    resources={
        "store": _store,
        "links": LinksResource(base_url=_settings.base_url),
        "io_manager": StoreIOManager(store=_store),
        **bucket_resources(_settings.store_url),
    },
    executor=executor_of(_settings),
)

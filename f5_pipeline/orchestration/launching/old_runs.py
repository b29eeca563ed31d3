"""What Dagster keeps of old runs, cleared by a job: from the UI, or every night (F5_RUN_DAYS)."""

import dagster as dg
from pydantic import Field

from f5_pipeline.orchestration.history import clear_run, old_runs
from f5_pipeline.orchestration.launching.nightly import timezone_of_nights
from f5_pipeline.settings import get_settings


class OldRuns(dg.Config):
    """Which runs are old."""

    days: float = Field(gt=0, description="days since they were created")


@dg.op
def clear_runs(context: dg.OpExecutionContext, config: OldRuns) -> None:
    runs = events = 0
    for run in old_runs(context.instance, config.days):
        events += clear_run(context.instance, run)
        runs += 1
        if runs % 100 == 0:
            context.log.info(f"{runs} runs, {events} events")
    context.log.info(f"cleared: {runs} runs, {events} events")


@dg.job(
    name="clear_old_runs",
    description="Clear events and logs of the steps of old runs; what they made stays visible, and the runs too.",
    config=dg.RunConfig(ops={"clear_runs": OldRuns(days=get_settings().run_days or 90.0)}),
    executor_def=dg.in_process_executor,
)
def clear_old_runs() -> None:
    clear_runs()


@dg.schedule(
    name="old_runs",
    job=clear_old_runs,
    cron_schedule="30 4 * * *",
    execution_timezone=timezone_of_nights(),
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Clears what Dagster keeps of the steps of runs that are older than F5_RUN_DAYS.",
)
def old_runs_at_night(context: dg.ScheduleEvaluationContext):
    config = dg.RunConfig(ops={"clear_runs": OldRuns(days=get_settings().run_days)})
    return dg.RunRequest(run_config=config)

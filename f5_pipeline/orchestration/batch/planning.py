"""The first step of a batch: its scripts are read and planned together."""

import time
from collections.abc import Iterable

import dagster as dg
from pydantic import Field

from f5_pipeline.orchestration.assets import model_weights, narration_plan, reference_audio
from f5_pipeline.orchestration.assets.steps import SHARD_OUTS, shard_outputs
from f5_pipeline.orchestration.batch.outcomes import attempt, record_failure
from f5_pipeline.orchestration.executors import planning_options
from f5_pipeline.orchestration.ledger import CLAIM_OP, Ledger, active_batches, narrations_of
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.materializing import materialize
from f5_pipeline.orchestration.reporting.observations import report_voice
from f5_pipeline.orchestration.reporting.progress import ProgressReporter
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.orchestration.tags import STEP_RETRIES, light_op_tags
from f5_pipeline.settings import get_settings
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.studio.narrating.batches import BatchPlan, NarrationOutcome
from f5_pipeline.studio.narrating.changes import plan_changes
from f5_pipeline.studio.narrating.costs import shard_estimate
from f5_pipeline.studio.narrating.engines import EngineChoice, choose_engine
from f5_pipeline.studio.narrating.planning import make_plan
from f5_pipeline.studio.narrating.scripts import LoadedScript, load_script, script_version
from f5_pipeline.studio.narrating.shards import plan_shards
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Plan
from f5_pipeline.studio.voices import find_voice, make_reference, needs_reference
from f5_pipeline.studio.weights import gather_weights, open_library

_MAX_LAUNCH_SECONDS = 20.0
"""How long the in-box's tick may take from its look at the queue to the run; a person needs longer."""


class BatchConfig(dg.Config):
    """The narrations of a batch, and what launched it."""

    narrations: list[str] = Field(description="names of the narrations, the most urgent first")
    launcher: str = Field(default="a person", description="what launched it, for the report")
    max_cost: float = Field(
        default=0.0, description="expected cost beyond which narrations wait for another batch; 0: no limit"
    )


@dg.op(
    name=CLAIM_OP,
    description="Read the scripts of the batch and plan them; split what is missing into shards.",
    out={"plan": dg.Out(BatchPlan), **SHARD_OUTS},
    retry_policy=STEP_RETRIES,
    tags=light_op_tags(),
)
def plan_batch_op(context: dg.OpExecutionContext, config: BatchConfig, store: StoreResource):
    with failures():
        opened, ledger, began = store.open(), Ledger(context.instance), time.time()
        options = planning_options(get_settings())
        versions, left, failed = _claim(context, opened, ledger, list(dict.fromkeys(config.narrations)))
        ledger.start(versions, context.run_id)

        def fail(narration: str, error: Exception) -> None:
            failed.append(record_failure(context, ledger, narration, versions.pop(narration), error))

        scripts: dict[str, LoadedScript] = {}
        for narration, script in in_parallel(
            opened, lambda name: (name, attempt(load_script, opened, name)), list(versions)
        ):
            if isinstance(script, Exception):
                fail(narration, script)
            else:
                scripts[narration] = script
        _lock_models(context, opened, scripts.values(), options)
        weights = gather_weights(opened, options)
        materialize(context, opened, "model_weights", None, model_weights.product(weights))
        _prepare_voices(context, opened, scripts.values())

        report_progress, plans = ProgressReporter(context, "narration_plan", None), []
        budget = _Budget(opened, options, config.max_cost)

        def plan_one(script: LoadedScript) -> tuple[str, Plan | Exception]:
            return script.narration, attempt(make_plan, opened, script, weights, options)

        for done, (narration, plan) in enumerate(in_parallel(opened, plan_one, scripts.values()), 1):
            report_progress("narrations planned", done, len(scripts))
            if isinstance(plan, Exception):
                fail(narration, plan)
                continue
            if plan.version != versions[narration]:  # edited meanwhile
                versions[narration] = plan.version
                ledger.start({narration: plan.version}, context.run_id)
            if config.max_cost and (reason := budget.refusal(plan)):
                context.log.warning(f"{narration} is postponed: {reason}")
                ledger.postpone(narration, versions[narration], context.run_id, reason)
                outcome = NarrationOutcome(
                    narration=narration, version=versions.pop(narration), reason=reason, postponed=True
                )
                failed.append(outcome)
                continue
            plans.append(plan)
            materialize(context, opened, "narration_plan", narration, narration_plan.product(opened, plan))
        postponed = sum(outcome.postponed for outcome in failed)
        context.log.info(
            f"{len(plans)} narrations to make, {len(failed) - postponed} cannot be planned, {postponed} postponed, "
            f"{len(left)} left: done, canceled, or made by others"
        )
        shards = plan_shards(opened, plans, context.run_id, options)
        batch = BatchPlan(
            launcher=config.launcher,
            began=began,
            versions=versions,
            lengths={plan.narration: plan.expected_seconds for plan in plans},
            failed=failed,
            gpu_seconds=sum(shard_estimate(opened, shard, options).gpu_seconds for shard in shards),
            left=left,
        )
        yield dg.Output(batch, "plan")
        yield from shard_outputs(shards)


class _Budget:
    """The cost that a batch may be expected to have. What does not fit lets cheaper narrations pass."""

    def __init__(self, store: Store, options: StudioOptions, limit: float) -> None:
        self._store, self._options, self._limit = store, options, limit
        self._spent = 0.0

    def refusal(self, plan: Plan) -> str | None:
        """Why a narration must wait; None where its cost fits, and is counted."""
        cost = plan_changes(self._store, plan, self._options, get_settings().gpu_hour_cost).cost or 0.0
        if self._spent + cost > self._limit:
            spent = f" beside {self._spent:.2f} of others" if self._spent else ""
            return f"it is expected to cost {cost:.2f}{spent}, more than the {self._limit:.2f} allowed"
        self._spent += cost
        return None


def _claim(
    context: dg.OpExecutionContext, store: Store, ledger: Ledger, names: list[str]
) -> tuple[dict[str, str], list[str], list[NarrationOutcome]]:
    """The narrations that this run makes, with the versions of their scripts; those that it leaves, because they are
    done, another run has them, or they were canceled while this run waited; and the failures of those whose scripts
    cannot be read.

    Where two launches name the same narration, the run that was created first makes it.
    """
    record = context.instance.get_run_record_by_id(context.dagster_run.root_run_id or context.run_id)
    created = record.create_timestamp.timestamp() if record else 0.0
    others: set[str] = set()
    for run in active_batches(context.instance):
        if run.run_id == context.run_id:
            break
        others.update(narrations_of(run))
    outcomes, scripts = ledger.outcomes(names), ledger.scripts(names)
    versions: dict[str, str] = {}
    left: list[str] = []
    failed: list[NarrationOutcome] = []
    for name, version in in_parallel(store, lambda name: (name, attempt(script_version, store, name)), names):
        if isinstance(version, Exception):
            # Recorded for the version that waits, so that its attempts are counted.
            waiting = scripts[name].version if name in scripts else ""
            ledger.start({name: waiting}, context.run_id)
            failed.append(record_failure(context, ledger, name, waiting, version))
            continue
        outcome = outcomes.get(name)
        known = outcome if outcome and outcome.version == version else None
        canceled = known and known.canceled and known.at > created - _MAX_LAUNCH_SECONDS
        if name in others or (known and known.state == "done") or canceled:
            left.append(name)
        else:
            versions[name] = version
    return versions, left, failed


def _lock_models(
    context: dg.OpExecutionContext, store: Store, scripts: Iterable[LoadedScript], options: StudioOptions
) -> None:
    """Lock the models that scripts ask for, so that `model_weights` has them. The plan reports one that is missing."""
    library = open_library(store, options)
    choices = (attempt(choose_engine, script, options) for script in scripts)
    for model in sorted({choice.model for choice in choices if isinstance(choice, EngineChoice) and choice.model}):
        if isinstance(error := attempt(library.lock, model), Exception):
            context.log.error(f"model {model}: {error}")


def _prepare_voices(context: dg.OpExecutionContext, store: Store, scripts: Iterable[LoadedScript]) -> None:
    """Make the references that the scripts' voices lack. The plan reports one that cannot be made."""
    for name in sorted({name for script in scripts for name in script.script.voices}):
        voice, needed = attempt(find_voice, store, name), attempt(needs_reference, store, name)
        if voice is None or isinstance(voice, Exception) or needed is False:
            continue
        report_voice(context.instance, voice)
        reference = attempt(make_reference, store, name)
        if isinstance(reference, Exception):
            context.log.error(f"voice {name}: {reference}")
            continue
        materialize(context, store, "reference_audio", name, reference_audio.product(*reference))

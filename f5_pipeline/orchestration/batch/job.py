"""Many narrations in one run: planned together, synthesized together, delivered side by side, and reported.

Weights load once, batches fill across narrations, and a take that two narrations share is spoken once. Each narration
has the same materializations as in a run of its own, and its outcome is written to the ledger as soon as it is known;
one that fails does not affect the others.
"""

import dagster as dg

from f5_pipeline.orchestration.assets.steps import draft_shard_op, synthesize_shard_op
from f5_pipeline.orchestration.batch.delivery import deliver_op, gather_shards_op
from f5_pipeline.orchestration.batch.planning import plan_batch_op
from f5_pipeline.orchestration.batch.report import report_op
from f5_pipeline.orchestration.ledger import BATCH_JOB
from f5_pipeline.orchestration.tags import gpu_run_tags


@dg.job(
    name=BATCH_JOB,
    tags=gpu_run_tags(),
    description=(
        "Many narrations in one run. The in-box and the nightly schedule launch it; to launch it yourself, name the "
        "narrations in the configuration."
    ),
)
def narrate_batch():
    plan, gpu, draft = plan_batch_op()
    work, groups = gather_shards_op(
        plan=plan, reports=gpu.map(synthesize_shard_op).collect(), drafts=draft.map(draft_shard_op).collect()
    )
    parts = groups.map(lambda group: deliver_op(group=group, work=work)).collect()
    report_op(plan=plan, parts=parts, work=work)

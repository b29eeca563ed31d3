"""How work is scheduled: the pool of GPUs, priorities, the tags of runs and steps, retries.

A step that computes on a GPU is in the pool `gpu`, whose limit `f5-pipeline up` sets to the number of GPUs. A step
leases one of them when it begins (`system.gpus.lease_device`). On Kubernetes and Ray (F5_EXECUTOR) its tags ask for a
node with a GPU instead, and the cluster hands it out; elsewhere they have no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from f5_pipeline.orchestration.internals import (
    MAX_RETRIES_TAG,
    MAX_RUNTIME_SECONDS_TAG,
    PRIORITY_TAG,
    RETRY_STRATEGY_TAG,
)
from f5_pipeline.settings import get_settings

GPU_POOL = "gpu"

GPU_TAG = "f5/gpu"
"""Tag of runs with GPU steps: how many GPUs each step holds."""

BATCH_TAG = "f5/batch"
"""Tag of runs that nobody waits for: what launched them. dagster.yaml limits them to leave room for other runs."""

SPEAK_OP, GATHER_OP = "synthesize_shard", "gather_shards"
"""Ops of a batch: one speaks on a GPU, the other begins what comes after all that is spoken."""

NEAR_TAG = "f5/near"
"""Of a step that on a cluster works beside the process of its run."""

CLEARED_TAG = "f5/cleared"
"""Of a run whose steps' events and logs were cleared: the day of it."""

WORKER_TAG = "f5/worker"
"""Tag of a run in a process of the command line: host, process id and start time."""

COMMAND_LINE_PRIORITY, INTERACTIVE_PRIORITY, BATCH_PRIORITY = 10, 0, -10
"""Priorities of runs, and so of their steps in the pool: somebody waits at the terminal; launched in the UI, which sets
no tag; at night, or from the in-box."""

STEP_RETRIES = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For steps that use a store or a process that may be killed: after about 2, 4 and 8 s. An error that retrying cannot
help raises a Failure with allow_retries=False."""

CLUSTER_RETRIES = STEP_RETRIES._replace(max_retries=10)
"""For steps that speak on a cluster: spot nodes go, and each attempt makes what is missing alone."""

MAX_BATCH_RETRIES = 3
"""Retries of a batch whose process has died."""


def gpu_run_tags(priority: int = INTERACTIVE_PRIORITY) -> dict[str, str]:
    """Tags of a run with GPU steps, or of its job."""
    return {
        GPU_TAG: "1",
        PRIORITY_TAG: str(priority),
        # The time that its steps wait for a GPU counts.
        MAX_RUNTIME_SECONDS_TAG: str(round(get_settings().max_run_hours * 3600)),
    }


def batch_run_tags(launcher: str) -> dict[str, str]:
    """Tags of a run that nobody waits for.

    Args:
        launcher: what launches it, for example "nightly".
    """
    return {
        **gpu_run_tags(BATCH_PRIORITY),
        BATCH_TAG: launcher,
        MAX_RETRIES_TAG: str(MAX_BATCH_RETRIES),
        RETRY_STRATEGY_TAG: "FROM_FAILURE",
    }


def gpu_pool() -> str | None:
    """The pool of steps that compute on a GPU; None on a cluster, which hands out its GPUs itself."""
    return GPU_POOL if get_settings().executor == "local" else None


def speaking_retries() -> dg.RetryPolicy:
    """Retries of the steps that speak."""
    return STEP_RETRIES if get_settings().executor == "local" else CLUSTER_RETRIES


def gpu_op_tags() -> dict[str, Any]:
    """Tags of a step that computes on one GPU: its pod on Kubernetes (dagster-k8s), its job on Ray (dagster-ray).

    The processors time, measure and keep takes, for 36 to 47 s an hour of speech: 1.5 of them are busy beside a GPU
    that speaks at 120 times real time, 6 at 500.
    """
    cpus = get_settings().step_cpus
    pod = {
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        # A node that is taken away interrupts the step, which ends with its batch and keeps what it has made.
        "termination_grace_period_seconds": 120,
    }
    return _op_tags(cpus, "8Gi", {"nvidia.com/gpu": "1"}, pod) | {
        "dagster-ray/config": {"num_cpus": cpus, "num_gpus": 1}
    }


def light_op_tags() -> dict[str, Any]:
    """Tags of a step that takes seconds: on a cluster it works beside the process of its run."""
    return side_op_tags(0.5) | {NEAR_TAG: "true"}


def side_op_tags(cpus: float) -> dict[str, Any]:
    """Tags of a step that works beside others of its kind, on no GPU."""
    return _op_tags(cpus, "1Gi") | {"dagster-ray/config": {"num_cpus": cpus}}


def _op_tags(
    cpus: float, memory: str, limits: Mapping[str, str] | None = None, pod: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    resources: dict[str, Any] = {"requests": {"cpu": f"{round(cpus * 1000)}m", "memory": memory}}
    if limits:
        resources["limits"] = limits  # an extended resource cannot be overcommitted: its request equals its limit
    config = {"container_config": {"resources": resources}, **({"pod_spec_config": pod} if pod else {})}
    return {"dagster/compute_kind": "python", "dagster-k8s/config": config}


def should_yield_gpu(instance: dg.DagsterInstance, run: dg.DagsterRun, step_key: str | None = None) -> bool:
    """Whether this run should give up its GPU because a step of a higher priority waits for one.

    One step yields to each that waits, those of the lowest priority first. Each call is a query to the instance.

    Args:
        run: holds a GPU.
        step_key: the run's step that holds it; None for any of the run's steps.
    """
    pool = instance.event_log_storage.get_concurrency_info(GPU_POOL)
    own = priority_of(run.tags)
    waiting = sum(
        step.assigned_timestamp is None and step.priority is not None and step.priority > own
        for step in pool.pending_steps
    )
    # A step that holds a slot stays among the pending ones, with its time of assignment.
    holders = sorted(
        (step.priority or 0, step.run_id, step.step_key)
        for step in pool.pending_steps
        if step.assigned_timestamp is not None
    )
    return any(
        run_id == run.run_id and (step_key is None or key == step_key) for _, run_id, key in holders[: max(0, waiting)]
    )


def run_has_ended(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run has ended, is being ended or was removed: nobody waits for its steps. Each call is a query."""
    run = instance.get_run_by_id(run_id)
    return run is None or run.is_finished or run.status == dg.DagsterRunStatus.CANCELING


def priority_of(tags: Mapping[str, str]) -> int:
    """A run's priority, read as Dagster does."""
    try:
        return int(tags.get(PRIORITY_TAG, "0"))
    except ValueError:
        return 0

"""How work is scheduled: the pool of GPUs, priorities, the tags of runs and steps, retries. All of it from here.

A step that computes on a GPU is in the pool `gpu`; the pool's limit, the number of GPUs, is set by `f5-pipeline up`.
Which of the GPUs it gets is decided when it begins (`studio.devices.lease_device`). On Kubernetes and Ray the step's
tags ask for a node with a GPU; elsewhere they are without effect.
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
"""Tag of runs that may compute on GPUs: how many each of their GPU steps holds."""

BATCH_TAG = "f5/batch"
"""Tag of runs that nobody waits for, with what launched them: dagster.yaml keeps room beside them for other runs."""

WORKER_TAG = "f5/worker"
"""Tag of a run that works in a process of the command line: host, process id and the process' start."""

COMMAND_LINE_PRIORITY, INTERACTIVE_PRIORITY, BATCH_PRIORITY = 10, 0, -10
"""Priorities of runs, and so of their steps in the pool: somebody waits at the terminal; launched in the UI, where runs
have no tag; at night, or from the in-box."""

STEP_RETRIES = dg.RetryPolicy(max_retries=3, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""Of steps that talk to a store or hold a process that may be killed: again after about 2, 4 and 8 s. What cannot pass
raises a Failure with allow_retries=False."""

BATCH_RUN_RETRIES = 3
"""Times that a batch is continued whose process has died."""


def gpu_run_tags(priority: int = INTERACTIVE_PRIORITY) -> dict[str, str]:
    """Tags of a run with GPU steps: where none waits for it, of a job."""
    return {
        GPU_TAG: "1",
        PRIORITY_TAG: str(priority),
        # From the start of the run, and so with the time that its steps wait for a GPU.
        MAX_RUNTIME_SECONDS_TAG: str(round(get_settings().max_run_hours * 3600)),
    }


def batch_run_tags(launcher: str) -> dict[str, str]:
    """Tags of a run that nobody waits for.

    Args:
        launcher: what launches it, for people, for example "nightly".
    """
    return {
        **gpu_run_tags(BATCH_PRIORITY),
        BATCH_TAG: launcher,
        MAX_RETRIES_TAG: str(BATCH_RUN_RETRIES),
        RETRY_STRATEGY_TAG: "FROM_FAILURE",
    }


def gpu_op_tags() -> dict[str, Any]:
    """Tags of a step that computes on one GPU: its pod on Kubernetes (dagster-k8s), its job on Ray (dagster-ray)."""
    return {
        "dagster-k8s/config": {
            "container_config": {
                "resources": {
                    "requests": {"cpu": "2", "memory": "8Gi"},
                    # Of an extended resource the request is its limit; it cannot be overcommitted.
                    "limits": {"nvidia.com/gpu": "1"},
                },
            },
            "pod_spec_config": {
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            },
        },
        "dagster-ray/config": {"num_cpus": 2, "num_gpus": 1},
    }


def should_yield_gpu(instance: dg.DagsterInstance, run: dg.DagsterRun, step_key: str | None = None) -> bool:
    """Whether this run should give a GPU up, because a step of a higher priority waits for one.

    One step gives way to each that waits: those of the lowest priority first. It is one small query, but a query: ask
    every few seconds.

    Args:
        run: that asks, and holds a GPU.
        step_key: of the run's step that asks; without it, any of the run's.
    """
    pool = instance.event_log_storage.get_concurrency_info(GPU_POOL)
    own = priority_of(run.tags)
    waiting = sum(
        step.assigned_timestamp is None and step.priority is not None and step.priority > own
        for step in pool.pending_steps
    )
    # A step stays in the list of the pending with its time of assignment for as long as it holds its place.
    holders = sorted(
        (step.priority or 0, step.run_id, step.step_key)
        for step in pool.pending_steps
        if step.assigned_timestamp is not None
    )
    return any(
        run_id == run.run_id and (step_key is None or key == step_key) for _, run_id, key in holders[: max(0, waiting)]
    )


def priority_of(tags: Mapping[str, str]) -> int:
    """A run's priority as Dagster reads it."""
    try:
        return int(tags.get(PRIORITY_TAG, "0"))
    except ValueError:
        return 0

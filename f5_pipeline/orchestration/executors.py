"""Where the steps of a run work: in processes of this machine, as jobs of a Ray cluster, or as pods of Kubernetes.

On a cluster a step asks for what it needs by its tags (`tags.py`), and the cluster hands out its GPUs: there is no pool
and no lease. Ray and Kubernetes tell of a step whose node died; the executor then tries it again by its retry policy,
and the takes that it has kept are found.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any

import dagster as dg

from f5_pipeline.errors import InputError
from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.orchestration.ray_patience import Patience
from f5_pipeline.orchestration.step_attempts import Attempts
from f5_pipeline.orchestration.step_processes import step_executor
from f5_pipeline.settings import Settings
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.system.gpus import GIVEN

RAY_HEALTH_SECONDS = 5
"""How often Ray is asked whether steps live. Dagster's 20 s would be lost at each node that dies."""

K8S_SHARDS = 4
"""Shards of a run where F5_SHARDS is not set: an autoscaled pool of nodes does not tell how many it may have."""

_UNPASSED = {"ray_address"}
"""Settings that a step is not given: Ray tells it the address that holds on its node."""


def executor_of(settings: Settings) -> dg.ExecutorDefinition:
    """The executor that the settings choose.

    Raises:
        InputError: its package is not installed.
    """
    if settings.executor == "ray":
        return _ray(settings)
    if settings.executor == "k8s":
        # Image, service account, secrets and volumes are those of the run's own pod.
        return with_near_steps(_package("dagster_k8s", "kubernetes").k8s_job_executor)
    return step_executor


def with_near_steps(cluster: Any) -> dg.ExecutorDefinition:
    """A cluster's executor, where some steps are near (`near_steps.py`), and one that counts as lost may live."""

    def made(context: dg.InitExecutorContext) -> dg.Executor:
        from f5_pipeline.orchestration.near_steps import NearSteps

        executor, attempts = cluster.executor_creation_fn(context), Attempts()
        executor._step_handler = NearSteps(executor._step_handler, attempts)
        executor._pop_events = attempts.current(executor._pop_events)
        return executor

    return dg.ExecutorDefinition(cluster.name, cluster.config_schema, dg.multiple_process_executor_requirements(), made)


def _ray(settings: Settings) -> dg.ExecutorDefinition:
    ray_executor = _package("dagster_ray.core.executor", "ray").ray_executor
    config: dict[str, Any] = {"env_vars": passed_variables(settings)}
    if settings.ray_address:
        config["address"] = settings.ray_address

    def watchful(init_context: dg.InitExecutorContext) -> dg.Executor:
        try:
            executor = ray_executor.executor_creation_fn(init_context)
        except ConnectionError as error:
            raise InputError(
                str(error).rstrip("."),
                file="F5_RAY_ADDRESS",
                hint="Start Ray (ray start --head), or set F5_RAY_ADDRESS to its dashboard, http://head:8265.",
            ) from None
        client = executor._step_handler.client
        client._do_request = Patience(client._do_request)
        executor._check_step_health_interval_seconds = RAY_HEALTH_SECONDS
        return executor

    watched = dg.ExecutorDefinition(
        "ray", ray_executor.config_schema, dg.multiple_process_executor_requirements(), watchful
    )
    return with_near_steps(watched).configured({"ray": config}, name="ray")


def passed_variables(settings: Settings) -> list[str]:
    """Environment variables that a step on Ray is given by its run, by name.

    Ray shows what it is given to everyone who reaches its dashboard: secrets are not among them. A node has those, and
    what dagster.yaml takes from the environment, in its own.
    """
    return ["DAGSTER_HOME", "F5_STORE", "PYTHONPATH", *settings.plain_variables(_UNPASSED)]


def _package(module: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"F5_EXECUTOR needs a package that is not installed ({error})",
            file="environment",
            hint=f"pip install 'f5-pipeline[{extra}]', or unset F5_EXECUTOR.",
        ) from None


def planning_options(settings: Settings) -> StudioOptions:
    """The studio's options for a step that divides work: where F5_SHARDS is not set, as many shards as the cluster has
    GPUs now."""
    options = studio_options(settings)
    if "shards" in settings.model_fields_set or settings.executor == "local":
        return options
    return options.model_copy(update={"shards": K8S_SHARDS if settings.executor == "k8s" else ray_gpus(settings)})


def speaking_options(settings: Settings) -> StudioOptions:
    """The studio's options for a step that speaks: on a cluster it has its device for itself."""
    options = studio_options(settings)
    return options if settings.executor == "local" else options.model_copy(update={"gpus": GIVEN, "shards": 1})


def ray_gpus(settings: Settings) -> int:
    """The GPUs of the Ray cluster's living nodes; 1 where it has none."""
    from ray.util.state import StateApiClient
    from ray.util.state.common import ListApiOptions, StateResource

    client: Any = StateApiClient(os.environ.get("RAY_ADDRESS") or settings.ray_address)  # in a step Ray has set it
    client._do_request = Patience(client._do_request)
    options = {"filters": [("state", "=", "ALIVE")], "limit": 10_000}
    nodes = client.list(StateResource.NODES, ListApiOptions(**options), raise_on_missing_output=False)
    return max(1, round(sum(node.resources_total.get("GPU", 0) for node in nodes)))

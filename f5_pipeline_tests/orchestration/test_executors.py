"""Executors of clusters: chosen by a setting, with tags that make valid pods, and without secrets where others look."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.orchestration import tags
from f5_pipeline.orchestration.executors import (
    K8S_SHARDS,
    executor_of,
    passed_variables,
    planning_options,
    speaking_options,
)
from f5_pipeline.orchestration.near_steps import NearSteps
from f5_pipeline.orchestration.ray_patience import Patience
from f5_pipeline.orchestration.step_processes import step_executor
from f5_pipeline.settings import Settings
from f5_pipeline.system.gpus import GIVEN

RAY, K8S = {"F5_EXECUTOR": "ray"}, {"F5_EXECUTOR": "k8s"}


@pytest.mark.parametrize("executor", ["ray", "k8s"])
def test_a_package_that_is_missing_is_named(monkeypatch, executor):
    for module in ("dagster_ray.core.executor", "dagster_k8s"):
        monkeypatch.setitem(sys.modules, module, None)
    extra = {"ray": "ray", "k8s": "kubernetes"}[executor]
    with pytest.raises(InputError) as error:
        executor_of(Settings.from_environment({"F5_EXECUTOR": executor}))
    assert f"f5-pipeline[{extra}]" in (error.value.hint or "")
    assert executor_of(Settings.from_environment({})) is step_executor


def test_ray_looks_after_steps_and_its_dashboard_shows_no_secret(monkeypatch):
    module = pytest.importorskip("dagster_ray.core.executor")
    secrets = {"AWS_ACCESS_KEY_ID": "key-id", "F5_STORE_KEY": "key", "F5_LINK_SECRET": "link", "HF_TOKEN": "token"}
    environment = {**RAY, "F5_RAY_ADDRESS": "http://head:8265", "F5_PRESET": "fast", "AWS_REGION": "here", **secrets}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment(environment)
    names = passed_variables(settings)
    assert {"F5_EXECUTOR", "F5_PRESET", "AWS_REGION", "DAGSTER_HOME", "F5_STORE"} <= set(names)
    assert not set(names) & {*secrets, "F5_RAY_ADDRESS", "RAY_ADDRESS"}

    submitted: dict[str, Any] = {}

    def client(address: str, **_: object) -> SimpleNamespace:
        submitted["address"] = address
        return SimpleNamespace(_do_request=None)

    monkeypatch.setattr(pytest.importorskip("ray.job_submission"), "JobSubmissionClient", client)
    ray: Any = executor_of(settings)

    config = ray.apply_config_mapping({"config": {}}).value["config"]
    with dg.DagsterInstance.ephemeral() as instance:
        made: Any = ray.executor_creation_fn(SimpleNamespace(executor_config=config, instance=instance))

        def refuse(address: str, **_: object) -> None:
            raise ConnectionError(f"Failed to connect to Ray at address: {address}.")

        monkeypatch.setattr("ray.job_submission.JobSubmissionClient", refuse)
        with pytest.raises(InputError, match="Ray at address: http://head:8265"):
            ray.executor_creation_fn(SimpleNamespace(executor_config=config, instance=instance))
    assert isinstance(made, module.StepDelegatingExecutor) and submitted == {"address": "http://head:8265"}
    assert module.StepDelegatingExecutor(None, made.retries)._check_step_health_interval_seconds == 20, "Dagster's name"
    assert made._check_step_health_interval_seconds == 5
    assert isinstance(made._step_handler._far.client._do_request, Patience)
    shown = module.resolve_env_vars_list(made._step_handler._far.env_vars)
    assert shown["F5_PRESET"] == "fast" and not set(shown.values()) & set(secrets.values())


KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: here, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: here, context: {cluster: here, user: me}}]
users: [{name: me, user: {}}]
current-context: here
"""


def test_on_kubernetes_steps_that_take_seconds_are_no_pods(tmp_path):
    """Which ones: services/test_pods.py."""
    steps = pytest.importorskip("dagster_k8s.executor").K8sStepHandler
    (tmp_path / "config").write_text(KUBECONFIG)
    config = {"job_image": "f5", "load_incluster_config": False, "kubeconfig_file": str(tmp_path / "config")}
    kubernetes: Any = executor_of(Settings.from_environment(K8S))
    checked = kubernetes.apply_config_mapping({"config": config}).value["config"]
    with dg.DagsterInstance.ephemeral() as instance:
        asked = SimpleNamespace(executor_config={**checked, "retries": {"enabled": {}}}, instance=instance)
        made = kubernetes.executor_creation_fn(asked)
    assert isinstance(made._step_handler, NearSteps) and isinstance(made._step_handler._far, steps)


def test_on_a_cluster_a_step_has_its_gpu_without_a_lease_and_a_run_many_shards():
    assert (planning_options(Settings.from_environment({})).shards, K8S_SHARDS) == (1, 4)
    assert planning_options(Settings.from_environment(K8S)).shards == K8S_SHARDS
    assert planning_options(Settings.from_environment({**RAY, "F5_SHARDS": "1"})).shards == 1
    assert speaking_options(Settings.from_environment({"F5_GPUS": "1"})).gpus == "1"
    assert speaking_options(Settings.from_environment({**K8S, "F5_GPUS": "1"})).gpus == GIVEN


@pytest.mark.parametrize("executor", ["local", "ray", "k8s"])
def test_the_pool_counts_gpus_of_this_machine_alone(monkeypatch, executor):
    monkeypatch.setattr(tags, "get_settings", lambda: Settings.from_environment({"F5_EXECUTOR": executor}))
    assert tags.gpu_pool() == (tags.GPU_POOL if executor == "local" else None)
    assert tags.speaking_retries().max_retries == (3 if executor == "local" else 10)


@pytest.mark.parametrize("gpu", [True, False])
def test_tags_make_a_valid_job_of_kubernetes(monkeypatch, gpu):
    job = pytest.importorskip("dagster_k8s.job")
    validate = pytest.importorskip("kubernetes_validate")
    from kubernetes.client import ApiClient

    monkeypatch.setattr(tags, "get_settings", lambda: Settings.from_environment({"F5_STEP_CPUS": "5.5"}))

    @dg.op(tags=tags.gpu_op_tags() if gpu else tags.light_op_tags())
    def step() -> None: ...

    made = job.construct_dagster_k8s_job(
        job.DagsterK8sJobConfig(dagster_home="/data/dagster", job_image="worker", env_secrets=["settings"]),
        ["dagster", "api", "execute_step"],
        "step",
        user_defined_k8s_config=job.get_user_defined_k8s_config(step.tags),
    )
    document: Any = ApiClient().sanitize_for_serialization(made)
    validate.validate(document, validate.latest_version(), strict=True)
    pod = document["spec"]["template"]["spec"]
    resources = pod["containers"][0]["resources"]
    ray = json.loads(step.tags["dagster-ray/config"])
    if gpu:
        assert resources == {"requests": {"cpu": "5500m", "memory": "8Gi"}, "limits": {"nvidia.com/gpu": "1"}}
        assert pod["tolerations"][0]["key"] == "nvidia.com/gpu" and pod["terminationGracePeriodSeconds"] == 120
        assert ray == {"num_cpus": 5.5, "num_gpus": 1}
    else:
        assert resources == {"requests": {"cpu": "500m", "memory": "1Gi"}} and "tolerations" not in pod
        assert ray == {"num_cpus": 0.5}

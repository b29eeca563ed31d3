"""The images and what starts them: lock, Dockerfile, Compose, Kubernetes, and Dagster's instance on Postgres."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import psutil
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from f5_pipeline.store.base import Store
from f5_pipeline.store.connect import Access, connect
from f5_pipeline_tests.services.test_daemon import LAUNCH
from f5_pipeline_tests.support.installation import EXAMPLES, REPOSITORY, Installation, Services, free_port
from f5_pipeline_tests.support.servers.postgres import running_postgres
from f5_pipeline_tests.support.servers.server import S3Server
from f5_pipeline_tests.support.waiting import wait_for

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEPLOY = REPOSITORY / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
TARGET = {
    "python_version": "3.11",
    "python_full_version": "3.11.9",
    "sys_platform": "linux",
    "platform_machine": "x86_64",
}
"""What the images are, for the markers of requirements."""

# -- the lock ----------------------------------------------------------------------------------------------------------


def locked(name: str) -> dict[str, str]:
    """The versions of a lock file, every one with a hash."""
    versions = {}
    for entry in re.split(r"\n(?=\S)", (DEPLOY / "requirements" / f"{name}.lock").read_text()):
        if entry.startswith("#"):
            continue
        found = re.match(r"([A-Za-z0-9._-]+)==(\S+)", entry)
        assert found, entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), f"{found[1]} has no hash"
        versions[canonicalize_name(found[1])] = found[2]
    return versions


def declared(*extras: str) -> list[Requirement]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for extra in extras for text in project["optional-dependencies"][extra])]
    requirements = [Requirement(text) for text in texts]
    return [one for one in requirements if one.marker is None or one.marker.evaluate(TARGET)]


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("light", ["postgres", "media", "books", "kubernetes"]),
        ("worker", ["postgres", "media", "books", "kubernetes", "ray", "asr", "f5"]),
    ],
)
def test_the_lock_has_every_dependency_in_a_version_that_is_asked_for(lock: str, extras: list[str]) -> None:
    versions = locked(lock)
    for requirement in declared(*extras):
        name = canonicalize_name(requirement.name)
        assert name in versions, f"{name} is not in {lock}.lock: run deploy/lock"
        assert versions[name] in requirement.specifier, (
            f"{requirement}, but {versions[name]} is locked: run deploy/lock"
        )


@pytest.mark.parametrize("lock", ["light", "worker"])
def test_the_lock_is_closed(lock: str) -> None:
    """pip installs it without looking at dependencies: what a locked package needs must be in it too."""
    versions, known = locked(lock), 0
    for name, version in versions.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            package = importlib.metadata.distribution(name)
            if package.version != version:
                continue  # here is another one, which may need others
            known += 1
            for requirement in map(Requirement, package.requires or []):
                if requirement.marker is None or requirement.marker.evaluate({**TARGET, "extra": ""}):
                    need = canonicalize_name(requirement.name)
                    assert need in versions, f"{name} needs {need}"
                    assert requirement.specifier.contains(versions[need], prereleases=True), (
                        f"{name} needs {requirement}"
                    )
    if not known:
        pytest.skip("none of the locked versions is installed here")


def test_the_locks_agree_and_name_no_index() -> None:
    light, worker, build = locked("light"), locked("worker"), locked("build")
    assert light.items() <= worker.items(), "the worker's image is built on the packages of the light one"
    assert not any(name.startswith(("torch", "nvidia-c", "f5-tts", "triton")) for name in light)
    assert all(worker.get(name, version) == version for name, version in build.items())
    assert "hatchling" in build
    for file in (DEPLOY / "requirements").iterdir():
        assert "://" not in file.read_text(), f"{file.name} names an index"


# -- the Dockerfile ----------------------------------------------------------------------------------------------------


@dataclass
class Stage:
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str | None:
        found = [value for name, value in self.instructions if name == instruction]
        return found[-1] if found else None


def stages() -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    current: Stage | None = None
    lines = [line for line in (REPOSITORY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, value = line.strip().partition(" ")
        if name == "FROM":
            base, _, alias = value.partition(" AS ")
            current = found[alias] = Stage(base)
        elif name and current is not None:
            current.instructions.append((name, value.strip()))
    return found


@pytest.mark.parametrize("target", ["light", "worker"])
def test_an_image_runs_as_nobody_special_and_tells_its_health(target: str) -> None:
    stage = stages()[target]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", stage.last("USER") or ""), "Kubernetes must see that it is not root"
    names = [name for name, _ in stage.instructions]
    assert "RUN" not in names[names.index("USER") :]
    assert stage.last("HEALTHCHECK")
    assert json.loads(stage.last("CMD") or ""), "without a shell between tini and the service"


def test_the_images_differ_in_torch_and_have_no_weights() -> None:
    all_stages = stages()
    assert all_stages["light"].base == all_stages["worker-packages"].base == "packages"
    assert all_stages["worker"].base == "worker-packages"
    for name, stage in all_stages.items():
        for instruction, value in stage.instructions:
            if instruction == "RUN":
                assert "f5-pipeline weights" not in value and "huggingface" not in value, name
                for call in re.findall(r"pip install [^&]*", value):
                    assert "--require-hashes" in call or "--no-index" in call, f"{name}: {call}"


def test_the_build_sees_the_package_and_nothing_that_is_secret() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    seen = {rule[1:] for rule in rules if rule.startswith("!")}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["packages"], *wheel["force-include"], project["project"]["readme"], "LICENSE"} <= seen
    assert all((REPOSITORY / name).exists() for name in seen)
    assert not seen & {"deploy", ".", "studio", ".dagster"}


# -- Compose and Kubernetes --------------------------------------------------------------------------------------------


class ComposeLoader(yaml.SafeLoader):
    """Reads Compose's own tags."""


ComposeLoader.add_constructor("!reset", lambda loader, node: None)


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    return yaml.load((DEPLOY / name).read_text(), ComposeLoader)


@pytest.mark.parametrize("name", ["compose.yaml", "compose.local.yaml"])
def test_compose_is_valid(name: str, tmp_path: Path) -> None:
    plain = tmp_path / name
    plain.write_text(yaml.safe_dump(compose(name)))
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", plain],
        check=False,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


def test_compose_names_what_there_is() -> None:
    base, local = compose(), compose("compose.local.yaml")
    assert local["services"].keys() <= base["services"].keys()
    for file in (base, local):
        for name, service in file["services"].items():
            if "build" in service:
                assert service["build"]["target"] in stages()
            for volume in service.get("volumes", []):
                assert volume.partition(":")[0] in file["volumes"], name
    for name, service in base["services"].items():
        assert set(service.get("depends_on", {})) <= base["services"].keys()
        assert {one["source"] for one in service.get("configs", [])} <= base["configs"].keys(), name
    for config in base["configs"].values():
        assert (DEPLOY / config["file"]).is_file()


def test_compose_is_closed_to_the_outside() -> None:
    services = compose()["services"]
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if name != "postgres":
            assert service["read_only"] and service["cap_drop"] == ["ALL"], name
    assert services["worker"]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def environment_example() -> dict[str, str]:
    lines = (DEPLOY / "example.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_example_of_the_environment_is_whole_and_has_no_secret() -> None:
    from f5_pipeline.settings import Settings

    example = environment_example()
    fields = {f"F5_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in example if name.startswith("F5_")} <= fields
    secret = {"F5_STORE_KEY_ID", "F5_STORE_KEY", "F5_LINK_SECRET", "F5_WEBHOOK_SECRET", "POSTGRES_PASSWORD"}
    assert {name for name, value in example.items() if not value} == secret
    asked = set(re.findall(r"env: (\w+)", (DEPLOY / "dagster.yaml").read_text()))
    asked |= set(re.findall(r"(?<!\$)\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert asked <= example.keys()


WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_valid_and_safe(path: Path) -> None:
    """By GitHub's schema, and by zizmor: pinned actions, least permissions, nothing of a caller in a shell's text."""
    schema = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    audit = [shutil.which("zizmor", path=Path(sys.executable).parent) or "zizmor", "--offline", "--no-config"]
    for command in (schema, audit):
        checked = subprocess.run([*command, path], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    images = yaml.safe_load(path.read_text())["jobs"]["image"]["strategy"]["matrix"]["image"]
    assert set(images) == {"light", "worker"}


def documents(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text) if one]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_is_valid(path: Path) -> None:
    for document in documents(path.read_text()):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def kustomized(folder: Path, *components: str) -> list[dict[str, Any]]:
    """What kubectl makes of the manifests."""
    shutil.copytree(DEPLOY, folder / "deploy")
    shutil.copy(DEPLOY / "example.env", folder / "deploy" / ".env")
    with (folder / "deploy" / "kustomization.yaml").open("a") as kustomization:
        kustomization.write(f"components: [{', '.join(components)}]\n")
    command = ["kubectl", "kustomize", folder / "deploy"]
    made = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    return documents(made.stdout)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_kustomize_puts_the_manifests_together(tmp_path: Path) -> None:
    found = kustomized(tmp_path)
    for document in found:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    (instance,) = (one for one in found if one["kind"] == "ConfigMap")
    assert yaml.safe_load(instance["data"]["dagster.yaml"]) == yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    assert f'"name": "{instance["metadata"]["name"]}"' in json.dumps([one for one in found if one is not instance])


def ray_pods(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_with_ray_the_code_server_gives_its_gpu_to_the_cluster(tmp_path: Path) -> None:
    found = {(one["kind"], one["metadata"]["name"]): one for one in kustomized(tmp_path, "ray")}
    server = found["Deployment", "worker"]["spec"]["template"]["spec"]
    kubernetes_validate.validate(found["Deployment", "worker"], kubernetes_validate.latest_version(), strict=True)
    assert (
        "nvidia" not in json.dumps(server) and {"name": "F5_EXECUTOR", "value": "ray"} in server["containers"][0]["env"]
    )
    for pod in ray_pods(found["RayCluster", "f5"]):
        assert pod["containers"][0]["envFrom"] == server["containers"][0]["envFrom"], "the name with its hash"
        assert server["volumes"][0] in pod["volumes"]


def test_the_pods_of_a_ray_cluster_are_valid_and_know_the_same() -> None:
    (cluster,) = documents((DEPLOY / "ray" / "cluster.yaml").read_text())
    pods, (server,) = ray_pods(cluster), workloads()["worker"]["spec"]["containers"]
    assert cluster["spec"]["rayVersion"] == locked("worker")["ray"]
    for pod in pods:
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, "spec": pod}
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
        (container,) = pod["containers"]
        assert container["image"] == server["image"] and container["envFrom"] == server["envFrom"]
        assert [one for one in container["volumeMounts"] if one["name"] != "memory"] == server["volumeMounts"]
    assert [pod["containers"][0]["resources"]["limits"].get("nvidia.com/gpu") for pod in pods] == [None, 1]


def test_machines_of_ray_are_started_as_its_launcher_allows() -> None:
    ray = pytest.importorskip("ray")
    schema = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    launched = yaml.safe_load((DEPLOY / "ray" / "up.yaml").read_text())
    jsonschema.validate(launched, json.loads(schema.read_text()))
    assert launched["head_node_type"] in launched["available_node_types"]
    for path in launched["file_mounts"].values():
        assert path == "deploy/.env" or (REPOSITORY / path).is_file()


def test_runs_of_the_chart_make_valid_pods() -> None:
    k8s = pytest.importorskip("dagster_k8s.job")
    from kubernetes.client import ApiClient

    values = yaml.safe_load((DEPLOY / "kubernetes" / "helm" / "values.yaml").read_text())
    assert values["runLauncher"]["type"] == "K8sRunLauncher"
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    config = {
        re.sub(r"[A-Z]", lambda m: f"_{m[0].lower()}", key): value for key, value in launcher["runK8sConfig"].items()
    }
    job = k8s.construct_dagster_k8s_job(
        k8s.DagsterK8sJobConfig(
            dagster_home=values["global"]["dagsterHome"],
            job_image="worker",
            instance_config_map="dagster-instance",
            env_secrets=[one["name"] for one in launcher["envSecrets"]],
        ),
        ["dagster", "api", "execute_step"],
        "step",
        user_defined_k8s_config=k8s.UserDefinedDagsterK8sConfig(**config),
    )
    document: Any = ApiClient().sanitize_for_serialization(job)
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    (container,) = document["spec"]["template"]["spec"]["containers"]
    assert {"/tmp", "/data/cache"} <= {one["mountPath"] for one in container["volumeMounts"]}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    logs = values["computeLogManager"]["config"]["customComputeLogManager"]
    theirs = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())["compute_logs"]
    assert {key: logs[key] for key in theirs} == theirs


def workloads() -> dict[str, dict[str, Any]]:
    """The pods of the manifests, by name."""
    found = (one for path in MANIFESTS for one in documents(path.read_text()))
    return {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in found
        if one["kind"] in ("Deployment", "StatefulSet")
    }


def test_the_manifests_fit_together() -> None:
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    assert {DEPLOY / name for name in kustomization["resources"]} == set(MANIFESTS)
    files = kustomization["configMapGenerator"][0]["files"]
    pods = workloads()
    for name, pod in pods.items():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"], name
        volumes = {one["name"] for one in spec.get("volumes", [])} | {"data"}
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"]["readOnlyRootFilesystem"], name
            assert "readinessProbe" in container or "startupProbe" in container or container["name"] == "setup", name
            for mount in container["volumeMounts"]:
                assert mount["name"] in volumes and mount.get("subPath") in (None, *files), name
            for variable in container.get("env", []):
                key = variable.get("valueFrom", {}).get("secretKeyRef", {}).get("key")
                assert key is None or key in environment_example(), name
    for path in MANIFESTS:
        for document in documents(path.read_text()):
            if document["kind"] == "Service":
                pod = pods[document["spec"]["selector"]["app"]]
                ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
                (port,) = document["spec"]["ports"]
                assert ports[port["targetPort"]] == port["port"]
    assert pods["worker"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pods["worker"]["spec"]["tolerations"][0]["key"] == "nvidia.com/gpu"


def test_kubernetes_and_compose_start_the_same() -> None:
    services, pods = compose()["services"], workloads()
    for name in ("webserver", "daemon", "downloads", "worker"):
        container = pods[name]["spec"]["containers"][0]
        assert container.get("args") == services[name].get("command"), name
        assert container["image"].partition(":")[0] == services[name]["image"]
    (setup,) = pods["daemon"]["spec"]["initContainers"]
    assert [one.replace("$$", "$") for one in services["setup"]["command"]] == setup["args"]
    (server,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"]
    location = server["grpc_server"]
    assert location["host"] in services and location["host"] in pods
    assert {"containerPort": location["port"], "name": "worker"} in pods["worker"]["spec"]["containers"][0]["ports"]
    assert f'"{location["port"]}"' in (stages()["worker"].last("CMD") or "")


# -- Dagster's instance ------------------------------------------------------------------------------------------------


def test_the_instance_of_the_containers_differs_in_storage_alone() -> None:
    own = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    theirs = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    assert theirs.pop("storage").keys() == {"postgres"}
    assert theirs.pop("compute_logs")["class"] == "StoreComputeLogs"
    own.pop("compute_logs", None)
    assert theirs == own


@pytest.fixture(scope="module")
def postgres() -> Iterator[dict[str, str]]:
    """A Postgres of the tests' own; the settings that reach it."""
    with running_postgres() as server:
        yield server.env


RUNS = """
query { runsOrError(limit: 50) { ... on Runs { results { runId status jobName tags { key value } } } } }
"""


@dataclass
class Containers:
    """The services of compose.yaml as processes of this machine, with its very commands and health checks."""

    installation: Installation
    store: Store
    ports: dict[str, str]
    workspace: Path
    running: dict[str, subprocess.Popen] = field(default_factory=dict)

    def here(self, name: str, command: list[str]) -> subprocess.Popen:
        """Start a command of a container: its paths, ports and host are this test's."""
        home = self.installation.root / name
        home.mkdir(exist_ok=True)
        shutil.copy(DEPLOY / "dagster.yaml", home)
        places = {"/etc/f5-pipeline/workspace.yaml": str(self.workspace), "0.0.0.0": "127.0.0.1", **self.ports}
        changed = [one.replace("$$", "$") for one in command]
        for there, ours in places.items():
            changed = [re.sub(rf"(?<!\w){re.escape(there)}(?!\w)", ours, one) for one in changed]
        environment = {
            **self.installation.env,
            "DAGSTER_HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        with (self.installation.root / f"{name}.log").open("a") as log:
            return subprocess.Popen(changed, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True)

    def command(self, name: str) -> list[str]:
        return compose()["services"][name].get("command") or json.loads(stages()[name].last("CMD") or "")

    def start(self, name: str) -> None:
        self.running[name] = self.here(name, self.command(name))

    def healthy(self, name: str) -> bool:
        check = compose()["services"][name].get("healthcheck", {}).get("test")
        if check is None:
            target = "worker" if name == "worker" else "light"
            check = json.loads((stages()[target].last("HEALTHCHECK") or "").partition(" CMD ")[2])
        else:
            check = check[1:]
        assert self.running[name].poll() is None, self.log(name)
        return self.here(f"{name}-check", check).wait(60) == 0

    def log(self, name: str) -> str:
        return (self.installation.root / f"{name}.log").read_text()[-4000:]

    def kill(self, name: str) -> None:
        """All of a container's processes at once, as its end is."""
        if self.running[name].poll() is not None:
            return
        process = psutil.Process(self.running[name].pid)
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.running[name].wait(30)

    def takes(self) -> dict[str, float]:
        """Every take in the bucket and when it was written."""
        return {one.key: one.modified for one in self.store.list("takes/") if one.key.endswith(".json")}

    def runs(self, ui: Services) -> list[dict[str, Any]]:
        found = ui.graphql(RUNS)["runsOrError"]["results"]
        return [{**one, "tags": {tag["key"]: tag["value"] for tag in one["tags"]}} for one in found]


@pytest.fixture
def containers(postgres: dict[str, str], moto_server: S3Server, tmp_path: Path) -> Iterator[Containers]:
    url = f"s3://{moto_server.make_bucket(f'deploy-{uuid.uuid4().hex}')}/studio"
    access = Access(moto_server.key_id, moto_server.key, moto_server.endpoint, moto_server.region)
    ports = {port: str(free_port()) for port in ("3000", "3080", "4000")}
    workspace = tmp_path / "workspace.yaml"
    text = (DEPLOY / "workspace.yaml").read_text()
    workspace.write_text(text.replace("host: worker", "host: 127.0.0.1").replace("4000", ports["4000"]))
    given = {
        "F5_STORE": url,
        "F5_STORE_KEY_ID": moto_server.key_id,
        "F5_STORE_KEY": moto_server.key,
        "F5_STORE_ENDPOINT": moto_server.endpoint,
        "F5_STORE_REGION": moto_server.region,
        "F5_COMPUTE_LOGS": "store",
        "F5_LINK_SECRET": "f5" * 32,
        "F5_PORT": ports["3080"],
        "F5_PUBLIC_URL": f"http://127.0.0.1:{ports['3080']}",
        "GPUS": "3",
    }
    made = Containers(Installation(tmp_path, {**postgres, **given}), connect(url, access), ports, workspace)
    shutil.copy(DEPLOY / "dagster.yaml", tmp_path / "dagster")
    try:
        yield made
    finally:
        for name in made.running:
            made.kill(name)


def canceled_by_the_api(containers: Containers, ui: Services) -> None:
    """What is submitted to the download service is begun by the daemon; its cancelling ends the run on the worker."""

    def ask(path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{ui.links}/v1/narrations{path}", data, {"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    text = "\n\n".join(f"This is paragraph {n} of another story, which nobody wants." for n in range(400))
    # The in-box may have taken in what was narrated before, while no run worked on it.
    before = {one["runId"] for one in containers.runs(ui)}
    name = ask("", {"text": text, "voice": "ada"})["id"]
    wait_for("run of what was submitted", lambda: ask(f"/{name}")["state"] == "running")
    assert ask(f"/{name}/cancel", {})["state"] == "canceled"

    def statuses() -> list[str]:
        runs = [one for one in containers.runs(ui) if one["runId"] not in before]
        return [one["status"] for one in runs if one["jobName"] == "narrate_batch"]

    wait_for("end of the run", lambda: set(statuses()) <= {"CANCELED", "FAILURE"})
    # A process that is interrupted while it starts cannot say that it was canceled: it fails, and is not tried again.
    assert len(statuses()) == 1
    assert ask(f"/{name}")["state"] == "canceled"


def test_the_containers_commands_work_together_and_outlive_a_dead_worker(containers: Containers) -> None:
    """Each with an instance folder of its own, on Postgres: a run goes from the web server by the daemon to the worker;
    the worker is killed in its midst and started anew, and the run is continued; stop signals end everything."""
    setup = containers.here("setup", containers.command("setup"))
    assert setup.wait(120) == 0, containers.log("setup")
    for name in ("worker", "webserver", "daemon", "downloads"):
        containers.start(name)
    for name in ("webserver", "downloads", "worker", "daemon"):  # what is dear to ask comes last
        wait_for(f"health of {name}", lambda name=name: containers.healthy(name))

    installation = containers.installation
    ui = Services(
        installation,
        f"http://127.0.0.1:{containers.ports['3000']}",
        f"http://127.0.0.1:{containers.ports['3080']}",
        containers.running["webserver"],
    )
    pools = ui.graphql("query { instance { concurrencyLimits { concurrencyKey slotCount } } }")["instance"]
    assert {"concurrencyKey": "gpu", "slotCount": 3} in pools["concurrencyLimits"]

    installation.run("voices", "add", "ada", EXAMPLES / "voices" / "ada.flac")
    story = "\n\n".join(f"This is paragraph {n} of a story that takes a while to be told." for n in range(60))
    installation.run("scripts", "add", installation.write("story.txt", story), "--voice", "ada")
    tags = [{"key": "dagster/partition", "value": "story"}]
    launched = ui.graphql(LAUNCH, job="narrate", tags=tags)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    wait_for("take", containers.takes)
    containers.kill("worker")
    made = containers.takes()
    containers.start("worker")

    first = launched["run"]["runId"]

    def continued(*statuses: str) -> bool:
        return [
            one["status"] in statuses
            for one in containers.runs(ui)
            if one["tags"].get("dagster/parent_run_id") == first
        ] == [True]

    wait_for("continued run", lambda: continued("STARTED"))
    worker = containers.running["worker"]
    worker.terminate()  # a stop: the run under way ends first
    wait_for("end of the continued run", lambda: continued("SUCCESS", "FAILURE", "CANCELED"))
    assert continued("SUCCESS")
    assert worker.wait(60) is not None
    assert {one["status"] for one in containers.runs(ui) if one["runId"] == first} == {"FAILURE"}
    assert made, "killed before there was anything to lose"
    now = containers.takes()
    assert made.items() <= now.items(), "a take was made twice"
    for address in installation.run("links", "story", "--json").object["files"].values():
        with urllib.request.urlopen(address) as answer:
            assert answer.status == 200
    containers.start("worker")
    wait_for("health of worker", lambda: containers.healthy("worker"))
    canceled_by_the_api(containers, ui)
    logs = [one.key for one in containers.store.list("logs/")]
    assert logs, "the steps' logs are in the store, where the web server finds them"

    for name in ("downloads", "daemon", "webserver"):
        process = containers.running[name]
        process.terminate()
        process.wait(60)
        # While the worker is away, a sensor's tick fails: the daemon says so, with a traceback, and goes on.
        log = containers.log(name)
        records = re.split(r"^(?=\S*\d{4}-\d\d-\d\d )", log, flags=re.MULTILINE)  # a traceback names its causes as well
        faults = [one for one in records if "Traceback" in one and "DagsterUserCodeUnreachableError" not in one]
        assert not faults, log

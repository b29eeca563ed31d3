"""Batches under `f5-pipeline up` as a test drives and watches them: what is dropped, launched, killed, and made."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import psutil
from dagster._core.storage.tags import PARTITION_NAME_TAG

from f5_pipeline.dagster_host.run_launcher import process_of
from f5_pipeline.orchestration.ledger import BATCH_JOB, CLAIM_OP, Ledger, active_batches, narrations_of
from f5_pipeline.store import layout
from f5_pipeline.store.records import read_lines, read_record
from f5_pipeline.studio.links.making import read_manifest
from f5_pipeline.studio.narrating.scripts import find_script, script_version
from f5_pipeline.studio.records import Links, Plan, PlannedChunk
from f5_pipeline_tests.support.installation import Services
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.waiting import wait_for

LAUNCH = """
mutation ($job: String!, $config: RunConfigData!, $tags: [ExecutionTag!]!) {
  launchRun(executionParams: {
    selector: {repositoryLocationName: "f5_pipeline", repositoryName: "__repository__", jobName: $job}
    runConfigData: $config
    executionMetadata: {tags: $tags}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
       ... on RunConfigValidationInvalid { errors { message } } }
}
"""
TERMINATE = """
mutation ($run: String!) {
  terminateRun(runId: $run) { __typename ... on TerminateRunFailure { message } ... on PythonError { message } }
}
"""

SERVICES = {
    "code server": "dagster api grpc",
    "web server": "f5_pipeline.dagster_host.web_server",
    "daemon": "dagster._daemon",
}
"""Services of `up`, and what their command lines hold."""


class Span(NamedTuple):
    """A step at work, from its start to its success, its failure, or its giving way; POSIX times, s."""

    run: str
    step: str
    start: float
    end: float


class Batches:
    """What is known of an installation's batches, read from its instance and its store.

    Takes are watched: `new_takes` fails as soon as one that was seen is written again.
    """

    def __init__(self, services: Services, instance: dg.DagsterInstance) -> None:
        self.services, self.instance = services, instance
        self.store = services.installation.store
        self.ledger = Ledger(instance)
        self._takes: dict[str, tuple[int, int]] = {}

    def drop(self, name: str, text: str, extension: str = ".txt", **options: Any) -> None:
        """Put a script into the store's folder, as a person does with a file manager; what is said of it first."""
        path = self._file(layout.script(name, extension))
        path.parent.mkdir(parents=True, exist_ok=True)
        if options:
            path.with_name(f"{name}.options.json").write_text(json.dumps(options), encoding="utf-8")
        path.write_text(text, encoding="utf-8")

    def settle(self, names: Iterable[str]) -> None:
        """Let scripts be of one moment, so that the in-box takes all of them in one look."""
        moment = time.time()
        for name in names:
            for path in self._file("scripts").glob(f"{name}.*"):
                os.utime(path, (moment, moment))

    def remove(self, name: str) -> None:
        """Take a script out of the store's folder."""
        self._file(find_script(self.store, name)).unlink()

    def _file(self, key: str) -> Path:
        return some(self.store.local_path(key))

    def launch(self, job: str, config: dict[str, Any] | None = None, /, **tags: str) -> str:
        """Launch a run as the UI does; its id."""
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        told = self.services.graphql(LAUNCH, job=job, config=config or {}, tags=pairs)["launchRun"]
        assert told["__typename"] == "LaunchRunSuccess", told
        return told["run"]["runId"]

    def launch_batch(self, names: Iterable[str], **tags: str) -> str:
        """Launch a batch of narrations."""
        config = {"narrations": list(names), "launcher": "a test"}
        return self.launch(BATCH_JOB, {"ops": {CLAIM_OP: {"config": config}}}, **tags)

    def launch_narration(self, name: str) -> str:
        """Launch a narration alone, as somebody does who waits for it."""
        return self.launch("narrate", **{PARTITION_NAME_TAG: name})

    def cancel(self, run_id: str) -> None:
        told = self.services.graphql(TERMINATE, run=run_id)["terminateRun"]
        assert told["__typename"] == "TerminateRunSuccess", told

    def run(self, run_id: str) -> dg.DagsterRun:
        return some(self.instance.get_run_by_id(run_id))

    def ended(self, run_id: str) -> dg.DagsterRunStatus:
        """Wait for a run's end; how it ended."""
        return wait_for("end of the run", lambda: run.status if (run := self.run(run_id)).is_finished else None)

    def runs(self) -> list[dg.DagsterRun]:
        """Batch runs, the oldest first."""
        return list(reversed(self.instance.get_runs(dg.RunsFilter(job_name=BATCH_JOB))))

    def batch_of(self, name: str) -> dg.DagsterRun | None:
        """The newest batch that was launched for a narration and is under way."""
        runs = [run for run in self.runs() if name in narrations_of(run)]
        started = [run for run in runs if run.status == dg.DagsterRunStatus.STARTED]
        return started[-1] if started else None

    def are_done(self, names: Collection[str]) -> bool:
        """Whether narrations are done at the versions that their scripts have."""
        self.new_takes()
        outcomes = self.ledger.outcomes(names)
        if len(outcomes) < len(names) or any(one.state != "done" for one in outcomes.values()):
            return False
        return all(outcomes[name].version == script_version(self.store, name) for name in names)

    def count_done(self, names: Collection[str]) -> int:
        return sum(one.state == "done" for one in self.ledger.outcomes(names).values())

    def wait_until_done(self, names: Collection[str]) -> None:
        """Wait until narrations are done and no batch is under way."""
        wait_for(f"end of {len(names)} narrations", lambda: self.are_done(names))
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        wait_for("end of the batches", lambda: not active_batches(self.instance))

    def materialized(self, asset: str) -> Counter[str]:
        """How often an asset was materialized, by partition."""
        found: Counter[str] = Counter()
        cursor = None
        while True:
            page = self.instance.fetch_materializations(dg.AssetKey(asset), limit=500, cursor=cursor)
            found.update(record.partition_key or "" for record in page.records)
            cursor = page.cursor
            if not page.has_more:
                return found

    def last_told(self, asset: str, partition: str) -> dict[str, Any]:
        """The metadata of the newest observation of a partition."""
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[partition])
        (record,) = self.instance.fetch_observations(wanted, limit=1).records
        return {name: value.value for name, value in some(record.asset_observation).metadata.items()}

    def reports(self) -> list[dict[str, Any]]:
        """The reports of batches as the store keeps them."""
        return [json.loads(self.store.get_bytes(one.key)) for one in self.store.list("batches/")]

    def spans(self, run_id: str, step: str) -> list[Span]:
        """When the steps of this name were at work, each attempt by itself."""
        kind = dg.DagsterEventType
        ends = {kind.STEP_SUCCESS, kind.STEP_FAILURE, kind.STEP_UP_FOR_RETRY}
        begun: dict[str, float] = {}
        found = []
        for entry in self.instance.all_logs(run_id, of_type={*ends, kind.STEP_START, kind.STEP_RESTARTED}):
            event = entry.dagster_event
            if event is None or not _is_of(step, key := event.step_key or ""):
                continue
            if event.event_type in (kind.STEP_START, kind.STEP_RESTARTED):
                begun[key] = entry.timestamp
            elif event.event_type in ends and key in begun:
                found.append(Span(run_id, key, begun.pop(key), entry.timestamp))
        return found

    def run_process(self, run_id: str) -> int | None:
        found = process_of(self.instance, self.run(run_id))
        return found.pid if found and found.living else None

    def service_process(self, name: str) -> int | None:
        for child in psutil.Process(self.services.process.pid).children():
            if SERVICES[name] in " ".join(child.cmdline()):
                return child.pid
        return None

    def new_takes(self) -> set[str]:
        """Keys of the takes that were made since the last look; none that was seen before may have been touched."""
        new = set()
        for one in self.store.list("takes/"):
            if one.key.endswith(".json"):
                found = self._file(one.key).stat()
                mark = found.st_ino, found.st_mtime_ns
                if one.key not in self._takes:
                    new.add(one.key)
                assert self._takes.setdefault(one.key, mark) == mark, f"{one.key} was made twice"
        return new

    def chunks(self, name: str) -> Iterator[PlannedChunk]:
        plan = read_record(self.store, layout.narration_state(name, "plan"), Plan)
        return read_lines(self.store, plan.chunks_key, PlannedChunk)

    def planned_takes(self, names: Iterable[str]) -> set[str]:
        """Keys of the records of all first takes that narrations need."""
        return {layout.take_record(chunk.key) for name in names for chunk in self.chunks(name)}

    def check_delivered(self, names: Iterable[str]) -> None:
        """Every file that the narrations' links name is there, and is what the manifest says."""
        for name in names:
            links = read_record(self.store, layout.narration_state(name, "links"), Links)
            manifest = read_manifest(self.store, name, links.revision)
            assert set(links.files) == {file.name for file in manifest.files} and len(links.files) >= 5
            for file in manifest.files:
                data = self.store.get_bytes(file.key)
                assert (len(data), sha256(data).hexdigest()) == (file.size, file.sha256), file.key


def _is_of(name: str, step_key: str) -> bool:
    """Whether a step is one of the op of this name: `takes.synthesize_shard[000]` is one of `synthesize_shard`."""
    return step_key.rpartition(".")[2].partition("[")[0] == name


def kill(pid: int) -> None:
    """As the kernel does where memory is short, and wait until it is gone."""
    process = psutil.Process(pid)
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([process], timeout=30)


def step_process(instance: dg.DagsterInstance, run_id: str, step: str) -> int | None:
    """The living process of its own of a step of this name that is at work."""
    at_work: dict[str, int] = {}
    kind = dg.DagsterEventType
    for entry in instance.all_logs(run_id):
        event = entry.dagster_event
        if event is None or not _is_of(step, key := event.step_key or ""):
            continue
        if event.event_type == kind.STEP_WORKER_STARTED:
            at_work[key] = int(str(event.engine_event_data.metadata["pid"].value))
        elif event.event_type in (kind.STEP_SUCCESS, kind.STEP_FAILURE, kind.STEP_UP_FOR_RETRY):
            at_work.pop(key, None)
    return next((pid for pid in at_work.values() if psutil.pid_exists(pid)), None)

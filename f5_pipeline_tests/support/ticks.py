"""Runs and sources of narrations as tests of the queue make them: a real instance, a real store, and no daemon."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import RUN_KEY_TAG

from f5_pipeline.dagster_host.instance import open_instance
from f5_pipeline.dagster_host.runs import _origin
from f5_pipeline.orchestration.batch.job import narrate_batch
from f5_pipeline.orchestration.launching.inbox import inbox
from f5_pipeline.orchestration.ledger import BATCH_JOB, CLAIM_OP, Ledger
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.settings import get_settings
from f5_pipeline.store.base import Store
from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.shared import made_once


@dg.job(name="other")
def other_job() -> None:
    """A job without steps."""


def batch_config(*narrations: str) -> dict[str, Any]:
    return {"ops": {CLAIM_OP: {"config": {"narrations": list(narrations), "launcher": "a test"}}}}


def batch_run(
    instance: dg.DagsterInstance, *narrations: str, status: dg.DagsterRunStatus | None = None, **tags: str
) -> dg.DagsterRun:
    """A run of a batch, without steps at work."""
    return instance.create_run_for_job(
        narrate_batch,
        run_config=batch_config(*narrations),
        tags=tags,
        status=status or dg.DagsterRunStatus.QUEUED,
        remote_job_origin=_origin(BATCH_JOB),
    )


def end(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType) -> None:
    """Let a run end as Dagster tells it, for example by RUN_SUCCESS."""
    instance.report_dagster_event(dg.DagsterEvent(kind.value, run.job_name), run.run_id)


@dataclass
class Inbox:
    """The in-box, evaluated tick by tick as a daemon does; what it asks for is launched, if at all, by the test."""

    instance: dg.DagsterInstance
    store: Store
    cursor: str | None = None
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.instance)

    def put(self, name: str, text: str | bytes = "Some words.", *, age: float = 60.0) -> None:
        """Put a file of `scripts/` or another folder there; `age` s ago, where the store is a folder."""
        key = name if "/" in name else f"scripts/{name}"
        data = text.encode() if isinstance(text, str) else text
        if (path := self.store.local_path(key)) is None:
            self.store.put_bytes(key, data)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        # Each write has a time of its own.
        moment = time.time_ns() - int(age * 1e9)
        os.utime(path, ns=(moment, moment))

    def say(self, narration: str, **options: Any) -> None:
        self.put(f"{narration}.options.json", json.dumps(options))

    def look(self, *, keep_cursor: bool = True) -> dg.SensorResult:
        """A tick without launches."""
        _STORES[self.store.url] = self.store
        resources = {"store": StoreOf(url=self.store.url)}
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources=resources) as context:
            result = inbox(context)
        assert isinstance(result, dg.SensorResult)
        if keep_cursor:
            self.cursor = result.cursor
        return result

    def tick(self) -> list[dg.RunRequest]:
        return list(self.look().run_requests or [])

    def launch(self, request: dg.RunRequest) -> dg.DagsterRun:
        """The run that the daemon makes of a request, queued."""
        job = narrate_batch if request.job_name == BATCH_JOB else other_job
        tags = {**request.tags, **({RUN_KEY_TAG: request.run_key} if request.run_key else {})}
        config = request.run_config if request.job_name == BATCH_JOB else {}
        return self.instance.create_run_for_job(
            job,
            run_config=config,
            tags=tags,
            status=dg.DagsterRunStatus.QUEUED,
            remote_job_origin=_origin(str(request.job_name)),
        )

    def tick_and_launch(self) -> list[dg.DagsterRun]:
        return [self.launch(request) for request in self.tick()]


_STORES: dict[str, Store] = {}


class StoreOf(StoreResource):
    """Gives the store that the test holds, so that its calls are counted."""

    def open(self) -> Store:
        return _STORES[self.url]


@pytest.fixture
def instance(here: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """A real instance, by the dagster.yaml that users get; its empty databases are copied."""

    def make(home: Path) -> None:
        with open_instance(get_settings().model_copy(update={"home": home})):
            os.environ["DAGSTER_HOME"] = here.env["DAGSTER_HOME"]

    shutil.copytree(made_once(tmp_path_factory, "instance", make), here.root / "dagster", dirs_exist_ok=True)
    with open_instance(get_settings()) as made:
        yield made


@pytest.fixture
def box(here: Installation, instance: dg.DagsterInstance) -> Inbox:
    """The in-box of a folder."""
    return Inbox(instance, here.store)

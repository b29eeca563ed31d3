"""What is known of scripts, and what became of them: the queue of narrations.

Kept in the table of keys and values of Dagster's instance, so that it is as durable as runs and events, shared by all
who share the instance, and cheap: what is in the store is not read again to know what is pending.

The in-box writes what it has seen of a script (`Seen`), the runs that narrate write what came of it (`Outcome`).
A narration is pending where the two differ. Who works on it is told by the runs themselves (`at_work`), which end
however their process ends: nothing has to be given back.
"""

import time
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, TypeVar

import dagster as dg
from pydantic import AliasChoices, BaseModel, Field, ValidationError

from f5_pipeline.orchestration.internals import AUTO_RETRY_RUN_ID_TAG, PARTITION_NAME_TAG, WILL_RETRY_TAG
from f5_pipeline.orchestration.partitions import NARRATIONS
from f5_pipeline.orchestration.tags import WORKER_TAG
from f5_pipeline.system.processes import is_living

BATCH_JOB = "narrate_batch"
CLAIM_OP = "plan_batch"
"""The op of a batch whose configuration names the narrations that the run works on."""

SINGLE_JOB = "narrate"

ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

_PAGE = 400
"""Keys in one query: SQLite takes 999 variables in the versions that are about."""

_RETRY_WINDOW = 24 * 3600.0

_RECENT = 100
"""Batches that ended, of which it is asked how."""

_BETWEEN_RUNS = 600.0
"""Seconds that a command on another host may take before its first run, to read scripts and bring weights."""


class Seen(BaseModel):
    """A script as the in-box last saw it."""

    marks: dict[str, str] = Field(description="by key in the store: what changes with its content")
    version: str
    size: int = Field(description="bytes of the script")
    priority: int = 0
    since: float = Field(description="POSIX time when this version was first seen, s")
    retired: bool = False


class Outcome(BaseModel):
    """What came of a version of a script."""

    version: str
    state: Literal["started", "done", "failed"]
    attempts: int
    run: str = Field(description="id of the run, or the command line's process (`process_name`)")
    at: float
    reason: str | None = None
    # Named `passing` until version 0.2.
    retryable: bool = Field(
        default=False,
        validation_alias=AliasChoices("retryable", "passing"),
        description="whether trying again may help by itself",
    )


class Pending(BaseModel):
    """A narration that waits."""

    narration: str
    seen: Seen
    attempts: int = Field(description="times that this version was tried already")


Record = TypeVar("Record", bound=BaseModel)


class Ledger:
    """Reads and writes both sides of the queue.

    Example:
        >>> [one.narration for one in Ledger(instance).pending(attempts=3)]
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def narrations(self) -> list[str]:
        """All that were ever registered, in order of name."""
        return sorted(self._instance.get_dynamic_partitions(str(NARRATIONS.name)))

    def seen(self, names: Iterable[str]) -> dict[str, Seen]:
        return self._read("f5/script/", names, Seen)

    def outcomes(self, names: Iterable[str]) -> dict[str, Outcome]:
        return self._read("f5/outcome/", names, Outcome)

    def see(self, scripts: Mapping[str, Seen]) -> None:
        self._write("f5/script/", scripts)

    def voices(self, names: Iterable[str]) -> dict[str, Seen]:
        """Voices as the in-box last saw them."""
        return self._read("f5/voice/", names, Seen)

    def see_voices(self, voices: Mapping[str, Seen]) -> None:
        self._write("f5/voice/", voices)

    def start(self, versions: Mapping[str, str], run_id: str) -> None:
        """A run begins with these narrations, at these versions: one more attempt of each."""
        known, now = self.outcomes(versions), time.time()
        made = {}
        for name, version in versions.items():
            before = known.get(name)
            tried = before.attempts if before and before.version == version else 0
            # The same attempt: of a run that is continued from failure, of a step that is tried again, and of the run
            # that a command line launches for the narrations that it has claimed.
            claimed = before is not None and before.state == "started" and "/" in before.run
            again = before is not None and before.version == version and (before.run == run_id or claimed)
            attempts = tried if again else tried + 1
            made[name] = Outcome(version=version, state="started", attempts=attempts, run=run_id, at=now)
        self._write("f5/outcome/", made)
        # The in-box has not come by since it was edited: it shall compare the script again, and find it done.
        self.see(
            {
                name: seen.model_copy(
                    update={"version": versions[name], "since": now, "marks": dict.fromkeys(seen.marks, "")}
                )
                for name, seen in self.seen(versions).items()
                if seen.version != versions[name]
            }
        )

    def finish(
        self, narration: str, version: str, run_id: str, reason: str | None = None, retryable: bool = False
    ) -> Outcome:
        """A narration is done, or has failed for a reason; return what is known of it now."""
        before = self.outcomes([narration]).get(narration)
        attempts = before.attempts if before and before.version == version else 1
        if before and before.version != version and before.run != run_id:
            record = self._instance.get_run_record_by_id(run_id)
            if record and before.at > record.create_timestamp.timestamp():
                return before  # begun since: what became of an older script is no news
        made = Outcome(
            version=version,
            state="done" if reason is None else "failed",
            attempts=attempts,
            run=run_id,
            at=time.time(),
            reason=reason,
            retryable=retryable,
        )
        self._write("f5/outcome/", {narration: made})
        return made

    def pending(
        self, *, attempts: int, wait: float = 0.0, failed: bool = False, besides: str | None = None
    ) -> list[Pending]:
        """Narrations that wait for a run, the most urgent first: by priority, then by age.

        Args:
            attempts: times that a version is tried at most.
            wait: s from a first attempt to the second, four times longer each time.
            failed: those too that failed or were canceled; else only what is new, edited, could not be done for a
                reason that may have passed, or was left by a run that died.
            besides: id of a run that is about to end, and works on nothing any more.
        """
        names = self.narrations()
        outcomes, found = self.outcomes(names), []
        working, canceled = at_work(self._instance, besides), {} if failed else _canceled(self._instance)
        holds, died = cache(self._holds), cache(self._died)  # many narrations have the same run
        for name, seen in self.seen(names).items():
            outcome = outcomes.get(name)
            started = outcome is not None and outcome.state == "started"
            if seen.retired or name in working or (outcome and started and holds(outcome.run, outcome.at)):
                continue
            tried = outcome.attempts if outcome and outcome.version == seen.version else 0
            if canceled.get(name, 0.0) > max(seen.since, outcome.at if outcome and tried else 0.0):
                continue
            if outcome and tried:
                again = failed or (died(outcome.run) if started else outcome.retryable)
                rested = time.time() - outcome.at >= wait * 4 ** (tried - 1)
                if outcome.state == "done" or tried >= attempts or not again or not rested:
                    continue
            found.append(Pending(narration=name, seen=seen, attempts=tried))
        return sorted(found, key=lambda one: (-one.seen.priority, one.seen.since, one.narration))

    def _holds(self, worker: str, since: float) -> bool:
        """Whether that is a process of the command line which still works."""
        if "/" not in worker:
            return False
        if (living := is_living(worker)) is not None:
            return living
        # Of another host: its runs tell.
        runs = dg.RunsFilter(statuses=ACTIVE, tags={WORKER_TAG: worker})
        return time.time() - since < _BETWEEN_RUNS or self._instance.get_runs_count(runs) > 0

    def _died(self, worker: str) -> bool:
        """Whether a run, or a process that holds nothing any more, was killed, and not canceled by a person."""
        run = self._instance.get_run_by_id(worker)
        return run is None or run.status == dg.DagsterRunStatus.FAILURE

    def _read(self, prefix: str, names: Iterable[str], kind: type[Record]) -> dict[str, Record]:
        found: dict[str, Record] = {}
        wanted = [prefix + name for name in names]
        storage = self._instance.daemon_cursor_storage
        for start in range(0, len(wanted), _PAGE):
            for key, value in storage.get_cursor_values(set(wanted[start : start + _PAGE])).items():
                try:
                    found[key.removeprefix(prefix)] = kind.model_validate_json(value)
                except ValidationError:  # of another version of this software: as if it had never been seen
                    continue
        return dict(sorted(found.items()))

    def _write(self, prefix: str, records: Mapping[str, BaseModel]) -> None:
        pairs = [(prefix + name, record.model_dump_json()) for name, record in records.items()]
        for start in range(0, len(pairs), _PAGE):
            self._instance.daemon_cursor_storage.set_cursor_values(dict(pairs[start : start + _PAGE]))


def claimed(run: dg.DagsterRun) -> list[str]:
    """The narrations that a batch run was launched for."""
    config: Any = run.run_config
    for name in ("ops", CLAIM_OP, "config"):
        config = config.get(name, {})
    return list(config.get("narrations", []))


def active_batches(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Batch runs that are queued or at work, or that Dagster is about to continue; the oldest first."""
    runs = list(instance.get_runs(dg.RunsFilter(job_name=BATCH_JOB, statuses=ACTIVE)))
    recent = dg.RunsFilter(job_name=BATCH_JOB, statuses=[dg.DagsterRunStatus.FAILURE], tags={WILL_RETRY_TAG: "true"})
    for record in instance.get_run_records(recent, limit=_RECENT):
        young = record.end_time is not None and time.time() - record.end_time < _RETRY_WINDOW
        if young and AUTO_RETRY_RUN_ID_TAG not in record.dagster_run.tags:
            runs.append(record.dagster_run)
    return list(reversed(runs))  # storages give the newest first


def _canceled(instance: dg.DagsterInstance) -> dict[str, float]:
    """Narrations of batches that a person canceled, queued or at work, and when the newest of these was launched."""
    found: dict[str, float] = {}
    canceled = dg.RunsFilter(job_name=BATCH_JOB, statuses=[dg.DagsterRunStatus.CANCELED])
    for record in instance.get_run_records(canceled, limit=_RECENT):  # the newest first
        for name in claimed(record.dagster_run):
            found.setdefault(name, record.create_timestamp.timestamp())
    return found


def at_work(instance: dg.DagsterInstance, besides: str | None = None) -> set[str]:
    """The narrations that some run works on: a batch, or one that was launched for a narration alone."""
    batches = {name for run in active_batches(instance) if run.run_id != besides for name in claimed(run)}
    single = instance.get_runs(dg.RunsFilter(job_name=SINGLE_JOB, statuses=ACTIVE))
    return batches | {run.tags[PARTITION_NAME_TAG] for run in single if PARTITION_NAME_TAG in run.tags}

"""The queue of narrations: the last seen state of each script, and the outcome of its last run.

Kept in the key-value table of Dagster's instance: as durable as runs and events, shared by everyone who shares the
instance, and cheap, as the store is not read to know what is pending.

The in-box records the state of a script (`SourceState`), the runs that narrate it record an `Outcome`. A narration is
pending where their versions differ. The runs themselves show who works on it (`active_narrations`); they end however
their process ends, so that nothing has to be released.
"""

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Literal, TypeVar

import dagster as dg
from pydantic import AliasChoices, BaseModel, Field, ValidationError

from f5_pipeline.orchestration.internals import AUTO_RETRY_RUN_ID_TAG, PARTITION_NAME_TAG, WILL_RETRY_TAG
from f5_pipeline.orchestration.partitions import NARRATIONS
from f5_pipeline.orchestration.tags import GATHER_OP, SPEAK_OP, WORKER_TAG
from f5_pipeline.studio.webhooks import Webhook
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

_MAX_QUERY_KEYS = 400
"""Older versions of SQLite take 999 variables in a query."""

_RETRY_WINDOW_SECONDS = 24 * 3600.0

_MAX_RECENT_RUNS = 100
"""Failed or canceled runs that are looked at, the newest first."""

_MANY_ATTEMPTS = 1000
"""More than any setting allows."""

_CALLS, _MAX_CALL_SECONDS, _MAX_CALLS = "f5/calls", 600.0, 200
"""Key of the calls, how long they are kept, and how many: each is a request to the store."""

_MAX_PREPARING_SECONDS = 600.0
"""How long a command on another host may read scripts and fetch weights before its first run."""


class SourceState(BaseModel):
    """A script or voice as the in-box last saw it."""

    marks: dict[str, str] = Field(description="by key in the store: what changes with its content")
    version: str
    size: int = Field(description="bytes of the script")
    priority: int = 0
    since: float = Field(description="POSIX time when this version was first seen, s")
    retired: bool = False


class Outcome(BaseModel):
    """How the last run for a version of a script ended, or that it has started."""

    version: str
    state: Literal["started", "done", "failed", "postponed"]
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

    @property
    def canceled(self) -> bool:
        """Whether nobody wants this version any more."""
        return self.state == "failed" and self.attempts >= _MANY_ATTEMPTS

    def end(self, attempts: int) -> Literal["done", "failed", "canceled"] | None:
        """How a narration has ended; None where a run works on it, or may yet.

        Args:
            attempts: maximum attempts at a version.
        """
        if self.state == "failed" and (self.attempts >= attempts or not self.retryable):
            return "canceled" if self.canceled else "failed"
        return "done" if self.state == "done" else None


class Pending(BaseModel):
    """A narration that waits for a run."""

    narration: str
    script: SourceState
    attempts: int = Field(description="earlier attempts at this version")


Record = TypeVar("Record", bound=BaseModel)


class Ledger:
    """Reads and writes the queue.

    Example:
        >>> [pending.narration for pending in Ledger(instance).pending(attempts=3)]
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def narrations(self) -> list[str]:
        """All narrations ever registered, sorted by name."""
        return sorted(self._instance.get_dynamic_partitions(str(NARRATIONS.name)))

    def scripts(self, names: Iterable[str]) -> dict[str, SourceState]:
        """Scripts as the in-box last saw them, by narration."""
        return self._read("f5/script/", names, SourceState)

    def outcomes(self, names: Iterable[str]) -> dict[str, Outcome]:
        return self._read("f5/outcome/", names, Outcome)

    def record_scripts(self, scripts: Mapping[str, SourceState]) -> None:
        self._write("f5/script/", scripts)

    def voices(self, names: Iterable[str]) -> dict[str, SourceState]:
        """Voices as the in-box last saw them."""
        return self._read("f5/voice/", names, SourceState)

    def record_voices(self, voices: Mapping[str, SourceState]) -> None:
        self._write("f5/voice/", voices)

    def start(self, versions: Mapping[str, str], run_id: str) -> None:
        """Record that a run begins with these narrations at these versions: one more attempt at each."""
        earlier, now = self.outcomes(versions), time.time()
        started, run = {}, self._instance.get_run_by_id(run_id)
        # A run that was killed as it planned plans anew where it is continued.
        continued = {run_id, run.parent_run_id} if run else {run_id}
        for name, version in versions.items():
            before = earlier.get(name)
            attempts = before.attempts if before and before.version == version else 0
            # The same attempt goes on in a run that is continued from failure, in a step that is retried, and in the
            # run that a command line launches for the narrations it has claimed.
            claimed = before is not None and before.state == "started" and "/" in before.run
            same = before is not None and before.version == version and (before.run in continued or claimed)
            attempts = attempts if same else attempts + 1
            started[name] = Outcome(version=version, state="started", attempts=attempts, run=run_id, at=now)
        self._write("f5/outcome/", started)
        # Edited since the in-box last looked: without its marks the in-box reads the script again, and finds it done.
        self.record_scripts(
            {
                name: script.model_copy(
                    update={"version": versions[name], "since": now, "marks": dict.fromkeys(script.marks, "")}
                )
                for name, script in self.scripts(versions).items()
                if script.version != versions[name]
            }
        )

    def finish(
        self, narration: str, version: str, run_id: str, reason: str | None = None, retryable: bool = False
    ) -> Outcome:
        """Record that a narration is done, or failed for a reason; return its outcome."""
        before = self.outcomes([narration]).get(narration)
        attempts = before.attempts if before and before.version == version else 1
        if before and before.version != version and before.run != run_id:
            record = self._instance.get_run_record_by_id(run_id)
            if record and before.at > record.create_timestamp.timestamp():
                return before  # a newer version was begun since
        outcome = Outcome(
            version=version,
            state="done" if reason is None else "failed",
            attempts=attempts,
            run=run_id,
            at=time.time(),
            reason=reason,
            retryable=retryable,
        )
        self._write("f5/outcome/", {narration: outcome})
        return outcome

    def postpone(self, narration: str, version: str, run_id: str, reason: str) -> None:
        """Record that a narration was begun and is left for a later run; it does not count as an attempt."""
        before = self.outcomes([narration]).get(narration)
        attempts = before.attempts - 1 if before and before.version == version else 0
        outcome = Outcome(
            version=version,
            state="postponed",
            attempts=attempts,
            run=run_id,
            at=time.time(),
            reason=reason,
            retryable=True,
        )
        self._write("f5/outcome/", {narration: outcome})

    def cancel(self, narration: str, version: str, reason: str) -> None:
        """Record that nobody wants this version of a narration any more: it is not pending until `retry` or an edit."""
        outcome = Outcome(
            version=version, state="failed", attempts=_MANY_ATTEMPTS, run="", at=time.time(), reason=reason
        )
        self._write("f5/outcome/", {narration: outcome})

    def retry(self, narration: str, version: str) -> None:
        """Let a narration that failed or was canceled be pending at once, with all its attempts."""
        outcome = Outcome(version=version, state="postponed", attempts=0, run="", at=time.time(), retryable=True)
        self._write("f5/outcome/", {narration: outcome})
        scripts = self.scripts([narration]).items()
        self.record_scripts({name: script.model_copy(update={"since": time.time()}) for name, script in scripts})

    def call(self, narrations: Collection[str]) -> None:
        """Ask for scripts to be looked at now, and not at the in-box's next look. Where two processes call at once, and
        of more than `_MAX_CALLS`, calls are lost: the next look finds the scripts."""
        now = time.time()
        recent = {name: at for name, at in self.calls(0.0).items() if now - at < _MAX_CALL_SECONDS}
        calls = {
            **{name: at for name, at in recent.items() if name not in narrations},
            **dict.fromkeys(narrations, now),
        }
        value = json.dumps(dict(list(calls.items())[-_MAX_CALLS:]))
        self._instance.daemon_cursor_storage.set_cursor_values({_CALLS: value})

    def calls(self, since: float) -> dict[str, float]:
        """The narrations that were called after a POSIX time, and when."""
        value = self._instance.daemon_cursor_storage.get_cursor_values({_CALLS}).get(_CALLS)
        return {name: at for name, at in json.loads(value or "{}").items() if at > since}

    def webhooks(self, names: Iterable[str]) -> dict[str, Webhook]:
        """Who is told of the newest end of these narrations and batches, and how far that is."""
        return self._read("f5/webhook/", names, Webhook)

    def record_webhooks(self, hooks: Mapping[str, Webhook]) -> None:
        self._write("f5/webhook/", hooks)

    def pending(
        self, *, attempts: int, wait: float = 0.0, failed: bool = False, besides: str | None = None
    ) -> list[Pending]:
        """Narrations that wait for a run, the most urgent first: by priority, then by age.

        Args:
            attempts: maximum attempts at a version.
            wait: seconds between the first two attempts, four times longer each time.
            failed: also those that failed or were canceled; else only what is new, edited, failed in a way that may
                be over, or was left by a run that was killed.
            besides: id of a run that is about to end and counts as ended.
        """
        names = self.narrations()
        outcomes, waiting = self.outcomes(names), []
        active, canceled = active_narrations(self._instance, besides), {} if failed else _canceled(self._instance)
        is_working, was_killed = cache(self._is_working), cache(self._was_killed)  # many narrations share a run
        for name, script in self.scripts(names).items():
            outcome = outcomes.get(name)
            started = outcome is not None and outcome.state == "started"
            if script.retired or name in active or (outcome and started and is_working(outcome.run, outcome.at)):
                continue
            tried = outcome.attempts if outcome and outcome.version == script.version else 0
            if canceled.get(name, 0.0) > max(script.since, outcome.at if outcome and tried else 0.0):
                continue
            if outcome and tried:
                retryable = failed or (was_killed(outcome.run) if started else outcome.retryable)
                if outcome.state == "done" or tried >= attempts or not retryable:
                    continue
                if time.time() - outcome.at < wait * 4 ** (tried - 1):
                    continue
            waiting.append(Pending(narration=name, script=script, attempts=tried))
        return sorted(waiting, key=lambda item: (-item.script.priority, item.script.since, item.narration))

    def _is_working(self, worker: str, since: float) -> bool:
        """Whether `worker` is a process of the command line that still works."""
        if "/" not in worker:
            return False
        if (living := is_living(worker)) is not None:
            return living
        # A process of another host is known by its runs.
        runs = dg.RunsFilter(statuses=ACTIVE, tags={WORKER_TAG: worker})
        return time.time() - since < _MAX_PREPARING_SECONDS or self._instance.get_runs_count(runs) > 0

    def _was_killed(self, worker: str) -> bool:
        """Whether a run or process that no longer works was killed, and not canceled by a person."""
        run = self._instance.get_run_by_id(worker)
        return run is None or run.status == dg.DagsterRunStatus.FAILURE

    def _read(self, prefix: str, names: Iterable[str], kind: type[Record]) -> dict[str, Record]:
        records: dict[str, Record] = {}
        keys = [prefix + name for name in names]
        storage = self._instance.daemon_cursor_storage
        for start in range(0, len(keys), _MAX_QUERY_KEYS):
            for key, value in storage.get_cursor_values(set(keys[start : start + _MAX_QUERY_KEYS])).items():
                try:
                    records[key.removeprefix(prefix)] = kind.model_validate_json(value)
                except ValidationError:  # of another version of this software: ignored
                    continue
        return dict(sorted(records.items()))

    def _write(self, prefix: str, records: Mapping[str, BaseModel]) -> None:
        pairs = [(prefix + name, record.model_dump_json()) for name, record in records.items()]
        for start in range(0, len(pairs), _MAX_QUERY_KEYS):
            self._instance.daemon_cursor_storage.set_cursor_values(dict(pairs[start : start + _MAX_QUERY_KEYS]))


def narrations_of(run: dg.DagsterRun) -> list[str]:
    """The narrations that a batch run was launched for."""
    config: Any = run.run_config
    for name in ("ops", CLAIM_OP, "config"):
        config = config.get(name, {})
    return list(config.get("narrations", []))


def active_batches(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Batch runs that are queued or running, or that Dagster is about to retry; the oldest first."""
    return _active_runs(instance, BATCH_JOB)


def _active_runs(instance: dg.DagsterInstance, job: str) -> list[dg.DagsterRun]:
    runs = list(instance.get_runs(dg.RunsFilter(job_name=job, statuses=ACTIVE)))
    runs += [record.dagster_run for record in awaiting_retry(instance, time.time(), _RETRY_WINDOW_SECONDS, job)]
    return list(reversed(runs))  # storages return the newest first


def awaiting_retry(
    instance: dg.DagsterInstance, now: float, seconds: float, job: str | None = None
) -> Iterator[dg.RunRecord]:
    """Runs that failed within so many seconds, and that Dagster is to try again and has not; the newest first."""
    failed = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE], tags={WILL_RETRY_TAG: "true"})
    for record in instance.get_run_records(failed, limit=_MAX_RECENT_RUNS):
        young = record.end_time is not None and now - record.end_time < seconds
        if young and AUTO_RETRY_RUN_ID_TAG not in record.dagster_run.tags:
            yield record


def is_delivering(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a batch that spoke on a GPU has only its delivery left."""
    begun = {stats.step_key.partition("[")[0] for stats in instance.get_run_step_stats(run.run_id)}
    return {SPEAK_OP, GATHER_OP} <= begun


def _canceled(instance: dg.DagsterInstance) -> dict[str, float]:
    """Narrations of batches that a person canceled, and when the newest such batch was launched."""
    launched: dict[str, float] = {}
    canceled = dg.RunsFilter(job_name=BATCH_JOB, statuses=[dg.DagsterRunStatus.CANCELED])
    for record in instance.get_run_records(canceled, limit=_MAX_RECENT_RUNS):  # the newest first
        for name in narrations_of(record.dagster_run):
            launched.setdefault(name, record.create_timestamp.timestamp())
    return launched


def active_narrations(instance: dg.DagsterInstance, besides: str | None = None) -> set[str]:
    """The narrations that runs work on: batches, and runs of a single narration."""
    batches = {name for run in active_batches(instance) if run.run_id != besides for name in narrations_of(run)}
    single = _active_runs(instance, SINGLE_JOB)
    return batches | {run.tags[PARTITION_NAME_TAG] for run in single if PARTITION_NAME_TAG in run.tags}

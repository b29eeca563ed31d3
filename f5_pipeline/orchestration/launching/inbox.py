"""The in-box: scripts and voices that people put into the store become partitions and narrations.

Each tick lists one page of `scripts/` and one of `voices/`, whatever their size; the cursor says where the next page
begins. Only objects whose mark (an ETag, or size and time) is new are read. The ledger decides what is launched: each
version of a script is narrated once.
"""

import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import PurePath

import dagster as dg
from pydantic import BaseModel

from f5_pipeline.errors import PipelineError, StoreError
from f5_pipeline.orchestration.batch.job import narrate_batch
from f5_pipeline.orchestration.internals import RUN_KEY_TAG
from f5_pipeline.orchestration.jobs import prepare_voice
from f5_pipeline.orchestration.launching.budget import month_of
from f5_pipeline.orchestration.launching.requests import batch_requests, free_batches
from f5_pipeline.orchestration.launching.submissions import take_in_voice
from f5_pipeline.orchestration.ledger import Ledger, SourceState
from f5_pipeline.orchestration.partitions import NARRATIONS, VOICES
from f5_pipeline.orchestration.reporting.observations import register_all, report_source, report_state, report_voice
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.settings import get_settings
from f5_pipeline.store import layout
from f5_pipeline.store.base import ObjectStat, Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record
from f5_pipeline.studio.narrating.scripts import conversion_of, read_options, script_version
from f5_pipeline.studio.records import Voice, digest_of
from f5_pipeline.studio.voices import TRANSCRIPT_EXTENSIONS, needs_reference

# Dagster marks an argument that is not given here as beta.
warnings.filterwarnings("ignore", message="Parameter `owners` of initializer `Sensor", category=dg.BetaWarning)

PAGE_SIZE = 1000
"""Objects that a tick lists under each prefix, in one call."""

SETTLED_SECONDS = 2.0
"""Age from which a file counts as complete: one that is being copied into a folder still changes."""

MAX_SCRIPTS_READ = 250
"""In a tick, which must end within the time that Dagster allows."""

RECORDING_EXTENSIONS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif")

LAST = "\U0010ffff"  # the last character


class Cursor(BaseModel):
    """The key after which the next page begins, by prefix; empty for the first page."""

    after: dict[str, str] = {}


@dataclass
class Page:
    """The objects under a prefix with keys greater than `after`, up to `until`."""

    after: str
    until: str
    objects: list[ObjectStat]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.after < key <= self.until


def next_page(store: Store, prefix: str, cursor: Cursor) -> Page:
    """Read the next page under a prefix and move the cursor. All objects of a narration or voice are on one page."""
    after = cursor.after.get(prefix, "")
    objects = list(store.list(prefix, after=after, limit=PAGE_SIZE))
    if len(objects) < PAGE_SIZE:
        cursor.after[prefix] = ""
        return Page(after, prefix + LAST, objects)

    def stem(item: ObjectStat) -> str:
        return layout.stem(item.key, prefix)

    # The objects of the last stem may go on after the page: they are left for the next one, unless they fill this one.
    objects = [item for item in objects if stem(item) != stem(objects[-1])] or objects
    cursor.after[prefix] = objects[-1].key
    return Page(after, objects[-1].key, objects)


@dataclass
class ScriptChanges:
    """What has changed on a page of `scripts/`.

    Attributes:
        changed: narrations whose scripts are new or edited.
        returned: those of them that were retired.
        retired: narrations whose scripts are gone.
        unread: the first narration beyond `MAX_SCRIPTS_READ`.
        problems: messages about objects that cannot be narrated.
    """

    changed: dict[str, SourceState] = field(default_factory=dict)
    returned: set[str] = field(default_factory=set)
    retired: dict[str, SourceState] = field(default_factory=dict)
    unread: str | None = None
    problems: list[str] = field(default_factory=list)


def find_script_changes(
    store: Store, ledger: Ledger, page: Page, now: float, *, settled: bool = False
) -> ScriptChanges:
    """Compare a page of `scripts/` with the ledger.

    Args:
        settled: whether its objects are known to be complete, however young they are.
    """
    objects, problems = _group_by_narration(page.objects)
    changes = ScriptChanges(problems=problems)
    known = ledger.scripts({*objects, *_narrations_on(page, ledger.narrations())})
    for name, state in known.items():
        script = _script_key(state.marks)
        if script in page and not _script_of(objects.get(name, [])):
            objects.pop(name, None)
            if not state.retired:
                changes.retired[name] = state.model_copy(update={"retired": True})

    def is_changed(name: str) -> bool:
        state = known.get(name)
        if state is None or state.retired:
            return _script_of(objects[name]) is not None
        return state.marks != _marks(objects[name])

    def read(name: str) -> tuple[str, SourceState | PipelineError]:
        try:
            return name, _read_state(store, name, objects[name], known.get(name), now)
        except PipelineError as error:
            return name, error

    # In the order of their keys, in which "a-b" comes before "a".
    changed = [name for name in objects if (settled or _is_settled(store, objects[name], now)) and is_changed(name)]
    if len(changed) > MAX_SCRIPTS_READ:
        changes.unread = changed[MAX_SCRIPTS_READ]
    for name, state in in_parallel(store, read, changed[:MAX_SCRIPTS_READ]):
        if isinstance(state, PipelineError):
            changes.problems.append(f"{name}: {state}")
        else:
            changes.changed[name] = state
            if name in known and known[name].retired:
                changes.returned.add(name)
    return changes


def _read_state(store: Store, name: str, objects: list[ObjectStat], old: SourceState | None, now: float) -> SourceState:
    version = script_version(store, name)
    try:
        priority = read_options(store, name).priority
    except PipelineError:  # damaged options: the narration reports them
        priority = 0
    return SourceState(
        marks=_marks(objects),
        version=version,
        size=sum(item.size for item in objects if not _is_beside(item.key)),
        priority=priority,
        since=old.since if old and old.version == version else now,
    )


def _is_beside(key: str) -> bool:
    """Whether an object says how a script is narrated."""
    return bool(layout.script_options.match(key) or layout.script_choices.match(key) or layout.script_cover.match(key))


def _marks(objects: list[ObjectStat]) -> dict[str, str]:
    return {item.key: item.mark for item in objects}


def _is_settled(store: Store, objects: list[ObjectStat], now: float) -> bool:
    """Whether nobody still writes the objects; those of a bucket appear whole."""
    if store.local_path(objects[0].key) is None:
        return True
    # A copied file may have a modification time in the future.
    return not any(0 <= now - item.modified < SETTLED_SECONDS for item in objects)


def _group_by_narration(objects: Iterable[ObjectStat]) -> tuple[dict[str, list[ObjectStat]], list[str]]:
    """Objects by narration, and a problem for each that cannot be narrated."""
    narrations: dict[str, list[ObjectStat]] = defaultdict(list)
    problems = []
    for item in objects:
        name = layout.stem(item.key, layout.SCRIPTS)
        if not (_is_beside(item.key) or layout.script.match(item.key) or layout.script_text.match(item.key)):
            kinds = ", ".join(layout.SCRIPT_EXTENSIONS)
            hint = conversion_of(PurePath(item.key.rpartition("/")[2]))
            hint = f". {hint}" if hint else ""
            problems.append(f"{item.key}: no kind of script; use one of {kinds}, directly in {layout.SCRIPTS}{hint}")
        elif not layout.NAME.fullmatch(name):
            better = (layout.slug(name) or "another name") + item.key.removeprefix(layout.SCRIPTS + name)
            problems.append(f"{item.key}: {name!r} cannot name a narration; call it {better}")
        else:
            narrations[name].append(item)
    return narrations, problems


def _script_of(objects: list[ObjectStat]) -> ObjectStat | None:
    return next((item for item in objects if layout.script.match(item.key)), None)


def _script_key(marks: dict[str, str]) -> str | None:
    return next((key for key in marks if layout.script.match(key)), None)


def _narrations_on(page: Page, names: list[str]) -> Iterator[str]:
    """Narrations whose scripts would be on the page."""
    return (name for name in names if f"scripts/{name}{LAST}" > page.after and f"scripts/{name}." <= page.until)


@dataclass
class VoiceChanges:
    """What has changed on a page of `voices/`.

    Attributes:
        changed: voices that are new or were added again, each with its state for the ledger.
        dropped: recordings with transcripts that are not a voice yet, by name.
        problems: messages about objects that cannot become a voice.
    """

    changed: dict[str, tuple[SourceState, Voice]] = field(default_factory=dict)
    dropped: dict[str, tuple[ObjectStat, ObjectStat]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def find_voice_changes(store: Store, ledger: Ledger, page: Page, now: float) -> VoiceChanges:
    """Compare a page of `voices/` with the ledger."""
    changes, records, files = VoiceChanges(), {}, defaultdict(list)
    for item in page.objects:
        fields = layout.voice.match(item.key)
        if fields and layout.NAME.fullmatch(fields["voice"]):
            records[fields["voice"]] = item
        elif "/" not in (file := item.key.removeprefix(layout.VOICES)):
            files[file.rpartition(".")[0]].append(item)
    known = ledger.voices(records)
    for name, record in records.items():
        marks = {record.key: record.mark}
        if name in known and known[name].marks == marks:
            continue
        try:
            voice = find_record(store, record.key, Voice)
        except StoreError as error:
            changes.problems.append(f"voice {name}: {error}")
            continue
        if voice is not None and voice.name != name:
            changes.problems.append(f"{record.key}: it is the record of the voice {voice.name!r}")
        elif voice is not None:
            version = digest_of(voice.model_dump())
            changes.changed[name] = SourceState(marks=marks, version=version, size=record.size, since=now), voice
    for name, objects in files.items():
        if not _is_settled(store, objects, now):
            continue
        if not layout.NAME.fullmatch(name):
            better = layout.slug(name) or "another name"
            changes.problems.append(f"{objects[0].key}: {name!r} cannot name a voice; call it {better}")
            continue
        transcripts = [item for item in objects if item.key.lower().endswith(TRANSCRIPT_EXTENSIONS)]
        recordings = [item for item in objects if item.key.lower().endswith(RECORDING_EXTENSIONS)]
        if len(recordings) == len(transcripts) == 1:
            changes.dropped[name] = recordings[0], transcripts[0]
        else:
            kind, count = ("recordings", len(recordings)) if len(recordings) != 1 else ("transcripts", len(transcripts))
            changes.problems.append(f"voices/{name}: {count} {kind}; it takes one recording and one transcript")
    return changes


def _needs_reference(store: Store, name: str) -> bool:
    try:
        return needs_reference(store, name)
    except StoreError:  # the record of its reference is damaged
        return True


def _is_launched(instance: dg.DagsterInstance, request: dg.RunRequest) -> bool:
    """Whether there is a run with this key: Dagster would launch no other, but log that at each tick."""
    return instance.get_runs_count(dg.RunsFilter(tags={RUN_KEY_TAG: str(request.run_key)})) > 0


def _take_in_request(name: str, recording: ObjectStat, transcript: ObjectStat) -> dg.RunRequest:
    config = {"name": name, "recording": recording.key, "transcript": transcript.key}
    return dg.RunRequest(
        # Once for each state of the two files.
        run_key=f"take-in-{name}-{digest_of([recording.mark, transcript.mark])[:16]}",
        job_name=take_in_voice.name,
        run_config={"ops": {"take_in": {"config": config}}},
    )


@dg.sensor(
    name="inbox",
    jobs=[narrate_batch, take_in_voice, prepare_voice],
    minimum_interval_seconds=get_settings().inbox_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Scripts and voices that are put into the store become partitions and narrations.",
)
def inbox(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    settings, now = get_settings(), time.time()
    opened, instance = store.open(), context.instance
    ledger = Ledger(instance)
    cursor = Cursor.model_validate_json(context.cursor) if context.cursor else Cursor()

    scripts = find_script_changes(opened, ledger, next_page(opened, "scripts/", cursor), now)
    _take_in(instance, ledger, scripts)
    if scripts.unread is not None:
        cursor.after["scripts/"] = f"scripts/{scripts.unread}"

    voices = find_voice_changes(opened, ledger, next_page(opened, "voices/", cursor), now)
    take_ins = [_take_in_request(name, *files) for name, files in voices.dropped.items()]
    requests = [request for request in take_ins if not _is_launched(instance, request)]
    register_all(instance, VOICES, voices.changed)
    for name, (state, voice) in voices.changed.items():
        report_voice(instance, voice)
        key = f"voice-{name}-{state.version[:16]}"
        request = dg.RunRequest(run_key=key, job_name=prepare_voice.name, partition_key=name)
        if _needs_reference(opened, name) and not _is_launched(instance, request):
            requests.append(request)
        else:  # not before: a tick that is killed launches nothing
            ledger.record_voices({name: state})

    reason = "There is nothing new."
    if settings.inbox == "now":
        batches, held = _batches_to_launch(instance, ledger)
        requests += batches
        reason = held or reason
    for problem in (problems := [*scripts.problems, *voices.problems]):
        context.log.warning(problem)
    if not requests:
        if problems:
            reason = f"{len(problems)} cannot be used. {problems[0]}"
        return dg.SensorResult(skip_reason=reason, cursor=cursor.model_dump_json())
    return dg.SensorResult(run_requests=requests, cursor=cursor.model_dump_json())


def _take_in(instance: dg.DagsterInstance, ledger: Ledger, scripts: ScriptChanges) -> None:
    """Report changes of scripts to Dagster, then to the ledger."""
    register_all(instance, NARRATIONS, scripts.changed)
    for name, state in scripts.changed.items():
        report = report_state if name in scripts.returned else report_source
        report(instance, "script", name, state.version, {"state": "in the in-box", "bytes": state.size})
    for name, state in scripts.retired.items():
        report_state(instance, "script", name, state.version, {"state": "retired: its script was removed"})
    ledger.record_scripts({**scripts.changed, **scripts.retired})


@dg.sensor(
    name="inbox_calls",
    jobs=[narrate_batch],
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Scripts that the HTTP API has put into the in-box are looked at now; else a tick asks no store.",
)
def inbox_calls(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult | dg.SkipReason:
    instance, ledger = context.instance, Ledger(context.instance)
    calls = ledger.calls(float(context.cursor or 0))
    if not calls:
        return dg.SkipReason("Nobody has called.")
    opened, now = store.open(), time.time()
    for name in sorted(calls):
        prefix = f"scripts/{name}."
        page = Page(prefix, prefix + LAST, list(opened.list(prefix)))
        _take_in(instance, ledger, find_script_changes(opened, ledger, page, now, settled=True))
    requests = _batches_to_launch(instance, ledger)[0] if get_settings().inbox == "now" else []
    return dg.SensorResult(run_requests=requests, cursor=str(max(calls.values())))


def _batches_to_launch(instance: dg.DagsterInstance, ledger: Ledger) -> tuple[list[dg.RunRequest], str]:
    """Batches for the pending narrations, and why others wait, for people: all but the urgent ones do while a batch
    speaks on each GPU, and all once the month's batches have cost what they may."""
    settings = get_settings()
    waiting = ledger.pending(attempts=settings.attempts, wait=settings.attempt_seconds)
    month = month_of(instance, settings, datetime.now(timezone.utc)) if waiting else None
    if month and month.left <= 0:
        return [], f"{len(waiting)} narrations wait. {month.refusal}"
    urgent = [pending for pending in waiting if pending.script.priority > 0]
    patient = [pending for pending in waiting if pending.script.priority <= 0]
    requests = batch_requests(urgent, 1, "in-box, urgent", urgent=True)
    if not patient:
        return requests, ""
    if (free := free_batches(instance)) > 0:
        return [*requests, *batch_requests(patient, free, "in-box")], ""
    return requests, f"{len(patient)} narrations wait for the next batch: as many are at work as there are GPUs."

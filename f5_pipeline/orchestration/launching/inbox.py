"""The in-box: scripts and voices that people put into the store become partitions, and narrations.

`scripts/` and `voices/` are looked into a page at a time, by one listing call each tick, whatever their size; the
cursor says where the next look begins. What is new or changed is told by its mark (an ETag, or size and time), and only
that is read. What is launched is decided by the ledger: a script is narrated once for each version of it.
"""

import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import dagster as dg
from pydantic import BaseModel

from f5_pipeline.errors import PipelineError, StoreError
from f5_pipeline.orchestration.batch.job import narrate_batch
from f5_pipeline.orchestration.internals import RUN_KEY_TAG
from f5_pipeline.orchestration.jobs import prepare_voice
from f5_pipeline.orchestration.launching.requests import batch_requests, slots
from f5_pipeline.orchestration.launching.submissions import take_in_voice
from f5_pipeline.orchestration.ledger import Ledger, Seen, active_batches
from f5_pipeline.orchestration.partitions import NARRATIONS, VOICES
from f5_pipeline.orchestration.reporting.observations import register_all, report_source, report_state, report_voice
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.settings import get_settings
from f5_pipeline.store import layout
from f5_pipeline.store.base import ObjectStat, Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record
from f5_pipeline.studio.narrating.scripts import read_options, script_version
from f5_pipeline.studio.records import Voice, digest_of
from f5_pipeline.studio.voices import TRANSCRIPT_EXTENSIONS, needs_reference

# Dagster marks an argument that is not given here as beta.
warnings.filterwarnings("ignore", message="Parameter `owners` of initializer `Sensor", category=dg.BetaWarning)

PAGE = 1000
"""Objects that a tick looks at under each prefix: what one listing call gives."""

SETTLED = 2.0
"""Age in s from which an object is taken for complete: a file that is being copied into a folder changes."""

MAX_NEWS = 250
"""Scripts that a tick reads: it must end within the time that Dagster gives it."""

RECORDING_EXTENSIONS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif")

LAST = "\U0010ffff"


class Cursor(BaseModel):
    """Where the next look begins, by prefix: behind this key; from the beginning where it is empty."""

    after: dict[str, str] = {}


@dataclass
class Page:
    """A part of what is under a prefix: every key greater than `after` and up to `until`."""

    after: str
    until: str
    objects: list[ObjectStat]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.after < key <= self.until


def look(store: Store, prefix: str, cursor: Cursor) -> Page:
    """The next page under a prefix; moves the cursor. What belongs to one narration or voice is on one page."""
    after = cursor.after.get(prefix, "")
    objects = list(store.list(prefix, after=after, limit=PAGE))
    if len(objects) < PAGE:
        cursor.after[prefix] = ""
        return Page(after, prefix + LAST, objects)

    def stem(one: ObjectStat) -> str:
        return layout.stem(one.key, prefix)

    # The last one's may go on behind the page; where nothing else is on the page, so be it.
    objects = [one for one in objects if stem(one) != stem(objects[-1])] or objects
    cursor.after[prefix] = objects[-1].key
    return Page(after, objects[-1].key, objects)


@dataclass
class Looked:
    """What a look at scripts has found.

    Attributes:
        changed: narrations whose scripts are new or were edited.
        returned: those of them that were retired.
        retired: narrations whose scripts are gone.
        unread: the first narration that there was no time for.
        problems: what cannot be narrated, for people.
    """

    changed: dict[str, Seen] = field(default_factory=dict)
    returned: set[str] = field(default_factory=set)
    retired: dict[str, Seen] = field(default_factory=dict)
    unread: str | None = None
    problems: list[str] = field(default_factory=list)


def look_at_scripts(store: Store, ledger: Ledger, page: Page, now: float) -> Looked:
    """Compare a page of `scripts/` with what the ledger knows of it."""
    found, problems = _by_narration(page.objects)
    looked = Looked(problems=problems)
    known = ledger.seen({*found, *_within(ledger.narrations(), page)})
    for name, seen in known.items():
        script = _script_key(seen.marks)
        if script in page and not _script_of(found.get(name, [])):
            found.pop(name, None)
            if not seen.retired:
                looked.retired[name] = seen.model_copy(update={"retired": True})

    def is_news(name: str) -> bool:
        seen = known.get(name)
        if seen is None or seen.retired:
            return _script_of(found[name]) is not None
        return seen.marks != _marks(found[name])

    def read(name: str) -> tuple[str, Seen | PipelineError]:
        try:
            return name, _see(store, name, found[name], known.get(name), now)
        except PipelineError as error:
            return name, error

    # In the order of their keys, in which "a-b" comes before "a".
    news = [name for name in found if _settled(store, found[name], now) and is_news(name)]
    if len(news) > MAX_NEWS:
        looked.unread = news[MAX_NEWS]
    for name, seen in in_parallel(store, read, news[:MAX_NEWS]):
        if isinstance(seen, PipelineError):
            looked.problems.append(f"{name}: {seen}")
        else:
            looked.changed[name] = seen
            if name in known and known[name].retired:
                looked.returned.add(name)
    return looked


def _see(store: Store, name: str, objects: list[ObjectStat], before: Seen | None, now: float) -> Seen:
    version = script_version(store, name)
    try:
        priority = read_options(store, name).priority
    except PipelineError:  # damaged options: narrating tells
        priority = 0
    return Seen(
        marks=_marks(objects),
        version=version,
        size=sum(one.size for one in objects if not layout.script_options.match(one.key)),
        priority=priority,
        since=before.since if before and before.version == version else now,
    )


def _marks(objects: list[ObjectStat]) -> dict[str, str]:
    return {one.key: one.mark for one in objects}


def _settled(store: Store, objects: list[ObjectStat], now: float) -> bool:
    """Whether nobody writes it any more; objects of a bucket appear whole."""
    # A copy may have brought a time of the future with it.
    return store.local_path(objects[0].key) is None or not any(0 <= now - one.modified < SETTLED for one in objects)


def _by_narration(objects: Iterable[ObjectStat]) -> tuple[dict[str, list[ObjectStat]], list[str]]:
    """Objects by narration, and what cannot be one."""
    found: dict[str, list[ObjectStat]] = defaultdict(list)
    problems = []
    for one in objects:
        name = layout.stem(one.key, layout.SCRIPTS)
        if not any(kind.match(one.key) for kind in (layout.script, layout.script_options, layout.script_text)):
            kinds = ", ".join(layout.SCRIPT_EXTENSIONS)
            problems.append(f"{one.key}: no kind of script; use one of {kinds}, directly in {layout.SCRIPTS}")
        elif not layout.NAME.fullmatch(name):
            better = (layout.slug(name) or "another name") + one.key.removeprefix(layout.SCRIPTS + name)
            problems.append(f"{one.key}: {name!r} cannot name a narration; call it {better}")
        else:
            found[name].append(one)
    return found, problems


def _script_of(objects: list[ObjectStat]) -> ObjectStat | None:
    return next((one for one in objects if layout.script.match(one.key)), None)


def _script_key(marks: dict[str, str]) -> str | None:
    return next((key for key in marks if layout.script.match(key)), None)


def _within(names: list[str], page: Page) -> Iterator[str]:
    """Narrations whose scripts would be on the page."""
    return (name for name in names if f"scripts/{name}{LAST}" > page.after and f"scripts/{name}." <= page.until)


@dataclass
class LookedAtVoices:
    """What a look at voices has found.

    Attributes:
        changed: voices that are new or were added again, as the ledger keeps them.
        dropped: recordings and transcripts that no voice was made of yet, by name.
    """

    changed: dict[str, tuple[Seen, Voice]] = field(default_factory=dict)
    dropped: dict[str, tuple[ObjectStat, ObjectStat]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def look_at_voices(store: Store, ledger: Ledger, page: Page, now: float) -> LookedAtVoices:
    """Compare a page of `voices/` with what the ledger knows of it."""
    looked, records, files = LookedAtVoices(), {}, defaultdict(list)
    for one in page.objects:
        fields = layout.voice.match(one.key)
        if fields and layout.NAME.fullmatch(fields["voice"]):
            records[fields["voice"]] = one
        elif "/" not in (file := one.key.removeprefix(layout.VOICES)):
            files[file.rpartition(".")[0]].append(one)
    known = ledger.voices(records)
    for name, one in records.items():
        if name in known and known[name].marks == {one.key: one.mark}:
            continue
        try:
            voice = find_record(store, one.key, Voice)
        except StoreError as error:
            looked.problems.append(f"voice {name}: {error}")
            continue
        if voice is not None and voice.name != name:
            looked.problems.append(f"{one.key}: it is the record of the voice {voice.name!r}")
        elif voice is not None:
            version = digest_of(voice.model_dump())
            looked.changed[name] = Seen(marks={one.key: one.mark}, version=version, size=one.size, since=now), voice
    for name, objects in files.items():
        if not _settled(store, objects, now):
            continue
        if not layout.NAME.fullmatch(name):
            better = layout.slug(name) or "another name"
            looked.problems.append(f"{objects[0].key}: {name!r} cannot name a voice; call it {better}")
            continue
        transcripts = [one for one in objects if one.key.endswith(TRANSCRIPT_EXTENSIONS)]
        recordings = [one for one in objects if one.key.lower().endswith(RECORDING_EXTENSIONS)]
        if len(recordings) == len(transcripts) == 1:
            looked.dropped[name] = recordings[0], transcripts[0]
        else:
            what = "recordings" if len(recordings) != 1 else "transcripts"
            count = len(recordings) if len(recordings) != 1 else len(transcripts)
            looked.problems.append(f"voices/{name}: {count} {what}; it takes one recording and one transcript")
    return looked


def _needs_reference(store: Store, name: str) -> bool:
    try:
        return needs_reference(store, name)
    except StoreError:  # a damaged one
        return True


def _launched(instance: dg.DagsterInstance, request: dg.RunRequest) -> bool:
    """Whether there is a run of this key: Dagster would make no other, but tell of it at each tick."""
    return instance.get_runs_count(dg.RunsFilter(tags={RUN_KEY_TAG: str(request.run_key)})) > 0


def _take_in(name: str, recording: ObjectStat, transcript: ObjectStat) -> dg.RunRequest:
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

    scripts = look_at_scripts(opened, ledger, look(opened, "scripts/", cursor), now)
    register_all(instance, NARRATIONS, scripts.changed)
    for name, seen in scripts.changed.items():
        report = report_state if name in scripts.returned else report_source
        report(instance, "script", name, seen.version, {"state": "in the in-box", "bytes": seen.size})
    for name, seen in scripts.retired.items():
        report_state(instance, "script", name, seen.version, {"state": "retired: its script was removed"})
    ledger.see({**scripts.changed, **scripts.retired})
    if scripts.unread is not None:
        cursor.after["scripts/"] = f"scripts/{scripts.unread}"

    voices = look_at_voices(opened, ledger, look(opened, "voices/", cursor), now)
    taken_in = [_take_in(name, *files) for name, files in voices.dropped.items()]
    requests = [one for one in taken_in if not _launched(instance, one)]
    register_all(instance, VOICES, voices.changed)
    for name, (seen, voice) in voices.changed.items():
        report_voice(instance, voice)
        key = f"voice-{name}-{seen.version[:16]}"
        request = dg.RunRequest(run_key=key, job_name=prepare_voice.name, partition_key=name)
        if _needs_reference(opened, name) and not _launched(instance, request):
            requests.append(request)
        else:  # not before: a tick that is killed launches nothing
            ledger.see_voices({name: seen})

    gathering = 0
    if settings.inbox == "now":
        batches, gathering = _launch(instance, ledger)
        requests += batches
    for problem in (problems := [*scripts.problems, *voices.problems]):
        context.log.warning(problem)
    if not requests:
        reason = "There is nothing new."
        if gathering:
            reason = f"{gathering} narrations wait for the next batch: as many are at work as there are GPUs."
        if problems:
            reason = f"{len(problems)} cannot be used. {problems[0]}"
        return dg.SensorResult(skip_reason=reason, cursor=cursor.model_dump_json())
    return dg.SensorResult(run_requests=requests, cursor=cursor.model_dump_json())


def _launch(instance: dg.DagsterInstance, ledger: Ledger) -> tuple[list[dg.RunRequest], int]:
    """Batches for the narrations that wait, and how many of these gather for later: while as many batches are at work
    as there are GPUs, all but the urgent ones."""
    settings = get_settings()
    waiting = ledger.pending(attempts=settings.attempts, wait=settings.attempt_seconds)
    urgent = [pending for pending in waiting if pending.seen.priority > 0]
    patient = [pending for pending in waiting if pending.seen.priority <= 0]
    free = slots(instance) - len(active_batches(instance))
    requests = batch_requests(urgent, 1, "in-box, urgent", urgent=True)
    if free > 0:
        return [*requests, *batch_requests(patient, free, "in-box")], 0
    return requests, len(patient)

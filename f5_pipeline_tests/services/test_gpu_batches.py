"""Batches of an engine that needs a GPU under a real daemon: how many GPU steps work at once, who gives way, the night.

The engine waits where a GPU would work. Its steps are in the pool of GPUs, and F5_GPUS says how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import combinations
from pathlib import Path

import dagster as dg
import pytest

from f5_pipeline.orchestration.ledger import narrations_of
from f5_pipeline.orchestration.tags import BATCH_PRIORITY, BATCH_TAG, GPU_POOL, GPU_TAG, PRIORITY_TAG, batch_run_tags
from f5_pipeline_tests.support.batches import Batches, Span, step_process
from f5_pipeline_tests.support.gpu_engine import HOLD, bring_gpu_engine
from f5_pipeline_tests.support.installation import running_services
from f5_pipeline_tests.support.waiting import wait_for

SPEAK = "synthesize_shard"

SCHEDULE = """
mutation ($id: String!) { stopRunningSchedule(id: $id) { __typename } }
"""
NIGHTLY = """
query { scheduleOrError(scheduleSelector: {
  repositoryLocationName: "f5_pipeline", repositoryName: "__repository__", scheduleName: "nightly"
}) { ... on Schedule { scheduleState { id status } } } }
"""


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory, voices: Path) -> Iterator[Batches]:
    """Two GPUs, and a night each minute."""
    when = {"F5_INBOX": "night", "F5_INBOX_SECONDS": "2", "F5_NIGHTLY": "* * * * *"}
    gpus = {"F5_DEVICE": "cpu", "F5_GPUS": "0,1", "F5_GPU_HOUR_COST": "2.5"}
    with ExitStack() as stack:
        root = tmp_path_factory.mktemp("gpus")
        env = {**bring_gpu_engine(root, seconds=0.1), **gpus, **when}
        services = stack.enter_context(running_services(root, voices, **env))
        home = services.installation.env["DAGSTER_HOME"]
        yield Batches(services, stack.enter_context(dg.DagsterInstance.from_config(home)))


def test_the_night_takes_what_waits_in_as_many_runs_as_gpus_are_worth(batches):
    """Two long narrations are worth both GPUs, and the short ones go with them. Drafts: the night is about runs."""
    long = [f"long-{number}" for number in range(2)]
    for name in long:
        # Its length is estimated from its size: a note that is not spoken makes it long.
        text = f"{name} was as dark as the other night.\n\n<!-- {'dark ' * 2000} -->"
        batches.drop(name, f"---\nformats: [flac]\n---\n\n{text}", ".md", voice="ada", engine="draft")
    batches.drop("urgent", "This one comes first.", voice="ben", engine="draft", priority=5)
    batches.drop("never", "[nobody] This voice is unknown.", voice="ada")
    names = [*long, "urgent"]
    batches.settle([*names, "never"])
    batches.wait_until_done(names)

    schedule = batches.services.graphql(NIGHTLY)["scheduleOrError"]["scheduleState"]
    assert schedule["status"] == "RUNNING"
    batches.services.graphql(SCHEDULE, id=schedule["id"])
    batches.wait_until_idle()
    first = [run for run in batches.runs() if set(long) & set(narrations_of(run))]
    spread = [name for run in first for name in narrations_of(run) if name in names]
    assert len(first) == 2 and sorted(spread) == sorted(names)
    for run in first:
        assert (run.tags[BATCH_TAG], run.tags[PRIORITY_TAG], run.tags[GPU_TAG]) == ("nightly", str(BATCH_PRIORITY), "1")
        assert run.tags["dagster/schedule_name"] == "nightly"
    assert all(batches.materialized("narration_audio")[name] == 1 for name in names)
    batches.check_delivered(names)

    tried = batches.ledger.outcomes(["never"])["never"]
    runs = sum("never" in narrations_of(run) for run in batches.runs())
    assert tried.state == "failed" and tried.attempts == runs <= 3
    reports = {report["run"]: report for report in batches.reports()}
    assert set(reports) == {run.run_id for run in batches.runs()}
    assert batches.materialized("batch_report")[""] == len(reports)
    assert all(reports[run.run_id]["audio_seconds"] < 10 for run in first)


def story(batches: Batches, name: str, sentences: int) -> str:
    batches.drop(name, "\n\n".join(f"Part {n} of {name} tells one more thing of the sea." for n in range(sentences)),
                 voice="ada", engine="gpu")  # fmt: skip
    return name


def registered(batches: Batches, *names: str) -> None:
    wait_for("the partitions", lambda: set(names) <= set(batches.ledger.narrations()))


@contextmanager
def held(batches: Batches, takes: int) -> Iterator[None]:
    """Steps wait after as many takes."""
    file = Path(batches.services.installation.env[HOLD])
    file.write_text(str(takes))
    yield
    file.unlink()


def overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def test_two_gpus_speak_for_two_batches_at_once(batches):
    names = [story(batches, f"beside-{number}", 10) for number in range(2)]
    registered(batches, *names)
    with held(batches, 0):
        runs = [batches.launch_batch([name], **batch_run_tags("a test")) for name in names]
        wait_for("both to speak", lambda: all(step_process(batches.instance, run, SPEAK) for run in runs))
    assert [batches.ended(run) for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
    one, other = (span for run in runs for span in batches.spans(run, SPEAK))
    assert overlap(one, other)


def test_one_gpu_speaks_for_one_run_at_a_time_and_first_for_whom_somebody_waits(batches):
    """Two batches and, while the first of them is at work, a narration that somebody has launched in the UI."""
    batches.instance.event_log_storage.set_concurrency_slots(GPU_POOL, 1)
    names = [story(batches, "night-one", 10), story(batches, "night-two", 5), story(batches, "waited-for", 3)]
    registered(batches, *names)
    batches.new_takes()
    with held(batches, 4):
        long = batches.launch_batch([names[0]], **batch_run_tags("a test"))
        wait_for("its first step", lambda: step_process(batches.instance, long, SPEAK))
        short = batches.launch_batch([names[1]], **batch_run_tags("a test"))
        urgent = batches.launch_narration(names[2])
        wait_for("it to give way", lambda: batches.spans(long, SPEAK))
    for run in (urgent, long, short):
        wait_for("the end of the run", lambda run=run: batches.new_takes() is not None and batches.run(run).is_finished)
        assert batches.run(run).status == dg.DagsterRunStatus.SUCCESS

    spans = {run: batches.spans(run, SPEAK) for run in (urgent, long, short)}
    ordered = sorted((span for found in spans.values() for span in found), key=lambda span: span.start)
    assert not any(overlap(one, other) for one, other in combinations(ordered, 2))
    assert len(spans[long]) >= 2, "it has given way"
    assert len(spans[urgent]) == len(spans[short]) == 1
    at_work = [span.run for span in ordered]
    assert at_work.index(urgent) < at_work.index(short), "who waits comes before what was there first"
    first, rest = spans[long][0], spans[long][1:]
    assert first.end <= spans[urgent][0].start and all(span.start >= spans[urgent][0].end for span in rest)
    assert batches.instance.get_run_record_by_id(urgent).end_time < batches.instance.get_run_record_by_id(long).end_time

    (report,) = [report for report in batches.reports() if report["run"] == long]
    assert report["takes_made"] == len(batches.planned_takes([names[0]])), "each once, before and after it gave way"
    assert report["expected_gpu_seconds"] > 0 and report["expected_cost"] > 0
    assert 0 < report["gpu_seconds"] <= sum(span.end - span.start for span in spans[long])
    assert report["cost"] == pytest.approx(report["gpu_seconds"] / 3600 * 2.5, abs=1e-3)
    batches.check_delivered(names)

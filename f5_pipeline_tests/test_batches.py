"""The in-box and its batches under a real daemon, by the draft engine: scripts in waves, killed processes, a cancelled
batch.

F5_TEST_SCRIPTS is the number of scripts in the waves.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import dagster as dg
import pytest

from f5_pipeline.ledger import claimed
from f5_pipeline_tests.batches import Batches
from f5_pipeline_tests.conftest import running_services, wait_for

SCRIPTS = int(os.environ.get("F5_TEST_SCRIPTS", "200"))

SHARED = "All of this was told before."
"""A sentence of many scripts: it is spoken once."""


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    root = tmp_path_factory.mktemp("batches")
    with running_services(root, F5_INBOX_SECONDS="2", F5_ATTEMPT_SECONDS="1", F5_NIGHTLY="off") as services:
        with dg.DagsterInstance.from_config(services.installation.env["DAGSTER_HOME"]) as instance:
            yield Batches(services, instance)


def drop_wave(batches: Batches, numbers: range) -> list[str]:
    """Short scripts; of each three one says its voice itself, and one has a sentence that others have too."""
    names = []
    for number in numbers:
        name = f"wave-{number:03}"
        text = f"Letter number {number} was never sent."
        if number % 3 == 0:
            batches.drop(name, f"---\ntitle: Letter {number}\nvoice: ben\n---\n\n{text}\n", ".md")
        elif number % 3 == 1:
            batches.drop(name, text, voice="ada")
        else:
            batches.drop(name, f"{text} {SHARED}", voice="ada")
        names.append(name)
    return names


def test_scripts_that_come_in_waves_are_narrated_once_each(batches):
    first, second = SCRIPTS // 10, SCRIPTS // 2
    names = drop_wave(batches, range(first))
    edited, removed = names[1], names[2]
    running = wait_for("a batch", lambda: batches.batch_of(edited))
    names += drop_wave(batches, range(first, second))
    wait_for("its end", lambda: batches.are_done([edited, removed]))
    before = batches.planned_takes([edited])
    names += drop_wave(batches, range(second, SCRIPTS))
    batches.drop(edited, "Letter number one was sent after all.", voice="ada")
    batches.remove(removed)
    batches.drop("wave-bad", "[nobody] This voice is unknown.", voice="ada")
    assert running.run_id in {run.run_id for run in batches.runs()}

    batches.wait_until_done([name for name in names if name != removed])
    wait_for("the bad one", lambda: batches.ledger.outcomes(["wave-bad"])["wave-bad"].state == "failed")
    batches.wait_until_idle()

    once = Counter(dict.fromkeys(names, 1))
    once[edited] = 2
    for asset in ("takes", "narration_audio", "timing_files", "download_links"):
        assert batches.materialized(asset) == once, asset
    launched = Counter(name for run in batches.runs() for name in claimed(run))
    assert launched == once + Counter({"wave-bad": 1})

    # What was removed is retired, and nothing of it is lost.
    assert batches.ledger.seen([removed])[removed].retired
    assert "retired" in batches.last_told("script", removed)["state"]
    batches.check_delivered(names)
    bad = batches.ledger.outcomes(["wave-bad"])["wave-bad"]
    assert bad.attempts == 1 and "nobody" in (bad.reason or "")

    made = set(batches.services.installation.take_records())
    assert made == batches.planned_takes(names) | before, "one take for each different sentence, and none else"
    assert sum(report["takes_made"] for report in batches.reports()) == len(made), "none was made twice"

    runs = batches.instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id for run in batches.runs()]))
    times = sorted((run.start_time or 0, run.end_time or 0) for run in runs)
    assert all(earlier[1] <= later[0] for earlier, later in zip(times, times[1:], strict=False)), "one at a time"
    assert len(runs) <= 6, "the rest gathers while a batch is at work"
    assert batches.materialized("batch_report")[""] == len(runs)

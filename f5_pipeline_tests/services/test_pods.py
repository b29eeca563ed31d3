"""A run whose steps are processes that a cluster starts by themselves, as pods are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.orchestration.partitions import NARRATIONS
from f5_pipeline.settings import get_settings
from f5_pipeline.speech import engines
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.studio.narrating.planning import make_plan
from f5_pipeline.studio.narrating.scripts import add_script
from f5_pipeline.studio.state import write_state
from f5_pipeline.studio.weights import gather_weights
from f5_pipeline_tests.support.gpu_engine import GPU, HOLD, LOG, bring_gpu_engine, read_log
from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.pods import PODS
from f5_pipeline_tests.support.waiting import HANG_SECONDS, wait_for

pytestmark = pytest.mark.slow

TAKES = 16
ON_PODS = """
from f5_pipeline.orchestration import executors
from f5_pipeline_tests.support import pods
executors.executor_of = pods.executor_of
"""
RUN = """
from f5_pipeline.dagster_host.instance import open_instance
from f5_pipeline.dagster_host.runs import run_job
from f5_pipeline.settings import get_settings
with open_instance(get_settings()) as instance:
    outcome = run_job(instance, "synthesize", partition="book")
    print(outcome.success, *outcome.errors)
"""


@pytest.fixture
def book(here: Installation, voices: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """An installation with a narration that is planned, for an engine that another package brings."""
    variables = bring_gpu_engine(here.root, seconds=1)
    monkeypatch.setitem(engines._specs(), "gpu", GPU)  # of this process, which may have looked for engines before
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    here.copy(voices)
    here.env |= variables
    here.env.pop("CUDA_VISIBLE_DEVICES", None)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    options = studio_options(get_settings())
    text = "\n\n".join(f"Number {n}." for n in range(TAKES))
    script = add_script(here.store, here.write("book.txt", text), options=ScriptOptions(voice="ada", engine="gpu"))
    plan = make_plan(here.store, script, gather_weights(here.store, options), options)
    write_state(here.store, plan, "book")
    with dg.DagsterInstance.from_config(here.env["DAGSTER_HOME"]) as instance:
        instance.add_dynamic_partitions(str(NARRATIONS.name), ["book"])
    return here


def test_a_step_that_is_told_to_go_keeps_what_it_made_and_is_tried_again(book):
    """As Kubernetes tells a pod whose spot node goes: by SIGTERM."""
    launched = book.root / "pods.log"
    book.env |= {"F5_EXECUTOR": "k8s", "F5_SHARDS": "1", PODS: str(launched)}
    log, hold = Path(book.env[LOG]), Path(book.env[HOLD])
    hold.write_text("2")
    run = subprocess.Popen(
        [sys.executable, "-c", ON_PODS + RUN], cwd=book.root, env=book.env, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for("takes", lambda: len([one for one in read_log(log) if one.end]) == 2)
        (step,) = {one.process for one in read_log(log)}
        os.kill(int(step), signal.SIGTERM)
        wait_for("its second try", lambda: {one.process for one in read_log(log)} - {step})
        hold.unlink()
        printed, _ = run.communicate(timeout=HANG_SECONDS)
    finally:
        run.kill()
    assert printed.splitlines()[-1:] == ["True"], printed
    spoken = read_log(log)
    assert len({one.process for one in spoken}) == 2
    assert len(spoken) == len({one.key for one in spoken}) == len(book.take_records()) == TAKES, "each take once"
    with dg.DagsterInstance.from_config(book.env["DAGSTER_HOME"]) as instance:
        (ended,) = instance.get_runs(dg.RunsFilter(job_name="synthesize"))
        told = [entry.user_message for entry in instance.all_logs(ended.run_id)]
    speaking = launched.read_text().split()
    assert len(speaking) == 2 and {key.partition("[")[0] for key in speaking} == {"takes.synthesize_shard"}, "no other"
    assert any("this node is told to go" in message for message in told), "it ended by itself"

"""Whether batches are finished whatever is killed meanwhile: a fault and a moment of chance for each seed.

    python -m benchmarks.chaos --seeds 20
    python -m benchmarks.chaos --first 7 --seeds 1 --keep /tmp/chaos    # one seed again; logs stay

`f5-pipeline up` runs with its daemon, on Postgres and on a bucket of moto behind a proxy. For each seed some scripts,
in the draft voice, are put into the bucket, and at a moment of the batch one fault happens. Then the batch must be
finished within `--patience` seconds by itself: every narration is delivered and its links download, `store check
--deep` finds the store whole, no take whose record was there before the fault was written again, and every service
answers.

Needs Postgres (Debian: postgresql) and the extra `test`. Ends with 1 where a seed fails.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copy
from typing import Any, TypeVar

import dagster as dg

from benchmarks.measure import REPOSITORY, in_words, machine, table, write_results
from f5_pipeline.errors import PipelineError
from f5_pipeline.orchestration.ledger import active_batches, narrations_of
from f5_pipeline.store import layout
from f5_pipeline_tests.support.batches import Batches, kill, step_process
from f5_pipeline_tests.support.installation import Installation, answers, running_services
from f5_pipeline_tests.support.servers.moto import moto
from f5_pipeline_tests.support.servers.postgres import Postgres, running_postgres
from f5_pipeline_tests.support.servers.proxy import FaultProxy
from f5_pipeline_tests.support.servers.server import S3Server

NARRATIONS, SENTENCES = 3, 16
STEPS = ("synthesize_shard", "deliver_narrations", "plan_batch", "report_batch")
AWAY_SECONDS = (20, 60)
"""For how long a store is away, at least and at most."""

T = TypeVar("T")


class Failure(Exception):
    """What is wrong after a fault."""


@dataclass
class Stage:
    """An installation at work, and what it stands on."""

    batches: Batches
    postgres: Postgres
    bucket: S3Server
    proxy: FaultProxy
    chance: random.Random = field(default_factory=random.Random)
    names: list[str] = field(default_factory=list)
    takes: dict[str, float] = field(default_factory=dict)

    @property
    def installation(self) -> Installation:
        return self.batches.services.installation

    def look_at_takes(self) -> None:
        """Raise Failure where a record that was seen before has been written again or is gone."""
        now = self.installation.take_records()
        if again := [key for key, when in self.takes.items() if now.get(key) != when]:
            raise Failure(f"{len(again)} takes made twice or gone, as {again[0]}")
        self.takes = now

    def is_done(self) -> bool:
        return self.batches.count_done(self.names) == len(self.names)

    def run_of_batch(self) -> dg.DagsterRun | None:
        return next((run for name in self.names if (run := self.batches.batch_of(name))), None)

    def pid(self, found: Callable[[], int | None]) -> int | None:
        """A process as soon as there is one; None where the batch is done before."""
        while not self.is_done():
            if pid := found():
                return pid
            time.sleep(0.1)
        return None

    def step(self) -> int | None:
        run = self.run_of_batch()
        pids = (step_process(self.batches.instance, run.run_id, step) for step in STEPS) if run else ()
        return next((pid for pid in pids if pid), None)

    def worker(self) -> int | None:
        run = self.run_of_batch()
        return self.batches.run_process(run.run_id) if run else None


# --- faults -----------------------------------------------------------------------------------------------------------


def kill_process(find: Callable[[Stage], int | None]) -> Callable[[Stage], bool]:
    def strike(stage: Stage) -> bool:
        pid = stage.pid(lambda: find(stage))
        if pid:
            kill(pid)
        return pid is not None

    return strike


def kill_service(name: str) -> Callable[[Stage], bool]:
    return kill_process(lambda stage: stage.batches.service_process(name))


def restart_postgres(stage: Stage) -> bool:
    stage.postgres.stop()
    time.sleep(stage.chance.uniform(0, 15))
    stage.postgres.start()
    return True


def silence_store(stage: Stage) -> bool:
    """It takes connections and answers nothing."""
    for process in stage.bucket.processes:
        assert process.running
        process.running.send_signal(signal.SIGSTOP)
    time.sleep(stage.chance.uniform(*AWAY_SECONDS))
    for process in stage.bucket.processes:
        assert process.running
        process.running.send_signal(signal.SIGCONT)
    return True


def refuse_store(stage: Stage) -> bool:
    """Connections are cut, and new ones refused."""
    stage.proxy.stop()
    time.sleep(stage.chance.uniform(*AWAY_SECONDS))
    stage.proxy.start()
    return True


FAULTS: dict[str, Callable[[Stage], bool]] = {
    "step killed": kill_process(Stage.step),
    "run worker killed": kill_process(Stage.worker),
    "daemon killed": kill_service("daemon"),
    "web server killed": kill_service("web server"),
    "code server killed": kill_service("code server"),
    "Postgres restarted": restart_postgres,
    "store silent": silence_store,
    "store refuses": refuse_store,
}
"""Each returns whether it happened before the batch was done."""


# --- one seed ---------------------------------------------------------------------------------------------------------


def until(what: str, seconds: float, found: Callable[[], T | None]) -> T:
    """Ask until there is an answer that is true; what cannot be asked now (a server starts again) is asked later."""
    limit, last = time.monotonic() + seconds, None
    while time.monotonic() < limit:
        try:
            if answer := found():
                return answer
        except (Failure, AssertionError):
            raise
        except Exception as error:  # of database, bucket and HTTP clients
            last = error
        time.sleep(0.5)
    raise Failure(f"{what}: not within {seconds:.0f} s" + (f" ({type(last).__name__}: {last})" if last else ""))


def put_scripts(stage: Stage, seed: int) -> None:
    stage.names = [f"seed-{seed}-{number}".replace("--", "-before-") for number in range(NARRATIONS)]
    for number, name in enumerate(stage.names):
        lines = " ".join(f"This is sentence {line} of {name}, which nobody told before." for line in range(SENTENCES))
        text = f"---\nvoice: {('ada', 'ben')[number % 2]}\nengine: draft\nformats: [flac]\n---\n\n{lines}\n"
        stage.batches.store.put_bytes(layout.script(name, ".md"), text.encode())


def strike_and_check(stage: Stage, seed: int, fault: str | None, moment: float, patience: float) -> dict[str, Any]:
    """One row of the table."""
    put_scripts(stage, seed)
    started, older = time.monotonic(), len(stage.takes)
    struck = False
    if fault:
        until("the moment", moment + 60, lambda: time.monotonic() - started >= moment)
        stage.look_at_takes()
        struck = not stage.is_done() and FAULTS[fault](stage)
    kept = len(stage.takes) - older
    until("delivery", patience, stage.is_done)
    seconds = time.monotonic() - started
    until("end of the batches", patience, lambda: not active_batches(stage.batches.instance))
    check(stage, patience)
    runs = [run for run in stage.batches.runs() if set(stage.names) & set(narrations_of(run))]
    attempts = max(outcome.attempts for outcome in stage.batches.ledger.outcomes(stage.names).values())
    return {
        "seed": seed,
        "fault": fault or "none",
        "moment": round(moment, 1),
        "struck": "yes" if struck else "no",
        "takes before": kept,
        "seconds": round(seconds),
        "runs": len(runs),
        "attempts": attempts,
        "verdict": "whole",
    }


def check(stage: Stage, patience: float) -> None:
    """Raises Failure or AssertionError: something is missing, damaged, made twice, or does not answer."""
    stage.look_at_takes()
    batches, services = stage.batches, stage.batches.services
    batches.check_delivered(stage.names)
    if missing := batches.planned_takes(stage.names) - set(stage.takes):
        raise Failure(f"{len(missing)} planned takes are not in the store")
    until("web server", patience, lambda: answers(f"{services.ui}/server_info"))
    until("download service", patience, lambda: answers(f"{services.links}/healthz"))
    until("daemon", patience, lambda: batches.service_process("daemon"))
    until("code server", patience, lambda: batches.service_process("code server"))
    stage.installation.run("store", "check", "--deep")
    name = stage.chance.choice(stage.names)
    for file, address in stage.installation.run("links", name, "--json").object["files"].items():
        with urllib.request.urlopen(address, timeout=60) as answer:
            digest = hashlib.sha256(answer.read()).hexdigest()
        stored = next(one for one in stage.batches.store.list(f"narrations/{name}/") if one.key.endswith(f"/{file}"))
        if digest != hashlib.sha256(stage.batches.store.get_bytes(stored.key)).hexdigest():
            raise Failure(f"the link of {file} downloads something else")


@contextmanager
def staged(root: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres())
        bucket = moto(root)
        stack.callback(bucket.stop)
        bucket.start()
        proxy = FaultProxy(bucket)
        stack.callback(proxy.stop)
        env = {
            **postgres.env,
            **bucket.settings(bucket.make_bucket("chaos")),
            "F5_STORE_ENDPOINT": proxy.server.endpoint,
            "F5_INBOX_SECONDS": "5",
            "F5_ATTEMPT_SECONDS": "1",
            "F5_NIGHTLY": "off",
            "F5_WORKERS": "1",
        }
        empty = root / "empty"
        for folder in ("studio", "dagster"):
            (empty / folder).mkdir(parents=True)
        copy(REPOSITORY / "deploy" / "dagster.yaml", empty / "dagster")
        os.environ.update(postgres.env)  # of the instance that this process opens
        Installation(root / "voices", env).add_voices()
        services = stack.enter_context(running_services(root / "up", empty, **env))
        home = services.installation.env["DAGSTER_HOME"]
        instance = stack.enter_context(dg.DagsterInstance.from_config(home))
        yield Stage(Batches(services, instance), postgres, bucket, proxy)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--fault", choices=list(FAULTS), help="this one alone")
    parser.add_argument("--patience", type=float, default=420, help="seconds in which a batch must be finished")
    parser.add_argument("--keep", type=Path, help="a folder for logs and the instance, which stays")
    given = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        root = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="f5-chaos-")))
        root.mkdir(parents=True, exist_ok=True)
        stage = stack.enter_context(staged(root))
        # The first one waits for all that is imported for the first time.
        usual = min(strike_and_check(stage, warm, None, 0.0, given.patience)["seconds"] for warm in (-1, 0))
        print(f"{in_words(machine())}; a batch without a fault takes {usual} s", flush=True)
        for seed in range(given.first, given.first + given.seeds):
            stage.chance = random.Random(seed)
            fault = given.fault or list(FAULTS)[seed % len(FAULTS)]
            moment = stage.chance.uniform(0, 0.9 * usual)
            try:
                row = strike_and_check(stage, seed, fault, moment, given.patience)
            except (Failure, AssertionError, PipelineError) as error:
                row = {**dict.fromkeys(rows[0] if rows else (), ""), "seed": seed, "fault": fault}
                row |= {"moment": round(moment, 1), "verdict": " ".join(str(error).split())[:300]}
                # What goes on may not be held against the next seed.
                with suppress(PipelineError):
                    stage.takes = stage.installation.take_records()
            else:
                usual = min(usual, row["seconds"])
            rows.append(row)
            print(*row.values(), sep="; ", flush=True)
    columns = max(rows, key=len)
    print(table(list(columns), [[row.get(name, "") for name in columns] for row in rows]))
    write_results("chaos", {"usual_seconds": usual, "runs": rows})
    return int(any(row["verdict"] != "whole" for row in rows))


if __name__ == "__main__":
    sys.exit(main())

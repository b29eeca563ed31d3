"""What a batch costs over its work: many short scripts in one run, each in a run of its own, and without Dagster.

    python -m benchmarks.batch

Scripts of a few sentences, each with a text of its own so that every take is made anew, go three ways, each in a fresh
process on a fresh store:

- `batch`: all of them in one run of the job `narrate_batch`, as the in-box and the nightly batch launch it;
- `single`: some of them by a run of the job `narrate` each, one after the other, in a process that is warm;
- `parts`: all of them by the functions behind the assets, in one process, without Dagster: the sum of the work.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import (
    EXAMPLES,
    REPOSITORY,
    environment,
    in_words,
    machine,
    run_alone,
    table,
    tell,
    write_results,
)
from benchmarks.orchestration import PHASES, steps_of_last_run

WAYS = ("batch", "single", "parts")


def write_scripts(root: Path, count: int, words: int) -> list[Path]:
    """Scripts that share no sentence but by chance."""
    from benchmarks.prose import book

    folder = root / "scripts"
    folder.mkdir(exist_ok=True)
    paths = [folder / f"letter-{number:04}.md" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_text("".join(book(words, seed=number + 1)), encoding="utf-8")
    return paths


def keep_scripts(paths: Sequence[Path]) -> list[str]:
    """Put scripts into the store; the narrations' names."""
    from f5_pipeline.settings import get_settings
    from f5_pipeline.store.connect import connect
    from f5_pipeline.studio.narrating.scripts import add_script

    store = connect(get_settings().store_url)
    return [add_script(store, path).narration for path in paths]


def by_batch(names: Sequence[str]) -> dict[str, Any]:
    """One run, with steps in processes of their own, as a run worker executes it; where its time went."""
    import dagster as dg

    from f5_pipeline.dagster_host.instance import open_instance
    from f5_pipeline.dagster_host.runs import MODULE
    from f5_pipeline.orchestration.internals import ReconstructableRepository
    from f5_pipeline.orchestration.ledger import BATCH_JOB, CLAIM_OP
    from f5_pipeline.orchestration.partitions import NARRATIONS
    from f5_pipeline.orchestration.reporting.observations import register_all
    from f5_pipeline.orchestration.tags import batch_run_tags
    from f5_pipeline.settings import get_settings

    config = {
        "ops": {CLAIM_OP: {"config": {"narrations": list(names), "launcher": "a benchmark"}}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    with open_instance(get_settings()) as instance:
        register_all(instance, NARRATIONS, names)
        job = ReconstructableRepository.for_module(MODULE, "defs").get_reconstructable_job(BATCH_JOB)
        with dg.execute_job(job, instance, run_config=config, tags=batch_run_tags("a benchmark")) as ended:
            if not ended.success:
                raise SystemExit("the batch failed")
        _end_fork_server()
        return {"steps": steps_of_last_run(instance)}


def by_single_runs(paths: Sequence[Path]) -> dict[str, Any]:
    """A run for each script."""
    from benchmarks.orchestration import through_jobs

    each = [round(told["seconds"], 3) for told in through_jobs(paths)]
    _end_fork_server()
    return {"each": each}


def _end_fork_server() -> None:
    """Let the seconds of processor that the steps took be known: they are told when the process that forked them ends,
    which would outlive this one."""
    from multiprocessing import forkserver

    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def by_parts(names: Sequence[str]) -> dict[str, Any]:
    """The work of a batch in its order, in this process."""
    from f5_pipeline.orchestration.assets.narration_audio import product
    from f5_pipeline.orchestration.configured import open_store, studio_options
    from f5_pipeline.settings import get_settings
    from f5_pipeline.studio.links.making import make_links, open_signer, read_manifest
    from f5_pipeline.studio.narrating.gathering import gather_takes
    from f5_pipeline.studio.narrating.planning import make_plan
    from f5_pipeline.studio.narrating.production import make_audio, make_timings
    from f5_pipeline.studio.narrating.scripts import load_script
    from f5_pipeline.studio.narrating.shards import plan_shards
    from f5_pipeline.studio.narrating.synthesis import synthesize_shard
    from f5_pipeline.studio.narrating.timing_check import check_timings
    from f5_pipeline.studio.weights import gather_weights

    settings = get_settings()
    store, options = open_store(settings), studio_options(settings)
    signer = open_signer(settings.home_folder, settings.link_secret, settings.link_seconds)
    weights = gather_weights(store, options)
    plans = [make_plan(store, load_script(store, name), weights, options) for name in names]
    reports = [synthesize_shard(store, shard, options) for shard in plan_shards(store, plans, "parts", options)]
    for plan in plans:
        gathered = gather_takes(store, plan, options, reports)
        audio = make_audio(store, plan, gathered, loudness=settings.loudness, peak=settings.peak)
        product(store, audio, gathered)  # with its pictures
        make_timings(store, audio)
        if fault := check_timings(store, plan, audio).fault:
            raise SystemExit(fault)
        make_links(store, read_manifest(store, plan.narration, audio.revision), signer, base_url=settings.base_url)
    return {"takes": sum(sum(report.made.values()) for report in reports)}


def measure(way: str, count: int, words: int) -> dict[str, Any]:
    """A way in a fresh process on a fresh installation."""
    with tempfile.TemporaryDirectory(prefix="f5-batch-") as folder:
        root = Path(folder)
        env = environment(
            F5_ENGINE="draft", F5_STORE=f"file:{root / 'studio'}", DAGSTER_HOME=str(root / "dagster"), TMPDIR=folder
        )
        command = [sys.executable, "-m", "f5_pipeline"]
        recording = str(EXAMPLES / "voices" / "ada.flac")
        # The voice is ready before: no way has to prepare it.
        subprocess.run(
            [*command, "voices", "add", "ada", recording],
            cwd=REPOSITORY,
            env=env,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        write_scripts(root, count, words)
        return run_alone("benchmarks.batch", "--way", way, str(root / "scripts"), env=env)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scripts", type=int, default=200, help="of the batch and of the parts")
    parser.add_argument("--single", type=int, default=20, help="scripts with a run of their own")
    parser.add_argument("--words", type=int, default=25, help="of a script")
    parser.add_argument("--runs", type=int, default=3, help="times of batch and parts, of which the median is told")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        paths = sorted(given.folder.iterdir())
        if given.way == "single":
            tell(partial(by_single_runs, paths))
        else:
            tell(partial(by_batch if given.way == "batch" else by_parts, keep_scripts(paths)))
        return

    print(in_words(machine()))
    counts = {"batch": given.scripts, "single": given.single, "parts": given.scripts}
    found: dict[str, list[dict[str, Any]]] = {"single": [measure("single", given.single, given.words)]}
    for _ in range(given.runs):
        for way in ("batch", "parts"):  # in turn, so that other work on the machine falls on both alike
            found.setdefault(way, []).append(measure(way, counts[way], given.words))
            print(f"{way}: {found[way][-1]['seconds']:.0f} s", flush=True)
    results = {
        "scripts": given.scripts,
        "words": given.words,
        "ways": {way: summary(found[way], counts[way]) for way in WAYS},
        "steps": found["batch"][-1]["steps"],
    }
    show(results)
    print(f"\nWritten: {write_results('batch', results).name}")


def summary(runs: Sequence[dict[str, Any]], narrations: int) -> dict[str, Any]:
    seconds = [run["seconds"] for run in runs]
    # Of single runs the median of all: the first of a process warms it.
    each = statistics.median(runs[0]["each"]) if "each" in runs[0] else statistics.median(seconds) / narrations
    return {
        "narrations": narrations,
        "seconds": seconds,
        "a_narration": round(each, 4),
        "cpu_a_narration": round(statistics.median(run["cpu_seconds"] for run in runs) / narrations, 4),
        "tree_mb": max(run["tree_mb"] for run in runs),
        "peak_mb": max(run["peak_mb"] for run in runs),
    }


def show(results: dict[str, Any]) -> None:
    """Two tables: the ways, and the steps of a batch."""
    ways = results["ways"]
    rows = []
    for way in WAYS:
        one, parts = ways[way], ways["parts"]
        over = [one["a_narration"] - parts["a_narration"], one["cpu_a_narration"] - parts["cpu_a_narration"]]
        seconds = [statistics.median(one["seconds"]), min(one["seconds"]), max(one["seconds"])]
        each = [one["a_narration"], one["cpu_a_narration"]]
        rows.append(
            [way, one["narrations"], *seconds, *each, *(over if way != "parts" else ["–", "–"]), one["tree_mb"]]
        )
    columns = [
        "way",
        "narrations",
        "s median",
        "s least",
        "s most",
        "s a narration",
        "CPU s",
        "s over the parts",
        "CPU s over them",
        "all MB",
    ]
    print(f"\n{results['words']} words a script\n\n{table(columns, rows)}\n")
    steps = {step: numbers for step, numbers in results["steps"].items() if step != "run"}
    rows = [[step, *(numbers[phase] for phase in PHASES)] for step, numbers in steps.items()]
    print(table(["step of a batch (s)", *PHASES], rows))
    run = results["steps"]["run"]
    print(f"\nThe run: {run['all']:.1f} s, {run['events']:.0f} events.")


if __name__ == "__main__":
    main()

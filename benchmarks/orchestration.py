"""What a narration costs through Dagster over calling the parts directly, and where the time goes.

    python -m benchmarks.orchestration

The same scripts, with a text of its own for every run so that every take is made anew, go four ways:

- `command`: `f5-pipeline narrate --json`, from the start of the process to its end;
- `run_job`: the same job in a process that is warm already, as under a daemon that launches run after run;
- `parts, fresh`: the functions behind the assets in a fresh process, without Dagster;
- `parts, warm`: the same in a process that has narrated before.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import EXAMPLES, REPOSITORY, environment, in_words, machine, table, write_results

SIZES = (60, 1500)
WAYS = ("command", "run_job", "parts, fresh", "parts, warm")
PHASES = ("wait", "start", "init", "work", "end")
_MARK = "measured: "


def script(root: Path, words: int, seed: int) -> Path:
    """A script that no run has had before."""
    from benchmarks.prose import book

    path = root / f"words{words}-{seed}.md"
    path.write_text("".join(book(words, seed=seed)), encoding="utf-8")
    return path


def through_parts(path: Path) -> None:
    """What the assets of a narration do, one after the other, in this process."""
    from f5_pipeline.orchestration.configured import open_store, studio_options
    from f5_pipeline.settings import get_settings
    from f5_pipeline.speech.audio.waveform import peaks_of, thumbnail_png, waveform_png
    from f5_pipeline.studio.links.making import make_links, open_signer, read_manifest
    from f5_pipeline.studio.narrating.gathering import gather_takes
    from f5_pipeline.studio.narrating.planning import missing_takes, plan_narration
    from f5_pipeline.studio.narrating.production import make_audio, make_timings
    from f5_pipeline.studio.narrating.scripts import add_script
    from f5_pipeline.studio.narrating.shards import plan_shards
    from f5_pipeline.studio.narrating.synthesis import synthesize_shard
    from f5_pipeline.studio.narrating.timing_check import check_timings
    from f5_pipeline.studio.weights import gather_weights

    settings = get_settings()
    store, options = open_store(settings), studio_options(settings)
    narration = add_script(store, path).narration
    plan = plan_narration(store, narration, gather_weights(store, options), options)
    # A short sentence may be shared by chance; a text whose takes are there would measure nothing.
    if sum(1 for _ in missing_takes(store, plan, options)) < 0.8 * plan.takes:
        raise SystemExit(f"{path.name}: takes were there already")
    shards = plan_shards(store, [plan], f"parts-{narration}", options)
    takes = gather_takes(store, plan, options, [synthesize_shard(store, shard, options) for shard in shards])
    audio = make_audio(store, plan, takes, loudness=settings.loudness, peak=settings.peak)
    with store.fetch(audio.files[0].key) as master:
        peaks = peaks_of(master, 900)
    thumbnail_png(peaks)
    waveform_png(peaks)
    make_timings(store, audio)
    if fault := check_timings(store, plan, audio).fault:
        raise SystemExit(fault)
    manifest = read_manifest(store, narration, audio.revision)
    signer = open_signer(settings.home_folder, settings.link_secret, settings.link_seconds)
    make_links(store, manifest, signer, base_url=settings.base_url)


def through_jobs(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Narrate scripts by the real job in this process; of each the seconds, and the seconds of its steps."""
    from f5_pipeline.cli.narrate import narrate_all
    from f5_pipeline.cli.session import open_session
    from f5_pipeline.studio.narrating.scripts import add_script

    with open_session(quiet=True) as session:
        for path in paths:
            started = time.perf_counter()
            loaded = add_script(session.store, path)
            result = narrate_all(session, [loaded])[loaded.narration]
            seconds = time.perf_counter() - started
            if isinstance(result, str) or result.takes.synthesized != result.takes.total:
                raise SystemExit(f"{path.name}: {result}")
            yield {"seconds": seconds, "steps": steps_of_last_run(session.instance)}


def steps_of_last_run(instance: Any) -> dict[str, dict[str, float]]:
    """Where the time of the newest run went, from its events, s.

    By step: `wait` from the end of the step before it that ended last to the order to start it; `start` until its
    process is at work; `init` until its resources and inputs are there; `work`; `end` until the run knows of its
    success. Of the "run": `start` from its creation to its first step, `end` after the last, `events` their number.
    """
    import dagster as dg

    kind = dg.DagsterEventType
    (record,) = instance.get_run_records(limit=1)
    moments: dict[str, dict[str, float]] = defaultdict(dict)
    events, first, last = 0, 0.0, 0.0
    for entry in instance.all_logs(record.dagster_run.run_id):
        events += 1
        first, last = first or entry.timestamp, max(last, entry.timestamp)
        event = entry.dagster_event
        if event is not None and event.step_key is not None:
            moments[event.step_key].setdefault(event.event_type.value, entry.timestamp)
            moments[event.step_key]["last"] = entry.timestamp
    found: dict[str, dict[str, float]] = {}
    before = None
    for step, at in sorted(moments.items(), key=lambda one: one[1][kind.STEP_WORKER_STARTING.value]):
        ordered, begun = at[kind.STEP_WORKER_STARTING.value], at[kind.STEP_WORKER_STARTED.value]
        started, ended = at[kind.STEP_START.value], at[kind.STEP_SUCCESS.value]
        found[step] = {
            "wait": ordered - before if before is not None else 0.0,
            "start": begun - ordered,
            "init": started - begun,
            "work": ended - started,
            "end": at["last"] - ended,
        }
        before = max(before or 0.0, at["last"])
    created = record.create_timestamp.timestamp()
    begun = min(at[kind.STEP_WORKER_STARTING.value] for at in moments.values())
    found["run"] = {"start": begun - created, "end": last - (before or last), "events": events, "all": last - created}
    return found


def _child(way: str, paths: Sequence[Path], env: dict[str, str]) -> tuple[float, list[dict[str, Any]]]:
    """Run a way in a fresh process: seconds from start to end, and what it measured of each script."""
    started = time.perf_counter()
    names = [str(path) for path in paths]
    if way == "command":
        command = [sys.executable, "-m", "f5_pipeline", "narrate", *names, "--json"]
    else:
        command = [sys.executable, "-m", "benchmarks.orchestration", "--way", way, *names]
    ended = subprocess.run(command, cwd=REPOSITORY, env=env, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - started
    if ended.returncode:
        raise SystemExit(f"{way} ended with {ended.returncode}: {ended.stdout}")
    if way == "command":
        takes = json.loads(ended.stdout)["takes"]
        if takes["synthesized"] < 0.8 * takes["total"]:
            raise SystemExit(f"takes were there already: {takes}")
    told = [line.removeprefix(_MARK) for line in ended.stdout.splitlines() if line.startswith(_MARK)]
    return seconds, [json.loads(line) for line in told]


def measure(words: int, runs: int, root: Path, env: dict[str, str]) -> dict[str, Any]:
    """Seconds of every way, and the steps of the runs in the warm process."""
    seeds = iter(range(1, 1000))

    def scripts(count: int) -> list[Path]:
        return [script(root, words, next(seeds)) for _ in range(count)]

    seconds: dict[str, list[float]] = {
        "command": [_child("command", scripts(1), env)[0] for _ in range(runs)],
        "parts, fresh": [_child("parts", scripts(1), env)[0] for _ in range(runs)],
    }
    # The first of a process warms it.
    jobs = _child("run_job", scripts(runs + 1), env)[1][1:]
    seconds["run_job"] = [one["seconds"] for one in jobs]
    seconds["parts, warm"] = [one["seconds"] for one in _child("parts", scripts(runs + 1), env)[1][1:]]
    steps: dict[str, dict[str, float]] = {}
    for step in jobs[0]["steps"]:
        numbers = jobs[0]["steps"][step]
        steps[step] = {name: round(statistics.median(one["steps"][step][name] for one in jobs), 3) for name in numbers}
    return {"seconds": {way: [round(one, 3) for one in seconds[way]] for way in WAYS}, "steps": steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--runs", type=int, default=5, help="narrations each way, of which the median is told")
    parser.add_argument("--way", choices=["run_job", "parts"], help=argparse.SUPPRESS)
    parser.add_argument("scripts", nargs="*", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way == "run_job":
        for told in through_jobs(given.scripts):
            print(_MARK + json.dumps(told), flush=True)
        return
    if given.way == "parts":
        for path in given.scripts:
            started = time.perf_counter()
            through_parts(path)
            print(_MARK + json.dumps({"seconds": time.perf_counter() - started}), flush=True)
        return

    print(in_words(machine()))
    results: dict[int, Any] = {}
    for words in given.words:
        with tempfile.TemporaryDirectory(prefix="f5-orchestration-") as folder:
            root = Path(folder)
            env = environment(
                F5_ENGINE="draft", F5_STORE=f"file:{root / 'studio'}", DAGSTER_HOME=str(root / "dagster"), TMPDIR=folder
            )
            voice = [sys.executable, "-m", "f5_pipeline", "voices", "add", "ada", str(EXAMPLES / "voices" / "ada.flac")]
            subprocess.run(voice, cwd=REPOSITORY, env=env, check=True, stdout=subprocess.DEVNULL)
            # Prepares the voice, so that no measured narration has to.
            _child("command", [script(root, 30, 0)], env)
            results[words] = measure(words, given.runs, root, env)
        show(words, results[words])
    print(f"\nWritten: {write_results('orchestration', {'words': results}).name}")


def show(words: int, found: dict[str, Any]) -> None:
    """Two tables: the ways, and the steps of a run."""
    medians = {way: statistics.median(seconds) for way, seconds in found["seconds"].items()}
    base = {"command": medians["parts, fresh"], "run_job": medians["parts, warm"]}
    rows = []
    for way in WAYS:
        over = [medians[way] - base[way], f"{medians[way] / base[way]:.2f}"] if way in base else ["–", "–"]
        rows.append([way, medians[way], min(found["seconds"][way]), max(found["seconds"][way]), *over])
    print(f"\n{words:,} words\n")
    print(table(["way", "s median", "s least", "s most", "s over the parts", "ratio"], rows), end="\n\n")
    steps = {step: numbers for step, numbers in found["steps"].items() if step != "run"}
    rows = [[step, *(numbers[phase] for phase in PHASES)] for step, numbers in steps.items()]
    rows.append(["sum", *(sum(numbers[phase] for numbers in steps.values()) for phase in PHASES)])
    print(table(["step of run_job (s)", *PHASES], rows))
    run = found["steps"]["run"]
    print(
        f"\nThe run: {run['all']:.2f} s, {run['start']:.2f} s of it before its first step and {run['end']:.2f} s after "
        f"its last; {run['events']:.0f} events."
    )


if __name__ == "__main__":
    main()

"""A book through the parts, without Dagster: time of each stage against words, and its peak memory.

    python -m benchmarks.book
    python -m benchmarks.book --words 100000 300000

Every stage runs in a fresh process, so that its time and memory are its own; what it hands to the next goes through the
store, as between the steps of a run. The takes are really made, by the draft engine.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import EXAMPLES, environment, in_words, machine, run_alone, table, tell, write_results
from f5_pipeline.studio.options import StudioOptions

SIZES = (25_000, 50_000, 100_000)
FORMATS = ("flac", "mp3")
OPTIONS = StudioOptions(engine="draft")
LIMIT_MB = 600
NARRATION = "book"
RUN = "benchmark"


def voice(root: Path) -> Mapping[str, Any]:
    """A voice and its reference, and the weights."""
    from f5_pipeline.store import layout
    from f5_pipeline.store.records import write_record
    from f5_pipeline.studio.voices import add_voice, make_reference
    from f5_pipeline.studio.weights import gather_weights

    store = _store(root)
    add_voice(store, "ada", EXAMPLES / "voices" / "ada.flac")
    clip, _ = make_reference(store, "ada")
    write_record(store, layout.reference("ada"), clip)
    write_record(store, layout.weights(), gather_weights(store, OPTIONS))
    return {}


def script(root: Path) -> Mapping[str, Any]:
    """The script is read and kept."""
    from f5_pipeline.studio.narrating.scripts import add_script

    loaded = add_script(_store(root), root / f"{NARRATION}.md")
    return {"passages": len(loaded.script.passages)}


def plan(root: Path) -> Mapping[str, Any]:
    """Normalisation, chunks, keys."""
    from f5_pipeline.store import layout
    from f5_pipeline.store.records import read_record
    from f5_pipeline.studio.narrating.planning import plan_narration
    from f5_pipeline.studio.records import Weights

    store = _store(root)
    made = plan_narration(store, NARRATION, read_record(store, layout.weights(), Weights), OPTIONS)
    _keep(store, "plan", made)
    return {"words_planned": made.words, "chunks": made.chunks, "takes": made.takes}


def shards(root: Path) -> Mapping[str, Any]:
    """What is missing is split into shards."""
    from f5_pipeline.studio.narrating.shards import plan_shards
    from f5_pipeline.studio.records import Plan, ShardReport

    store = _store(root)
    made = plan_shards(store, [_read(store, "plan", Plan)], RUN, OPTIONS)
    _keep_list(store, "shards", made)
    _keep_list(store, "reports", list[ShardReport]())
    return {"requests": sum(shard.requests for shard in made)}


def takes(root: Path) -> Mapping[str, Any]:
    """Every missing take is spoken and kept."""
    from f5_pipeline.studio.narrating.synthesis import synthesize_shard
    from f5_pipeline.studio.records import Shard

    store = _store(root)
    reports = [synthesize_shard(store, shard, OPTIONS) for shard in _read_list(store, "shards", Shard)]
    _keep_list(store, "reports", reports)
    return {"audio_seconds": round(sum(report.audio_seconds for report in reports))}


def gather(root: Path) -> Mapping[str, Any]:
    """The takes in the order of the plan."""
    from f5_pipeline.studio.narrating.gathering import gather_takes
    from f5_pipeline.studio.records import Plan, ShardReport

    store = _store(root)
    reports = _read_list(store, "reports", ShardReport)
    _keep(store, "takes", gather_takes(store, _read(store, "plan", Plan), OPTIONS, reports))
    return {}


def audio(root: Path) -> Mapping[str, Any]:
    """Assembly, loudness, FLAC and MP3."""
    from f5_pipeline.studio.narrating.production import make_audio
    from f5_pipeline.studio.records import Plan, Takes

    store = _store(root)
    made = make_audio(store, _read(store, "plan", Plan), _read(store, "takes", Takes), loudness=-19, peak=-1)
    _keep(store, "audio", made)
    return {"audio_seconds": round(made.seconds), "files_mb": round(sum(file.size for file in made.files) / 1e6)}


def ffmpeg(root: Path) -> Mapping[str, Any]:
    """The same by ffmpeg alone, with LAME as it comes: it measures the FLAC file, then writes FLAC and MP3 from it."""
    import subprocess

    from f5_pipeline.speech.audio.ffmpeg import need_ffmpeg
    from f5_pipeline.studio.records import Audio

    store = _store(root)
    with store.fetch(_read(store, "audio", Audio).files[0].key) as path:
        call = [need_ffmpeg("this"), "-v", "error", "-nostdin", "-y", "-i", str(path), "-map", "0:a"]
        subprocess.run([*call, "-af", "ebur128=peak=true", "-f", "null", "-"], check=True)
        flac = ["-af", "volume=-1dB", "-sample_fmt", "s16", str(root / "a.flac")]
        mp3 = ["-map", "0:a", "-c:a", "libmp3lame", "-b:a", "80k", str(root / "a.mp3")]
        subprocess.run([*call, *flac, *mp3], check=True)
    return {"files_mb": round(sum((root / f"a.{name}").stat().st_size for name in ("flac", "mp3")) / 1e6)}


def pictures(root: Path) -> Mapping[str, Any]:
    """The waveform of the finished audio, large and small, as the UI shows it."""
    from f5_pipeline.speech.audio.waveform import peaks_of, thumbnail_png, waveform_png
    from f5_pipeline.studio.records import Audio

    store = _store(root)
    with store.fetch(_read(store, "audio", Audio).files[0].key) as path:
        peaks = peaks_of(path, 900)
    return {"bytes": len(thumbnail_png(peaks)) + len(waveform_png(peaks))}


def timings(root: Path) -> Mapping[str, Any]:
    """Word times and captions, and the manifest."""
    from f5_pipeline.studio.narrating.production import make_timings
    from f5_pipeline.studio.records import Audio

    store = _store(root)
    made = make_timings(store, _read(store, "audio", Audio))
    return {"cues": made.cues, "words_timed": made.words}


def check(root: Path) -> Mapping[str, Any]:
    """The asset check: every word once, in order, within the audio."""
    from f5_pipeline.studio.narrating.timing_check import check_timings
    from f5_pipeline.studio.records import Audio, Plan

    store = _store(root)
    found = check_timings(store, _read(store, "plan", Plan), _read(store, "audio", Audio))
    if found.fault:
        raise SystemExit(found.fault)
    return {"words_checked": found.words}


def again(root: Path) -> Mapping[str, Any]:
    """The same script once more, with everything there: from script to timings nothing is made."""
    from f5_pipeline.store import layout
    from f5_pipeline.store.records import read_record
    from f5_pipeline.studio.narrating.gathering import gather_takes
    from f5_pipeline.studio.narrating.planning import plan_narration
    from f5_pipeline.studio.narrating.production import make_audio, make_timings
    from f5_pipeline.studio.narrating.shards import plan_shards
    from f5_pipeline.studio.records import Weights

    store = _store(root)
    plan = plan_narration(store, NARRATION, read_record(store, layout.weights(), Weights), OPTIONS)
    missing = plan_shards(store, [plan], RUN, OPTIONS)
    made = make_audio(store, plan, gather_takes(store, plan, OPTIONS), loudness=-19, peak=-1)
    make_timings(store, made)
    if missing:
        raise SystemExit("takes were missing on the second time")
    return {}


STAGES: dict[str, Callable[[Path], Mapping[str, Any]]] = {
    stage.__name__: stage
    for stage in (voice, script, plan, shards, takes, gather, audio, ffmpeg, pictures, timings, check, again)
}
SHOWN = tuple(name for name in STAGES if name != "voice")


def _store(root: Path):
    from f5_pipeline.store.connect import connect

    return connect(f"file:{root / 'studio'}")


def _keep(store, step: str, record) -> None:
    from f5_pipeline.store import layout
    from f5_pipeline.store.records import write_record

    write_record(store, layout.narration_state(NARRATION, step), record)


def _read(store, step: str, kind):
    from f5_pipeline.store import layout
    from f5_pipeline.store.records import read_record

    return read_record(store, layout.narration_state(NARRATION, step), kind)


def _keep_list(store, name: str, records: list) -> None:
    from f5_pipeline.store import layout

    store.put_bytes(
        layout.run_value(RUN, f"{name}.jsonl"), "".join(f"{one.model_dump_json()}\n" for one in records).encode()
    )


def _read_list(store, name: str, kind) -> list:
    from f5_pipeline.store import layout
    from f5_pipeline.store.records import read_lines

    return list(read_lines(store, layout.run_value(RUN, f"{name}.jsonl"), kind))


def measure(
    words: int, seed: int, folder: Path | None, until: str, formats: Sequence[str], chapters: int = 0
) -> dict[str, dict[str, Any]]:
    """Every stage of a book of `words` words, one after the other, in a folder that is removed afterwards."""
    from benchmarks.prose import book

    root = Path(tempfile.mkdtemp(prefix="f5-book-", dir=folder))
    try:
        with (root / f"{NARRATION}.md").open("w", encoding="utf-8") as out:
            out.writelines(book(words, seed=seed, formats=formats, chapters=chapters))
        (root / "tmp").mkdir()
        env = environment(F5_ENGINE="draft", TMPDIR=str(root / "tmp"), DAGSTER_HOME=str(root))
        found = {}
        for stage in STAGES:
            found[stage] = run_alone("benchmarks.book", "--stage", stage, "--root", str(root), env=env)
            told = {name: value for name, value in found[stage].items() if name in ("seconds", "peak_mb", "tree_mb")}
            print(f"{words:,} words, {stage}: {told}", file=sys.stderr, flush=True)
            if stage == until:
                break
        return found
    finally:
        shutil.rmtree(root, ignore_errors=True)


def show(results: dict[int, dict[str, dict[str, Any]]]) -> str:
    """The table: a row for each stage and size."""
    smallest = min(results)
    rows = []
    for stage in SHOWN:
        for words, found in sorted(results.items()):
            if stage not in found:
                continue
            one = found[stage]
            base = results[smallest].get(stage, {}).get("cpu_seconds", 0.0) / smallest
            rows.append(
                [
                    stage,
                    words,
                    float(one["seconds"]),
                    one["seconds"] / words * 1000,
                    float(one["cpu_seconds"]),
                    f"{one['cpu_seconds'] / words / base:.2f}" if base else "–",
                    one["rest_mb"],
                    one["peak_mb"],
                    one["children_mb"],
                    one["tree_mb"],
                ]
            )
    columns = ["stage", "words", "s", "s / 1000 words", "CPU s", "CPU against linear"]
    columns += ["MB at rest", "peak MB", "child MB", "all MB"]
    speeds = [
        f"{words:,} words, {stage}: {found['audio']['audio_seconds'] / found[stage]['seconds']:.0f} x real time, "
        f"{1000 * found[stage]['cpu_seconds'] / found['audio']['audio_seconds']:.1f} CPU ms a second of audio"
        for words, found in sorted(results.items())
        for stage in ("audio", "ffmpeg")
        if stage in found
    ]
    return "\n".join([table(columns, rows), "", *speeds])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--formats", nargs="+", choices=(*FORMATS, "wav", "opus", "m4b"), default=FORMATS, help="audio files to make"
    )
    parser.add_argument("--chapters", type=int, default=0, metavar="N", help="files of their own; 0: one file a format")
    parser.add_argument("--until", choices=SHOWN, default=SHOWN[-1], help="the last stage to run")
    parser.add_argument(
        "--folder", type=Path, help="where the stores are made; the system's temporary folder by default"
    )
    parser.add_argument("--output", default="book", help="name of the file under benchmarks/results")
    parser.add_argument("--stage", choices=list(STAGES), help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        # Not a part of any stage: what a step of a run has imported before it begins.
        from f5_pipeline.studio import voices, weights  # noqa: F401

        tell(lambda: STAGES[given.stage](given.root))
        return
    results = {
        words: measure(words, given.seed, given.folder, given.until, given.formats, given.chapters)
        for words in sorted(given.words)
    }
    print(in_words(machine()), end="\n\n")
    print(show(results))
    most = max(one["peak_mb"] for found in results.values() for stage, one in found.items())
    print(f"\nThe most that a stage held: {most} MB ({LIMIT_MB} MB are allowed).")
    path = write_results(given.output, {"formats": list(given.formats), "chapters": given.chapters, "words": results})
    print(f"Written: {path.name}")
    if most > LIMIT_MB:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""The bucket store against plain boto3 and the local folder: throughput and memory, up and down.

    python -m benchmarks.store [--server swift --server moto] [--rounds 3]

200 objects of 100 kB and one of 256 MB, to and from the same S3 server on this machine, each way in a fresh process, in
turn. The server works on the same cores: what is compared is the ways, not what a network gives.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.measure import MB, environment, in_words, machine, run_alone, table, tell, write_results
from f5_pipeline.store.connect import connect
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline_tests.support.servers.moto import moto
from f5_pipeline_tests.support.servers.server import S3Server
from f5_pipeline_tests.support.servers.swift import missing, swift

BUCKET = "benchmark"
SMALL = 200
SMALL_BYTES = 100_000
LARGE_BYTES = 256_000_000
THREADS = 8
PART_MB = 16
WORKS = ("small-up", "small-down", "large-up", "large-down")
WAYS = ("store", "boto3", "boto3-one", "folder")
"""This store; boto3 with as many threads and as large parts; boto3 one request after another; the store in a folder."""

LIMIT = 0.8
"""Times as fast as boto3 that the store has to be, in its best round at least: other work on the machine slows some."""

Work = Callable[[], object]


def names() -> list[str]:
    return [f"small/{index:03d}" for index in range(SMALL)]


def of_store(store: Any, folder: Path) -> dict[str, Work]:
    """What the pipeline does: every object checked by sha256, large ones resumable."""
    large, back = folder / "large", folder / "back"
    data = (folder / "small").read_bytes()
    store.exists("warm")
    return {
        "small-up": lambda: list(in_parallel(store, lambda name: store.put_bytes(name, data), names())),
        "small-down": lambda: list(in_parallel(store, lambda name: len(store.get_bytes(name)), names())),
        "large-up": lambda: store.put_file("large", large),
        "large-down": lambda: store.download("large", back),
    }


def of_boto3(threads: int, prefix: str, folder: Path) -> dict[str, Work]:
    """boto3 as its manual has it, with nothing checked and nothing resumed."""
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    client = boto3.client(
        "s3",
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=2 * THREADS,
        ),
    )
    transfer = TransferConfig(
        multipart_threshold=PART_MB << 20,
        multipart_chunksize=PART_MB << 20,
        max_concurrency=threads,
        use_threads=threads > 1,
        preferred_transfer_client="classic",
    )
    data = (folder / "small").read_bytes()
    large, back = str(folder / "large"), str(folder / "back")
    client.list_objects_v2(Bucket=BUCKET, MaxKeys=1)

    def each(work: Callable[[str], object]) -> Work:
        def run() -> None:
            if threads == 1:
                for name in names():
                    work(name)
                return
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, names()))

        return run

    return {
        "small-up": each(lambda name: client.put_object(Bucket=BUCKET, Key=prefix + name, Body=data)),
        "small-down": each(lambda name: len(client.get_object(Bucket=BUCKET, Key=prefix + name)["Body"].read())),
        "large-up": lambda: client.upload_file(large, BUCKET, f"{prefix}large", Config=transfer),
        "large-down": lambda: client.download_file(BUCKET, f"{prefix}large", back, Config=transfer),
    }


def stage(way: str, work: str, folder: Path) -> None:
    """One work in one way, in this process; the settings say where."""
    if way.startswith("boto3"):
        works = of_boto3(1 if way == "boto3-one" else THREADS, f"{way}/", folder)
    else:
        works = of_store(connect(os.environ["F5_STORE"]), folder)

    def run() -> Mapping[str, Any]:
        before = held_mb()
        works[work]()
        return {"held_before_mb": before, "held_mb": held_mb()}

    tell(run)
    back = folder / "back"
    if work == "large-down" and back.stat().st_size != LARGE_BYTES:
        raise SystemExit("what came back is not what was sent")
    back.unlink(missing_ok=True)


def held_mb() -> float:
    """The most that this process has held so far, MB; 0 where the system does not tell.

    Unlike `ru_maxrss` it does not begin with what the process that started this one held.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / MB for line in status.splitlines() if line.startswith("VmHWM:")), 0.0)


def measure(server: S3Server, folder: Path, rounds: int) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """By work and way, what each round told."""
    server.make_bucket(BUCKET)
    by_way = {way: _environment(server, way, folder) for way in WAYS}
    told: dict[str, dict[str, list[dict[str, Any]]]] = {work: {way: [] for way in WAYS} for work in WORKS}
    for number in range(rounds):
        for work in WORKS:
            # Each way is first once: what the one before leaves in caches falls to another one in every round.
            for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
                arguments = ("--stage", way, work, str(folder))
                told[work][way].append(run_alone("benchmarks.store", *arguments, env=by_way[way]))
                print(f"{server.name} {work} {way}: {told[work][way][-1]['seconds']} s", file=sys.stderr)
        # What is overwritten is not what is written for the first time.
        _empty(server, folder)
    return told


def _environment(server: S3Server, way: str, folder: Path) -> dict[str, str]:
    return environment(
        AWS_ACCESS_KEY_ID=server.key_id,
        AWS_SECRET_ACCESS_KEY=server.key,
        AWS_ENDPOINT_URL_S3=server.endpoint,
        AWS_DEFAULT_REGION=server.region,
        F5_STORE=f"file:{folder / 'studio'}" if way == "folder" else f"s3://{BUCKET}/{way}",
        F5_TRANSFERS=str(THREADS),
        F5_PART_MB=str(PART_MB),
        F5_CACHE=str(folder / "cache"),
    )


def _empty(server: S3Server, folder: Path) -> None:
    client = server.client()
    for key in server.keys(BUCKET):
        client.delete_object(Bucket=BUCKET, Key=key)
    shutil.rmtree(folder / "studio", ignore_errors=True)
    shutil.rmtree(folder / "cache", ignore_errors=True)


def summary(told: dict[str, dict[str, list[dict[str, Any]]]]) -> dict[str, dict[str, dict[str, float]]]:
    """By work and way: medians, and times as fast as boto3 in the same round, as median, least and most."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for work, ways in told.items():
        moved = (SMALL * SMALL_BYTES if work.startswith("small") else LARGE_BYTES) / MB
        found[work] = {}
        for way, runs in ways.items():
            ratios = [base["seconds"] / run["seconds"] for run, base in zip(runs, ways["boto3"], strict=True)]
            seconds = statistics.median(run["seconds"] for run in runs)
            found[work][way] = {
                "seconds": round(seconds, 3),
                "mb_s": round(moved / seconds, 1),
                "cpu_seconds": round(statistics.median(run["cpu_seconds"] for run in runs), 3),
                "ratio": round(statistics.median(ratios), 3),
                "ratio_least": round(min(ratios), 3),
                "ratio_most": round(max(ratios), 3),
                "peak_mb": round(statistics.median(run["held_mb"] for run in runs)),
                "rest_mb": round(statistics.median(run["held_before_mb"] for run in runs)),
            }
    return found


def rows(found: dict[str, dict[str, dict[str, float]]]) -> list[list[object]]:
    shown = {"store": "this store", "boto3": f"boto3, {THREADS} threads", "boto3-one": "boto3, one", "folder": "folder"}
    return [
        [
            work.replace("-", ", "),
            shown[way],
            f"{one['seconds']:.2f}",
            f"{one['mb_s']:.0f}",
            f"{one['cpu_seconds']:.2f}",
            f"{one['ratio']:.2f} ({one['ratio_least']:.2f} to {one['ratio_most']:.2f})",
            f"{one['peak_mb']} / {one['rest_mb']}",
        ]
        for work, ways in found.items()
        for way, one in ways.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--server", action="append", choices=["swift", "moto"], help="S3 servers; both where left out")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each")
    parser.add_argument("--stage", nargs=3, metavar=("WAY", "WORK", "FOLDER"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.stage:
        way, work, folder = chosen.stage
        stage(way, work, Path(folder))
        return
    facts = machine()
    print(f"{in_words(facts)}; {chosen.rounds} rounds\n")
    results: dict[str, Any] = {"rounds": chosen.rounds, "threads": THREADS, "part_mb": PART_MB, "servers": {}}
    columns = ["work", "way", "s", "MB/s", "CPU s", "x boto3, threads (range)", "peak / rest MB"]
    slow = []
    for name in chosen.server or ["swift", "moto"]:
        with tempfile.TemporaryDirectory(prefix="f5-benchmark-") as temporary:
            folder = Path(temporary)
            if name == "swift" and (why := missing(folder)):
                print(f"{why}\n")
                continue
            (folder / "small").write_bytes(os.urandom(SMALL_BYTES))
            with (folder / "large").open("wb") as large:
                for _ in range(LARGE_BYTES // 1_000_000):
                    large.write(os.urandom(1_000_000))
            server = {"swift": swift, "moto": moto}[name](folder)
            try:
                server.start()
                found = summary(measure(server, folder, chosen.rounds))
            finally:
                server.stop()
        results["servers"][name] = found
        print(f"### {name}\n\n{table(columns, rows(found))}\n")
        slow += [f"{name} {work}" for work, ways in found.items() if ways["store"]["ratio_most"] < LIMIT]
    print(write_results("store", results))
    if slow:
        raise SystemExit(f"slower than {LIMIT} x boto3: {', '.join(slow)}")


if __name__ == "__main__":
    main()

"""What a store and an instance with thousands of narrations cost those who look at them.

    python -m benchmarks.scale [--narrations 300 3000 20000] [--bucket 3000] [--output scale]
    python -m benchmarks.scale --postgres --narrations 3000 20000 --partitions 100000 --output scale_postgres

One narration is made by the real command; its records, delivered files (as hard links), rows of Dagster's databases
and of the ledger are copied under other names. The copies share their takes, so that a store of other takes has more
objects for `store check`, which also finds that lists of the copies are not what their names say. Each command is a
fresh process: wall, CPU seconds, the most memory it held. The bucket is the same folder, served as S3 by a process that
waits LATENCY before it answers, and keeps what is written to it in memory. `--postgres`: Dagster's instance is in a
Postgres of its own, with the defaults of its package but for fsync, which is off.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import sqlalchemy as sql

from benchmarks.measure import EXAMPLES, MB, REPOSITORY, environment, in_words, machine, table, tell, write_results
from f5_pipeline_tests.support.servers.postgres import running_postgres
from f5_pipeline_tests.support.servers.server import free_ports

LATENCY = 0.05
"""Seconds of each call to the bucket."""

TICKS = 3

SEED = "seedling"
SCRIPT = "The lighthouse stood on its rock for a hundred years. Nobody came in winter, and few came in summer.\n"
QUERIES = {
    "asset page, partitions": """{ assetNodeOrError(assetKey: {path: ["narration_audio"]}) { ... on AssetNode {
        partitionStats { numMaterialized numPartitions numFailed }
        assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions failedPartitions } } } } }""",
    "asset page, partition keys": """{ assetNodeOrError(assetKey: {path: ["narration_audio"]}) { ... on AssetNode {
        partitionKeyConnection(limit: 100, ascending: true) { results cursor hasMore } } } }""",
    "asset page, 50 events": """{ assetOrError(assetKey: {path: ["narration_audio"]}) { ... on Asset {
        assetMaterializations(limit: 50) { timestamp partition runId metadataEntries { label } } } } }""",
    "runs page": "{ runsOrError(limit: 25) { ... on Runs { results { id status tags { key value } } } } }",
    "lineage": "{ assetNodes { assetKey { path } partitionStats { numMaterialized numPartitions } } }",
}


def installation(folder: Path, **more: str) -> dict[str, str]:
    places = {"DAGSTER_HOME": "home", "F5_CACHE": "cache"}
    kept = {name: str(folder / place) for name, place in places.items()}
    return environment(**{"F5_STORE": f"file:{folder / 'studio'}", **kept, **more})


def measured(env: dict[str, str], *command: str) -> dict[str, float]:
    """Wall, CPU seconds and memory of `python -m command`, and of what it started."""
    started = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": None if os.environ.get("F5_SHOW") else subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-m", *command], cwd=REPOSITORY, env=env, **quiet)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and "check" not in command:  # which finds that the copies are not what their hashes say
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    wall = time.perf_counter() - started
    return {
        "wall_seconds": round(wall, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss * 1024 / MB),
    }


def populate(folder: Path, narrations: int) -> dict[str, float]:
    """Make the seed, then copies until there are that many narrations; bytes and rows of Dagster for each."""
    env = installation(folder)
    if not (folder / "studio").exists():
        (folder / "home").mkdir(parents=True, exist_ok=True)
        if "POSTGRES_HOST" in os.environ:
            shutil.copy(REPOSITORY / "deploy" / "dagster.yaml", folder / "home")
        script = folder / f"{SEED}.txt"
        script.write_text(SCRIPT, encoding="utf-8")
        measured(env, "f5_pipeline.cli", "voices", "add", "ada", str(EXAMPLES / "voices" / "ada.flac"))
        measured(env, "f5_pipeline.cli", "narrate", str(script), "--voice", "ada", "--engine", "draft")
        measured(env, "benchmarks.scale", "--stage", "ticks", str(folder))
    names = [f"{SEED}-{number:06}" for number in range(1, narrations)]
    names = [name for name in names if not (folder / "studio" / "scripts" / f"{name}.txt").exists()]
    copy_objects(folder / "studio", names)
    databases = Databases(folder)
    copy_rows(databases, names)
    with databases.events.connect() as index:
        rows = index.scalar(sql.text("select count(*) from event_logs"))
    own = [file.stat().st_size for file in (folder / "home" / "history" / "runs").glob("*-*.db")]
    return {
        "index_rows_each": round(rows / narrations, 1),
        "shared_bytes_each": round(databases.bytes() / narrations),
        "run_file_bytes": max(own, default=0),
    }


class Databases:
    """Those of Dagster: of SQLite two files, of Postgres one database."""

    def __init__(self, folder: Path) -> None:
        history = folder / "home" / "history"
        self._files = [history / "runs.db", history / "runs" / "index.db"]
        self.is_postgres = "POSTGRES_HOST" in os.environ
        if self.is_postgres:
            names = ("HOST", "PORT", "DB", "USER", "PASSWORD")
            host, port, database, user, password = (os.environ[f"POSTGRES_{name}"] for name in names)
            url = sql.URL.create("postgresql+psycopg2", user, password, host, int(port), database)
            self.runs = self.events = sql.create_engine(url)
        else:
            self.runs, self.events = (sql.create_engine(f"sqlite:///{file}") for file in self._files)

    def bytes(self) -> int:
        if self.is_postgres:
            with self.events.connect() as connection:
                return connection.scalar(sql.text("select pg_database_size(current_database())"))
        return sum(file.stat().st_size for file in self._files)


def copy_objects(store: Path, names: list[str]) -> None:
    originals = list((store / "scripts").glob(f"{SEED}.*"))
    for kind in ("narrations", "grants"):
        originals += [file for file in (store / kind / SEED).rglob("*") if file.is_file()]
    small = {file: file.read_text() for file in originals if file.suffix in (".json", ".jsonl")}
    status = {file: file.stat() for file in originals}
    for name in names:
        for file in originals:
            copy = store / str(file.relative_to(store)).replace(SEED, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            # Lists go by their hashes, and the in-box would find scripts of another size changed.
            is_listed = file.suffix == ".jsonl" and file.parent.name in ("plans", "takes")
            if file in small and not is_listed and file.parent.name != "scripts":
                copy.write_text(small[file].replace(SEED, name))
                os.utime(copy, ns=(status[file].st_atime_ns, status[file].st_mtime_ns))
            else:
                os.link(file, copy)


def copy_rows(databases: Databases, names: list[str]) -> None:
    """Rows of the seed's narration for each name: a run, its events in the index, partitions, the ledger."""
    with databases.runs.begin() as runs:
        run = runs.scalar(sql.text("select run_id from runs where pipeline_name = 'narrate' order by id limit 1"))
        ids = {name: str(uuid.uuid4()) for name in names}
        for tables in ("runs", "run_tags"):
            duplicate(runs, tables, "run_id = :value", run, ids, run)
        duplicate(runs, "kvs", "key like :value", f"f5/%/{SEED}", ids, run)
    with databases.events.begin() as index:
        duplicate(index, "dynamic_partitions", "partition = :value", SEED, ids, run)
        duplicate(index, "event_logs", "run_id = :value", run, ids, run)
        duplicate(index, "asset_check_executions", "run_id = :value", run, ids, run)
    analyze(databases)


def add_partitions(folder: Path, partitions: int) -> dict[str, int]:
    """Make as many partitions of the instance as that, each with a materialization of `narration_audio` and nothing
    else: of the queries, the lineage's other assets have none there."""
    databases = Databases(folder)
    with databases.events.begin() as index:
        if not databases.is_postgres:
            index.execute(sql.text("pragma cache_size = -1000000"))  # kB: rows go to many places of the indexes
        where = (
            "partition = :value and dagster_event_type = 'ASSET_MATERIALIZATION' and asset_key like '%narration_audio%'"
        )
        run = index.scalar(sql.text(f"select run_id from event_logs where {where}"), {"value": SEED})
        there = index.scalar(
            sql.text("select count(*) from dynamic_partitions where partition like :seed"), {"seed": f"{SEED}%"}
        )
        ids = {f"{SEED}-{number:06}": str(uuid.uuid4()) for number in range(there, partitions)}
        duplicate(index, "dynamic_partitions", "partition = :value", SEED, ids, run)
        duplicate(index, "event_logs", where, SEED, ids, run)
    analyze(databases)
    return {"index_bytes": databases.bytes()}


def analyze(databases: Databases) -> None:
    """As autovacuum does after some minutes."""
    if databases.is_postgres:
        with databases.events.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sql.text("vacuum analyze"))


def duplicate(database: sql.Connection, name: str, where: str, value: str, ids: dict[str, str], run: str) -> None:
    """Copy the rows that a condition on `:value` chooses for each narration and run of `ids`."""
    rows = database.execute(sql.text(f"select * from {name} where {where}"), {"value": value}).mappings().all()
    columns = [column for column in (rows[0] if rows else ()) if column != "id"]
    marks = ", ".join(f":{column}" for column in columns)
    insert = sql.text(f"insert into {name} ({', '.join(columns)}) values ({marks})")
    numbered = list(ids.items())
    for first in range(0, len(numbered), 100):  # memory is inherited by what is measured
        copies = [
            {
                key: row[key].replace(SEED, new).replace(run, run_id) if isinstance(row[key], str) else row[key]
                for key in columns
            }
            for new, run_id in numbered[first : first + 100]
            for row in rows
        ]
        if copies:
            database.execute(insert, copies)


def ticks() -> dict[str, Any]:
    """TICKS of the in-box's sensor, one after the other."""
    import dagster as dg

    from f5_pipeline.definitions import defs
    from f5_pipeline.orchestration.launching.inbox import inbox

    cursor, runs, resources = None, 0, {"store": (defs.resources or {})["store"]}
    with dg.DagsterInstance.get() as instance:
        for _ in range(TICKS):
            with dg.build_sensor_context(instance, cursor, resources=resources) as context:
                data = inbox.evaluate_tick(context)
            cursor, runs = data.cursor, runs + len(data.run_requests or [])
    return {"runs": runs}


@contextmanager
def webserver(folder: Path) -> Iterator[str]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "dagster_webserver", "-m", "f5_pipeline.definitions", "-p", str(port)]
    log = (folder / "webserver.log").open("w")
    process = subprocess.Popen(command, cwd=REPOSITORY, env=installation(folder), stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 180
        while True:
            try:
                urllib.request.urlopen(f"{address}/server_info").read()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the web server did not start: {folder / 'webserver.log'}") from None
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait()


def query(address: str, text: str) -> dict[str, float]:
    body = json.dumps({"query": text}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    times, data = [], b""
    for _ in range(2):
        started = time.perf_counter()
        data = urllib.request.urlopen(request).read()
        times.append(time.perf_counter() - started)
    if "errors" in (answer := json.loads(data)):
        raise SystemExit(f"{text}: {answer['errors'][0]['message']}")
    return {"first_seconds": round(times[0], 2), "again_seconds": round(times[1], 2), "kilobytes": len(data) // 1000}


def serve(folder: Path, port: int) -> None:
    """The store's folder as a bucket; what is written is not listed."""
    root, written = folder / "studio", dict[str, bytes]()
    keys = sorted((str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()), key=str.encode)

    class Handler(BaseHTTPRequestHandler):
        protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

        def do_GET(self) -> None:
            time.sleep(LATENCY)
            path, asked = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            key = unquote(path).removeprefix("/bucket").lstrip("/")
            if "list-type" in asked:
                self.answer(200, self.listing({name: value[0] for name, value in asked.items()}))
            elif key in written:
                self.answer(200, written[key])
            elif (root / key).is_file():
                self.answer(200, (root / key).read_bytes(), key)
            else:
                self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

        do_HEAD = do_GET

        def do_PUT(self) -> None:
            time.sleep(LATENCY)
            key = unquote(urlsplit(self.path).path).removeprefix("/bucket/")
            written[key] = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(200, b"")

        def listing(self, asked: dict[str, str]) -> bytes:
            prefix, after = asked.get("prefix", ""), asked.get("continuation-token") or asked.get("start-after", "")
            size = int(asked.get("max-keys", 1000))
            first = bisect_right(keys, max(after, prefix[:-1]))
            page = [key for key in keys[first : first + size] if key.startswith(prefix)]
            more = len(page) == size
            entries = "".join(
                f"<Contents><Key>{escape(key)}</Key><Size>{(root / key).stat().st_size}</Size><ETag>{mark(root / key)}"
                "</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                for key in page
            )
            token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if more else ""
            truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
            return f"<ListBucketResult>{truncated}{token}{entries}</ListBucketResult>".encode()

        def answer(self, status: int, data: bytes, key: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            if key:
                self.send_header("ETag", mark(root / key))
                self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def mark(file: Path) -> str:
    return f'"{file.stat().st_mtime_ns:x}"'


@contextmanager
def bucket(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of an installation whose store is the bucket."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.scale", "--stage", f"serve-{port}", str(folder)]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment())
    address = f"http://127.0.0.1:{port}"
    keys = {"F5_STORE_KEY_ID": "id", "F5_STORE_KEY": "key", "F5_STORE_REGION": "us-west-004"}
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/bucket?list-type=2&max-keys=1").read()
                break
            except OSError:
                time.sleep(0.25)
        yield installation(folder, F5_STORE="s3://bucket", F5_STORE_ENDPOINT=address, **keys)
    finally:
        process.terminate()
        process.wait()


COMMANDS = {
    "status, first": ("status",),
    "status": ("status",),
    "status, another machine's first": ("status",),
    "scripts list": ("scripts", "list"),
    "status NAME": ("status", SEED),
    "links list NAME": ("links", "list", SEED),
    "plan NAME": ("plan", SEED),
    "store check": ("store", "check"),
}


def measure(folder: Path, narrations: int, *, in_bucket: bool) -> Iterator[tuple[str, str, dict[str, float]]]:
    """What was measured, one by one: kind, name, figures."""
    yield "history", "Dagster", populate(folder, narrations)
    env = installation(folder)
    shutil.rmtree(folder / "cache" / "standings", ignore_errors=True)
    for name in ("status, first", "status", "scripts list"):
        yield "commands", name, measured(env, "f5_pipeline.cli", *COMMANDS[name])
    if in_bucket:
        with bucket(folder) as remote:
            for name in ("status, first", "status", "status, another machine's first", "scripts list"):
                if "first" in name:
                    shutil.rmtree(folder / "cache" / "standings", ignore_errors=True)
                yield "commands", f"bucket: {name}", measured(remote, "f5_pipeline.cli", *COMMANDS[name])
    yield (
        "commands",
        f"in-box, {TICKS} ticks",
        measured(env, "benchmarks.scale", "--stage", "ticks", str(folder)),
    )
    for name in ("status NAME", "links list NAME", "plan NAME", "store check"):
        yield "commands", name, measured(env, "f5_pipeline.cli", *COMMANDS[name])
    yield from pages(folder)


def pages(folder: Path) -> Iterator[tuple[str, str, dict[str, float]]]:
    with webserver(folder) as address:
        for name, text in QUERIES.items():
            yield "pages", name, query(address, text)


def measure_partitions(folder: Path, partitions: int) -> Iterator[tuple[str, str, dict[str, float]]]:
    populate(folder, 1)
    yield "history", "Dagster", dict(add_partitions(folder, partitions))
    yield from pages(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--narrations", type=int, nargs="*", default=[300, 3000, 20000])
    parser.add_argument("--bucket", type=int, nargs="*", default=[3000], help="of these also on a bucket")
    parser.add_argument("--partitions", type=int, help="afterwards, the UI's queries alone at that many")
    parser.add_argument("--postgres", action="store_true", help="Dagster's instance in a Postgres")
    parser.add_argument("--output", default="scale", help="name of the results")
    parser.add_argument("--folder", type=Path, help="where the store and the instance are kept for another run")
    parser.add_argument("--stage", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        stage, folder = given.stage
        if stage == "ticks":
            tell(ticks)
        else:
            serve(Path(folder), int(stage.removeprefix("serve-")))
        return
    print(in_words(machine()), end="\n\n")
    results: dict[str, Any] = {"latency_seconds": LATENCY, "sizes": {}}
    with ExitStack() as stack:
        root = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="f5-scale-")))
        if given.postgres:
            os.environ.update(stack.enter_context(running_postgres()).env)
        looks = {size: measure(root, size, in_bucket=size in given.bucket) for size in sorted(given.narrations)}
        if given.partitions:
            looks[given.partitions] = measure_partitions(root, given.partitions)
        for narrations, look in looks.items():
            found = results["sizes"].setdefault(str(narrations), {})
            for kind, name, figures in look:
                found.setdefault(kind, {})[name] = figures
                print(f"{narrations}: {name}: {figures}", file=sys.stderr)
                write_results(given.output, results)
            print(f"### {narrations:,} {'narrations' if 'commands' in found else 'partitions'}\n")
            for kind, rows in found.items():
                columns = [kind, *next(iter(rows.values()))]
                print(table(columns, [[name, *row.values()] for name, row in rows.items()]), end="\n\n", flush=True)


if __name__ == "__main__":
    main()

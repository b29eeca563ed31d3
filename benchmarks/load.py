"""The HTTP API under load: a burst of submissions, downloads, and speech at once, by a service as `up` starts it.

    python -m benchmarks.load [--clients 200] [--submissions 2000]

Each client has a connection of its own. Every tenth submission is sent twice at once with one Idempotency-Key, and an
answer of 429 is waited for, as a client should. What the store and the in-box have afterwards is counted. Ends with 1
where a submission is lost or doubled, a request is answered with 5xx, or memory or the first byte of speech break their
limits.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import EXAMPLES, REPOSITORY, environment, in_words, machine, table, write_results

MAX_FIRST_BYTE_SECONDS = 0.3
MAX_GROWTH_MB = 150
DOWNLOADS, SPEECHES = 500, 60
SENTENCE = "The lamp was lit before the ships came in, and nobody asked by whom."


def command(*arguments: object, env: dict[str, str]) -> str:
    whole = [sys.executable, "-m", "f5_pipeline.cli", *map(str, arguments)]
    return subprocess.run(whole, env=env, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout


def spread(seconds: list[float]) -> dict[str, float]:
    """Milliseconds: the median, the 95th and 99th of a hundred, the longest."""
    cuts = statistics.quantiles(seconds, n=100)
    return {name: round(1000 * value, 1) for name, value in zip(("p50", "p95", "p99"), cuts[49::45], strict=False)} | {
        "p99": round(1000 * cuts[98], 1),
        "most": round(1000 * max(seconds), 1),
    }


async def in_parallel(base: str, clients: int, work: Any) -> tuple[list[float], Counter[str], float]:
    """Let every client take from `work`, an iterator of (method, path, options); latencies, answers, seconds."""
    import httpx

    tls = ssl.create_default_context()  # one for all: to make one takes longer than a request
    latencies: list[float] = []
    answers: Counter[str] = Counter()

    async def client() -> None:
        async with httpx.AsyncClient(base_url=base, timeout=120, trust_env=False, verify=tls) as http:
            for method, path, options in work:
                while True:
                    started = time.perf_counter()
                    try:
                        answer = await http.request(method, path, **options)
                    except httpx.HTTPError as error:
                        answers[type(error).__name__] += 1
                        continue
                    answers[str(answer.status_code)] += 1
                    if answer.status_code != 429:
                        break
                    await asyncio.sleep(float(answer.headers["retry-after"]))
                latencies.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return latencies, answers, time.perf_counter() - started


def submissions(count: int) -> Any:
    for number in range(count):
        given = {"text": f"This is submission {number}. {SENTENCE}", "voice": "ada", "title": f"Load {number}"}
        call = "POST", "/v1/narrations", {"json": given, "headers": {"idempotency-key": f"load-{number}"}}
        yield call
        if number % 10 == 0:
            yield call


def speeches(base: str, file_format: str, count: int = SPEECHES) -> dict[str, dict[str, float]]:
    """Milliseconds to the first byte of sound and to the last, one request after the other."""
    import httpx

    first, whole = [], []
    with httpx.Client(base_url=base, timeout=60, trust_env=False) as http:
        for number in range(count + 3):
            given = {"model": "draft", "voice": "ada", "input": f"{SENTENCE} {number}.", "response_format": file_format}
            started = time.perf_counter()
            with http.stream("POST", "/v1/audio/speech", json=given) as answer:
                answer.raise_for_status()
                blocks = answer.iter_raw()
                next(blocks)
                at = time.perf_counter() - started
                for _ in blocks:
                    pass
            if number >= 3:  # warm
                first.append(at)
                whole.append(time.perf_counter() - started)
    return {"first byte": spread(first), "whole": spread(whole)}


def waiting() -> list[str]:
    """The narrations that wait for a run once the in-box has looked at all; its reports to Dagster are left out."""
    import dagster as dg

    from f5_pipeline.orchestration.launching.inbox import Page, find_script_changes
    from f5_pipeline.orchestration.ledger import Ledger
    from f5_pipeline.orchestration.partitions import NARRATIONS
    from f5_pipeline.store.connect import connect

    store = connect(os.environ["F5_STORE"])
    page = Page("scripts/", "scripts0", list(store.list("scripts/")))
    with dg.DagsterInstance.get() as instance:
        ledger = Ledger(instance)
        while (changes := find_script_changes(store, ledger, page, time.time(), settled=True)).changed:
            instance.add_dynamic_partitions(str(NARRATIONS.name), list(changes.changed))
            ledger.record_scripts(changes.changed)
        return [pending.narration for pending in ledger.pending(attempts=3)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--submissions", type=int, default=2000)
    given = parser.parse_args()
    from f5_pipeline_tests.support.installation import answers, free_port
    from f5_pipeline_tests.support.waiting import wait_for

    with tempfile.TemporaryDirectory(prefix="f5-load-") as folder:
        root, port = Path(folder), free_port()
        env = environment(
            F5_STORE=f"file:{root / 'studio'}",
            DAGSTER_HOME=str(root / "dagster"),
            F5_PORT=str(port),
            F5_ENGINE="draft",
            F5_INBOX="night",
        )
        base = f"http://127.0.0.1:{port}"
        command("voices", "add", "ada", EXAMPLES / "voices" / "ada.flac", env=env)
        (root / "book.md").write_text("\n\n".join(f"Paragraph {n}. {SENTENCE}" for n in range(40)))
        command("narrate", root / "book.md", "--voice", "ada", env=env)
        links = dict(line.split(None, 1) for line in command("links", "book", env=env).splitlines() if "http" in line)
        audio = next(link.strip() for link in links.values() if ".mp3" in link)
        size = next((root / "studio" / "narrations" / "book").glob("*/book.mp3")).stat().st_size
        with (root / "serve.log").open("w") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "f5_pipeline.cli", "serve"], env=env, cwd=REPOSITORY, stdout=log, stderr=log
            )
        process = psutil.Process(server.pid)

        def memory() -> int:
            return process.memory_info().rss >> 20

        try:
            wait_for("the service", lambda: answers(f"{base}/healthz"))
            rows, failed = [], []
            # Warm: what is imported and opened at the first request of its kind is there.
            warm = {"text": SENTENCE, "voice": "ada", "title": "Warm"}
            asyncio.run(in_parallel(base, 20, iter([("POST", "/v1/narrations", {"json": warm})] * 40)))
            speeches(base, "mp3", 3)
            resident = {"before": memory()}
            states = (root / "studio" / "scripts").glob("load-*.md")  # read when it is their turn
            for what, work in (
                ("submissions", submissions(given.submissions)),
                ("downloads", iter([("GET", audio.removeprefix(base), {})] * DOWNLOADS)),
                ("downloads again", iter([("GET", audio.removeprefix(base), {})] * DOWNLOADS)),
                ("states", (("GET", f"/v1/narrations/{path.stem}", {}) for path in islice(states, 400))),
            ):
                latencies, codes, seconds = asyncio.run(in_parallel(base, given.clients, work))
                resident[f"after {what}"] = memory()
                facts = {"requests": len(latencies), "a second": round(len(latencies) / seconds, 1)}
                rows.append({"what": what, **facts, **spread(latencies), "answers": dict(codes)})
                print(rows[-1], flush=True)
                if any(not code.startswith(("2", "429")) for code in codes):
                    failed.append(f"{what}: {dict(codes)}\n{(root / 'serve.log').read_text()[-3000:]}")
            speech = {kind: speeches(base, kind) for kind in ("pcm", "mp3")}
            resident["after speech"] = memory()
            peaks = Path(f"/proc/{server.pid}/status").read_text()
            resident["peak"] = int(next(line for line in peaks.splitlines() if "VmHWM" in line).split()[1]) >> 10
        finally:
            server.terminate()
            server.wait()

        scripts = sorted(path.stem for path in (root / "studio" / "scripts").glob("load-*.md"))
        requests = [
            path for path in (root / "studio" / "requests" / "local").glob("*.json") if '"load-' in path.read_text()
        ]
        os.environ.update(env)
        begun = [name for name in waiting() if name.startswith("load-")]
    counts = {"submitted": given.submissions, "scripts": len(scripts), "requests": len(requests)}
    counts |= {"waiting": len(begun), "waiting once": len(set(begun))}
    if set(counts.values()) != {given.submissions}:
        failed.append(f"lost or doubled: {counts}")
    if resident["peak"] - resident["before"] > MAX_GROWTH_MB:
        failed.append(f"memory grows: {resident} MB")
    if max(kind["first byte"]["p99"] for kind in speech.values()) > 1000 * MAX_FIRST_BYTE_SECONDS:
        failed.append("the first byte of speech comes late")
    print(in_words(machine()))
    names = ("what", "requests", "a second", "p50", "p95", "p99", "most")
    print(table(names, [[row[name] for name in names] for row in rows]))
    names = ("p50", "p95", "p99", "most")
    lines = [
        [f"{kind}, {part}", *(values[name] for name in names)]
        for kind, p in speech.items()
        for part, values in p.items()
    ]
    print(table(("speech, ms", *names), lines))
    print(counts, resident, f"a download has {size / 1e6:.1f} MB")
    write_results(
        "load", {"rows": rows, "speech": speech, "counts": counts, "resident_mb": resident, "download_bytes": size}
    )
    if failed:
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    main()

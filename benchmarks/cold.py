"""What it costs to load the F5 engine in a fresh process: CPU seconds, memory, and what is left of it.

    python -m benchmarks.cold
    python -m benchmarks.cold --beside ../main      # another checkout of the repository, loaded in the same run

The checkpoint has the shapes of F5TTS_v1_Base (1.35 GB, safetensors) and random numbers, and is in the page cache.
`peak` counts the file's mapped pages, which the system may drop at any time; `anonymous` does not, and is what a
process needs.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import MB, REPOSITORY, environment, in_words, machine, run_alone, table, tell, write_results

PARTS = ("torch", "f5_tts", "network", "vocoder", "Network", "total")
"""torch and f5_tts are imported; network and vocoder are files made modules; Network is what samples."""


def anonymous() -> int:
    """Bytes of this process that belong to no file. Linux only."""
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    return 0


@contextmanager
def most_anonymous() -> Iterator[list[int]]:
    """The most that was seen, looked at every 20 ms."""
    most, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            most[0] = max(most[0], anonymous())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield most
    finally:
        ended.set()
        watcher.join()


def load(folder: Path, dtype: str) -> Mapping[str, Any]:
    """Load step by step, as `F5Engine` does."""
    seconds: dict[str, float] = {}
    marks = [time.process_time()]

    def mark(part: str) -> None:
        marks.append(time.process_time())
        seconds[part] = round(marks[-1] - marks[-2], 2)

    with most_anonymous() as most:
        import torch

        mark("torch")
        from f5_pipeline.speech.engines.f5.architecture import F5TTS_V1_BASE, ModelFiles
        from f5_pipeline.speech.engines.f5.checkpoint import import_f5_tts, load_dit, load_vocoder

        import_f5_tts()
        mark("f5_tts")
        told = json.loads((folder / "files.json").read_text())
        places = {
            name: folder / told[name] for name in ("checkpoint", "vocabulary", "vocoder_config", "vocoder_weights")
        }

        files = ModelFiles(name="full", architecture=F5TTS_V1_BASE, sha256="0" * 64, **places)
        dit, _ = load_dit(files)
        mark("network")
        vocos = load_vocoder(files)
        mark("vocoder")
        from f5_pipeline.speech.engines.f5.network import Network
        from f5_pipeline.speech.engines.f5.vocoder import Vocoder

        kept = Network(dit, device="cpu", dtype=dtype), Vocoder(vocos, torch.device("cpu"))
        mark("Network")
    seconds["total"] = round(sum(seconds.values()), 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    del dit, vocos
    facts = {"peak": peak, "anonymous": most[0], "anonymous after": anonymous()}
    assert kept[0].dtype == dtype
    return {"parts": seconds, **{name: round(size / MB) for name, size in facts.items()}}


def make_model(folder: Path) -> None:
    from f5_pipeline.speech.engines.f5.architecture import F5TTS_V1_BASE
    from f5_pipeline_tests.support.tiny_f5 import make_tiny_model, make_tiny_vocoder

    files = make_tiny_model(folder, **F5TTS_V1_BASE.model_dump())
    make_tiny_vocoder(files.vocoder_config.parent, dim=512, layers=8)
    names = ("checkpoint", "vocabulary", "vocoder_config", "vocoder_weights")
    places = {name: str(getattr(files, name).relative_to(folder)) for name in names}
    (folder / "files.json").write_text(json.dumps(places))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtypes", nargs="+", default=["fp32", "bf16"])
    parser.add_argument("--beside", type=Path, help="another checkout, whose package is loaded beside this one's")
    parser.add_argument("--stage", choices=["make", "load"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--package", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.stage:
        sys.path.insert(0, str(given.package))
        tell(lambda: load(given.folder, given.dtypes[0]) if given.stage == "load" else make_model(given.folder) or {})
        return 0
    packages = {"here": REPOSITORY} | ({"beside": given.beside.resolve()} if given.beside else {})
    rows = []
    with tempfile.TemporaryDirectory(prefix="f5-cold-") as folder:
        stage = ["--folder", folder, "--package", str(REPOSITORY)]
        run_alone(__spec__.name, "--stage", "make", *stage, env=environment())
        for dtype in given.dtypes:
            for name, package in reversed(packages.items()):
                stage = ["--stage", "load", "--folder", folder, "--package", str(package), "--dtypes", dtype]
                found = run_alone(__spec__.name, *stage, env=environment())
                memory = {part: found[part] for part in ("peak", "anonymous", "anonymous after")}
                rows.append({"package": name, "dtype": dtype, **found["parts"], **memory})
    print(in_words(machine()), "CPU seconds of each part; MB", sep="; ", end="\n\n")
    print(table(list(rows[0]), [[*row.values()] for row in rows]))
    write_results("cold", {"loads": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""An engine that holds a GPU: it waits where that would work, and writes down what it spoke, where and when."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from f5_pipeline.speech.engine import Failed, Request, Speech
from f5_pipeline_tests.support.installation import bring_engine
from f5_pipeline_tests.support.toy_engine import TOY, ToyEngine

LOG, NODE, SECONDS, HOLD = "TEST_ENGINE_LOG", "TEST_NODE", "TEST_TAKE_SECONDS", "TEST_HOLD"
"""Environment variables: the file that is written to, the name of the node, seconds a take; a file, and while it is
there, engines wait after as many takes as it says."""


class Spoken(NamedTuple):
    """A take that was begun. `end` is 0 where it was not finished."""

    node: str
    process: str
    device: str
    key: str
    start: float
    end: float = 0.0


class GpuEngine(ToyEngine):
    name = "gpu"

    def __init__(self, device: str) -> None:
        self.device = f"{device} of {os.environ.get('CUDA_VISIBLE_DEVICES')}"

    def speak(
        self, requests: Iterable[Request], *, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Speech | Failed]:
        def released() -> Iterator[Request]:
            for number, request in enumerate(requests):
                while _takes_before_hold() <= number and not cancelled():
                    time.sleep(0.05)
                yield request

        return super().speak(released(), cancelled=cancelled)

    def _beeps(self, request: Request) -> Speech:
        self._write("begin", request.key, time.time())
        time.sleep(float(os.environ[SECONDS]))
        self._write("end", request.key, time.time())
        return super()._beeps(request)

    def _write(self, *what: object) -> None:
        with Path(os.environ[LOG]).open("a") as log:
            print(os.environ.get(NODE, ""), os.getpid(), self.device, *what, sep="\t", file=log)


def _takes_before_hold() -> float:
    try:
        return float(Path(os.environ[HOLD]).read_text() or 0)  # empty: it is just being written
    except FileNotFoundError:
        return math.inf


def bring_gpu_engine(root: Path, seconds: float) -> dict[str, str]:
    """Install the engine, see `installation.bring_engine`; `seconds` a take."""
    found = bring_engine(root, "gpu", f"{__name__}:GPU")
    return {**found, LOG: str(root / "spoken.log"), SECONDS: str(seconds), HOLD: str(root / "hold")}


def read_log(path: Path) -> list[Spoken]:
    """What every engine has spoken, in the order in which it was begun."""
    spoken: dict[tuple[str, str, str], Spoken] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        node, process, device, what, key, when = line.split("\t")
        if what == "begin":
            spoken[node, process, key] = Spoken(node, process, device, key, float(when))
        else:
            spoken[node, process, key] = spoken[node, process, key]._replace(end=float(when))
    return list(spoken.values())


GPU = replace(TOY, name="gpu", label="beeps on a GPU", make=lambda context: GpuEngine(context.device), needs_gpu=True)

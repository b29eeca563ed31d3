"""An engine for tests of clusters: it holds a GPU, takes its time for each take, and writes down where and when."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from f5_pipeline.speech.engine import Request, Speech
from f5_pipeline_tests.support.toy_engine import TOY, ToyEngine

LOG, NODE, SECONDS = "TEST_ENGINE_LOG", "TEST_NODE", "TEST_TAKE_SECONDS"
"""Environment variables: the file that is written to, the name of the node, seconds a take."""


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

    def _beeps(self, request: Request) -> Speech:
        self._write("begin", request.key, time.time())
        time.sleep(float(os.environ[SECONDS]))
        self._write("end", request.key, time.time())
        return super()._beeps(request)

    def _write(self, *what: object) -> None:
        with Path(os.environ[LOG]).open("a") as log:
            print(os.environ.get(NODE, ""), os.getpid(), self.device, *what, sep="\t", file=log)


def read_log(path: Path) -> list[Spoken]:
    """What every engine has spoken, in the order in which it was begun."""
    spoken: dict[tuple[str, str], Spoken] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        node, process, device, what, key, when = line.split("\t")
        if what == "begin":
            spoken[process, key] = Spoken(node, process, device, key, float(when))
        else:
            spoken[process, key] = spoken[process, key]._replace(end=float(when))
    return list(spoken.values())


GPU = replace(TOY, name="gpu", label="beeps on a GPU", make=lambda context: GpuEngine(context.device), needs_gpu=True)

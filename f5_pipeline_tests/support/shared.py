"""What costs much to make and is only looked at: made once, for all processes of a test run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from f5_pipeline.system.locks import lock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first process to ask fills by `make`; not to be changed, but copied."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder, draft = base / f"shared-{name}", base / f"shared-{name}.draft-{os.getpid()}"
    with (base / f"shared-{name}.lock").open("w") as file:
        lock(file)
        if not folder.exists():
            make(draft)
            draft.rename(folder)
    return folder

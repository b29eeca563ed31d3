"""A hub with a model and a vocoder of random bytes, and libraries on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from f5_pipeline_tests.support.hub import running_hub
from f5_pipeline_tests.support.weights_place import SIZE, Place, content


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    files = {"sub/model 1.safetensors": content(SIZE, 1), "vocab.txt": b"a\r\nb\r\n"}
    vocoder = {"config.yaml": b"head: {}\n", "pytorch_model.bin": content(SIZE // 8, 2)}
    with running_hub() as hub:
        hub.put("a/model", files)
        hub.put("b/model", {**files, "sub/model 1.safetensors": content(SIZE, 3)})
        hub.put("c/vocos", vocoder)
        yield Place(tmp_path, hub, files, vocoder)

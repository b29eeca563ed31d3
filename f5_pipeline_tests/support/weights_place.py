"""A hub with a model and a vocoder of random bytes, and libraries on it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f5_pipeline.speech.engines.f5.architecture import F5TTS_V1_BASE
from f5_pipeline.store.local import LocalStore
from f5_pipeline.weights.library import Library
from f5_pipeline.weights.registry import ModelSpec, SpecFile, VocoderSpec
from f5_pipeline_tests.support.hub import LocalHub
from f5_pipeline_tests.support.waiting import HANG_SECONDS

SIZE = 1 << 20
"""Bytes of the checkpoint."""


class RemoteStore:
    """A store that is no folder of this machine, as far as anybody can see."""

    def __init__(self, root: Path) -> None:
        self.inner = LocalStore(root)
        self.url = "far://away"
        self.written: list[str] = []

    def local_path(self, key: str) -> None:
        return None

    def put_file(self, key: str, path: Path, **more: Any) -> Any:
        self.written.append(key)
        return self.inner.put_file(key, path, **more)

    @contextmanager
    def fetch(self, key: str) -> Iterator[Path]:
        raise AssertionError("weights go to the cache")
        yield

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass
class Place:
    """A hub, and libraries with stores and caches of their own on it."""

    root: Path
    hub: LocalHub
    files: dict[str, bytes]
    vocoder: dict[str, bytes]

    @property
    def models(self) -> dict[str, ModelSpec]:
        made = [self.spec("one", "a/model"), self.spec("two", "b/model")]
        return {one.name: one for one in made}

    @property
    def vocoders(self) -> dict[str, VocoderSpec]:
        spec = VocoderSpec(
            name="vocos",
            repo="c/vocos",
            config=SpecFile(path="config.yaml"),
            weights=SpecFile(path="pytorch_model.bin"),
            licence="MIT",
            commercial_use="yes",
        )
        return {"vocos": spec}

    def spec(self, name: str, repo: str, **more: Any) -> ModelSpec:
        told = {
            "name": name,
            "repo": repo,
            "architecture": F5TTS_V1_BASE,
            "checkpoint": SpecFile(path="sub/model 1.safetensors"),
            "vocabulary": SpecFile(path="vocab.txt"),
            "vocoder": "vocos",
            "languages": ("en", "zh"),
            "licence": "CC-BY-NC-4.0",
            "commercial_use": "no",
        }
        return ModelSpec.model_validate({**told, **more})

    def library(
        self, store: str = "store", cache: str = "cache", *, remote: bool = False, limit: int = 1 << 30, **more: Any
    ) -> Library:
        at = self.root / store
        told: dict[str, Any] = {"hub": self.hub.url, "models": self.models, "vocoders": self.vocoders, **more}
        made = Library(
            RemoteStore(at) if remote else LocalStore(at),  # type: ignore[arg-type]
            cache=self.root / cache,
            cache_bytes=limit,
            **told,
        )
        made.hub._pause = 0.01
        return made

    def worker(
        self, name: str = "one", store: str = "store", cache: str = "cache", *, remote: bool = False, hold: bool = False
    ) -> subprocess.Popen[str]:
        """A process that acquires a model, prints how, and holds it until its input ends, if it is to hold it."""
        told = {
            "name": name,
            "store": str(self.root / store),
            "cache": str(self.root / cache),
            "remote": remote,
            "hold": hold,
            "limit": 1 << 34,
            "hub": self.hub.url,
            "models": {key: one.model_dump(mode="json") for key, one in self.models.items()},
            "vocoders": {key: one.model_dump(mode="json") for key, one in self.vocoders.items()},
        }
        return subprocess.Popen(
            [sys.executable, "-m", "f5_pipeline_tests.support.weights_worker", json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a worker has printed; it must have ended well."""
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 0, err
    return json.loads(out)


ARCHITECTURE = {"dim": 64, "depth": 1, "heads": 1, "ff_mult": 2, "text_dim": 512, "conv_layers": 0}


def shaped_checkpoint(seed: int = 0) -> bytes:
    """A safetensors file, 5 MB, that has what is checked of a DiT of ARCHITECTURE and the package's vocabulary."""
    import numpy as np
    from safetensors.numpy import save

    shapes = {
        "proj_out.weight": (100, 64),
        "transformer_blocks.0.attn.to_q.weight": (64, 64),
        "transformer_blocks.0.ff.ff.0.0.weight": (128, 64),
        "text_embed.text_embed.weight": (2546, 512),
    }
    rng = np.random.default_rng(seed)
    return save({f"ema_model.transformer.{name}": rng.random(shape, np.float32) for name, shape in shapes.items()})


def content(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def contents(folder: Path) -> dict[str, bytes]:
    """Contents of all files under a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

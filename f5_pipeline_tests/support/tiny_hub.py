"""The tiny model on a hub of the tests' own, and an installation that speaks with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from f5_pipeline_tests.support.hub import LocalHub, running_hub
from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.tiny_f5 import make_tiny_model

ARCHITECTURE = """
model:
  backbone: DiT
  arch: {dim: 64, depth: 2, heads: 2, ff_mult: 2, text_dim: 64, conv_layers: 2, text_mask_padding: true}
"""


@contextmanager
def tiny_hub(folder: Path) -> Iterator[LocalHub]:
    """A hub that has a tiny model and its vocoder."""
    made = make_tiny_model(folder)
    with running_hub() as running:
        running.put(
            "test/tiny", {"model.safetensors": made.checkpoint.read_bytes(), "vocab.txt": made.vocabulary.read_bytes()}
        )
        running.put(
            "test/vocos",
            {"config.yaml": made.vocoder_config.read_bytes(), "pytorch_model.bin": made.vocoder_weights.read_bytes()},
        )
        yield running


def tiny_settings(hub: LocalHub) -> dict[str, str]:
    """The environment in which everything is spoken by the tiny model, with few steps and one retake."""
    return {
        "F5_HUB": hub.url,
        "F5_OFFLINE": "0",
        "F5_ENGINE": "f5",
        "F5_MODEL": "tiny",
        "F5_NFE": "4",
        "F5_RETAKES": "1",
    }


def add_tiny_model(made: Installation) -> None:
    """Lock the tiny model and bring it into the store."""
    made.write("arch.yaml", ARCHITECTURE)
    made.run(
        "weights", "add", "tiny", "hf://test/tiny/model.safetensors", "--vocabulary", "hf://test/tiny/vocab.txt",
        "--architecture", "arch.yaml", "--vocoder", "hf://test/vocos", "--language", "en",
    )  # fmt: skip

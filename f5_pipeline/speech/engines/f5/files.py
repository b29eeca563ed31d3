"""The files that a model is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from f5_pipeline.speech.engines.f5.architecture import Architecture


@dataclass(frozen=True)
class ModelFiles:
    """A model on this machine: whole, verified files.

    Attributes:
        name: what it is called, for messages and records.
        architecture: what the checkpoint must be read with.
        checkpoint: weights of the network, `.safetensors` or `.pt`.
        vocabulary: one token a line, UTF-8; the line's number is the token's index.
        vocoder_config: Vocos' `config.yaml`.
        vocoder_weights: Vocos' state dict (`pytorch_model.bin`).
        sha256: digest of all that decides the sound: every file and the architecture, in hex.
    """

    name: str
    architecture: Architecture
    checkpoint: Path
    vocabulary: Path
    vocoder_config: Path
    vocoder_weights: Path
    sha256: str

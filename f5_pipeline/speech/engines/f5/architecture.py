"""Architectures, the sizes of a network with which a checkpoint is read, and the files of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MEL_BANDS = 100
"""Bands of the log-mel frames of every F5-TTS network and its vocoder (n_fft and window 1024, hop 256)."""

HOP = 256
"""Samples a frame at 24 kHz: 93.75 frames a second."""

HEAD_DIM = 64
"""Width of one attention head; no published checkpoint has another."""


class Architecture(BaseModel):
    """Sizes and switches of the diffusion transformer (F5-TTS, arXiv 2410.06885), under the names of `f5_tts/configs`.

    Attributes:
        dim: width of the residual stream.
        depth: transformer blocks.
        heads: attention heads of HEAD_DIM.
        ff_mult: width of a feed-forward layer, in `dim`.
        text_dim: width of a text embedding.
        conv_layers: ConvNeXt V2 blocks over the text.
        text_mask_padding: filler after the text is kept at zero (v1); v0 lets it through.
        qk_norm: queries and keys are normalised by their root mean square.
        pe_attn_head: number of heads, from the first on, that get rotary positions (v0 has 1); None: all.
        long_skip_connection: the input of the first block is joined to the output of the last.
        average_upsampling: text is stretched evenly over the frames (ZipVoice's way).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dim: int = Field(default=1024, ge=16, multiple_of=16)
    depth: int = Field(default=22, ge=1)
    heads: int = Field(default=16, ge=1)
    ff_mult: int = Field(default=2, ge=1)
    text_dim: int = Field(default=512, ge=2, multiple_of=2)
    conv_layers: int = Field(default=4, ge=0)
    text_mask_padding: bool = True
    qk_norm: Literal["rms_norm"] | None = None
    pe_attn_head: int | None = Field(default=None, ge=1)
    long_skip_connection: bool = False
    average_upsampling: bool = False

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `f5_tts.model.DiT`, but for `text_num_embeds`, which the vocabulary gives."""
        arguments = self.model_dump()
        arguments["text_embedding_average_upsampling"] = arguments.pop("average_upsampling")
        return {**arguments, "dim_head": HEAD_DIM, "mel_dim": MEL_BANDS}


F5TTS_V1_BASE = Architecture()
F5TTS_BASE = Architecture(text_mask_padding=False, pe_attn_head=1)
F5TTS_V1_SMALL = Architecture(dim=768, depth=18, heads=12)
F5TTS_SMALL = Architecture(dim=768, depth=18, heads=12, text_mask_padding=False, pe_attn_head=1)

ARCHITECTURES = MappingProxyType(
    {
        "F5TTS_v1_Base": F5TTS_V1_BASE,
        "F5TTS_Base": F5TTS_BASE,
        "F5TTS_v1_Small": F5TTS_V1_SMALL,
        "F5TTS_Small": F5TTS_SMALL,
    }
)
"""The architectures of the published DiT checkpoints, by the name of their file in `f5_tts/configs`."""


@dataclass(frozen=True)
class ModelFiles:
    """The complete, verified files of a model on this machine.

    Attributes:
        name: its name, for messages and records.
        architecture: of the checkpoint.
        checkpoint: weights of the network, `.safetensors` or `.pt`.
        vocabulary: one token a line, UTF-8; the line's number is the token's index.
        vocoder_config: Vocos' `config.yaml`.
        vocoder_weights: Vocos' state dict (`pytorch_model.bin`).
        sha256: digest of everything that decides the sound: every file and the architecture, hex.
    """

    name: str
    architecture: Architecture
    checkpoint: Path
    vocabulary: Path
    vocoder_config: Path
    vocoder_weights: Path
    sha256: str

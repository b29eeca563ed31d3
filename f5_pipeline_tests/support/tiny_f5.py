"""Real F5-TTS models, but small: random weights in the file formats of the published checkpoints."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f5_pipeline.speech.engines.f5.architecture import HOP, MEL_BANDS, Architecture

if TYPE_CHECKING:
    from f5_pipeline.speech.engines.f5.architecture import ModelFiles

TINY = Architecture(dim=64, depth=2, heads=2, text_dim=64, conv_layers=2)
"""1.3 MB with the package's vocabulary."""

VOCABULARY_SIZE = 2545
"""Entries of the vocabulary that ships with f5-tts."""


def tiny_dit(architecture: Architecture = TINY, *, seed: int = 0, vocabulary: int = VOCABULARY_SIZE) -> Any:
    """The stock DiT with random weights, fp32, in eval mode.

    Training starts from zeros in AdaLN, GRN and the output layer, with which nothing depends on anything: here they
    are random too.
    """
    import torch

    from f5_pipeline.speech.engines.f5.checkpoint import import_f5_tts

    import_f5_tts()  # also where a test has put a broken flash_attn
    from f5_tts.model.backbones.dit import DiT
    from f5_tts.model.modules import GRN

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        dit = DiT(**architecture.arguments(), text_num_embeds=vocabulary)
        norms: list[Any] = [block.attn_norm for block in dit.transformer_blocks] + [dit.norm_out]
        for norm in norms:
            torch.nn.init.normal_(norm.linear.weight, std=0.5 / math.sqrt(architecture.dim))
            torch.nn.init.normal_(norm.linear.bias, std=0.3)
        torch.nn.init.normal_(dit.proj_out.weight, std=1 / math.sqrt(architecture.dim))
        torch.nn.init.normal_(dit.proj_out.bias, std=0.1)
        for module in dit.modules():
            if isinstance(module, GRN):
                torch.nn.init.normal_(module.gamma, std=0.3)
                torch.nn.init.normal_(module.beta, std=0.3)
            if type(module).__name__ == "RMSNorm":
                torch.nn.init.uniform_(module.get_parameter("weight"), 0.5, 1.5)
    return dit.eval()


def make_tiny_model(
    folder: Path, *, seed: int = 0, name: str = "tiny", suffix: str = ".safetensors", **architecture: Any
) -> ModelFiles:
    """Write a checkpoint (`suffix` .safetensors or .pt), a vocabulary and a vocoder; a second or two.

    `architecture`: fields in place of TINY's. One that does not mask padding (v0) is written with the mel filters that
    checkpoints of its time hold.
    """
    import f5_tts.infer
    import torch
    from safetensors.torch import save_file

    from f5_pipeline.speech.engines.f5.architecture import ModelFiles

    made = Architecture.model_validate({**TINY.model_dump(), **architecture})
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = folder / "vocab.txt"
    examples = Path(next(iter(f5_tts.infer.__path__))) / "examples"
    vocabulary.write_bytes((examples / "vocab.txt").read_bytes())

    dit = tiny_dit(made, seed=seed)
    state = {f"ema_model.transformer.{key}": value.contiguous() for key, value in dit.state_dict().items()}
    if not made.text_mask_padding:
        state["ema_model.mel_spec.mel_stft.mel_scale.fb"] = torch.zeros(513, MEL_BANDS)
        state["ema_model.mel_spec.mel_stft.spectrogram.window"] = torch.hann_window(1024)
    state["initted"] = torch.tensor(True)
    state["step"] = torch.tensor(1_250_000)
    checkpoint = folder / f"model{suffix}"
    if suffix == ".safetensors":
        save_file(state, checkpoint)
    else:
        torch.save({"ema_model_state_dict": state}, checkpoint)

    config, weights = make_tiny_vocoder(folder / "vocos", seed=seed)
    digest = hashlib.sha256(made.model_dump_json().encode())
    for file in (checkpoint, vocabulary, config, weights):
        digest.update(file.read_bytes())
    return ModelFiles(
        name=name,
        architecture=made,
        checkpoint=checkpoint,
        vocabulary=vocabulary,
        vocoder_config=config,
        vocoder_weights=weights,
        sha256=digest.hexdigest(),
    )


def make_tiny_vocoder(folder: Path, *, seed: int = 0, dim: int = 64, layers: int = 2) -> tuple[Path, Path]:
    """A Vocos of `dim` in its own two files, `config.yaml` and `pytorch_model.bin`; quiet noise shaped by the mel."""
    import torch
    import yaml
    from vocos import Vocos

    folder.mkdir(parents=True, exist_ok=True)
    config, weights = folder / "config.yaml", folder / "pytorch_model.bin"
    parts = {
        "feature_extractor": (
            "vocos.feature_extractors.MelSpectrogramFeatures",
            {"sample_rate": 24_000, "n_fft": 1024, "hop_length": HOP, "n_mels": MEL_BANDS, "padding": "center"},
        ),
        "backbone": (
            "vocos.models.VocosBackbone",
            {"input_channels": MEL_BANDS, "dim": dim, "intermediate_dim": 3 * dim, "num_layers": layers},
        ),
        "head": ("vocos.heads.ISTFTHead", {"dim": dim, "n_fft": 1024, "hop_length": HOP, "padding": "center"}),
    }
    written = {part: {"class_path": path, "init_args": arguments} for part, (path, arguments) in parts.items()}
    config.write_text(yaml.safe_dump(written), encoding="utf-8")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vocoder = Vocos.from_hparams(str(config))
        torch.nn.init.normal_(vocoder.get_parameter("head.out.weight"), std=0.8 / math.sqrt(dim))
        # Without phases of their own all bins would add up to one click a frame.
        torch.nn.init.uniform_(vocoder.get_parameter("head.out.bias")[513:], -math.pi, math.pi)
    torch.save(vocoder.state_dict(), weights)
    return config, weights

"""Checkpoints into networks: the stock DiT and Vocos of the packages f5-tts and vocos.

Errors name the fault of a file. Nothing in a file is executed: safetensors holds arrays only, and pickles are
read with `weights_only`.
"""

from __future__ import annotations

import logging
import pickle
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from f5_pipeline.errors import EngineError
from f5_pipeline.speech.engines.f5.architecture import (
    ARCHITECTURES,
    HEAD_DIM,
    HOP,
    MEL_BANDS,
    Architecture,
    ModelFiles,
)
from f5_pipeline.speech.engines.f5.text import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor, nn
    from vocos import Vocos

log = logging.getLogger("f5_pipeline.f5")

F5_TTS = "1.1.22"
"""Version of f5-tts that this engine is tested with."""

INSTALL = "Install what the engine needs: pip install 'f5-pipeline[f5]'."
_FETCH = "Fetch the model again: `f5-pipeline weights verify` names the damaged file."
_ANOTHER = "Name the architecture that the checkpoint was trained with, or another checkpoint."
_DROPPED = re.compile(r"initted|step|(?:.*\.)?mel_spec\..*")
_TEXT = "text_embed.text_embed.weight"


class ModelError(EngineError):
    """A model's files cannot be used; trying again does not help."""

    retryable = False


@dataclass(frozen=True)
class F5TTS:
    """The parts of f5-tts that the engine uses.

    Attributes:
        dit: the class `f5_tts.model.DiT`.
        mel_spec: the class `f5_tts.model.modules.MelSpec`.
        get_tokenizer, convert_char_to_pinyin, get_epss_timesteps: of `f5_tts.model.utils`.
        version: the installed version.
    """

    dit: type[nn.Module]
    mel_spec: type[nn.Module]
    get_tokenizer: Callable[..., Any]
    convert_char_to_pinyin: Callable[..., list[list[str]]]
    get_epss_timesteps: Callable[..., Tensor]
    version: str


@lru_cache(maxsize=1)
def import_f5_tts() -> F5TTS:
    """Import f5-tts, once: it takes 3 to 8 s and half a gigabyte, without its trainer.

    Raises:
        ModelError: it is not installed, does not import, or lacks one of these parts.
    """
    try:
        version = metadata.version("f5-tts")
    except metadata.PackageNotFoundError:
        raise ModelError("the package f5-tts is not installed", hint=INSTALL) from None
    if version != F5_TTS:
        log.warning("f5-tts %s is installed; this engine is tested with %s", version, F5_TTS)
    try:
        with without_flash_attn(), _without_trainer():
            import f5_tts.model  # noqa: F401 (by itself: after an import that failed, `backbones` finds no parent)
            from f5_tts.model.backbones.dit import DiT
            from f5_tts.model.modules import MelSpec
            from f5_tts.model.utils import convert_char_to_pinyin, get_epss_timesteps, get_tokenizer
    except Exception as error:  # of torch, torchaudio and whatever f5-tts imports: OSError, RuntimeError…
        raise ModelError(f"f5-tts {version} does not import: {first_line(error)}", hint=INSTALL) from error
    return F5TTS(DiT, MelSpec, get_tokenizer, convert_char_to_pinyin, get_epss_timesteps, version)


@contextmanager
def without_flash_attn() -> Iterator[None]:
    """Hide flash_attn from imports: f5_tts imports it wherever it is found, and one for another torch breaks that.

    One that is imported already works, and stays.
    """
    if sys.modules.get("flash_attn") is not None:
        yield
        return
    # None is Python's own mark for a module that must not be imported; find_spec then finds nothing either.
    was_marked = "flash_attn" in sys.modules
    sys.modules["flash_attn"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not was_marked:
            sys.modules.pop("flash_attn", None)


@contextmanager
def _without_trainer() -> Iterator[None]:
    """Import f5_tts.model without its trainer, which brings wandb, datasets, accelerate and pandas along."""
    name = "f5_tts.model.trainer"
    if "f5_tts.model" in sys.modules:
        yield
        return
    stand_in = ModuleType(name)
    stand_in.Trainer = None  # type: ignore[attr-defined]
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        sys.modules.pop(name, None)  # whoever trains in this process imports the real one by its own name


@contextmanager
def _uninitialised() -> Iterator[None]:
    """Make modules whose parameters are not filled with random numbers: reserved memory that is never touched."""
    from torch.overrides import TorchFunctionMode

    class Skip(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if getattr(func, "__module__", None) == "torch.nn.init":
                return args[0] if args else kwargs["tensor"]
            return func(*args, **(kwargs or {}))

    with Skip():
        yield


def load_dit(files: ModelFiles) -> tuple[nn.Module, Vocabulary]:
    """The network and the tokens of a model.

    Returns:
        The stock DiT, fp32, on the CPU, in eval mode; its vocabulary. Its parameters are the file's own pages, read
        when they are used; the file may be removed, but must not be written into.

    Raises:
        ModelError: a file is missing or damaged, or does not belong to the architecture or the vocabulary.
    """
    f5_tts = import_f5_tts()
    vocabulary = load_vocabulary(files.vocabulary)
    weights = _read_weights(files.checkpoint)
    _check_architecture(weights, files, len(vocabulary))
    with _uninitialised():
        dit = f5_tts.dit(**files.architecture.arguments(), text_num_embeds=len(vocabulary))
    try:
        dit.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise ModelError(
            f"the checkpoint does not fit the architecture: {_differences(error)}", file=_name(files), hint=_ANOTHER
        ) from None
    return dit.eval(), vocabulary


def load_vocabulary(path: Path) -> Vocabulary:
    """Read a `vocab.txt` as `f5_tts.model.utils.get_tokenizer` does: one token a line, its index the line's number.

    Raises:
        ModelError: there is none, or it is not UTF-8 text.
    """
    f5_tts = import_f5_tts()
    try:
        indices, size = f5_tts.get_tokenizer(str(path), "custom")
    except FileNotFoundError:
        raise ModelError("the model's vocabulary is missing", file=str(path), hint=_FETCH) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"the model's vocabulary cannot be read: {first_line(error)}", file=str(path), hint=_FETCH
        ) from None
    if not size:
        raise ModelError("the model's vocabulary is empty", file=str(path), hint=_FETCH)
    # A line that occurs twice makes the size, and with it the embedding, smaller than the last index: those tokens have
    # no embedding.
    known = {token: index for token, index in indices.items() if index < size}

    def split(text: str) -> list[str]:
        return f5_tts.convert_char_to_pinyin([text])[0]

    return Vocabulary(known, split, size)


def load_vocoder(files: ModelFiles) -> Vocos:
    """The stock Vocos of a model, fp32, on the CPU, in eval mode.

    Raises:
        ModelError: a file is missing or damaged, the two do not belong together, or it speaks other mel frames.
    """
    try:
        import torch
        import yaml
        from vocos import Vocos
    except Exception as error:
        raise ModelError(f"the vocoder does not import: {first_line(error)}", hint=INSTALL) from error
    config, weights = files.vocoder_config, files.vocoder_weights
    try:
        described = yaml.safe_load(config.read_text("utf-8"))
        parts = [described[part]["class_path"] for part in ("feature_extractor", "backbone", "head")]
    except FileNotFoundError:
        raise ModelError("the vocoder's configuration is missing", file=str(config), hint=_FETCH) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, KeyError) as error:
        raise ModelError(
            f"it is no configuration of a Vocos: {first_line(error)}", file=str(config), hint=_FETCH
        ) from None
    # Vocos imports whatever class the file names.
    if strange := [part for part in parts if not str(part).startswith("vocos.")]:
        raise ModelError(f"the vocoder asks for {strange[0]}, which is no part of Vocos", file=str(config), hint=_FETCH)
    state = _unpickled(weights)
    try:
        with _uninitialised():
            vocoder = Vocos.from_hparams(str(config))
        vocoder.load_state_dict(state, assign=True)
    except (RuntimeError, TypeError, AttributeError, ImportError, ValueError) as error:
        raise ModelError(
            f"the vocoder's weights do not fit its configuration: {_differences(error)}", file=str(weights), hint=_FETCH
        ) from None
    vocoder.eval()
    frames, samples, reason = 8, 0, ""
    try:
        with torch.inference_mode():
            samples = vocoder.decode(torch.zeros(1, MEL_BANDS, frames)).shape[-1]
        reason = f"{samples} samples of {frames} frames"
    except RuntimeError as error:
        reason = first_line(error)
    if samples not in (frames * HOP, (frames - 1) * HOP):  # by the padding; centred, the last frame makes none
        raise ModelError(
            f"the vocoder does not speak {MEL_BANDS} mel bands at {HOP} samples a frame ({reason})",
            file=str(config),
            hint="Use a Vocos that was trained for 24 kHz, such as charactr/vocos-mel-24khz.",
        )
    return vocoder


def _name(files: ModelFiles) -> str:
    return str(files.checkpoint)


def _read_weights(path: Path) -> dict[str, Tensor]:
    """The network's arrays under the keys of the stock DiT, fp32; mapped from the file where they are so there."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            stored: Mapping[str, Any] = load_file(path, device="cpu")
        except FileNotFoundError:
            raise ModelError("the checkpoint is missing", file=str(path), hint=_FETCH) from None
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"it is no safetensors file, or cut: {first_line(error)}", file=str(path), hint=_FETCH
            ) from None
    else:
        stored = _unpickled(path)
        # The average of the training steps is what upstream publishes and speaks with.
        stored = next((stored[key] for key in ("ema_model_state_dict", "model_state_dict") if key in stored), stored)
    weights = {}
    for key, value in stored.items() if isinstance(stored, Mapping) else ():
        short = str(key).removeprefix("ema_model.").removeprefix("_orig_mod.")
        if not _DROPPED.fullmatch(short):
            floating = hasattr(value, "is_floating_point") and value.is_floating_point()
            weights[short.removeprefix("transformer.")] = value.float() if floating else value
    if not any(hasattr(value, "shape") for value in weights.values()):
        raise ModelError("it holds no weights", file=str(path), hint=_ANOTHER)
    return weights


def _unpickled(path: Path) -> Mapping[str, Any]:
    """The content of a file by `torch.save`: arrays and plain values only; code in it is an error and is not run."""
    import torch

    try:
        # Mapped, what nobody asks for (optimizers, other averages) is not read. Files of old versions are no ZIP.
        stored = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except FileNotFoundError:
        raise ModelError("the file is missing", file=str(path), hint=_FETCH) from None
    except pickle.UnpicklingError as error:
        match = re.search(r"GLOBAL ([\w.]+)|class(?:es)? '?([\w.]+)|global ([\w.]+)", str(error))
        what = next((name for name in match.groups() if name), None) if match else None
        raise ModelError(
            f"it is not a file of weights: {f'it asks for {what}' if what else 'it holds something else'}; "
            "nothing in it was run",
            file=str(path),
            hint="Use a checkpoint of weights alone, best as .safetensors, from a source that you trust.",
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, AttributeError, IndexError) as error:
        raise ModelError(
            f"it is no file of weights, or cut: {first_line(error)}", file=str(path), hint=_FETCH
        ) from None
    if not isinstance(stored, Mapping):
        raise ModelError(f"it holds a {type(stored).__name__}, no weights", file=str(path), hint=_ANOTHER)
    return stored


def _check_architecture(weights: Mapping[str, Any], files: ModelFiles, tokens: int) -> None:
    """Raise ModelError where a checkpoint is of another architecture or vocabulary."""
    sizes = sizes_of(weights)
    if "dim" not in sizes or "depth" not in sizes:
        raise ModelError(
            "it is no checkpoint of F5-TTS's DiT: it has no transformer blocks of that kind",
            file=_name(files),
            hint="Use a checkpoint of F5-TTS; E2-TTS and others are not spoken with.",
        )
    expected = _sizes(files.architecture)
    wrong = {name: size for name, size in sizes.items() if name in expected and size != expected[name]}
    if wrong:
        there = ", ".join(f"{name} {_shown(size)}" for name, size in wrong.items())
        wanted = ", ".join(f"{name} {_shown(expected[name])}" for name in wrong)
        known = [name for name, architecture in ARCHITECTURES.items() if _sizes(architecture) == sizes]
        like = f": it looks like {' or '.join(known)}" if known else ""
        raise ModelError(
            f"the checkpoint is of another architecture ({there} there; {wanted} expected){like}",
            file=_name(files),
            hint=_ANOTHER,
        )
    trained = int(weights[_TEXT].shape[0]) - 1 if _TEXT in weights else tokens
    if trained != tokens:
        raise ModelError(
            f"the vocabulary {files.vocabulary.name} has {tokens} tokens, the checkpoint was trained with {trained}",
            file=_name(files),
            hint="Give the vocab.txt that belongs to this checkpoint.",
        )


def sizes_of(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes that follow from the shapes of a DiT's arrays, under the names of `Architecture`.

    Rotary heads, padding masks and upsampling of text leave no trace in a checkpoint.
    """
    shapes = {key: tuple(value.shape) for key, value in weights.items() if hasattr(value, "shape")}
    sizes: dict[str, Any] = {}
    if len(shape := shapes.get("proj_out.weight", ())) == 2:
        sizes["dim"] = shape[1]
    blocks = {int(match[1]) for key in shapes if (match := re.match(r"transformer_blocks\.(\d+)\.", key))}
    if blocks:
        sizes["depth"] = len(blocks)
    if shape := shapes.get("transformer_blocks.0.attn.to_q.weight"):
        sizes["heads"] = shape[0] // HEAD_DIM
    if (shape := shapes.get("transformer_blocks.0.ff.ff.0.0.weight")) and "dim" in sizes:
        sizes["ff_mult"] = shape[0] / sizes["dim"]
    if shape := shapes.get(_TEXT):
        sizes["text_dim"] = shape[1]
    sizes["conv_layers"] = len({key.split(".")[2] for key in shapes if key.startswith("text_embed.text_blocks.")})
    sizes["qk_norm"] = "rms_norm" if "transformer_blocks.0.attn.q_norm.weight" in shapes else None
    sizes["long_skip_connection"] = "long_skip_connection.weight" in shapes
    return sizes


def _sizes(architecture: Architecture) -> dict[str, Any]:
    """The sizes of an architecture that can be derived from a checkpoint."""
    unseen = {"text_mask_padding", "pe_attn_head", "average_upsampling"}
    return architecture.model_dump(exclude=unseen)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _differences(error: Exception) -> str:
    """The first difference in the message of `load_state_dict`."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[1] if len(lines) > 1 else lines[0] if lines else type(error).__name__)[:300].rstrip(".")


def first_line(error: Exception) -> str:
    """The first line of an error's text, cut and without its full stop, to stand in a message of ours."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".")

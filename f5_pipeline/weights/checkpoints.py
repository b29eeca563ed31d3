"""Checkpoints added by a person: reading and checking their content.

A `.safetensors` file has names and shapes in its header, which is read without torch. A `.pt` file is a pickle: it is
read with `weights_only`, which runs none of its code, and kept as safetensors.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from f5_pipeline.errors import InputError
from f5_pipeline.speech.engines.f5.architecture import ARCHITECTURES, HOP, MEL_BANDS, Architecture
from f5_pipeline.speech.engines.f5.checkpoint import sizes_of
from f5_pipeline.system.reading import read_file

_MAX_HEADER_BYTES = 100 << 20
"""The format's own limit."""


def read_architecture(source: str | Path | Architecture) -> Architecture:
    """An architecture from its name, from a YAML file like f5-tts's configurations, or as it is.

    Raises:
        InputError: no such name or file, or not the configuration of a DiT with a Vocos vocoder at 24 kHz.
    """
    if isinstance(source, Architecture):
        return source
    if str(source) in ARCHITECTURES:
        return ARCHITECTURES[str(source)]
    path = Path(source)
    if not path.is_file():
        raise InputError(
            f"{str(source)!r} is neither the name of an architecture nor a file",
            hint=f"Use one of {', '.join(ARCHITECTURES)}, or the YAML file that the model was trained with.",
        )
    import yaml
    from pydantic import ValidationError

    try:
        config = yaml.safe_load(read_file(path, limit=1 << 20).decode())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("it is not YAML", file=str(path), hint="Give the file the model was trained with.") from error
    model = config.get("model", config) if isinstance(config, dict) else None
    sizes = model.get("arch", model) if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(sizes, dict):
        raise InputError(
            "there is no architecture in it", file=str(path), hint="It holds the sizes under model: arch:, as f5-tts's."
        )
    if model.get("backbone", "DiT") != "DiT":
        raise InputError(f"the backbone is {model['backbone']}; only DiT (F5-TTS) can speak", file=str(path))
    mel = model.get("mel_spec") or {}
    required = {"mel_spec_type": "vocos", "target_sample_rate": 24_000, "n_mel_channels": MEL_BANDS, "hop_length": HOP}
    for name, value in required.items():
        if mel.get(name, value) != value:
            raise InputError(f"{name} is {mel[name]!r}; only {value!r} can be spoken", file=str(path), place=name)
    fields = {name: value for name, value in sizes.items() if name in Architecture.model_fields}
    if "text_embedding_average_upsampling" in sizes:
        fields["average_upsampling"] = sizes["text_embedding_average_upsampling"]
    try:
        return Architecture.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(first["msg"].lower(), file=str(path), place=place or None) from None


def package_vocabulary() -> Path:
    """The vocabulary that comes with f5-tts. Raises InputError where the package is not installed."""
    package = find_spec("f5_tts")
    for folder in (package.submodule_search_locations or ()) if package else ():
        path = Path(folder) / "infer" / "examples" / "vocab.txt"
        if path.is_file():
            return path
    raise InputError(
        "the vocabulary of f5-tts is not here: the package is not installed",
        hint="Give the model's own with --vocabulary, or install the extra: pip install 'f5-pipeline[f5]'.",
    )


def vocabulary_size(path: Path) -> int:
    """Number of entries of a vocabulary, one a line. Raises InputError where the file is no vocabulary."""
    try:
        lines = read_file(path).decode().replace("\r\n", "\n").split("\n")
    except (InputError, UnicodeDecodeError) as error:
        raise InputError("it cannot be read as a vocabulary (UTF-8, one entry a line)", file=str(path)) from error
    entries = lines[:-1] if lines and not lines[-1] else lines
    if not entries:
        raise InputError("the vocabulary is empty", file=str(path))
    return len(set(entries))


@dataclass(frozen=True)
class Shape:
    """A tensor of which only the shape is known."""

    shape: tuple[int, ...]


def read_shapes(path: Path) -> dict[str, Shape]:
    """The tensors of a safetensors file under the names of the stock DiT, from its header alone.

    Raises:
        InputError: it is not a complete safetensors file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as source:
            (length,) = struct.unpack("<Q", source.read(8))
            if length > min(_MAX_HEADER_BYTES, size):
                raise ValueError
            header = json.loads(source.read(length))
        header.pop("__metadata__", None)
        shapes = {_short(name): Shape(tuple(tensor["shape"])) for name, tensor in header.items()}
        total = 8 + length + max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise InputError("it is no safetensors file", file=str(path)) from error
    if size != total:
        raise InputError(f"it has {size} bytes of {total}: it is not whole", file=str(path), hint="Fetch it again.")
    return shapes


def check_fit(path: Path, shapes: dict[str, Shape], architecture: Architecture, vocabulary: int | None) -> None:
    """Check that a checkpoint has the sizes of an architecture and of a vocabulary with so many entries.

    Raises:
        InputError: it is no DiT, or one of another architecture; names every difference.
    """
    sizes, expected = sizes_of(shapes), architecture.model_dump()
    if "dim" not in sizes or "depth" not in sizes:
        raise InputError(
            "it is no checkpoint of F5-TTS's DiT",
            file=str(path),
            hint="Give a checkpoint of F5-TTS; E2-TTS and others are not spoken with.",
        )
    if wrong := [f"{name} {n} instead of {expected[name]}" for name, n in sizes.items() if n != expected[name]]:
        raise InputError(
            f"the checkpoint is of another architecture: it has {', '.join(wrong)}",
            file=str(path),
            hint="Name its own with --architecture: one of the known ones, or the YAML file it was trained with.",
        )
    rows = shapes.get("text_embed.text_embed.weight")
    if rows is not None and vocabulary is not None and rows.shape[0] != vocabulary + 1:
        raise InputError(
            f"the checkpoint was trained with a vocabulary of {rows.shape[0] - 1} entries, this one has {vocabulary}",
            file=str(path),
            hint="Give the vocabulary that belongs to it with --vocabulary.",
        )


def _short(name: str) -> str:
    return name.removeprefix("ema_model.").removeprefix("_orig_mod.").removeprefix("transformer.")


def convert(source: Path, target: Path) -> None:
    """Write the weights of a `.pt` checkpoint as safetensors: the moving average if it has one.

    Raises:
        InputError: it holds anything but weights (none of its code was run), or no weights of a network.
    """
    if find_spec("torch") is None:
        raise InputError(
            "a .pt file is read by torch, which is not installed",
            file=str(source),
            hint="Install the extra, pip install 'f5-pipeline[f5]', or give a .safetensors file.",
        )
    import torch
    from safetensors.torch import save_file

    try:
        content = torch.load(source, map_location="cpu", weights_only=True, mmap=is_zipfile(source))
    except Exception as error:  # a broken or hostile pickle can make torch raise anything
        if isinstance(error, OSError):
            raise InputError(f"it cannot be read ({error.strerror or error})", file=str(source)) from error
        raise InputError(
            "it is not a checkpoint that holds weights alone, and nothing else is opened",
            file=str(source),
            hint="Give a .safetensors file, or a .pt file as f5-tts writes it; do not open this one elsewhere.",
        ) from error
    tensors = _tensors(content)
    if not tensors:
        raise InputError("there are no weights in it", file=str(source), hint="Give a .pt file as f5-tts writes it.")
    kept = {name: value.contiguous() for name, value in tensors.items() if name not in ("initted", "update", "step")}
    # safetensors refuses tensors that share memory.
    seen: set[int] = set()
    for name, value in kept.items():
        if value.data_ptr() in seen:
            kept[name] = value.clone()
        seen.add(value.data_ptr())
    save_file(kept, str(target))


def _tensors(content: Any) -> dict[str, Any]:
    """The network's tensors from the state saved by a training run, by name with the prefix `ema_model.`."""
    import torch

    if not isinstance(content, dict):
        return {}
    for key in ("ema_model_state_dict", "model_state_dict"):
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
    plain = ("initted", "update", "step")
    return {n if n.startswith("ema_model.") or n in plain else f"ema_model.{n}": value for n, value in tensors.items()}

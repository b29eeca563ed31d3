"""Checkpoints: every form upstream writes is read, and what is wrong with a file is told, never executed."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from f5_pipeline.errors import EngineError
from f5_pipeline.speech.engines.f5 import checkpoint as module
from f5_pipeline.speech.engines.f5.architecture import ARCHITECTURES, Architecture, ModelFiles
from f5_pipeline.speech.engines.f5.checkpoint import ModelError, import_f5_tts, load_dit, load_vocabulary, load_vocoder
from f5_pipeline_tests.support.tiny_f5 import make_tiny_model


@pytest.fixture
def state(tiny: ModelFiles) -> dict[str, torch.Tensor]:
    return load_file(tiny.checkpoint)


def stored(files: ModelFiles) -> dict[str, torch.Tensor]:
    return {
        key.removeprefix("ema_model.transformer."): value
        for key, value in load_file(files.checkpoint).items()
        if "transformer" in key
    }


def without_prefix(state: dict[str, Any]) -> dict[str, Any]:
    return {key.removeprefix("ema_model."): value for key, value in state.items() if key not in ("initted", "step")}


FORMS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ema": lambda state: {"ema_model_state_dict": state, "update": 3},
    "ema with training state": lambda state: {
        "model_state_dict": {key: value + 1 for key, value in without_prefix(state).items()},
        "ema_model_state_dict": state,
        "optimizer_state_dict": {"state": {}, "param_groups": [{"lr": 1e-4}]},
    },
    "model": lambda state: {"model_state_dict": without_prefix(state)},
    "bare": without_prefix,
    "bare transformer": lambda state: {
        key.removeprefix("transformer."): value for key, value in without_prefix(state).items()
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_pt_files_are_read(form: str, tiny: ModelFiles, state: dict[str, Any], tmp_path: Path):
    path = tmp_path / "model.pt"
    torch.save(FORMS[form](state), path)
    dit, vocabulary = load_dit(replace(tiny, checkpoint=path))
    for key, value in stored(tiny).items():
        assert torch.equal(dit.state_dict()[key], value), key
    assert not dit.training and len(vocabulary) == 2545


def test_safetensors_are_read_with_and_without_prefix(tiny: ModelFiles, state: dict[str, Any], tmp_path: Path):
    path = tmp_path / "model.safetensors"
    save_file(without_prefix(state), path)
    for files in (tiny, replace(tiny, checkpoint=path)):
        dit, _ = load_dit(files)
        assert all(torch.equal(dit.state_dict()[key], value) for key, value in stored(tiny).items())


def test_half_precision_becomes_fp32(tiny: ModelFiles, state: dict[str, Any], tmp_path: Path):
    path = tmp_path / "model.safetensors"
    save_file({key: value.half() if value.is_floating_point() else value for key, value in state.items()}, path)
    dit, _ = load_dit(replace(tiny, checkpoint=path))
    assert {parameter.dtype for parameter in dit.parameters()} == {torch.float32}
    assert all(torch.equal(dit.state_dict()[key], value.half().float()) for key, value in stored(tiny).items())


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks for mapped files in /proc")
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_parameters_are_the_files_pages_and_none_is_drawn_first(suffix: str, tmp_path: Path):
    files = make_tiny_model(tmp_path, suffix=suffix)
    chance = torch.random.get_rng_state()
    dit, _ = load_dit(files)
    assert torch.equal(torch.random.get_rng_state(), chance)
    mapped = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        bounds, *_, path = line.split()
        if path == str(files.checkpoint):
            mapped.append([int(bound, 16) for bound in bounds.split("-")])
    for name, parameter in dit.named_parameters():
        assert any(start <= parameter.data_ptr() < end for start, end in mapped), f"{name} was copied"


@pytest.mark.parametrize(
    "sizes",
    [
        {"text_mask_padding": False, "pe_attn_head": 1},  # v0, with mel filters in the file
        {"qk_norm": "rms_norm", "conv_layers": 0, "long_skip_connection": True},
        {"average_upsampling": True, "ff_mult": 3},
    ],
)
def test_architectures_are_read(sizes: dict[str, Any], tmp_path: Path):
    files = make_tiny_model(tmp_path, seed=2, **sizes)
    dit, _ = load_dit(files)
    assert module.sizes_of(dit.state_dict()) == module._sizes(files.architecture)


# --- what is wrong ----------------------------------------------------------------------------------------------------


def refused(files: ModelFiles, load: Callable[[ModelFiles], Any] = load_dit) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load(files)
    error = caught.value
    assert isinstance(error, EngineError) and not error.retryable
    assert error.file and error.hint, str(error)
    again = pickle.loads(pickle.dumps(error))  # steps live in other processes
    assert str(again) == str(error) and not again.retryable
    return error


def test_another_architecture_is_named(tiny: ModelFiles):
    error = refused(replace(tiny, architecture=Architecture(dim=128, depth=3, heads=2, text_dim=64, conv_layers=2)))
    assert "dim 64, depth 2 there; dim 128, depth 3 expected" in error.message
    assert error.file == str(tiny.checkpoint)


def test_a_published_architecture_is_recognised(tiny: ModelFiles, monkeypatch: pytest.MonkeyPatch):
    # The real ones are too large to be made here; their sizes are not.
    small = ARCHITECTURES["F5TTS_Small"]
    monkeypatch.setattr(module, "sizes_of", lambda weights: module._sizes(small))
    message = refused(replace(tiny, architecture=ARCHITECTURES["F5TTS_v1_Base"])).message
    assert "dim 768, depth 18, heads 12 there; dim 1024, depth 22, heads 16 expected" in message
    assert "it looks like F5TTS_v1_Small or F5TTS_Small" in message


def test_switches_that_leave_traces_are_told(tmp_path: Path):
    files = make_tiny_model(tmp_path, seed=2, qk_norm="rms_norm")
    other = replace(files, architecture=files.architecture.model_copy(update={"qk_norm": None}))
    assert "qk_norm rms_norm there; qk_norm no expected" in refused(other).message


def test_e2_tts_is_not_f5(tiny: ModelFiles, tmp_path: Path):
    path = tmp_path / "e2.safetensors"
    save_file({"ema_model.transformer.layers.0.0.weight": torch.zeros(4, 4)}, path)
    assert "no checkpoint of F5-TTS's DiT" in refused(replace(tiny, checkpoint=path)).message


@pytest.mark.parametrize("change", ["missing", "another shape", "surplus"])
def test_a_checkpoint_is_read_strictly(change: str, tiny: ModelFiles, state: dict[str, Any], tmp_path: Path):
    name = "ema_model.transformer.time_embed.time_mlp.0.weight"
    if change == "missing":
        del state[name]
    elif change == "another shape":
        state[name] = torch.zeros(3, 3)
    else:
        state["ema_model.transformer.adapter.weight"] = torch.zeros(3)
    path = tmp_path / "model.safetensors"
    save_file(state, path)
    assert "does not fit the architecture" in refused(replace(tiny, checkpoint=path)).message


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("damage", ["missing", "cut", "text", "empty"])
def test_a_damaged_file_is_told(suffix: str, damage: str, tiny: ModelFiles, state: dict[str, Any], tmp_path: Path):
    path = tmp_path / f"model{suffix}"
    if suffix == ".pt":
        torch.save(state, path)
    else:
        save_file(state, path)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {"cut": content[: len(content) // 2], "text": b"version https://git-lfs", "empty": b""}[damage]
        )
    assert refused(replace(tiny, checkpoint=path)).file == str(path)


class Evil:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_with_code_is_not_executed(legacy: bool, tiny: ModelFiles, tmp_path: Path):
    path, trace = tmp_path / "model.pt", tmp_path / "trace"
    torch.save({"ema_model_state_dict": Evil(trace)}, path, _use_new_zipfile_serialization=not legacy)
    message = refused(replace(tiny, checkpoint=path)).message
    assert "not a file of weights" in message and "mkdir" in message
    vocoder = replace(tiny, vocoder_weights=path)
    assert "not a file of weights" in refused(vocoder, load_vocoder).message
    assert not trace.exists()
    torch.load(path, weights_only=False)  # what it would have done
    assert trace.exists()


@pytest.mark.parametrize("content", [[1, 2], {"config": {"a": 1}}, {"step": 3}])
def test_a_pickle_of_something_else_is_told(content: Any, tiny: ModelFiles, tmp_path: Path):
    path = tmp_path / "model.pt"
    torch.save(content, path)
    assert "no weights" in refused(replace(tiny, checkpoint=path)).message


def test_a_vocabulary_of_another_size_is_told(tiny: ModelFiles, tmp_path: Path):
    path = tmp_path / "vocab.txt"
    path.write_bytes(tiny.vocabulary.read_bytes() + "ऄ\n".encode())
    error = refused(replace(tiny, vocabulary=path))
    assert "has 2546 tokens, the checkpoint was trained with 2545" in error.message


@pytest.mark.parametrize(("content", "told"), [(None, "missing"), (b"", "empty"), (b" \n\xff\xfe\n", "cannot be read")])
def test_a_vocabulary_that_cannot_be_read_is_told(content: bytes | None, told: str, tiny: ModelFiles, tmp_path: Path):
    path = tmp_path / "vocab.txt"
    if content is not None:
        path.write_bytes(content)
    error = refused(replace(tiny, vocabulary=path))
    assert told in error.message and error.file == str(path)


def test_a_token_twice_never_points_beyond_the_embedding(tmp_path: Path):
    path = tmp_path / "vocab.txt"
    path.write_text(" \na\na\nb\n", encoding="utf-8")
    vocabulary = load_vocabulary(path)
    assert len(vocabulary) == 3
    assert vocabulary.encode("ab a") == [2, 0, 0, 2]


# --- the vocoder ------------------------------------------------------------------------------------------------------


def test_a_vocoder_that_names_foreign_classes_is_refused(tiny: ModelFiles, tmp_path: Path):
    path = tmp_path / "config.yaml"
    described = yaml.safe_load(tiny.vocoder_config.read_text())
    described["head"] = {"class_path": "os.mkdir", "init_args": {"path": str(tmp_path / "trace")}}
    path.write_text(yaml.safe_dump(described))
    assert "os.mkdir" in refused(replace(tiny, vocoder_config=path), load_vocoder).message
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("content", [None, "- 1", "backbone: [", "{}"])
def test_a_vocoder_without_configuration_is_told(content: str | None, tiny: ModelFiles, tmp_path: Path):
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_text(content)
    refused(replace(tiny, vocoder_config=path), load_vocoder)


def test_a_vocoder_of_another_size_is_told(tiny: ModelFiles, tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text(tiny.vocoder_config.read_text().replace("num_layers: 2", "num_layers: 3"))
    assert "do not fit" in refused(replace(tiny, vocoder_config=path), load_vocoder).message


def test_a_vocoder_of_another_hop_is_told(tiny: ModelFiles, tmp_path: Path):
    path = tmp_path / "config.yaml"
    described = yaml.safe_load(tiny.vocoder_config.read_text())
    described["head"]["init_args"]["hop_length"] = 320
    path.write_text(yaml.safe_dump(described))
    assert "samples a frame" in refused(replace(tiny, vocoder_config=path), load_vocoder).message


# --- f5-tts itself ----------------------------------------------------------------------------------------------------


def test_another_version_of_f5_tts_is_warned_about(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    import_f5_tts.cache_clear()
    monkeypatch.setattr(module.metadata, "version", lambda name: "9.0.0")
    assert import_f5_tts().version == "9.0.0"
    assert "9.0.0" in caplog.text
    import_f5_tts.cache_clear()


def test_f5_tts_that_is_missing_or_lacks_a_class_is_told(monkeypatch: pytest.MonkeyPatch):
    import f5_tts.model.modules

    import_f5_tts.cache_clear()
    monkeypatch.delattr(f5_tts.model.modules, "MelSpec")
    with pytest.raises(ModelError, match="does not import: cannot import name 'MelSpec'"):
        import_f5_tts()

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(module.metadata, "version", missing)
    with pytest.raises(ModelError, match="not installed"):
        import_f5_tts()
    import_f5_tts.cache_clear()

"""Models of one's own: real checkpoints, small, in the formats of the published ones, and files that are none."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import yaml

from f5_pipeline.errors import InputError
from f5_pipeline.speech.engines.f5.architecture import ModelFiles
from f5_pipeline.weights.checkpoints import read_architecture, read_shapes
from f5_pipeline.weights.errors import WeightsError
from f5_pipeline_tests.support.tiny_f5 import TINY, make_tiny_model
from f5_pipeline_tests.support.weights_place import Place


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> ModelFiles:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def pickled(tmp_path_factory) -> ModelFiles:
    return make_tiny_model(tmp_path_factory.mktemp("pickled"), suffix=".pt")


def add(place: Place, checkpoint, tiny: ModelFiles, name: str = "mine", **more):
    told = {"architecture": TINY, "vocoder": tiny.vocoder_config.parent, **more}
    return place.library(remote=True).add(name, checkpoint, **told)


def test_a_checkpoint_is_there_for_every_worker(place: Place, tiny: ModelFiles):
    record = add(place, tiny.checkpoint, tiny, languages=["sv"], licence="CC0-1.0", commercial_use="yes", note="mine")
    assert (record.repo, record.revision, record.languages, record.commercial_use) == (None, None, ("sv",), "yes")
    with place.library(cache="cold", remote=True, offline=True).acquire("mine") as acquired:
        assert acquired.source == "store"
        assert acquired.record == record
        assert acquired.files.checkpoint.read_bytes() == tiny.checkpoint.read_bytes()
        assert acquired.files.vocabulary.read_bytes() == tiny.vocabulary.read_bytes()
        assert acquired.files.vocoder_weights.read_bytes() == tiny.vocoder_weights.read_bytes()
    assert place.hub.requests.total() == 0
    entry = place.library(remote=True).models()[-1]
    assert (entry.name, entry.spec, entry.stored) == ("mine", None, record.size)


def test_a_pickle_of_weights_is_kept_as_safetensors(place: Place, pickled: ModelFiles):
    import torch
    from safetensors.torch import load_file

    record = add(place, pickled.checkpoint, pickled)
    assert record.files["checkpoint"].name == "model.safetensors"
    told = torch.load(pickled.checkpoint, weights_only=True)["ema_model_state_dict"]
    with place.library(remote=True).acquire("mine") as acquired:
        kept = load_file(acquired.files.checkpoint)
    assert set(told) - set(kept) == {"initted", "step"}
    assert all(torch.equal(kept[name], told[name]) for name in kept)
    assert list((place.root / "cache" / "partial").iterdir()) == []
    assert add(place, pickled.checkpoint, pickled, "again").files["checkpoint"].sha256 == (
        record.files["checkpoint"].sha256
    )


def test_a_checkpoint_of_an_old_torch(place: Place, pickled: ModelFiles, tmp_path: Path):
    import torch

    old = tmp_path / "old.pt"
    told = torch.load(pickled.checkpoint, weights_only=True)
    torch.save({"model_state_dict": told["ema_model_state_dict"]}, old, _use_new_zipfile_serialization=False)
    record = add(place, old, pickled)
    assert record.files["checkpoint"].sha256 == add(place, pickled.checkpoint, pickled).files["checkpoint"].sha256


def test_an_added_model_can_be_loaded(place: Place, pickled: ModelFiles):
    from f5_pipeline.speech.engines.f5.checkpoint import load_dit, load_vocoder

    add(place, pickled.checkpoint, pickled)
    with place.library(remote=True).acquire("mine") as acquired:
        dit, vocabulary = load_dit(acquired.files)
        assert dit.depth == TINY.depth and len(vocabulary) == 2545
        load_vocoder(acquired.files)


class Mine:
    """What a hostile pickle does when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_that_is_not_weights_does_not_run(place: Place, tiny: ModelFiles, tmp_path: Path):
    import torch

    trap = tmp_path / "it ran"
    plain, zipped = tmp_path / "plain.pt", tmp_path / "zipped.pt"
    plain.write_bytes(pickle.dumps({"ema_model_state_dict": Mine(trap)}))
    torch.save({"ema_model_state_dict": Mine(trap)}, zipped)
    for file in (plain, zipped):
        with pytest.raises(InputError, match="not a checkpoint that holds weights alone") as caught:
            add(place, file, tiny)
        assert str(file) in str(caught.value)
    assert not trap.exists()
    assert place.library(remote=True).find("mine") is None


def test_files_that_are_no_checkpoints(place: Place, tiny: ModelFiles, tmp_path: Path):
    import torch

    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(tiny.checkpoint.read_bytes()[:-100])
    noise = tmp_path / "noise.safetensors"
    noise.write_bytes(b"not a checkpoint at all")
    empty = tmp_path / "empty.pt"
    torch.save({"ema_model_state_dict": {}}, empty)
    other = tmp_path / "other.pt"
    torch.save({"weight": torch.zeros(3)}, other)
    for file, words in (
        (cut, "it is not whole"),
        (noise, "no safetensors file"),
        (empty, "no weights in it"),
        (other, "no checkpoint of F5-TTS's DiT"),
        (tmp_path / "nothing.pt", "no such checkpoint"),
        (tiny.vocabulary, "a checkpoint is a .safetensors or a .pt file"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            add(place, file, tiny)
        assert str(file) in str(caught.value)


def test_another_architecture_and_another_vocabulary_are_told(place: Place, tiny: ModelFiles, tmp_path: Path):
    with pytest.raises(InputError, match="another architecture: it has dim 64 instead of 1024, depth 2 instead of 22"):
        add(place, tiny.checkpoint, tiny, architecture="F5TTS_v1_Base")
    with pytest.raises(InputError, match="qk_norm None instead of rms_norm"):
        add(place, tiny.checkpoint, tiny, architecture=TINY.model_copy(update={"qk_norm": "rms_norm"}))
    short = tmp_path / "short.txt"
    short.write_text("a\nb\nc\n")
    with pytest.raises(InputError, match="vocabulary of 2545 entries, this one has 3"):
        add(place, tiny.checkpoint, tiny, vocabulary=short)


def test_names_and_vocoders(place: Place, tiny: ModelFiles, tmp_path: Path):
    for name in ("one", "blobs"):
        with pytest.raises(InputError, match="is taken"):
            add(place, tiny.checkpoint, tiny, name)
    for name in ("a/b", "", ".hidden", "x" * 65):
        with pytest.raises(InputError, match="cannot name a model"):
            add(place, tiny.checkpoint, tiny, name)
    with pytest.raises(InputError, match="no known vocoder and no folder"):
        add(place, tiny.checkpoint, tiny, vocoder=tmp_path)
    assert add(place, tiny.checkpoint, tiny, vocoder="vocos").files["vocoder_weights"].origin is not None


def test_a_model_of_the_hub_that_is_not_in_the_registry(place: Place, tiny: ModelFiles):
    files = {"m.safetensors": tiny.checkpoint.read_bytes(), "vocab.txt": tiny.vocabulary.read_bytes()}
    commit = place.hub.put("somebody/tiny", files)
    vocoder = {path.name: path.read_bytes() for path in tiny.vocoder_config.parent.iterdir()}
    place.hub.put("somebody/vocos", vocoder)
    record = add(
        place,
        f"hf://somebody/tiny@{commit}/m.safetensors",
        tiny,
        vocabulary="hf://somebody/tiny/vocab.txt",
        vocoder="hf://somebody/vocos",
    )
    assert (record.repo, record.revision) == ("somebody/tiny", commit)
    shutil.rmtree(place.root / "store" / "models" / "blobs")
    with place.library(cache="cold", remote=True).acquire("mine") as acquired:
        assert acquired.source == "hub"
        assert acquired.files.checkpoint.read_bytes() == files["m.safetensors"]
    with pytest.raises(WeightsError, match=r"no somebody/tiny/other\.pt"):
        add(place, "hf://somebody/tiny/other.pt", tiny)


def test_an_added_file_that_is_lost_says_how_to_bring_it(place: Place, tiny: ModelFiles):
    record = add(place, tiny.checkpoint, tiny)
    library = place.library(cache="cold", remote=True)
    library.store.delete(record.files["checkpoint"].key)
    with pytest.raises(WeightsError, match=r"model.safetensors of the model mine is neither.*weights add mine"):
        library.acquire("mine")
    add(place, tiny.checkpoint, tiny)
    library.acquire("mine").release()


def test_architectures_from_names_and_files(tmp_path: Path):
    assert read_architecture("F5TTS_Base").pe_attn_head == 1
    assert read_architecture(TINY) is TINY
    arch = {"dim": 64, "depth": 2, "heads": 2, "text_dim": 64, "conv_layers": 2, "attn_backend": "torch"}
    file = tmp_path / "mine.yaml"
    mel = {"mel_spec_type": "vocos", "target_sample_rate": 24000, "n_mel_channels": 100, "hop_length": 256}
    told = {"model": {"name": "mine", "backbone": "DiT", "arch": arch, "mel_spec": mel}, "optim": {"epochs": 1}}
    file.write_text(yaml.safe_dump(told))
    assert read_architecture(file) == TINY
    for change, words in (
        ({"backbone": "UNetT"}, "backbone is UNetT"),
        ({"mel_spec": {**mel, "mel_spec_type": "bigvgan"}}, "mel_spec_type is 'bigvgan'"),
        ({"arch": {**arch, "dim": -1}}, "dim"),
        ({"arch": None}, "no architecture in it"),
    ):
        file.write_text(yaml.safe_dump({"model": {**told["model"], **change}}))
        with pytest.raises(InputError, match=words):
            read_architecture(file)
    with pytest.raises(InputError, match="neither the name of an architecture nor a file"):
        read_architecture("F5TTS_v2_Base")
    file.write_text("a: [")
    with pytest.raises(InputError, match="not YAML"):
        read_architecture(file)


def test_shapes_come_without_the_tensors(tiny: ModelFiles):
    shapes = read_shapes(tiny.checkpoint)
    assert shapes["proj_out.weight"].shape == (100, TINY.dim)

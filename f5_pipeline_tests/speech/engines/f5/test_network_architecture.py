"""The known architectures against the configuration files that ship with f5-tts, and against its DiT."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from f5_pipeline.speech.engines.f5.architecture import ARCHITECTURES, Architecture
from f5_pipeline_tests.support.tiny_f5 import TINY, tiny_dit

OF_TRAINING = {"attn_backend", "attn_mask_enabled", "checkpoint_activations"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_known_ones_are_those_of_the_package(name: str) -> None:
    spec = find_spec("f5_tts")
    assert spec is not None
    assert spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0]) / "configs" / f"{name}.yaml"
    model = yaml.safe_load(file.read_text(encoding="utf-8"))["model"]
    assert model["backbone"] == "DiT"
    fields = {name: value for name, value in model["arch"].items() if name not in OF_TRAINING}
    assert ARCHITECTURES[name] == Architecture.model_validate(fields)


def test_every_field_reaches_the_network() -> None:
    made = Architecture(
        dim=32, depth=3, heads=3, ff_mult=3, text_dim=16, conv_layers=1, qk_norm="rms_norm", pe_attn_head=2,
        long_skip_connection=True, average_upsampling=True,
    )  # fmt: skip
    dit = tiny_dit(made, vocabulary=20)
    block = dit.transformer_blocks[0]
    assert (dit.dim, dit.depth, len(dit.transformer_blocks)) == (32, 3, 3)
    assert (block.attn.heads, block.attn.inner_dim, block.attn.processor.pe_attn_head) == (3, 3 * 64, 2)
    assert block.ff.ff[0][0].out_features == 96
    assert block.attn.q_norm is not None
    assert dit.text_embed.text_embed.weight.shape == (21, 16)
    assert len(dit.text_embed.text_blocks) == 1
    assert dit.text_embed.average_upsampling
    assert dit.long_skip_connection is not None
    assert dit.proj_out.out_features == 100


@pytest.mark.parametrize("fields", [{"dim": 65}, {"heads": 0}, {"qk_norm": "layer_norm"}, {"backbone": "UNetT"}])
def test_what_no_network_has_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        Architecture.model_validate({**TINY.model_dump(), **fields})

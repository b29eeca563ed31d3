"""Vocos in batches: every chunk as if it were alone, up to its last sample."""

from __future__ import annotations

import pytest
import torch

from f5_pipeline.speech.engines.f5 import vocoder as module
from f5_pipeline.speech.engines.f5.architecture import ModelFiles
from f5_pipeline.speech.engines.f5.checkpoint import load_vocoder
from f5_pipeline.speech.engines.f5.vocoder import Vocoder

CPU = torch.device("cpu")


def mels(*lengths: int) -> list[torch.Tensor]:
    torch.manual_seed(5)
    return [torch.randn(length, 100) * 1.5 - 3 for length in lengths]


@pytest.mark.parametrize("lengths", [(130, 40, 2, 129, 71), (5,), (64, 64)])
def test_batched_is_what_is_decoded_alone(lengths: tuple[int, ...], tiny: ModelFiles):
    vocos = load_vocoder(tiny)
    given = mels(*lengths)
    for mel, wave in zip(given, Vocoder(vocos, CPU).decode(given), strict=True):
        with torch.inference_mode():
            alone = vocos.decode(mel.T[None])[0]
        assert wave.shape == alone.shape == ((len(mel) - 1) * 256,)
        assert (wave - alone).abs().max() <= 1e-6
        assert alone.abs().max() > 0.05


def test_a_plain_batch_would_be_heard_at_the_tail(tiny: ModelFiles):
    # What the test above would see if the padding were not kept at zero.
    vocos = load_vocoder(tiny)
    long, short = mels(130, 40)
    padded = torch.stack([long.T, torch.nn.functional.pad(short.T, (0, 90))])
    with torch.inference_mode():
        leaked = vocos.decode(padded)[1, : 39 * 256]
        alone = vocos.decode(short.T[None])[0]
    assert (leaked - alone).abs().max() > 1e-3


def test_groups_are_bounded_and_keep_the_order(tiny: ModelFiles, monkeypatch: pytest.MonkeyPatch):
    given = mels(30, 90, 10, 60, 20)
    decoder = Vocoder(load_vocoder(tiny), CPU)
    whole = decoder.decode(given)
    monkeypatch.setattr(module, "GROUP_FRAMES", 100)
    assert [len(group) for group in module._groups([len(mel) for mel in given])] == [1, 1, 3]
    for one, other in zip(whole, decoder.decode(given), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_another_backbone_is_decoded_one_by_one(tiny: ModelFiles):
    vocos = load_vocoder(tiny)
    setattr(vocos, "backbone", torch.nn.Sequential(torch.nn.Conv1d(100, 64, 1), Swap()))  # noqa: B010 - of another type
    decoder = Vocoder(vocos, CPU)
    given = mels(30, 20)
    for mel, wave in zip(given, decoder.decode(given), strict=True):
        with torch.inference_mode():
            assert torch.equal(wave, vocos.decode(mel.T[None])[0])


class Swap(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(1, 2)

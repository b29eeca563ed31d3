"""Precision and device: what half precision may cost, what is done about overflow, and how both are chosen."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from f5_pipeline.errors import InputError
from f5_pipeline.speech.engines.f5 import acceleration
from f5_pipeline.speech.engines.f5.network import Item, Network
from f5_pipeline.speech.engines.f5.sampling import Sampler
from f5_pipeline_tests.speech.engines.f5.test_network import ITEMS, difference
from f5_pipeline_tests.support.tiny_f5 import TINY, tiny_dit

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dit() -> Any:
    return tiny_dit()


@pytest.mark.parametrize(("dtype", "most"), [("fp16", 0.002), ("bf16", 0.015)])
def test_half_precision_is_close_and_does_not_feel_its_batch(dit: Any, dtype: str, most: float) -> None:
    sampler = Sampler(nfe=16)
    exact = Network(dit, device="cpu", dtype="fp32").sample(ITEMS, sampler)
    net = Network(dit, device="cpu", dtype=dtype)
    made = net.sample(ITEMS, sampler)
    for one, wanted, item in zip(made, exact, ITEMS, strict=True):
        assert one.dtype == torch.float32
        error = float((one - wanted).std() / wanted.std())
        assert 0 < error < most
        (alone,) = net.sample([item], sampler)
        assert float((alone - one).std() / wanted.std()) < most / 2


def test_what_overflows_is_done_again_in_fp32_and_the_rest_stays(dit: Any) -> None:
    quiet, one = ITEMS[:2]
    loud = Item(one.reference + 1e6, one.text, one.frames, one.seed)
    sampler = Sampler(nfe=4)
    net = Network(dit, device="cpu", dtype="fp16")
    alone = net.sample([quiet], sampler)
    assert net.notes == []
    made = net.sample([quiet, loud], sampler)
    assert difference(made[:1], alone) == 0
    assert difference(made[1:], Network(dit, device="cpu", dtype="fp32").sample([loud], sampler)) == 0
    assert net.notes == ["fp16 overflowed in some chunks: these were done again in fp32"]


def test_what_is_not_finite_in_fp32_comes_back_as_it_is(dit: Any) -> None:
    one = ITEMS[0]
    broken = Item(torch.full_like(one.reference, float("nan")), one.text, one.frames, one.seed)
    made = Network(dit, device="cpu", dtype="fp32").sample([broken, ITEMS[1]], Sampler(nfe=1))
    assert not torch.isfinite(made[0]).any()
    assert torch.isfinite(made[1]).all()


def test_a_sampler_of_another_precision_is_refused(dit: Any) -> None:
    with pytest.raises(ValueError, match="asks for bf16, the network is fp32"):
        Network(dit, device="cpu", dtype="fp32").sample(ITEMS[:1], Sampler(nfe=1, dtype="bf16"))


@pytest.mark.parametrize("has_bf16", [True, False])
def test_auto_on_a_cpu_is_fp32_whatever_the_cpu_can_and_how_fast_it_is(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool
) -> None:
    """One take key, one precision: it was a race of two timings, which fp32 won in one run and bf16 in the next."""
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: has_bf16, raising=False)
    assert acceleration.choose_dtype(CPU, "auto") == ("fp32", [])
    wide = tiny_dit(TINY.model_validate({**TINY.model_dump(), "dim": 256}))
    assert Network(wide, device="cpu").dtype == "fp32"


@pytest.mark.parametrize(("capability", "dtype"), [((6, 1), "fp32"), ((7, 0), "fp16"), ((9, 0), "fp16")])
def test_auto_on_a_gpu_goes_by_what_it_is(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert acceleration.choose_dtype(torch.device("cuda", 0), "auto")[0] == dtype


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "xla", "meta"])
def test_a_device_that_is_not_there_is_told(device: str) -> None:
    with pytest.raises(InputError, match=device):
        acceleration.choose_device(device)


def test_a_precision_that_is_none_is_told() -> None:
    with pytest.raises(InputError, match="'fp8' is no precision"):
        acceleration.choose_dtype(CPU, "fp8")


def test_wider_precisions_end_at_fp32() -> None:
    assert acceleration.wider_dtype(CPU, "fp16") == "fp32"
    assert acceleration.wider_dtype(CPU, "bf16") == "fp32"
    assert acceleration.wider_dtype(CPU, "fp32") is None

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


@pytest.mark.parametrize(("half", "chosen"), [(0.5, "bf16"), (0.9, "fp32"), (2.0, "fp32")])
def test_a_cpu_takes_bf16_where_it_is_clearly_faster(monkeypatch: pytest.MonkeyPatch, half: float, chosen: str) -> None:
    monkeypatch.setattr(acceleration, "_has_bf16", lambda device: True)
    dtype, notes = acceleration.choose_dtype(CPU, "auto", lambda one: half if one == torch.bfloat16 else 1.0)
    assert dtype == chosen
    assert notes == [f"bf16: {half * 1e3:.2f} ms where fp32 takes 1000.00 ms"]


def test_a_cpu_without_bf16_is_not_even_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def trial(dtype: torch.dtype) -> float:
        raise AssertionError(dtype)

    monkeypatch.setattr(acceleration, "_has_bf16", lambda device: False)
    assert acceleration.choose_dtype(CPU, "auto", trial) == ("fp32", ["bf16: this CPU does not compute in it"])


def test_the_trial_runs_on_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "_has_bf16", lambda device: True)
    net = Network(tiny_dit(TINY.model_validate({**TINY.model_dump(), "dim": 256})), device="cpu")
    assert net.dtype in ("fp32", "bf16")
    assert [note.startswith("bf16: ") and " ms where fp32 takes " in note for note in net.notes] == [True]


def test_a_network_of_tests_is_not_tried(dit: Any) -> None:
    net = Network(dit, device="cpu")
    assert (net.dtype, net.notes) == ("fp32", [])


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "xla", "meta"])
def test_a_device_that_is_not_there_is_told(device: str) -> None:
    with pytest.raises(InputError, match=device):
        acceleration.choose_device(device)


def test_a_precision_that_is_none_is_told() -> None:
    with pytest.raises(InputError, match="'fp8' is no precision"):
        acceleration.choose_dtype(CPU, "fp8", lambda dtype: 1.0)


def test_wider_precisions_end_at_fp32() -> None:
    assert acceleration.wider_dtype(CPU, "fp16") == "fp32"
    assert acceleration.wider_dtype(CPU, "bf16") == "fp32"
    assert acceleration.wider_dtype(CPU, "fp32") is None

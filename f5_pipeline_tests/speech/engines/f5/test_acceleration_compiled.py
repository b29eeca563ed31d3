"""Compiled blocks: traced for real, but without the C++ compiler, which takes half a minute."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch

from f5_pipeline.speech.engines.f5 import acceleration
from f5_pipeline.speech.engines.f5.network import COMPILED_MULTIPLE, Network
from f5_pipeline.speech.engines.f5.sampling import Sampler
from f5_pipeline.speech.engines.f5.transformer import after_attention, before_attention
from f5_pipeline_tests.speech.engines.f5.test_network import CLOSE, ITEMS, difference
from f5_pipeline_tests.support.tiny_f5 import TINY, tiny_dit


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch):
    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("fields", [{}, {"qk_norm": "rms_norm", "pe_attn_head": 1}])
def test_compiled_blocks_do_the_same_for_any_number_of_rows(traced: None, fields: dict[str, Any]) -> None:
    dit = tiny_dit(TINY.model_validate({**TINY.model_dump(), **fields}))
    sampler = Sampler(nfe=3)
    plain = Network(dit, device="cpu", dtype="fp32")
    net = Network(dit, device="cpu", dtype="fp32", compile="on")
    assert net.compiled, net.notes
    assert "compile: " in net.notes[0]
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for count in (4, 1, 3, 2):
        assert difference(net.sample(ITEMS[:count], sampler), plain.sample(ITEMS[:count], sampler)) <= CLOSE
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] - before <= 2, "compiled anew for each batch"


def _wrong_before(*given: Any) -> Any:
    query, key, value = before_attention(*given)
    return query, key * 1.001, value


def _failing(*given: Any) -> Any:
    raise RuntimeError("no kernel\nfor this device")


def _not_a_number(*given: Any) -> Any:
    return after_attention(*given) * float("nan")


@pytest.mark.parametrize(
    ("pair", "note"),
    [
        ((_wrong_before, after_attention), "compile: wrong, off by "),
        ((before_attention, _not_a_number), "compile: wrong, off by inf"),
        ((_failing, after_attention), "compile: does not run here: RuntimeError: no kernel"),
    ],
)
def test_what_compiles_wrong_or_not_at_all_stays_plain(monkeypatch: pytest.MonkeyPatch, pair: Any, note: str) -> None:
    dit = tiny_dit()
    monkeypatch.setattr(acceleration, "_compiled", lambda: pair)
    net = Network(dit, device="cpu", dtype="fp32", compile="on")
    assert not net.compiled
    assert [one.startswith(note) for one in net.notes] == [True]
    plain = Network(dit, device="cpu", dtype="fp32").sample(ITEMS[:1], Sampler(nfe=2))
    assert difference(net.sample(ITEMS[:1], Sampler(nfe=2)), plain) == 0


def test_what_fails_only_later_is_given_up_then(monkeypatch: pytest.MonkeyPatch) -> None:
    def picky(x: Any, *rest: Any) -> Any:
        if len(x) == 2 * COMPILED_MULTIPLE:
            raise RuntimeError("not this one")
        return before_attention(x, *rest)

    monkeypatch.setattr(acceleration, "_CHECKED_ROWS", (3, 5))
    monkeypatch.setattr(acceleration, "_compiled", lambda: (picky, after_attention))
    dit = tiny_dit()
    net = Network(dit, device="cpu", dtype="fp32", compile="on")
    assert net.compiled
    made = net.sample(ITEMS[:1], Sampler(nfe=2))
    assert not net.compiled
    assert net.notes[-1] == "compile: given up: RuntimeError while sampling"
    assert difference(made, Network(dit, device="cpu", dtype="fp32").sample(ITEMS[:1], Sampler(nfe=2))) == 0

"""The network against `f5_tts.model.CFM.sample`, which gets each chunk alone: fp32, CPU, the same noise."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from f5_pipeline.speech.engine import Cancelled
from f5_pipeline.speech.engines.f5.network import MAX_FRAMES, Item, Network
from f5_pipeline.speech.engines.f5.sampling import PRESETS, Sampler
from f5_pipeline_tests.support.tiny_f5 import TINY, VOCABULARY_SIZE, tiny_dit

BANDS = 100
CLOSE = 1e-5
"""Most difference in mel, whose standard deviation is about 1.4 here. Rounding alone makes up to 5e-6 of it."""

ARCHITECTURES = {
    "v1": {},
    "v0": {"text_mask_padding": False, "pe_attn_head": 1},
    "no text convolutions": {"conv_layers": 0},
    "four text convolutions": {"conv_layers": 4},
    "query and key norms": {"qk_norm": "rms_norm"},
    "rotary positions on two of three heads": {"pe_attn_head": 2, "heads": 3},
    "skip connection": {"long_skip_connection": True},
    "text over all frames": {"average_upsampling": True},
    "deeper and wider": {"dim": 128, "depth": 5, "heads": 4, "ff_mult": 3, "text_dim": 32},
}
SAMPLERS = {
    "final": PRESETS["final"],
    "rapid": PRESETS["rapid"],
    "midpoint": Sampler(nfe=4, method="midpoint"),
    "no guidance": Sampler(nfe=4, cfg_strength=0),
    "more guidance": Sampler(nfe=6, cfg_strength=3.5),
    "half sway": Sampler(nfe=6, sway=-0.5),
    "even steps": Sampler(nfe=6, sway=None, epss=False),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def item(reference: int, text: int, frames: int, seed: int) -> Item:
    generator = torch.Generator().manual_seed(seed)
    mel = torch.randn(reference, BANDS, generator=generator) - 1
    return Item(mel, torch.randint(0, VOCABULARY_SIZE, (text,), generator=generator), frames, seed)


ITEMS = [item(50, 30, 121, 1), item(30, 40, 64, 2), item(80, 60, 203, 3), item(12, 9, 23, 4)]


def stock(dit: Any, item: Item, sampler: Sampler) -> torch.Tensor:
    """What F5-TTS makes of a chunk alone."""
    from f5_tts.model.cfm import CFM

    cfm: Any = CFM(dit, odeint_kwargs={"method": sampler.method})  # its annotations are not of what it takes
    with torch.random.fork_rng(devices=[]):
        made, _ = cfm.sample(
            item.reference[None],
            item.text[None],
            item.frames,
            steps=sampler.nfe,
            cfg_strength=sampler.cfg_strength,
            sway_sampling_coef=sampler.sway,
            use_epss=sampler.epss,
            seed=item.seed,
        )
    return made[0, len(item.reference) :]


def network(dit: Any, **options: Any) -> Network:
    return Network(dit, **{"device": "cpu", "dtype": "fp32", **options})


def difference(made: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor]) -> float:
    assert [one.shape for one in made] == [one.shape for one in wanted]
    return max(float((one - other).abs().max()) for one, other in zip(made, wanted, strict=True))


@pytest.fixture(scope="module")
def dit() -> Any:
    return tiny_dit()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_architecture_is_stock_s_one_at_a_time(name: str) -> None:
    dit = tiny_dit(TINY.model_validate({**TINY.model_dump(), **ARCHITECTURES[name]}), seed=7)
    sampler = Sampler(nfe=5)
    wanted = [stock(dit, one, sampler) for one in ITEMS]
    for layout in ("packed", "padded"):
        made = network(dit, layout=layout).sample(ITEMS, sampler)
        assert difference(made, wanted) <= CLOSE, layout


@pytest.mark.parametrize("name", SAMPLERS)
def test_each_sampler_is_stock_s(dit: Any, name: str) -> None:
    sampler = SAMPLERS[name]
    wanted = [stock(dit, one, sampler) for one in ITEMS[:2]]
    assert difference(network(dit).sample(ITEMS[:2], sampler), wanted) <= CLOSE


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_a_chunk_does_not_feel_its_batch(dit: Any, layout: str) -> None:
    net, sampler = network(dit, layout=layout), Sampler(nfe=5)
    alone = [net.sample([one], sampler)[0] for one in ITEMS]
    for seed in range(3):
        order = random.Random(seed).sample(range(len(ITEMS)), len(ITEMS) - seed)
        made = net.sample([ITEMS[index] for index in order], sampler)
        assert difference(made, [alone[index] for index in order]) <= CLOSE
    # And would feel it, were neighbours let in: this is what the bound is about.
    loud = Item(ITEMS[1].reference + 50, ITEMS[1].text, ITEMS[1].frames, ITEMS[1].seed)
    made = net.sample([ITEMS[0], loud, ITEMS[2]], sampler)
    assert difference([made[0], made[2]], [alone[0], alone[2]]) <= CLOSE
    assert difference([made[1]], [alone[1]]) > 0.1


def test_only_what_follows_the_reference_comes_back(dit: Any) -> None:
    made = network(dit).sample(ITEMS, Sampler(nfe=1))
    assert [one.shape for one in made] == [(one.frames - len(one.reference), BANDS) for one in ITEMS]
    assert all(one.dtype == torch.float32 for one in made)
    assert all(one.untyped_storage().nbytes() == one.numel() * 4 for one in made), "a slice keeps its batch alive"


def test_a_chunk_without_reference_is_stock_s(dit: Any) -> None:
    bare = item(0, 20, 70, 5)
    made = network(dit).sample([bare, ITEMS[0]], Sampler(nfe=5))
    assert difference(made[:1], [stock(dit, bare, Sampler(nfe=5))]) <= CLOSE


def test_text_longer_than_the_frames_is_cut_as_stock_cuts_it(dit: Any) -> None:
    sampler = Sampler(nfe=1, sway=None, epss=False)
    long = item(20, 90, 60, 6)
    (made,) = network(dit).sample([long], sampler)
    noise = torch.randn(60, BANDS, generator=torch.Generator().manual_seed(6))[None]
    condition = torch.cat([long.reference, torch.zeros(40, BANDS)])[None]
    with torch.no_grad():
        both = dit(x=noise, cond=condition, text=long.text[None], time=torch.tensor(0.0), cfg_infer=True, cache=False)
    wanted = noise + both[:1] + 2 * (both[:1] - both[1:])
    assert difference([made], [wanted[0, 20:]]) <= CLOSE


def test_filler_after_the_text_changes_nothing(dit: Any) -> None:
    one = ITEMS[0]
    filled = Item(one.reference, torch.cat([one.text, torch.full((7,), -1)]), one.frames, one.seed)
    net = network(dit)
    assert difference(net.sample([filled], Sampler(nfe=2)), net.sample([one], Sampler(nfe=2))) == 0


def test_the_seed_alone_decides_the_noise(dit: Any) -> None:
    net, sampler = network(dit), Sampler(nfe=2)
    one = ITEMS[0]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = net.sample([one], sampler)
    assert torch.equal(torch.get_rng_state(), before), "the global generator belongs to others"
    torch.manual_seed(2)
    assert torch.equal(net.sample([one], sampler)[0], first[0])
    other = Item(one.reference, one.text, one.frames, one.seed + 1)
    assert difference(net.sample([other], sampler), first) > 0.1


def test_the_stock_module_stays_as_it_was(dit: Any) -> None:
    before = {name: value.clone() for name, value in dit.state_dict().items()}
    for dtype in ("fp32", "bf16"):
        network(dit, dtype=dtype).sample(ITEMS[:1], Sampler(nfe=1))
    after = dit.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_cancelled_before_an_evaluation(dit: Any) -> None:
    calls: list[None] = []

    def cancelled() -> bool:
        calls.append(None)
        return len(calls) == 4

    with pytest.raises(Cancelled):
        network(dit).sample(ITEMS[:1], Sampler(nfe=32), cancelled=cancelled)
    assert len(calls) == 4


def test_nothing_to_do(dit: Any) -> None:
    assert network(dit).sample([], Sampler()) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Item(torch.zeros(30, BANDS), torch.zeros(4, dtype=torch.long), 30, 0), "30 frames after a reference of 30"),
        (Item(torch.zeros(3, BANDS), torch.zeros(4, dtype=torch.long), 8193, 0), "most are 8192"),
        (Item(torch.zeros(3, BANDS), torch.tensor([4, VOCABULARY_SIZE]), 30, 0), "none of the vocabulary's 2545"),
        (Item(torch.zeros(30, 80), torch.zeros(4, dtype=torch.long), 60, 0), r"\(30, 80\), not \(frames, 100\)"),
    ],
)
def test_what_cannot_be_synthesized_is_told(dit: Any, wrong: Item, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        network(dit).sample([ITEMS[0], wrong], Sampler(nfe=1))


def test_the_budget_follows_the_free_memory(dit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(dit)
    monkeypatch.setattr(net, "_free_bytes", lambda: 1 << 50)
    assert net.frame_budget() == MAX_FRAMES["cpu"]
    monkeypatch.setattr(net, "_free_bytes", lambda: 10_000_000)
    assert 1 < net.frame_budget() < MAX_FRAMES["cpu"]
    monkeypatch.setattr(net, "_free_bytes", lambda: 0)
    assert net.frame_budget() == 1

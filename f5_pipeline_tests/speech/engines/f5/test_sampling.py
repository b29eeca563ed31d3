"""Noise, time steps and the solver against f5_tts and torchdiffeq."""

from __future__ import annotations

import pytest
import torch
from torchdiffeq import odeint

from f5_pipeline.speech.engines.f5 import sampling as flow
from f5_pipeline.speech.engines.f5.sampling import EPSS_STEPS, PRESETS, Sampler, sampler


def test_noise_is_the_global_generator_s_for_the_same_seed() -> None:
    torch.manual_seed(11)
    expected = torch.randn(77, 100)
    assert torch.equal(flow.noise(77, 100, 11), expected)
    assert not torch.equal(flow.noise(77, 100, 12), expected)


@pytest.mark.parametrize("nfe", [1, 7, 16, 32])
@pytest.mark.parametrize("sway", [None, -1.0, 0.4])
def test_time_steps(nfe: int, sway: float | None) -> None:
    times = flow.time_steps(Sampler(nfe=nfe, sway=sway))
    assert times.shape == (nfe + 1,)
    assert times.dtype == torch.float32
    assert float(times[0]) == 0
    assert float(times[-1]) == pytest.approx(1, abs=1e-6)
    assert bool((times.diff() > 0).all())
    even = torch.allclose(flow.time_steps(Sampler(nfe=nfe, sway=None)).diff(), torch.tensor(1 / nfe))
    assert even == (nfe not in EPSS_STEPS)


def test_pruned_steps_are_some_of_the_32() -> None:
    fine = {round(32 * float(time)) for time in flow.time_steps(Sampler(nfe=32, sway=None))}
    for nfe in EPSS_STEPS:
        pruned = flow.time_steps(Sampler(nfe=nfe, sway=None)) * 32
        assert torch.equal(pruned, pruned.round())
        assert set(pruned.int().tolist()) <= fine
    assert torch.allclose(flow.time_steps(Sampler(nfe=7, sway=None, epss=False)).diff(), torch.tensor(1 / 7))


@pytest.mark.parametrize("method", ["euler", "midpoint"])
def test_the_solver_is_torchdiffeq_s(method: str) -> None:
    times = flow.time_steps(Sampler(nfe=10))
    start = torch.randn(40, 100, generator=torch.Generator().manual_seed(0))
    seen: list[float] = []

    def field(time: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        seen.append(float(time))
        return torch.sin(3 * state) * (1 + time) - state

    expected = torch.as_tensor(odeint(field, start, times, method=method)[-1])
    at = flow.evaluation_times(times, method)
    assert at.tolist() == seen
    kept = start.clone()
    made = flow.integrate(lambda number, state: field(at[number], state), start, times, method)
    assert float((made - expected).abs().max()) <= 1e-6
    assert torch.equal(start, kept)


def test_midpoint_is_of_second_order() -> None:
    def error(method: str, nfe: int) -> float:
        times = torch.linspace(0, 1, nfe + 1, dtype=torch.float64)
        end = flow.integrate(lambda _, state: -state, torch.ones(1, dtype=torch.float64), times, method)
        return abs(float(end) - float(torch.exp(torch.tensor(-1.0, dtype=torch.float64))))

    assert error("euler", 20) / error("euler", 40) == pytest.approx(2, rel=0.1)
    assert error("midpoint", 20) / error("midpoint", 40) == pytest.approx(4, rel=0.1)


def test_guidance_of_one_more_goes_one_more_away() -> None:
    with_text, without = torch.tensor([3.0]), torch.tensor([1.0])
    assert flow.guide(with_text, without, 0.0).tolist() == [3.0]
    assert flow.guide(with_text, without, 2.0).tolist() == [7.0]


def test_presets_and_what_is_put_in_their_place() -> None:
    assert {name: one.nfe for name, one in PRESETS.items()} == {"final": 32, "fast": 16, "rapid": 7}
    assert PRESETS["rapid"].epss
    made = sampler("fast", cfg_strength=0, method="midpoint", dtype="bf16")
    assert made == Sampler(nfe=16, cfg_strength=0, method="midpoint", dtype="bf16")
    assert sampler("final") == PRESETS["final"]
    with pytest.raises(KeyError):
        sampler("draft")
    with pytest.raises(ValueError, match="nfe"):
        sampler("final", nfe=0)


def test_only_a_seed_that_is_given_changes_the_settings():
    assert sampler("final").model_dump() == PRESETS["final"].model_dump()
    assert "seed" not in sampler("final").model_dump() and '"seed"' not in sampler("final").model_dump_json()
    assert sampler("final", seed=7).model_dump() == {**PRESETS["final"].model_dump(), "seed": 7}

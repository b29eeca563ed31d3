"""Attention backends: sdpa over segments against attention one by one, and the choice among right, wrong and broken."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from f5_pipeline.speech.engines.f5 import acceleration
from f5_pipeline.speech.engines.f5.acceleration import choose_attention
from f5_pipeline.speech.engines.f5.checkpoint import without_flash_attn
from f5_pipeline.speech.engines.f5.network import Network
from f5_pipeline.speech.engines.f5.sampling import Sampler
from f5_pipeline.speech.engines.f5.transformer import Backend, Segments, padded_sdpa, sdpa
from f5_pipeline_tests.speech.engines.f5.test_network import CLOSE, ITEMS, difference
from f5_pipeline_tests.support.installation import REPOSITORY
from f5_pipeline_tests.support.tiny_f5 import tiny_dit

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
LENGTHS = (5, 1, 30, 17)

RIGHT = """
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    def flash_attn_varlen_func(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k):
        assert cu_seqlens_q.dtype == torch.int32 and cu_seqlens_q[0] == 0 and cu_seqlens_q[-1] == len(q)
        assert int(cu_seqlens_q.diff().max()) == max_seqlen_q
        out = torch.empty_like(q)
        for start, end in zip(cu_seqlens_q[:-1], cu_seqlens_q[1:]):
            part = [x[start:end].transpose(0, 1)[None] for x in (q, k, v)]
            out[start:end] = scaled_dot_product_attention(*part)[0].transpose(0, 1)
        return out
"""
"""flash_attn's function, with its positional arguments, for the CPU."""

UNMASKED = """
    from torch.nn.functional import scaled_dot_product_attention

    def flash_attn_varlen_func(q, k, v, *bounds):
        part = [x.transpose(0, 1)[None] for x in (q, k, v)]
        return scaled_dot_product_attention(*part)[0].transpose(0, 1)
"""
NOT_A_NUMBER = """
    def flash_attn_varlen_func(q, k, v, *bounds):
        return q * (1 if len(q) == 48 else float("nan"))
"""
UNDEFINED_SYMBOL = """
    raise ImportError("flash_attn_2_cuda.so: undefined symbol: _ZN3c104cuda9SetDeviceEab")
"""
CRASH = """
    import os, signal
    os.kill(os.getpid(), signal.SIGSEGV)
"""


@pytest.fixture
def flash_attn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install a flash_attn of the given source for this process and its children."""

    def install(source: str) -> None:
        (tmp_path / "flash_attn").mkdir()
        (tmp_path / "flash_attn" / "__init__.py").write_text(textwrap.dedent(source))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(REPOSITORY)]))

    yield install
    sys.modules.pop("flash_attn", None)


def packed(branches: int = 2) -> tuple[list[torch.Tensor], Segments]:
    generator = torch.Generator().manual_seed(0)
    rows = branches * sum(LENGTHS)
    return [torch.randn(rows, 3, 16, generator=generator) for _ in range(3)], Segments.of(LENGTHS, branches, CPU)


@pytest.mark.parametrize("branches", [1, 2])
def test_sdpa_attends_within_each_segment(branches: int) -> None:
    (query, key, value), segments = packed(branches)
    made = sdpa(query, key, value, segments)
    bounds = segments.bounds.tolist()
    assert bounds[-1] == len(query)
    assert len(bounds) == branches * len(LENGTHS) + 1
    for start, end in pairwise(bounds):
        q, k, v = (one[start:end].transpose(0, 1) for one in (query, key, value))
        assert torch.allclose(made[start:end], scaled_dot_product_attention(q, k, v).transpose(0, 1), atol=1e-6)


def test_padding_is_not_attended_to() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, 9, 3, 16, generator=generator)
    mask = torch.arange(9) < torch.tensor([9, 4])[:, None]
    made = padded_sdpa(query, key, value, mask)
    alone = padded_sdpa(query[1:, :4], key[1:, :4], value[1:, :4], None)
    assert torch.allclose(made[1:, :4], alone, atol=1e-6)
    value[1, 4:] = 1e6
    assert torch.equal(padded_sdpa(query, key, value, mask)[1, :4], made[1, :4])


def test_a_cpu_has_sdpa_and_does_not_look_further() -> None:
    backend, notes = choose_attention(CPU, torch.float32, 2, 64)
    assert (backend.name, notes) == ("sdpa", [])
    with pytest.raises(ValueError, match="xformers"):
        choose_attention(CPU, torch.float32, 2, 64, requested="xformers")


def test_varlen_where_it_does_not_run_gives_way() -> None:
    backend, notes = choose_attention(CPU, torch.float32, 2, 64, requested="varlen")
    assert backend.name == "sdpa"
    assert notes[0].startswith("sdpa: ")
    assert notes[1].startswith("varlen: does not run here: ")


def test_the_faster_of_the_right_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "_is_installed", lambda name: True)

    def slow(query: Any, key: Any, value: Any, segments: Segments) -> Any:
        return [sdpa(query, key, value, segments) for _ in range(20)][-1]

    # As on a GPU, where all are tried; here their seconds are told by the trial itself.
    told = {sdpa: 3.0, slow: 4.0}
    monkeypatch.setattr(acceleration._AttentionTrial, "seconds", lambda self, attend: told[attend])
    monkeypatch.setattr(acceleration, "_load_varlen", lambda device: slow)
    assert choose_attention(CPU, torch.float32, 2, 64, requested="varlen")[0].name == "varlen"

    fast = lambda *given: sdpa(*given)  # noqa: E731
    told[fast] = 1.0
    monkeypatch.setattr(acceleration, "_load_flash_attn", lambda device: fast)
    monkeypatch.setattr(acceleration, "_TRIAL_DEVICE", acceleration._TRIAL_CPU)
    pretended: Any = type("Device", (), {"type": "cuda"})()
    monkeypatch.setattr(acceleration._AttentionTrial, "__init__", _trial_on_cpu)
    backend, notes = choose_attention(pretended, torch.float32, 2, 64)
    assert backend.name == "flash_attn"
    assert notes == ["sdpa: 3000.00 ms for 143 frames", "varlen: 4000.00 ms", "flash_attn: 1000.00 ms"]
    told[fast] = 3.5
    assert choose_attention(pretended, torch.float32, 2, 64)[0].name == "sdpa"


_trial = acceleration._AttentionTrial.__init__


def _trial_on_cpu(self: Any, device: Any, *rest: Any) -> None:
    _trial(self, CPU, *rest)


def test_flash_attn_that_is_right_is_used(flash_attn: Any) -> None:
    flash_attn(RIGHT)
    dit = tiny_dit()
    net = Network(dit, device="cpu", dtype="fp32", attention="flash_attn")
    assert net.attention == "flash_attn", net.notes
    sampler = Sampler(nfe=2)
    assert difference(net.sample(ITEMS, sampler), Network(dit, device="cpu", dtype="fp32").sample(ITEMS, sampler)) <= (
        CLOSE
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (UNMASKED, "flash_attn: wrong, off by "),
        (NOT_A_NUMBER, "flash_attn: wrong, off by inf"),
        (UNDEFINED_SYMBOL, "flash_attn: does not run here: RuntimeError: ImportError: flash_attn_2_cuda.so: undefined"),
        (CRASH, "flash_attn: does not run here: RuntimeError: ended with -11"),
    ],
)
def test_flash_attn_that_is_wrong_or_broken_gives_way(flash_attn: Any, source: str, said: str) -> None:
    flash_attn(source)
    backend, notes = choose_attention(CPU, torch.float32, 2, 64, requested="flash_attn")
    assert backend == Backend("sdpa", sdpa)
    assert notes[1].startswith(said)


def test_flash_attn_that_hangs_gives_way(flash_attn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    flash_attn("import time; time.sleep(60)")
    monkeypatch.setattr(acceleration, "MAX_IMPORT_SECONDS", 0.5)
    backend, notes = choose_attention(CPU, torch.float32, 2, 64, requested="flash_attn")
    assert backend.name == "sdpa"
    assert "TimeoutExpired" in notes[1]


def test_a_broken_flash_attn_does_not_break_f5_tts(flash_attn: Any) -> None:
    flash_attn(UNDEFINED_SYMBOL)
    program = """
        import sys
        try:
            import f5_tts.model.modules
        except ImportError as error:
            print("unguarded:", error)
        from f5_pipeline.speech.engines.f5.checkpoint import import_f5_tts
        trains = ("wandb", "datasets", "accelerate", "f5_tts.model.trainer")
        print("guarded:", import_f5_tts().dit.__name__, [m for m in ("flash_attn", *trains) if m in sys.modules])
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    unguarded, guarded = done.stdout.splitlines()
    assert unguarded.startswith("unguarded: flash_attn_2_cuda.so")
    assert guarded == "guarded: DiT []", "nor is anything imported that only trains"


def test_a_flash_attn_that_is_loaded_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = object()
    monkeypatch.setitem(sys.modules, "flash_attn", loaded)  # type: ignore[misc]
    with without_flash_attn():
        assert sys.modules["flash_attn"] is loaded
    assert sys.modules["flash_attn"] is loaded

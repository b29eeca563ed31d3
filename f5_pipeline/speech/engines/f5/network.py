"""The network as the engine uses it: chunks in, mel frames out, in batches that leave no trace in them.

The network itself is `transformer`, the solver around it `sampling`; shapes are named as in `transformer`. What a chunk
becomes depends on the chunk, its seed, the sampler and the precision, and, but for rounding, on nothing else in the
batch; in fp32 it is what `f5_tts.model.CFM.sample` makes of the chunk alone, to 1e-5.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from f5_pipeline.speech.engine import Cancelled
from f5_pipeline.speech.engines.f5.acceleration import (
    DTYPES,
    choose_attention,
    choose_device,
    choose_dtype,
    compile_blocks,
    wider_dtype,
)
from f5_pipeline.speech.engines.f5.sampling import evaluation_times, guide, integrate, noise, time_steps
from f5_pipeline.speech.engines.f5.transformer import (
    Backend,
    Layout,
    Modulations,
    Packed,
    Padded,
    Transformer,
    after_attention,
    before_attention,
    modulations,
    sdpa,
)

if TYPE_CHECKING:
    from torch import Tensor

    from f5_pipeline.speech.engines.f5.sampling import Sampler

NO_GUIDANCE = 1e-5
"""Below this strength of guidance the network runs without, as in F5-TTS."""

MAX_FRAMES = {"cuda": 32_768, "mps": 8_192, "cpu": 2_048}
"""Frames in a batch beyond which a device gains nothing, and a cancelled run only waits longer."""

MAX_MEMORY_SHARE = 0.7
"""Part of a device's free memory that a batch may take by the estimate."""

COMPILED_MULTIPLE = 128
"""Frames of a compiled batch are a multiple of this: aligned for the matrix units."""


@dataclass
class Item:
    """One chunk to synthesize.

    Attributes:
        reference: log-mel frames of the voice's recording, (r, m) fp32; r may be 0.
        text: vocabulary indices of the reference's text and then the chunk's, (tokens) int64, as
            `f5_tts.model.utils.list_str_to_idx` gives them; -1 is filler.
        frames: mel frames in all, the reference's included: more than r, and than tokens, or the text is cut.
        seed: of the noise.
    """

    reference: Tensor
    text: Tensor
    frames: int
    seed: int


@dataclass(frozen=True)
class _Prepared:
    """A batch on the device, before its first evaluation; shapes as in `Transformer.flow`."""

    layout: Layout
    branches: int
    condition: Tensor
    state: Tensor
    rotary: Tensor
    tables: Modulations
    times: Tensor


class Network:
    """A stock DiT's parameters on a device, with the fastest exact way found there to sample from them.

    Several threads may sample: one does at a time, while others prepare a batch or work `aside`.

    Attributes:
        device: where it runs.
        dtype: fp32, fp16 or bf16.
        attention: the backend: sdpa, varlen or flash_attn.
        layout: packed or padded.
        compiled: whether the blocks are compiled.
        notes: what was tried and measured, and why it was not taken; sentences; sampling adds to them.
    """

    def __init__(
        self,
        dit: Any,
        *,
        device: str = "auto",
        dtype: str = "auto",
        attention: str = "auto",
        compile: str = "auto",
        layout: str = "auto",
    ) -> None:
        """
        Args:
            dit: `f5_tts.model.DiT`, fp32 on the CPU; it is kept, and stays as it is.
            device: auto, cpu, cuda, cuda:1, mps.
            dtype: auto, fp32, fp16, bf16.
            attention: auto, or a backend, which is taken where it is right.
            compile: auto (on CUDA), on, off. Blocks stay plain where compiled ones fail, are wrong, or (auto) slower.
            layout: auto or packed: chunks one after the other; padded: to the longest of a batch, with sdpa.

        Raises:
            InputError: no such device, or not in this precision.
        """
        if layout not in ("auto", "packed", "padded") or compile not in ("auto", "on", "off"):
            raise ValueError(f"layout {layout!r} or compile {compile!r} is unknown")
        if any(weight.dtype != torch.float32 or weight.device.type != "cpu" for weight in dit.parameters()):
            raise ValueError("the network is made from parameters in fp32 on the CPU")
        self._dit = dit.eval()
        self.device = choose_device(device)
        self.dtype, self.notes = choose_dtype(self.device, dtype)
        self.layout = "packed" if layout == "auto" else layout
        with self._on_device(), torch.no_grad():
            self._transformer = Transformer(dit, self.device, DTYPES[self.dtype])
            shape = (self._transformer.heads, self._transformer.head_dim)
            requested = "sdpa" if self.layout == "padded" else attention
            self._backend, notes = choose_attention(self.device, DTYPES[self.dtype], *shape, requested=requested)
            self.notes += notes
            self.compiled = False
            if compile == "on" or (compile == "auto" and self.device.type == "cuda"):
                self.compiled, notes = compile_blocks(self._transformer, keep_slower=compile == "on")
                self.notes += notes
        self.attention = self._backend.name
        self._wider: dict[str, Transformer] = {}
        self._tables: dict[tuple[float, ...], Modulations] = {}
        self._turn = threading.Lock()
        self._side = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None

    @property
    def max_frames(self) -> int:
        """Frames that a chunk may have in all: as many as the text embedding has positions."""
        text_embed = self._dit.text_embed
        return text_embed.precompute_max_pos if text_embed.extra_modeling else 65_536

    def frame_budget(self) -> int:
        """Frames that a batch may have in all, references included, by the free memory of the device; at least one."""
        t = self._transformer
        size, attended = DTYPES[self.dtype].itemsize, t.heads * t.head_dim
        feed_forward = t.blocks[0].up.shape[0]
        # Alive at once at the two peaks of a block: rotation (queries and keys in fp32 twice, before compilation) and
        # feed-forward; the residual and the condition beside them, and a skip connection's copy.
        rotation = size * (t.dim + 6 * attended) + 16 * attended
        forward = size * (2 * t.dim + 2 * feed_forward)
        row_bytes = max(rotation, forward) + size * 2 * t.dim + 4 * t.dim + 16 * t.bands + 8 * t.head_dim
        frame_bytes = 2 * row_bytes + 32 * t.bands
        return max(1, min(MAX_FRAMES[self.device.type], int(MAX_MEMORY_SHARE * self._free_bytes() / frame_bytes)))

    @torch.no_grad()
    def sample(
        self, items: Sequence[Item], sampler: Sampler, *, cancelled: Callable[[], bool] = lambda: False
    ) -> list[Tensor]:
        """Synthesize a batch: of each item the frames after its reference, (frames - r, m) fp32 on the device.

        An item whose result is not finite overflowed in half precision and is done again in a wider one. Text that is
        longer than the frames is cut at its end, as the stock text embedding does.

        Raises:
            ValueError: an item has no frames after its reference, or more than `max_frames`, or another number of mel
                bands, or a token that the vocabulary lacks; or the sampler names another precision.
            Cancelled: `cancelled()` was true before an evaluation.
            torch.OutOfMemoryError: the batch does not fit.
        """
        for item in items:
            self._check(item)
        if sampler.dtype not in ("auto", self.dtype):
            raise ValueError(f"the sampler asks for {sampler.dtype}, the network is {self.dtype}")
        if not items:
            return []
        with self._on_device():
            with self.aside():
                batch = self._prepare(self._transformer, items, sampler)
            with self._turn:
                results = self._sample_compiled_or_plain(batch, items, sampler, cancelled)
                dtype: str | None = self.dtype
                while failed := not_finite(results):
                    overflowed, dtype = dtype, wider_dtype(self.device, dtype)
                    if dtype is None:
                        break
                    note = f"{overflowed} overflowed in some chunks: these were done again in {dtype}"
                    if note not in self.notes:
                        self.notes.append(note)
                    again, wider = [items[index] for index in failed], self._in(dtype)
                    made = self._sample(wider, self._prepare(wider, again, sampler), again, sampler, cancelled)
                    for index, result in zip(failed, made, strict=True):
                        results[index] = result
                return results

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """What is computed in it runs beside the sampling of another thread, on a stream of its own, and is finished at
        its end: so nothing that it used or made is freed or read too early. Apple's devices take the work of one
        thread at a time: there it waits for the other's."""
        if self._side is not None:
            with torch.cuda.stream(self._side):
                yield
            self._side.synchronize()
            return
        with self._turn if self.device.type == "mps" else contextlib.nullcontext():
            yield

    def _sample_compiled_or_plain(
        self, batch: _Prepared, items: Sequence[Item], sampler: Sampler, cancelled: Callable[[], bool]
    ) -> list[Tensor]:
        try:
            return self._sample(self._transformer, batch, items, sampler, cancelled)
        except (Cancelled, torch.OutOfMemoryError):
            raise
        except Exception as error:
            if not self.compiled:
                raise
            # What fails uncompiled too is no fault of the compiler, and is raised below.
            self._transformer.before, self._transformer.after = before_attention, after_attention
            self.compiled = False
            self.notes.append(f"compile: given up: {type(error).__name__} while sampling")
        return self._sample(self._transformer, batch, items, sampler, cancelled)

    def _prepare(self, transformer: Transformer, items: Sequence[Item], sampler: Sampler) -> _Prepared:
        branches = 1 if sampler.cfg_strength < NO_GUIDANCE else 2
        lengths = [item.frames for item in items]
        layout: Layout
        if self.layout == "padded":
            layout = Padded(lengths, branches, self.device)
        else:
            multiple = COMPILED_MULTIPLE if self.compiled else 1
            backend = self._backend if transformer is self._transformer else Backend("sdpa", sdpa)
            layout = Packed(lengths, branches, backend, self.device, multiple=multiple)

        b, t, d, m = branches, layout.frames, transformer.dim, transformer.bands
        condition = torch.zeros(b, t, d, dtype=torch.float32, device=self.device)
        state = torch.zeros(t, m, dtype=torch.float32, device=self.device)
        for item, frames in zip(items, layout.chunk_slices, strict=True):
            condition[:, frames] = transformer.condition(item.text, item.reference, item.frames, b)
            state[frames] = noise(item.frames, m, item.seed).to(self.device)
        rotary = transformer.rotary(layout.positions).repeat(b, 1, 1)  # (n, k / 2, 2)
        times = time_steps(sampler)
        tables = transformer.place(self._modulations(evaluation_times(times, sampler.method)))
        return _Prepared(layout, branches, condition, state, rotary, tables, times)

    def _sample(
        self,
        transformer: Transformer,
        batch: _Prepared,
        items: Sequence[Item],
        sampler: Sampler,
        cancelled: Callable[[], bool],
    ) -> list[Tensor]:
        layout, tables = batch.layout, batch.tables
        under_way: deque[torch.cuda.Event] = deque()

        def guided(evaluation: int, state: Tensor) -> Tensor:
            # One evaluation may be under way while the next is prepared, but not more: else no cancel is timely.
            if self.device.type == "cuda":
                if len(under_way) > 1:
                    under_way.popleft().synchronize()
                under_way.append(torch.cuda.Event())
                under_way[-1].record()
            if cancelled():
                raise Cancelled
            flow = transformer.flow(
                state, batch.condition, layout, batch.rotary, tables.blocks[evaluation], tables.final[evaluation]
            )  # (b, t, m)
            return flow[0] if batch.branches == 1 else guide(flow[0], flow[1], sampler.cfg_strength)

        mels = integrate(guided, batch.state, batch.times, sampler.method)  # (t, m)
        # Copies: a slice would keep the whole batch alive.
        return [
            mels[frames][len(item.reference) :].clone() for item, frames in zip(items, layout.chunk_slices, strict=True)
        ]

    def _check(self, item: Item) -> None:
        frames, bands = len(item.reference), self._transformer.bands
        if item.reference.ndim != 2 or item.reference.shape[1] != bands:
            raise ValueError(f"the reference's shape is {tuple(item.reference.shape)}, not (frames, {bands})")
        if not frames < item.frames <= self.max_frames:
            raise ValueError(f"{item.frames} frames after a reference of {frames}: most are {self.max_frames}")
        # On a GPU one of these would not raise but end all work of the process on it.
        tokens = self._dit.text_embed.text_embed.num_embeddings - 1
        if len(item.text) and not (int(item.text.min()) >= -1 and int(item.text.max()) < tokens):
            raise ValueError(f"a text holds a token that is none of the vocabulary's {tokens}")

    def _modulations(self, times: Tensor) -> Modulations:
        key = tuple(times.tolist())
        if (tables := self._tables.get(key)) is None:
            # A run has one sampler; others come and go in tests and benchmarks.
            if len(self._tables) >= 4:
                self._tables.clear()
            self._tables[key] = tables = modulations(self._dit, times)
        return tables

    def _in(self, dtype: str) -> Transformer:
        """The network in a wider precision than its own."""
        if dtype not in self._wider:
            self._wider[dtype] = Transformer(self._dit, self.device, DTYPES[dtype])
        return self._wider[dtype]

    def _free_bytes(self) -> int:
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            cached = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
            return free + cached
        if self.device.type == "mps":
            return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
        import psutil

        return psutil.virtual_memory().available

    @contextlib.contextmanager
    def _on_device(self) -> Iterator[None]:
        if self.device.type != "cuda":
            yield
            return
        # Kernels of others launch on the current device, not on their tensors'. And cuDNN would round what it
        # convolves in fp32 to 10 bits.
        with torch.cuda.device(self.device), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield


def not_finite(mels: Sequence[Tensor]) -> list[int]:
    """Which of them are not; waits for the device once."""
    finite = torch.stack([torch.isfinite(mel).all() for mel in mels]).tolist()
    return [index for index, fine in enumerate(finite) if not fine]

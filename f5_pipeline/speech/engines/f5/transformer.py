"""The diffusion transformer of F5-TTS, laid out for synthesis: the same function as the stock module, with less work.

Read it from top to bottom: the parameters, one block, how the chunks of a batch lie in one tensor (the layouts, which
own all that crosses frames), and the whole network (`Transformer.flow`).

Shapes in annotations and comments:

    b   branches: 2 with guidance (conditional, unconditional), else 1
    t   mel frames of a branch: the frames of all chunks of the batch, with filler or padding
    n   rows, b * t: the branches one after the other
    d   width of the model (`dim`)
    h   attention heads, each k wide (64)
    f   width of the feed-forward layer
    m   mel bands (100)
    l   transformer blocks (`depth`)
    e   evaluations of the network in one run of the solver
    r   mel frames of a chunk's reference

What `f5_tts.model.backbones.dit.DiT` computes anew in each evaluation, and what is done here instead:

- the embedding of the time and all modulations (AdaLN) depend on the time step alone: tables, once for a sampler;
- reference and text do not change between evaluations: their part of the input projection is added up once;
- sine and cosine of the rotary positions: a table;
- queries, keys and values are one multiplication;
- a modulated layer norm is a layer norm with the modulation for weight and bias: one kernel.

In half precision the residual stream and the blocks' weights are halves. The time embedding and modulation (before
they are stored), the text embedding, the input projection, the rotary positions and the output projection are fp32.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Conv1d

EPSILON = 1e-6
"""Of all layer and query/key norms of the stock network."""


# --- parameters -------------------------------------------------------------------------------------------------------


class Block(NamedTuple):
    """Parameters of one transformer block, in the network's precision."""

    qkv: Tensor  # (3hk, d)
    qkv_bias: Tensor  # (3hk)
    query_norm: Tensor | None  # (k)
    key_norm: Tensor | None  # (k)
    out: Tensor  # (d, hk)
    out_bias: Tensor  # (d)
    up: Tensor  # (f, d)
    up_bias: Tensor  # (f)
    down: Tensor  # (d, f)
    down_bias: Tensor  # (d)


class Modulations(NamedTuple):
    """AdaLN's modulations for each evaluation of a sampler."""

    blocks: Tensor
    """(e, l, 6, d): shift, 1 + scale, gate of attention, then of the feed-forward layer."""
    final: Tensor
    """(e, 2, d) fp32: shift, 1 + scale of the last norm."""


@torch.no_grad()
def modulations(dit: Any, times: Tensor) -> Modulations:
    """The modulations at these times (e), fp32 on the CPU, where the stock AdaLN weights (40 % of all) stay."""
    embedded = F.silu(dit.time_embed(times))  # (e, d)
    blocks = torch.stack([block.attn_norm.linear(embedded) for block in dit.transformer_blocks], dim=1)  # (e, l, 6d)
    blocks = blocks.unflatten(-1, (6, -1)).clone()
    blocks[:, :, (1, 4)] += 1
    scale, shift = dit.norm_out.linear(embedded).chunk(2, dim=1)
    return Modulations(blocks, torch.stack((shift, 1 + scale), dim=1))


# --- one block --------------------------------------------------------------------------------------------------------


def before_attention(
    x: Tensor, modulation: Tensor, rotary: Tensor, block: Block, heads: int, rotary_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, (n, h, k) each, of x (n, d).

    Args:
        modulation: (6, d), an entry of `Modulations.blocks`.
        rotary: (n, k / 2, 2) fp32, see `Transformer.rotary`.
        rotary_heads: how many of the heads, from the first on, know positions.
    """
    y = F.layer_norm(x, x.shape[-1:], modulation[1], modulation[0], EPSILON)  # (n, d)
    query, key, value = F.linear(y, block.qkv, block.qkv_bias).unflatten(-1, (3, heads, -1)).unbind(1)  # (n, h, k)
    if block.query_norm is not None and block.key_norm is not None:
        query = F.rms_norm(query, query.shape[-1:], block.query_norm, EPSILON)
        key = F.rms_norm(key, key.shape[-1:], block.key_norm, EPSILON)
    return rotate(query, rotary, rotary_heads), rotate(key, rotary, rotary_heads), value


def after_attention(x: Tensor, attended: Tensor, modulation: Tensor, block: Block) -> Tensor:
    """The rest of a block, (n, d): attention's output projection and the feed-forward layer.

    Args:
        x: (n, d), the input of the block.
        attended: (n, h, k), the output of attention.
        modulation: (6, d), an entry of `Modulations.blocks`.
    """
    x = torch.addcmul(x, modulation[2], F.linear(attended.flatten(1), block.out, block.out_bias))  # (n, d)
    y = F.layer_norm(x, x.shape[-1:], modulation[4], modulation[3], EPSILON)
    y = F.gelu(F.linear(y, block.up, block.up_bias), approximate="tanh")  # (n, f)
    return torch.addcmul(x, modulation[5], F.linear(y, block.down, block.down_bias))


def rotate(x: Tensor, rotary: Tensor, heads: int) -> Tensor:
    """Rotary positions (arXiv 2104.09864) on the first heads of x (n, h, k): neighbours paired, in fp32."""
    pairs = x[:, :heads].float().unflatten(-1, (-1, 2))  # (n, heads, k / 2, 2)
    if torch.compiler.is_compiling() or x.device.type == "mps":
        # Neither has code for complex numbers (MPS on older systems); elsewhere they are several times faster.
        (real, imaginary), (cosine, sine) = pairs.unbind(-1), rotary[:, None].unbind(-1)
        rotated = torch.stack((real * cosine - imaginary * sine, imaginary * cosine + real * sine), dim=-1)
    else:
        rotated = torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(rotary)[:, None])
    rotated = rotated.flatten(-2).to(x.dtype)
    return rotated if heads == x.shape[1] else torch.cat((rotated, x[:, heads:]), dim=1)


# --- attention --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Segments:
    """Sequences one after the other in a packed tensor, the same in each of its branches.

    Attributes:
        lengths: frames of each; t in all.
        branches: b.
        bounds: starts and the last end over all branches, (b * len(lengths) + 1) int32 on the device.
    """

    lengths: tuple[int, ...]
    branches: int
    bounds: Tensor

    @classmethod
    def of(cls, lengths: Sequence[int], branches: int, device: torch.device) -> Segments:
        bounds = list(accumulate([*lengths] * branches, initial=0))
        return cls(tuple(lengths), branches, torch.tensor(bounds, dtype=torch.int32, device=device))

    @property
    def longest(self) -> int:
        return max(self.lengths)

    @property
    def frames(self) -> int:
        return sum(self.lengths)


Attend = Callable[["Tensor", "Tensor", "Tensor", Segments], "Tensor"]
"""Attention within each segment: queries, keys, values (n, h, k) to (n, h, k)."""


@dataclass(frozen=True)
class Backend:
    """An implementation of attention; `acceleration.choose_attention` finds the fastest correct one."""

    name: str
    attend: Attend


def sdpa(query: Tensor, key: Tensor, value: Tensor, segments: Segments) -> Tensor:
    """torch's scaled_dot_product_attention, a call for each segment; its branches go together."""
    shape = (segments.branches, segments.frames, *query.shape[1:])  # (b, t, h, k)
    query, key, value = query.view(shape), key.view(shape), value.view(shape)
    out = torch.empty(shape, dtype=query.dtype, device=query.device)
    for start, end in pairwise(accumulate(segments.lengths, initial=0)):
        out[:, start:end] = padded_sdpa(query[:, start:end], key[:, start:end], value[:, start:end], None)
    return out.view(-1, *shape[2:])


def padded_sdpa(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """torch's attention over padded sequences (sequences, frames, h, k).

    Args:
        mask: (sequences, frames), False on padding; None where there is none.
    """
    bias = None if mask is None else mask[:, None, None, :]
    query, key, value = (tensor.transpose(1, 2) for tensor in (query, key, value))  # (sequences, h, frames, k)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias).transpose(1, 2)


# --- layouts: where the chunks of a batch lie, and what crosses frames ------------------------------------------------


class Layout(Protocol):
    """Layout of the chunks of a batch in one tensor, without influence on each other.

    Everything in the network but attention and the convolutions works frame by frame; a layout owns those two.

    Attributes:
        frames: t, fillers and padding included.
        chunk_slices: the frames of each chunk in a branch.
        positions: number of each frame within its chunk, (t) int64 on the device.
    """

    frames: int
    chunk_slices: list[slice]
    positions: Tensor

    def convolve(self, x: Tensor, layers: Sequence[Conv1d]) -> Tensor:
        """Convolutions of odd kernels along the frames, each followed by Mish: (b, t, d) to (b, t, d)."""
        ...

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention within each chunk: (n, h, k) to (n, h, k)."""
        ...


class Packed:
    """Chunks one after the other, without padding.

    A branch is filled up to a multiple of `multiple` frames, so that few different numbers of frames occur; the filler
    is a chunk of its own.
    """

    def __init__(
        self, lengths: Sequence[int], branches: int, backend: Backend, device: torch.device, *, multiple: int = 1
    ) -> None:
        filler = -sum(lengths) % multiple
        self.chunk_slices = [slice(end - length, end) for end, length in zip(accumulate(lengths), lengths, strict=True)]
        lengths = [*lengths, filler] if filler else list(lengths)
        self.frames = sum(lengths)
        self.positions = torch.cat([torch.arange(length) for length in lengths]).to(device)
        self._segments = Segments.of(lengths, branches, device)
        self._backend = backend
        self._chunk_of_frame = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)).to(device)

    def convolve(self, x: Tensor, layers: Sequence[Conv1d]) -> Tensor:
        # A gap of zeros as wide as the kernel reaches does for each what the end of the sequence does for one alone.
        reach = max(layer.weight.shape[-1] // 2 for layer in layers)
        spread = torch.arange(self.frames, device=x.device) + reach * self._chunk_of_frame  # (t)
        wide = x.new_zeros(x.shape[0], self.frames + reach * (len(self._segments.lengths) - 1), x.shape[2])
        wide[:, spread] = x
        gaps = torch.ones(wide.shape[1], dtype=torch.bool, device=x.device)
        gaps[spread] = False
        return _convolve(wide.transpose(1, 2), layers, gaps).transpose(1, 2)[:, spread]

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return self._backend.attend(query, key, value, self._segments)


class Padded:
    """Chunks side by side, padded to the longest; padding is masked."""

    def __init__(self, lengths: Sequence[int], branches: int, device: torch.device) -> None:
        longest = max(lengths)
        self._longest = longest
        self.chunk_slices = [slice(row * longest, row * longest + length) for row, length in enumerate(lengths)]
        self.frames = len(lengths) * longest
        self.positions = torch.arange(longest, device=device).repeat(len(lengths))
        mask = torch.arange(longest) < torch.tensor(lengths)[:, None]  # (chunks, longest)
        self._mask = None if bool(mask.all()) else mask.repeat(branches, 1).to(device)

    def convolve(self, x: Tensor, layers: Sequence[Conv1d]) -> Tensor:
        rows = x.reshape(-1, self._longest, x.shape[-1]).transpose(1, 2)  # (b * chunks, d, longest)
        padding = None if self._mask is None else ~self._mask[:, None]
        return _convolve(rows, layers, padding).transpose(1, 2).reshape(x.shape)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        shape = query.shape
        query, key, value = (part.reshape(-1, self._longest, *shape[1:]) for part in (query, key, value))
        return padded_sdpa(query, key, value, self._mask).reshape(shape)


def _convolve(x: Tensor, layers: Sequence[Conv1d], silent: Tensor | None) -> Tensor:
    """Convolutions with Mish of x (…, d, frames); frames that are `silent` are zero before each of them."""
    for layer in layers:
        if silent is not None:
            x = x.masked_fill(silent, 0)
        padding = layer.weight.shape[-1] // 2
        x = F.mish(F.conv1d(x, layer.weight, layer.bias, padding=padding, groups=layer.groups))
    return x


# --- the network ------------------------------------------------------------------------------------------------------


class Transformer:
    """The parameters of a stock DiT on a device in one precision, and the flow that they define.

    Attributes:
        before, after: the two halves of a block; replaced by compiled ones where those are correct and faster.
        heads, head_dim, dim, bands: h, k, d, m.
        rotary_heads: how many of the heads know positions.
        blocks: parameters of the l blocks.
    """

    def __init__(self, dit: Any, device: torch.device, dtype: torch.dtype) -> None:
        """
        Args:
            dit: `f5_tts.model.DiT`, fp32 on the CPU; stays as it is.
        """
        self.device, self.dtype = device, dtype
        self.before: Callable[..., tuple[Tensor, Tensor, Tensor]] = before_attention
        self.after: Callable[..., Tensor] = after_attention
        attention = dit.transformer_blocks[0].attn
        self.heads: int = attention.heads
        self.head_dim: int = attention.inner_dim // attention.heads
        self.rotary_heads: int = attention.processor.pe_attn_head or attention.heads
        self.dim: int = dit.dim
        self.bands: int = dit.proj_out.out_features

        self._text_embed = copy.deepcopy(dit.text_embed).requires_grad_(False).eval().to(device)
        projection = dit.input_embed.proj
        parts = projection.weight.split((self.bands, self.bands, projection.in_features - 2 * self.bands), dim=1)
        self._state_in, self._reference_in, self._text_in = (self._full(part) for part in parts)  # (d, m), …
        self._in_bias = self._full(projection.bias)
        self._convolutions = [
            copy.deepcopy(layer).requires_grad_(False).to(device, dtype)
            for layer in dit.input_embed.conv_pos_embed.conv1d
            if isinstance(layer, torch.nn.Conv1d)
        ]
        self._inverse_frequencies = dit.rotary_embed.inv_freq.detach().float().cpu()  # (k / 2)
        self.blocks = [self._block(block) for block in dit.transformer_blocks]
        skip = dit.long_skip_connection
        self._skip = None if skip is None else self._half(skip.weight)  # (d, 2d)
        self._out, self._out_bias = self._full(dit.proj_out.weight), self._full(dit.proj_out.bias)  # (m, d), (m)

    def _half(self, *parameters: Tensor) -> Tensor:
        """Parameters joined, in the network's precision; a single one is shared where nothing changes."""
        placed = [parameter.detach().to(self.device, self.dtype) for parameter in parameters]
        return placed[0].contiguous() if len(placed) == 1 else torch.cat(placed)

    def _full(self, parameter: Tensor) -> Tensor:
        """A parameter that stays fp32 in every precision."""
        return parameter.detach().to(self.device, torch.float32).contiguous()

    def _block(self, block: Any) -> Block:
        attention, (up, _, down) = block.attn, block.ff.ff
        queries_keys_values = (attention.to_q, attention.to_k, attention.to_v)
        return Block(
            qkv=self._half(*(layer.weight for layer in queries_keys_values)),
            qkv_bias=self._half(*(layer.bias for layer in queries_keys_values)),
            query_norm=None if attention.q_norm is None else self._half(attention.q_norm.weight),
            key_norm=None if attention.k_norm is None else self._half(attention.k_norm.weight),
            out=self._half(attention.to_out[0].weight),
            out_bias=self._half(attention.to_out[0].bias),
            up=self._half(up[0].weight),
            up_bias=self._half(up[0].bias),
            down=self._half(down.weight),
            down_bias=self._half(down.bias),
        )

    # What is the same in all evaluations of a batch is computed once, by these three, and given to `flow`.

    def place(self, tables: Modulations) -> Modulations:
        """The modulations on the device, in the precisions that `flow` takes."""
        return Modulations(tables.blocks.to(self.device, self.dtype), tables.final.to(self.device))

    def rotary(self, positions: Tensor) -> Tensor:
        """Cosine and sine of the angles of positions (t): (t, k / 2, 2) fp32; computed on the CPU."""
        count = torch.arange(int(positions.max()) + 1, dtype=torch.float32)
        angles = torch.outer(count, self._inverse_frequencies)
        return torch.stack((angles.cos(), angles.sin()), dim=-1).to(self.device)[positions]

    def condition(self, text: Tensor, reference: Tensor, frames: int, branches: int) -> Tensor:
        """Contribution of text and reference to the input of a chunk's frames: (b, frames, d) fp32.

        The text is embedded for the chunk alone: its ConvNeXt blocks normalise over the whole length (GRN).

        Args:
            text: vocabulary indices, (tokens) int64.
            reference: (r, m); the unconditional branch gets neither.
        """
        text = text.to(self.device)[None]
        embedded = [self._text_embed(text, seq_len=frames, drop_text=drop)[0] for drop in (False, True)[:branches]]
        added = F.linear(torch.stack(embedded), self._text_in, self._in_bias)  # (b, frames, d)
        added[0, : len(reference)] += F.linear(reference.to(self.device, torch.float32), self._reference_in)
        return added

    def flow(
        self, state: Tensor, condition: Tensor, layout: Layout, rotary: Tensor, modulation: Tensor, final: Tensor
    ) -> Tensor:
        """The flow at one time, (b, t, m) fp32: one evaluation of the network.

        Args:
            state: (t, m) fp32, the same for all branches.
            condition: (b, t, d) fp32, of `condition`, its chunks where the layout has them.
            rotary: (n, k / 2, 2) fp32, of the layout's positions, for all branches.
            modulation: (l, 6, d), of `Modulations.blocks` at this evaluation.
            final: (2, d), of `Modulations.final` at this evaluation.
        """
        x = (F.linear(state, self._state_in) + condition).to(self.dtype)  # (b, t, d)
        x = layout.convolve(x, self._convolutions) + x
        x = x.flatten(0, 1)  # (n, d)
        first = x
        for block, of_block in zip(self.blocks, modulation, strict=True):
            query, key, value = self.before(x, of_block, rotary, block, self.heads, self.rotary_heads)  # (n, h, k)
            x = self.after(x, layout.attend(query, key, value), of_block, block)  # (n, d)
        if self._skip is not None:
            x = F.linear(torch.cat((x, first), dim=-1), self._skip)
        x = F.layer_norm(x.float(), (self.dim,), final[1], final[0], EPSILON)
        return F.linear(x, self._out, self._out_bias).unflatten(0, condition.shape[:2])  # (b, t, m)

    def trial(self, rows: int) -> Callable[[], Sequence[Tensor]]:
        """A block on random rows (standard normal, the same each time), without attention: to compare and to time."""
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(rows, self.dim, generator=generator).to(self.device, self.dtype)
        modulation = (0.5 + torch.rand(6, self.dim, generator=generator)).to(self.device, self.dtype)
        rotary = self.rotary(torch.arange(rows, device=self.device))

        def run() -> Sequence[Tensor]:
            query, key, value = self.before(x, modulation, rotary, self.blocks[0], self.heads, self.rotary_heads)
            return query, key, value, self.after(x, value, modulation, self.blocks[0])

        return run

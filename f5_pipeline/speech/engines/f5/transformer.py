"""The diffusion transformer of F5-TTS, laid out for synthesis: the same function as the stock module, with less work.

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
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

    from f5_pipeline.speech.engines.f5.layouts import Layout

EPSILON = 1e-6
"""Of all layer and query/key norms of the stock network."""


class Block(NamedTuple):
    """Parameters of one transformer block; `qkv` is (3 * heads * head_dim, dim)."""

    qkv: Tensor
    qkv_bias: Tensor
    query_norm: Tensor | None
    key_norm: Tensor | None
    out: Tensor
    out_bias: Tensor
    up: Tensor
    up_bias: Tensor
    down: Tensor
    down_bias: Tensor


class Modulations(NamedTuple):
    """Tables over the evaluations of a sampler.

    Attributes:
        blocks: shift, 1 + scale, gate of attention, then of the feed-forward layer: (evaluations, depth, 6, dim).
        final: shift, 1 + scale of the last norm: (evaluations, 2, dim), fp32.
    """

    blocks: Tensor
    final: Tensor


@torch.no_grad()
def modulations(dit: Any, times: Tensor) -> Modulations:
    """The tables for these times, fp32 on the CPU, where the stock module's AdaLN weights (40 % of all) stay."""
    embedded = F.silu(dit.time_embed(times))
    blocks = torch.stack([block.attn_norm.linear(embedded) for block in dit.transformer_blocks], dim=1)
    blocks = blocks.unflatten(-1, (6, -1)).clone()
    blocks[:, :, (1, 4)] += 1
    scale, shift = dit.norm_out.linear(embedded).chunk(2, dim=1)
    return Modulations(blocks, torch.stack((shift, 1 + scale), dim=1))


def before_attention(
    x: Tensor, modulation: Tensor, rotary: Tensor, block: Block, heads: int, rotary_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (rows, heads, head_dim) of x (rows, dim).

    Args:
        modulation: (6, dim), a row of `Modulations.blocks`.
        rotary: cosine and sine, (rows, head_dim / 2, 2) fp32.
        rotary_heads: so many of the first heads know positions.
    """
    h = F.layer_norm(x, x.shape[-1:], modulation[1], modulation[0], EPSILON)
    query, key, value = F.linear(h, block.qkv, block.qkv_bias).unflatten(-1, (3, heads, -1)).unbind(1)
    if block.query_norm is not None and block.key_norm is not None:
        query = F.rms_norm(query, query.shape[-1:], block.query_norm, EPSILON)
        key = F.rms_norm(key, key.shape[-1:], block.key_norm, EPSILON)
    return rotate(query, rotary, rotary_heads), rotate(key, rotary, rotary_heads), value


def after_attention(x: Tensor, attended: Tensor, modulation: Tensor, block: Block) -> Tensor:
    """The rest of a block: x (rows, dim) with what attention found, `attended` (rows, heads, head_dim)."""
    x = torch.addcmul(x, modulation[2], F.linear(attended.flatten(1), block.out, block.out_bias))
    h = F.layer_norm(x, x.shape[-1:], modulation[4], modulation[3], EPSILON)
    h = F.gelu(F.linear(h, block.up, block.up_bias), approximate="tanh")
    return torch.addcmul(x, modulation[5], F.linear(h, block.down, block.down_bias))


def rotate(x: Tensor, rotary: Tensor, heads: int) -> Tensor:
    """Rotary positions (arXiv 2104.09864) on the first heads of x (rows, heads, head_dim): neighbours paired, fp32."""
    pairs = x[:, :heads].float().unflatten(-1, (-1, 2))
    if torch.compiler.is_compiling() or x.device.type == "mps":
        # Neither has code for complex numbers (MPS on older systems); elsewhere they are several times faster.
        (real, imaginary), (cosine, sine) = pairs.unbind(-1), rotary[:, None].unbind(-1)
        turned = torch.stack((real * cosine - imaginary * sine, imaginary * cosine + real * sine), dim=-1)
    else:
        turned = torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(rotary)[:, None])
    turned = turned.flatten(-2).to(x.dtype)
    return turned if heads == x.shape[1] else torch.cat((turned, x[:, heads:]), dim=1)


class Transformer:
    """The parameters of a stock DiT on a device in one precision, and the flow that they define.

    Attributes:
        before, after: the two halves of a block; replaced by compiled ones where those are right and faster.
    """

    def __init__(self, dit: Any, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.before: Callable[..., tuple[Tensor, Tensor, Tensor]] = before_attention
        self.after: Callable[..., Tensor] = after_attention
        attention = dit.transformer_blocks[0].attn
        self.heads: int = attention.heads
        self.head_dim: int = attention.inner_dim // attention.heads
        self.rotary_heads: int = attention.processor.pe_attn_head or attention.heads
        self.dim: int = dit.dim
        self.bands: int = dit.proj_out.out_features

        self.blocks = [self._block(block) for block in dit.transformer_blocks]
        self._convolutions = [
            copy.deepcopy(layer).requires_grad_(False).to(device, dtype)
            for layer in dit.input_embed.conv_pos_embed.conv1d
            if isinstance(layer, torch.nn.Conv1d)
        ]
        skip = dit.long_skip_connection
        self._skip = None if skip is None else self._halved(skip.weight)
        self._text_embed = copy.deepcopy(dit.text_embed).requires_grad_(False).eval().to(device)
        projection = dit.input_embed.proj
        parts = projection.weight.split((self.bands, self.bands, projection.in_features - 2 * self.bands), dim=1)
        self._state_in, self._reference_in, self._text_in = (self._full(part) for part in parts)
        self._in_bias = self._full(projection.bias)
        self._out, self._out_bias = self._full(dit.proj_out.weight), self._full(dit.proj_out.bias)
        self._inverse_frequencies = dit.rotary_embed.inv_freq.detach().float().cpu()

    def _halved(self, *parameters: Tensor) -> Tensor:
        """Parameters one after the other, in the network's precision; one alone is shared where nothing changes."""
        joined = parameters[0] if len(parameters) == 1 else torch.cat(parameters)
        return joined.detach().to(self.device, self.dtype).contiguous()

    def _full(self, parameter: Tensor) -> Tensor:
        return parameter.detach().to(self.device, torch.float32).contiguous()

    def _block(self, block: Any) -> Block:
        attention, (up, _, down) = block.attn, block.ff.ff
        queries_keys_values = (attention.to_q, attention.to_k, attention.to_v)
        return Block(
            qkv=self._halved(*(layer.weight for layer in queries_keys_values)),
            qkv_bias=self._halved(*(layer.bias for layer in queries_keys_values)),
            query_norm=None if attention.q_norm is None else self._halved(attention.q_norm.weight),
            key_norm=None if attention.k_norm is None else self._halved(attention.k_norm.weight),
            out=self._halved(attention.to_out[0].weight),
            out_bias=self._halved(attention.to_out[0].bias),
            up=self._halved(up[0].weight),
            up_bias=self._halved(up[0].bias),
            down=self._halved(down.weight),
            down_bias=self._halved(down.bias),
        )

    def place(self, tables: Modulations) -> Modulations:
        """The tables where and as `flow` needs them."""
        return Modulations(tables.blocks.to(self.device, self.dtype), tables.final.to(self.device))

    def rotary(self, positions: Tensor) -> Tensor:
        """Cosine and sine of the positions' angles, (n, head_dim / 2, 2) fp32; computed on the CPU."""
        count = torch.arange(int(positions.max()) + 1, dtype=torch.float32)
        angles = torch.outer(count, self._inverse_frequencies)
        return torch.stack((angles.cos(), angles.sin()), dim=-1).to(self.device)[positions]

    def condition(self, text: Tensor, reference: Tensor, frames: int, branches: int) -> Tensor:
        """What text and reference add to the input of a chunk's frames: (branches, frames, dim) fp32.

        The same in all evaluations. The text is embedded for the chunk alone: its ConvNeXt blocks normalise over the
        whole length (GRN).
        """
        text = text.to(self.device)[None]
        embedded = [self._text_embed(text, seq_len=frames, drop_text=drop)[0] for drop in (False, True)[:branches]]
        added = F.linear(torch.stack(embedded), self._text_in, self._in_bias)
        added[0, : len(reference)] += F.linear(reference.to(self.device, torch.float32), self._reference_in)
        return added

    def flow(
        self, state: Tensor, condition: Tensor, layout: Layout, rotary: Tensor, block_rows: Tensor, final: Tensor
    ) -> Tensor:
        """The flow at a time: (branches, frames, bands) fp32.

        Args:
            state: (frames, bands) fp32, the same for all branches.
            condition: (branches, frames, dim) fp32, of `condition`, as the layout has the chunks.
            rotary: of the layout's positions, for all branches: (branches * frames, head_dim / 2, 2).
            block_rows, final: rows of the tables for this evaluation, (depth, 6, dim) and (2, dim).
        """
        x = (F.linear(state, self._state_in) + condition).to(self.dtype)
        x = layout.convolve(x, self._convolutions) + x
        x = x.flatten(0, 1)
        first = x
        for block, modulation in zip(self.blocks, block_rows, strict=True):
            query, key, value = self.before(x, modulation, rotary, block, self.heads, self.rotary_heads)
            x = self.after(x, layout.attend(query, key, value), modulation, block)
        if self._skip is not None:
            x = F.linear(torch.cat((x, first), dim=-1), self._skip)
        x = F.layer_norm(x.float(), (self.dim,), final[1], final[0], EPSILON)
        return F.linear(x, self._out, self._out_bias).unflatten(0, condition.shape[:2])

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

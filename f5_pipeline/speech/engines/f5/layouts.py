"""How the chunks of a batch lie in one tensor, so that none of them feels its neighbours.

Everything in the network but attention and the convolutions works frame by frame. Those two are given here, for
chunks one after the other without padding (`Packed`) and for chunks padded to the longest (`Padded`). All tensors are
(branches, frames, …): with guidance the conditional branch and the unconditional one, else one branch alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

import torch
from torch.nn import functional as F

from f5_pipeline.speech.engines.f5.attention import Backend, Segments, padded_sdpa

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Conv1d


class Layout(Protocol):
    """Where the frames of the chunks lie, and what crosses frames.

    Attributes:
        frames: rows of a branch, fillers and padding included.
        places: rows of each chunk in a branch.
        positions: number of each row within its chunk, int64 on the device, (frames,).
    """

    frames: int
    places: list[slice]
    positions: Tensor

    def convolve(self, x: Tensor, layers: Sequence[Conv1d]) -> Tensor:
        """Convolutions of odd kernels, each followed by Mish, along the frames: (branches, frames, dim) to the same."""
        ...

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention within each chunk: (branches * frames, heads, head_dim) to the same."""
        ...


class Packed:
    """One after the other. `multiple`: the frames of a branch are filled up to a multiple of it, so that their numbers
    are few; the filler is a chunk of its own."""

    def __init__(
        self, lengths: Sequence[int], branches: int, backend: Backend, device: torch.device, *, multiple: int = 1
    ) -> None:
        filler = -sum(lengths) % multiple
        self.places = [slice(end - length, end) for end, length in zip(accumulate(lengths), lengths, strict=True)]
        lengths = [*lengths, filler] if filler else list(lengths)
        self.frames = sum(lengths)
        self.positions = torch.cat([torch.arange(length) for length in lengths]).to(device)
        self._segments = Segments.of(lengths, branches, device)
        self._backend = backend
        self._chunk = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)).to(device)

    def convolve(self, x: Tensor, layers: Sequence[Conv1d]) -> Tensor:
        # A gap of zeros as wide as the kernel reaches does for each what the end of the sequence does for one alone.
        reach = max(layer.weight.shape[-1] // 2 for layer in layers)
        spread = torch.arange(self.frames, device=x.device) + reach * self._chunk
        wide = x.new_zeros(x.shape[0], self.frames + reach * (len(self._segments.lengths) - 1), x.shape[2])
        wide[:, spread] = x
        gaps = torch.ones(wide.shape[1], dtype=torch.bool, device=x.device)
        gaps[spread] = False
        wide = wide.transpose(1, 2)
        for index, layer in enumerate(layers):
            if index:
                wide = wide.masked_fill(gaps, 0)
            padding = layer.weight.shape[-1] // 2
            wide = F.mish(F.conv1d(wide, layer.weight, layer.bias, padding=padding, groups=layer.groups))
        return wide.transpose(1, 2)[:, spread]

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return self._backend.attend(query, key, value, self._segments)


class Padded:
    """Side by side, padded to the longest; padding is masked."""

    def __init__(self, lengths: Sequence[int], branches: int, device: torch.device) -> None:
        longest = max(lengths)
        self._shape = (len(lengths), longest)
        self.places = [slice(row * longest, row * longest + length) for row, length in enumerate(lengths)]
        self.frames = len(lengths) * longest
        self.positions = torch.arange(longest, device=device).repeat(len(lengths))
        mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
        self._mask = None if bool(mask.all()) else mask.repeat(branches, 1).to(device)

    def convolve(self, x: Tensor, layers: Sequence[Conv1d]) -> Tensor:
        shape = x.shape
        x = x.reshape(-1, self._shape[1], shape[-1]).transpose(1, 2)
        padding = None if self._mask is None else ~self._mask[:, None]
        for layer in layers:
            if padding is not None:
                x = x.masked_fill(padding, 0)
            reach = layer.weight.shape[-1] // 2
            x = F.mish(F.conv1d(x, layer.weight, layer.bias, padding=reach, groups=layer.groups))
        return x.transpose(1, 2).reshape(shape)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        shape = query.shape
        query, key, value = (part.reshape(-1, self._shape[1], *shape[1:]) for part in (query, key, value))
        return padded_sdpa(query, key, value, self._mask).reshape(shape)

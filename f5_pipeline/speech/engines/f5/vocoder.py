"""Mel frames to samples: Vocos over a batch, each chunk as if it were alone.

In a plain batch, padding affects a shorter chunk: each of Vocos' convolutions reads three frames beyond the
chunk's end, and from the second one on the padding is no longer zero. Here it is set to zero before every convolution,
as for a chunk alone, and each chunk is assembled from its own frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence
from vocos.heads import ISTFTHead
from vocos.models import VocosBackbone

if TYPE_CHECKING:
    from torch import Tensor
    from vocos import Vocos

GROUP_FRAMES = 16_384
"""Frames, padding included, decoded at a time: about 0.2 GB, and enough to keep a large device busy."""


class Vocoder:
    """Vocos on a device, in fp32.

    Attributes:
        device: where it computes. Apple's devices lack the inverse Fourier transform: the CPU takes over for them.
    """

    def __init__(self, vocos: Vocos, device: torch.device) -> None:
        """Args: vocos: from `load_vocoder`."""
        self.device = torch.device("cpu") if device.type == "mps" else device
        self._vocos = vocos.float().to(self.device).eval()

    def decode(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """Samples of chunks.

        Args:
            mels: (n, 100) each, log-mel frames, n >= 2.

        Returns:
            fp32 each on the CPU: (n - 1) * 256 samples with the published vocoder, 24 kHz; not limited to -1..1.
        """
        done: dict[int, Tensor] = {}
        # cuDNN would round fp32 convolutions to 10 bits of mantissa.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for group in _groups([len(mel) for mel in mels]):
                frames = [mels[index].to(self.device, torch.float32) for index in group]
                waves = self._decode_group(frames)
                done.update(zip(group, (wave.cpu() for wave in waves), strict=True))
        return [done[index] for index in range(len(mels))]

    def _decode_group(self, mels: list[Tensor]) -> Iterator[Tensor]:
        """`Vocos.decode` step by step (vocos.models.VocosBackbone, vocos.heads.ISTFTHead), with the padding at zero."""
        backbone, head = self._vocos.backbone, self._vocos.head
        if not isinstance(backbone, VocosBackbone) or backbone.adanorm or not isinstance(head, ISTFTHead):
            # Of another build, whose steps are not known here.
            yield from (self._vocos.decode(mel.T.unsqueeze(0))[0] for mel in mels)
            return
        lengths = torch.tensor([len(mel) for mel in mels], device=self.device)
        inside = (torch.arange(int(lengths.max()), device=self.device) < lengths[:, None]).unsqueeze(1)
        x = backbone.embed(pad_sequence(mels, batch_first=True).transpose(1, 2))
        x = backbone.norm(x.transpose(1, 2)).transpose(1, 2)
        for block in backbone.convnext:
            x = block(x.masked_fill(~inside, 0.0))
        x = head.out(backbone.final_layer_norm(x.transpose(1, 2))).transpose(1, 2)
        magnitude, phase = x.chunk(2, dim=1)
        spectrum = torch.polar(magnitude.exp().clip(max=1e2), phase)
        for row, mel in zip(spectrum, mels, strict=True):
            yield head.istft(row[None, :, : len(mel)])[0]


def _groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of chunks that are decoded together: alike in length, GROUP_FRAMES in all with their padding."""
    group: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if group and lengths[group[0]] * (len(group) + 1) > GROUP_FRAMES:
            yield group
            group = []
        group.append(index)
    if group:
        yield group

"""Who speaks: the speaker encoder of resemblyzer, its weights taken from the package and computed here.

Wan et al., "Generalized End-to-End Loss for Speaker Verification" (2018). The package itself is not imported: it needs
webrtcvad, which is compiled at its installation, for what `audio.loud_runs` does here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.listening.packaged import check_file, find_file

if TYPE_CHECKING:
    import numpy as np
    import torch

NAME = "resemblyzer-0.1.4"
WEIGHTS_SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
"""Of `pretrained.pt` in resemblyzer 0.1.4 (Apache-2.0)."""

MIN_SECONDS = 1.0
"""Sound, s, below which a voice is not told from another."""

_RATE = 16000  # Hz
_WINDOW, _HOP, _BANDS = 400, 160, 40  # samples, samples, mel bands
_PART, _STEP = 160, 77  # frames of a part, and from one to the next
_LEVEL = -30.0  # dBFS that softer speech is raised to


def find_weights() -> Path | None:
    """The weights in the installed package resemblyzer; None without it, or without torch and librosa."""
    return find_file("resemblyzer", "pretrained.pt", needs=("torch", "librosa"))


class SpeakerEncoder:
    """Turns speech into a vector of length 1, alike for one speaker. Threads may share one."""

    def __init__(self, weights: Path, device: str = "cpu") -> None:
        """
        Args:
            weights: see `find_weights`.
            device: of torch.

        Raises:
            DamagedError: it is another file than expected.
        """
        import torch

        check_file(weights, WEIGHTS_SHA256, "resemblyzer==0.1.4")
        state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
        self._device = torch.device(device)
        self._lstm = torch.nn.LSTM(_BANDS, 256, 3, batch_first=True)
        self._linear = torch.nn.Linear(256, 256)
        for module, prefix in ((self._lstm, "lstm."), (self._linear, "linear.")):
            module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
            module.to(self._device).eval()

    def embed(self, pieces: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        """A vector (256,) for each piece, all in one batch; None for one with less than MIN_SECONDS of sound.

        Args:
            pieces: float32, mono, 16 kHz.
        """
        import numpy as np
        import torch

        parts, counts = [], []
        for piece in pieces:
            frames = _frames(piece)
            starts = range(0, max(1, len(frames) - _PART + 1 + _STEP // 2), _STEP) if len(frames) else ()
            parts += [np.pad(cut := frames[at : at + _PART], ((0, _PART - len(cut)), (0, 0))) for at in starts]
            counts.append(len(starts))
        if not parts:
            return [None] * len(counts)
        with torch.no_grad():
            vectors = self._vectors(torch.from_numpy(np.stack(parts)).to(self._device)).cpu().numpy()
        edges = np.cumsum([0, *counts])
        means = [vectors[a:b].mean(0) if b > a else None for a, b in pairwise(edges)]
        return [None if mean is None else mean / np.linalg.norm(mean) for mean in means]

    def _vectors(self, mels: torch.Tensor) -> Any:
        """mels: (parts, _PART, _BANDS)."""
        _, (hidden, _) = self._lstm(mels)
        raw = self._linear(hidden[-1]).relu()
        return raw / raw.norm(dim=1, keepdim=True)


def _frames(piece: np.ndarray) -> np.ndarray:
    """Mel spectrogram (frames, _BANDS) of the sound of a piece, without its pauses; empty where there is too little."""
    import numpy as np

    levels = audio.frame_levels(piece, _RATE)
    size = round(0.01 * _RATE)
    sound = np.repeat(levels >= audio.speech_threshold(levels), size)[: len(piece)]
    voiced = piece[: len(sound)][sound]
    if len(voiced) < MIN_SECONDS * _RATE:
        return np.zeros((0, _BANDS), np.float32)
    level = 10 * np.log10(float(np.mean(voiced.astype(np.float64) ** 2)) + 1e-12)
    voiced = voiced * 10 ** (max(0.0, _LEVEL - level) / 20)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(voiced, _WINDOW // 2), _WINDOW)[::_HOP]
    power = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW + 1)[:-1], axis=1)) ** 2
    return (power @ _mel_bands().T).astype(np.float32)


@lru_cache(1)
def _mel_bands() -> np.ndarray:
    import librosa

    return librosa.filters.mel(sr=_RATE, n_fft=_WINDOW, n_mels=_BANDS)

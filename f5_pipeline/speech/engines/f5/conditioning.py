"""Conditioning of F5-TTS: the reference's mel frames at its working level, and its text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from f5_pipeline.errors import InputError
from f5_pipeline.speech.engine import SAMPLE_RATE, ReferenceVoice
from f5_pipeline.speech.engines.f5.architecture import HOP, MEL_BANDS
from f5_pipeline.speech.engines.f5.checkpoint import import_f5_tts
from f5_pipeline.speech.engines.f5.text import Vocabulary, reference_text

if TYPE_CHECKING:
    from torch import Tensor

TARGET_RMS = 0.1
"""Level, root mean square, that a quieter reference is raised to (`target_rms` of F5-TTS): models know no whisper."""

WINDOW = 1024
"""Samples of a mel frame's window; also what a reference has at least."""


@dataclass(frozen=True)
class Conditioning:
    """A reference as the network takes it.

    Attributes:
        mel: fp32 on the CPU, (r, 100): r = n // 256 + 1 frames of n samples.
        text: spoken in it, as the model reads it; the new text is appended without change.
        gain: factor for the generated audio, which makes it as loud as the recording.
    """

    mel: Tensor
    text: str
    gain: float


def condition(voice: ReferenceVoice, vocabulary: Vocabulary) -> Conditioning:
    """Make a voice's conditioning, as `infer_batch_process` of F5-TTS does. On the CPU: the same on every machine.

    Raises:
        InputError: the recording is silent, not finite or too short, or its text says nothing.
        Whatever `voice.load` raises.
    """
    import numpy as np
    import torch

    try:
        text = reference_text(voice.text, voice.language, vocabulary)
    except InputError as error:
        raise InputError(error.message, file=voice.name, hint=error.hint) from None
    samples = np.ascontiguousarray(voice.load(), dtype=np.float32)
    again = "Add the voice again."
    if samples.ndim != 1 or samples.size < WINDOW:
        raise InputError("the reference is not a recording of a voice", file=voice.name, hint=again)
    audio = torch.from_numpy(samples)[None]
    rms = float(audio.square().mean().sqrt())
    if not math.isfinite(rms) or rms == 0.0:
        raise InputError("the reference is silent or damaged", file=voice.name, hint=again)
    gain = min(1.0, rms / TARGET_RMS)
    if gain < 1.0:
        audio = audio * TARGET_RMS / rms
    spectrogram = import_f5_tts().mel_spec(
        n_fft=WINDOW,
        hop_length=HOP,
        win_length=WINDOW,
        n_mel_channels=MEL_BANDS,
        target_sample_rate=SAMPLE_RATE,
        mel_spec_type="vocos",
    )
    with torch.inference_mode():
        mel = spectrogram(audio)[0].T.contiguous()
    return Conditioning(mel.clone(), text, gain)

"""Whisper, by faster-whisper (the extra `asr`): its models loaded, and short pieces of speech written down in batches.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022); models in CTranslate2's form.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from f5_pipeline.errors import InputError
from f5_pipeline.speech.text.languages import base

if TYPE_CHECKING:
    import numpy as np
    from faster_whisper import WhisperModel

log = logging.getLogger("f5_pipeline.speech")

RATE = 16000
"""Sampling rate of Whisper, Hz."""

MAX_SECONDS = 30.0
"""Length of Whisper's window, s."""

_MIN_SECONDS = 12.0
"""Shortest window: with less around it, Whisper hears worse. A window of 15 s takes a third of one of 30 s."""

MODEL_FILES = ("config.json", "model.bin", "tokenizer.json")
"""Files that every model needs; its vocabulary has several names."""

_MAX_TOKENS = 224
# Where Whisper's name of a language differs from the tag's first part.
_CODES = {"fil": "tl", "jv": "jw"}


class Transcription(NamedTuple):
    """What Whisper writes.

    Attributes:
        certainty: mean log probability of its tokens.
        gain: logarithm of how much likelier what it writes is than the text that was to be said; 0 where they agree.
    """

    text: str
    certainty: float
    gain: float = 0.0


def installed() -> bool:
    """Whether the extra `asr` is here."""
    return find_spec("faster_whisper") is not None


def check_model(folder: Path) -> Path:
    """`folder`, if it holds a Whisper model in CTranslate2's form; InputError otherwise."""
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"it holds no Whisper model in CTranslate2's form: {', '.join(missing)} is missing",
            file=str(folder),
            hint="Give such a folder, or the name of a model: f5-pipeline weights list.",
        )
    return folder


def load(folder: Path, device: str = "cpu") -> WhisperModel:
    """The model in a folder, on "cpu", "cuda" or "cuda:<n>"; where CUDA's libraries are missing, on the processor.

    Raises:
        InputError: the folder holds no model that can be loaded.
    """
    from faster_whisper import WhisperModel

    name, _, index = device.partition(":")
    kind = "int8" if name == "cpu" else "float16"
    try:
        return WhisperModel(str(folder), device=name, device_index=int(index or 0), compute_type=kind)
    except (OSError, ValueError) as error:
        raise InputError(f"the Whisper model cannot be loaded: {error}", file=str(folder)) from error
    except RuntimeError as error:  # CTranslate2's, for a missing library as for a lack of memory
        if name == "cpu":
            raise
        log.warning("Whisper computes on the processor, as CUDA does not work for it: %s", error)
        return load(folder)


def code_of(model: WhisperModel, language: str) -> str | None:
    """Whisper's name of a language (BCP 47 tag); None where the model does not know it."""
    code = _CODES.get(base(language), base(language))
    return code if code in model.supported_languages else None


def transcribe(
    model: WhisperModel,
    pieces: Sequence[np.ndarray],
    language: str,
    pairs: Callable[[int, str], tuple[str, str] | None] = lambda index, text: None,
) -> list[Transcription]:
    """Write down pieces of speech, all in one batch, greedily and without times.

    Args:
        pieces: float32, mono, RATE Hz, up to MAX_SECONDS each; what is longer is cut. The longest decides the cost.
        language: Whisper's name of it, see `code_of`.
        pairs: called with the index of a piece and what is written: what was to be said and what is heard, spelled in
            one way, so that their probabilities can be compared; None where they agree.
    """
    import numpy as np
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import get_suppressed_tokens

    tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language)
    prompt = model.get_prompt(tokenizer, previous_tokens=[], without_timestamps=True)
    longest = max(len(piece) for piece in pieces) / RATE
    size = RATE * math.ceil(min(MAX_SECONDS, max(_MIN_SECONDS, longest + 1)))
    frames = size // model.feature_extractor.hop_length
    padded = [np.pad(piece[:size], (0, size - min(len(piece), size))) for piece in pieces]
    features = np.stack([model.feature_extractor(piece)[..., :frames] for piece in padded])
    encoded = model.encode(features)
    results = model.model.generate(
        encoded,
        [prompt] * len(pieces),
        beam_size=1,
        max_length=len(prompt) + _MAX_TOKENS,
        suppress_blank=True,
        suppress_tokens=get_suppressed_tokens(tokenizer, (-1,)),
        return_scores=True,
    )
    heard = []
    for result in results:
        tokens = result.sequences_ids[0]
        text = tokenizer.decode(tokens).strip()
        heard.append(Transcription(text, result.scores[0] * len(tokens) / (len(tokens) + 1)))
    compared = [pairs(index, line.text) for index, line in enumerate(heard)]
    if not any(compared):
        return heard
    # By both texts at once for all pieces, as `align` wants one text for each piece of the batch.
    sums = []
    for side in range(2):
        texts = [tokenizer.encode(" " + pair[side])[:_MAX_TOKENS] if pair else [] for pair in compared]
        texts = [tokens or tokenizer.encode(" .") for tokens in texts]
        aligned = model.model.align(encoded, tokenizer.sot_sequence, texts, frames // 2 * 2)
        sums.append([sum(math.log(max(p, 1e-6)) for p in result.text_token_probs) for result in aligned])
    return [
        line._replace(gain=round(after - before, 2)) if pair else line
        for line, pair, before, after in zip(heard, compared, *sums, strict=True)
    ]

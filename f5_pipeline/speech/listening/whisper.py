"""Whisper, by faster-whisper (the extra `asr`): its models loaded, and short pieces of speech written down in batches.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022); models in CTranslate2's form.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from f5_pipeline.errors import InputError
from f5_pipeline.speech.listening.recogniser import MAX_SECONDS, RATE, Others, Transcription
from f5_pipeline.speech.text.languages import base

if TYPE_CHECKING:
    import numpy as np
    from ctranslate2 import StorageView
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer

log = logging.getLogger("f5_pipeline.speech")

_MIN_SECONDS = 12.0
"""Shortest window: with less around it, Whisper hears worse. A window of 15 s takes a third of one of 30 s."""

MODEL_FILES = ("config.json", "model.bin", "tokenizer.json")
"""Files that every model needs; its vocabulary has several names."""

_MAX_TOKENS = 224
_MAX_TEXTS = 32  # compared at once
# Where Whisper's name of a language differs from the tag's first part.
_CODES = {"fil": "tl", "jv": "jw"}


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


class Whisper:
    """A `Recogniser` by a Whisper model."""

    def __init__(self, model: WhisperModel, name: str) -> None:
        self._model, self.name = model, name
        self._silences: dict[int, StorageView] = {}

    def hears(self, language: str) -> bool:
        return code_of(self._model, language) is not None

    def count_tokens(self, words: str) -> int:
        return len(self._model.hf_tokenizer.encode(f" {words}", add_special_tokens=False).ids)

    def transcribe(self, pieces: Sequence[np.ndarray], language: str, others: Others) -> list[Transcription]:
        """All in one batch, greedily and without times; the longest decides the cost."""
        import ctranslate2
        import numpy as np
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        model, code = self._model, code_of(self._model, language) or "en"
        tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=code)
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

        def expected(tokens: list[int]) -> list[float]:
            (result,) = model.model.align(self._silence(frames), tokenizer.sot_sequence, [tokens], frames // 2)
            return _by_word(tokenizer, tokens, [_log(p) for p in result.text_token_probs])

        hidden = np.array(encoded.to_device(ctranslate2.Device.cpu) if model.model.device == "cuda" else encoded)
        for index, line in enumerate(heard):
            if len(texts := others(index, line.text)) > 1:
                tokens = [tokenizer.encode(f" {text}")[:_MAX_TOKENS] for text in texts]
                odds: list[float] = []
                likely: list[float] = []
                for first in range(0, len(tokens), _MAX_TEXTS):
                    part = tokens[first : first + _MAX_TEXTS]
                    copies = ctranslate2.StorageView.from_array(np.repeat(hidden[index : index + 1], len(part), 0))
                    aligned = model.model.align(copies, tokenizer.sot_sequence, part, frames // 2)
                    logs = [[_log(p) for p in result.text_token_probs] for result in aligned]
                    likely = likely or _by_word(tokenizer, part[0], logs[0])
                    odds += map(sum, logs)
                gains = [round(value - odds[0], 2) for value in odds[1:]]
                heard[index] = line._replace(gains=gains, likely=likely, expected=expected(tokens[0]))
        return heard

    def _silence(self, frames: int) -> StorageView:
        """A window of silence as the model encodes it: once, as every batch of that length is held against it."""
        import numpy as np

        if frames not in self._silences:
            samples = np.zeros(frames * self._model.feature_extractor.hop_length, np.float32)
            self._silences[frames] = self._model.encode(self._model.feature_extractor(samples)[None, :, :frames])
        return self._silences[frames]


def _log(probability: float) -> float:
    return math.log(max(probability, 1e-7))


def _by_word(tokenizer: Tokenizer, tokens: Sequence[int], logs: Sequence[float]) -> list[float]:
    """Mean of each word's tokens; a word begins with a blank."""
    words: list[list[float]] = []
    for token, log_probability in zip(tokens, logs, strict=False):
        if not words or tokenizer.decode([token]).startswith(" "):
            words.append([])
        words[-1].append(log_probability)
    return [sum(word) / len(word) for word in words]

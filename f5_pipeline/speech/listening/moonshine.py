"""Moonshine tiny, English, by ONNX Runtime (the extra `moonshine`): of the small models, the surest of single words.

Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands" (2024). The model is that of
the package moonshine-voice, which is not imported: what texts are worth by a sound is computed here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING

from f5_pipeline.speech.listening.packaged import check_file, find_file
from f5_pipeline.speech.listening.recogniser import MAX_SECONDS, RATE, Others, Transcription
from f5_pipeline.speech.listening.words import compared
from f5_pipeline.speech.text.languages import base

if TYPE_CHECKING:
    import numpy as np

VERSION = "0.0.44"
"""Of moonshine-voice: later ones have other models, or none."""

FILES = {
    "encoder_model.ort": "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
    "decoder_model_merged.ort": "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
    "tokenizer.bin": "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
}
"""The model's files (MIT), and their SHA-256."""

_START, _END = 1, 2  # tokens
_MIN_SAMPLES = RATE // 2
_TAIL_SAMPLES = RATE // 10  # silence after the speech
_FRAME = 384  # samples
_TOKENS_A_SECOND = 6.5  # Moonshine's own limit: what is longer repeats itself
_MAX_TOKENS = 512  # looked at at once: 0.13 MB each
_BLANK = "▁"
_PARTS = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]+")
_ENDS = ".?!"


def find_model() -> Path | None:
    """The folder of the model in the installed package moonshine-voice; None without it or ONNX Runtime."""
    files = [find_file("moonshine_voice", f"assets/tiny-en/{name}", needs=("onnxruntime",)) for name in FILES]
    return files[0].parent if files[0] and all(files) else None


class Moonshine:
    """A `Recogniser` of English, on the processor."""

    name = "moonshine-tiny.en"

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: see `find_model`.

        Raises:
            DamagedError: a file is another than expected.
        """
        import onnxruntime

        for name, digest in FILES.items():
            check_file(folder / name, digest, f"moonshine-voice=={VERSION}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # so small a model is as fast with one as with two, which wait for each other
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(str(folder / name), options) for name in list(FILES)[:2]
        )
        inputs = {one.name: one.shape for one in self._decoder.get_inputs()}
        self._past = {name: shape for name, shape in inputs.items() if name.startswith("past_key_values")}
        self._outputs = [one.name for one in self._decoder.get_outputs()]
        self._tokens = _tokens_of((folder / "tokenizer.bin").read_bytes())
        self._ranks = {token: number for number, token in enumerate(self._tokens)}  # the later: the first are bytes
        self._silences: dict[int, np.ndarray] = {}

    def hears(self, language: str) -> bool:
        return base(language) == "en"

    def count_tokens(self, words: str) -> int:
        return sum(map(len, self._encoded(words)))

    def transcribe(self, pieces: Sequence[np.ndarray], language: str, others: Others) -> list[Transcription]:
        return [self._transcribe(piece, index, others) for index, piece in enumerate(pieces)]

    def _transcribe(self, piece: np.ndarray, index: int, others: Others) -> Transcription:
        import numpy as np

        piece = piece[: round(MAX_SECONDS * RATE)]
        sound = self._heard(np.pad(piece, (0, max(_MIN_SAMPLES - len(piece), 0) + _TAIL_SAMPLES)))
        tokens, logs = self._greedy(sound, int(len(piece) / RATE * _TOKENS_A_SECOND) + 8)
        written = b"".join(self._tokens[token] for token in tokens).decode("utf-8", "replace")
        text, certainty = written.replace(_BLANK, " ").strip(), sum(logs) / len(logs)
        if len(texts := [spelled(one, text) for one in others(index, text)]) < 2:
            return Transcription(text, certainty)
        encoded = [self._encoded(one) for one in texts]
        found = self._log_probabilities(sound, encoded)
        (silent,) = self._log_probabilities(self._silence(len(piece)), encoded[:1])
        totals = [sum(each) for each in found]
        gains = [round(total - totals[0], 2) for total in totals[1:]]
        return Transcription(text, certainty, gains, _by_word(encoded[0], found[0]), _by_word(encoded[0], silent))

    def _heard(self, samples: np.ndarray) -> np.ndarray:
        """What the encoder makes of samples: (1, frames, features)."""
        import numpy as np

        mask = np.ones((1, len(samples)), np.int64)
        given = {"input_values": samples[None].astype(np.float32), "attention_mask": mask}
        return np.asarray(self._encoder.run(None, given)[0])

    def _silence(self, samples: int) -> np.ndarray:
        import numpy as np

        seconds = max(1, round(samples / RATE))
        if seconds not in self._silences:
            self._silences[seconds] = self._heard(np.zeros(seconds * RATE, np.float32))
        return self._silences[seconds]

    def _greedy(self, sound: np.ndarray, limit: int) -> tuple[list[int], list[float]]:
        """The likeliest tokens one after the other, and the log probability of each, that of the end too."""
        from scipy.special import log_softmax

        tokens, logs, past = [_START], [], {}
        while len(logs) < limit:
            logits, past = self._decoded(sound, [tokens[-1:]], past)
            likely = log_softmax(logits[0, -1])
            token = int(likely.argmax())
            logs.append(float(likely[token]))
            if token == _END:
                break
            tokens.append(token)
        return tokens[1:], logs

    def _decoded(self, sound: np.ndarray, tokens: list[list[int]], past: dict) -> tuple[np.ndarray, dict]:
        """Logits after each token, and what the next call goes on from."""
        import numpy as np

        count = len(tokens)
        given = {
            "input_ids": np.array(tokens, np.int64),
            "encoder_hidden_states": np.repeat(sound, count, 0),
            # Of samples, though the model's own description says frames.
            "encoder_attention_mask": np.ones((count, (sound.shape[1] + 1) * _FRAME), np.int64),
            "use_cache_branch": np.array([bool(past)]),
            **{
                name: past.get(name, np.zeros((count, shape[1], 0, shape[3]), np.float32))
                for name, shape in self._past.items()
            },
        }
        found = dict(zip(self._outputs, self._decoder.run(None, given), strict=True))
        after = {name: found[name.replace("past_key_values", "present")] for name in self._past}
        if past:  # keys of the sound are computed once
            after |= {name: value for name, value in past.items() if ".encoder." in name}
        return np.asarray(found["logits"]), after

    def _log_probabilities(self, sound: np.ndarray, texts: list[list[list[int]]]) -> list[list[float]]:
        """Of each token of texts, and of the end after them."""
        from scipy.special import log_softmax

        lines = [[token for word in text for token in word] for text in texts]
        longest = max(map(len, lines))
        padded = [[_START, *line, *[_END] * (longest - len(line))] for line in lines]
        size = max(1, _MAX_TOKENS // (longest + 1))
        result = []
        for first in range(0, len(texts), size):
            logits, _ = self._decoded(sound, padded[first : first + size], {})
            for own, line in zip(logits, lines[first : first + size], strict=True):
                likely = log_softmax(own[: len(line) + 1], axis=-1)
                result.append([float(likely[place, token]) for place, token in enumerate([*line, _END])])
        return result

    def _encoded(self, text: str) -> list[list[int]]:
        """Tokens by word, of letters and marks apart."""
        return [
            [
                token
                for n, part in enumerate(_PARTS.findall(word))
                for token in self._pieces(part if n else _BLANK + part)
            ]
            for word in text.split()
        ]

    def _pieces(self, part: str) -> list[int]:
        """Byte-pair encoding: of neighbours that are a token together, those whose token comes first are joined."""
        pieces = [letter.encode() for letter in part]
        while True:
            pairs = [
                (self._ranks[pair], n)
                for n in range(len(pieces) - 1)
                if (pair := pieces[n] + pieces[n + 1]) in self._ranks
            ]
            if not pairs:
                return [self._ranks.get(piece, 0) for piece in pieces]
            _, n = min(pairs)
            pieces[n : n + 2] = [pieces[n] + pieces[n + 1]]


def spelled(words: str, heard: str) -> str:
    """Words as they are compared, spelled and marked as they are heard, where they are: so that texts that are compared
    differ in their words alone."""
    spellings: list[tuple[str, str]] = []
    for written in heard.split():
        found = compared(written, "en")
        spellings += [(found[0], written)] if len(found) == 1 else [(word, word) for word in found]
    result = words.split()
    alike = SequenceMatcher(None, result, [word for word, _ in spellings], autojunk=False).get_matching_blocks()
    for start, first, length in alike:
        result[start : start + length] = [spelling for _, spelling in spellings[first : first + length]]
    if result and heard:
        result[0] = result[0][0].upper() + result[0][1:]
        result[-1] += heard[-1] if heard[-1] in _ENDS and result[-1][-1].isalnum() else ""
    return " ".join(result)


def _by_word(words: list[list[int]], logs: list[float]) -> list[float]:
    """Mean of each word's tokens."""
    left = iter(logs)
    return [sum(next(left) for _ in word) / max(len(word), 1) for word in words]


def _tokens_of(data: bytes) -> list[bytes]:
    """The vocabulary: of each token its length, in one byte or two, and its bytes."""
    tokens, at = [], 0
    while at < len(data):
        length, at = data[at], at + 1
        if length >= 128:
            length, at = length - 128 + 128 * data[at], at + 1
        tokens.append(data[at : at + length])
        at += length
    return tokens

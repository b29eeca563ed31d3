"""A reference: its samples, its text, its measures, and the hash of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.listening.listener import Hearing
from f5_pipeline.speech.references.window import Method

if TYPE_CHECKING:
    import numpy as np


LEAD = 0.1
"""Silence before the first sound, s."""

TAIL = 0.3
"""Silence after the last sound, s: without it the last word leaks into the new speech (F5-TTS issue 622)."""


class ReferenceMeasures(BaseModel):
    """Measures of a reference, for its checks."""

    model_config = ConfigDict(frozen=True)

    seconds: float = Field(description="duration of the reference, its edges included, s")
    speech_seconds: float = Field(description="from the first to the last sound, s")
    peak: float = Field(description="largest absolute sample of the recording's part, 1.0 is full scale")
    clipping_share: float = Field(description="share of the recording's samples that are clipped, 0 to 1")
    rms_dbfs: float = Field(description="level from the first to the last sound, dBFS")
    noise_floor_dbfs: float = Field(description="quietest tenth of the frames in and around the part, dBFS")
    silence_share: float = Field(description="share of pauses between the first and the last sound, 0 to 1")
    words: int = Field(description="words of the text; in Chinese, Japanese and Thai, characters")
    characters: int = Field(description="letters and digits of the text")
    words_per_second: float = Field(description="words by speech_seconds")
    syllables: float = Field(description="syllables of the text, as `count_syllables`")
    syllables_heard: int = Field(description="syllables counted in the audio, as `audio.count_syllable_nuclei`")
    method: Method = Field(description="source of its times; see `Method`")
    confidence: float | None = Field(
        default=None, description="of the text's alignment with the audio, 0 to 1; None: not aligned"
    )
    weakest: float | None = Field(default=None, description="the same of the word that fits worst")
    syllables_per_second: float = Field(description="syllables of the text by speech without its pauses")


class ReferenceHearing(BaseModel):
    """What a listener hears in a reference; kept with it."""

    model_config = ConfigDict(frozen=True)

    words: Hearing | None = Field(
        default=None, description="against its text; None: the listener knows no such language"
    )
    halves: float | None = Field(
        default=None, description="similarity of the speakers of the recording's halves; None: not compared"
    )


class ReferenceRecord(BaseModel):
    """A reference without its samples, as JSON."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="name of the voice")
    language: str = Field(description="BCP 47 tag")
    text: str = Field(description="spoken in it, with the ending that F5 needs")
    recording: str = Field(description="file name of the recording")
    recording_seconds: float = Field(description="duration of the recording, s")
    cut: bool = Field(description="whether a part was chosen, not the whole recording")
    start: float = Field(description="start of the part in the recording, s")
    end: float = Field(description="end of the part, s")
    seconds: float = Field(description="duration of the reference, s")
    sample_rate: int = SAMPLE_RATE
    measures: ReferenceMeasures
    sha256: str = Field(description="over samples (16 bit) and text; part of take keys")


@dataclass(frozen=True)
class Reference:
    """A prepared reference.

    Attributes:
        samples: float32, shape (n,), mono, SAMPLE_RATE Hz, within -1..1, each a multiple of 1/32768, exact in 16 bit.
        record: everything else.
    """

    samples: np.ndarray
    record: ReferenceRecord

    @property
    def text(self) -> str:
        return self.record.text

    @property
    def start(self) -> float:
        return self.record.start

    @property
    def end(self) -> float:
        return self.record.end

    @property
    def seconds(self) -> float:
        return self.record.seconds

    @property
    def measures(self) -> ReferenceMeasures:
        return self.record.measures

    @property
    def sha256(self) -> str:
        return self.record.sha256

    def pcm16(self) -> np.ndarray:
        """The samples as int16, lossless. Write these, as libsndfile rounds floats differently."""
        import numpy as np

        return np.rint(self.samples * 32768).astype(np.int16)


def reference_hash(samples: np.ndarray, text: str) -> str:
    """SHA-256 over the samples as 16 bit little-endian and the text: equal hash, equal conditioning."""
    import numpy as np

    digest = hashlib.sha256(b"f5-reference/1\0")
    digest.update(np.rint(samples * 32768).astype("<i2").tobytes())
    digest.update(b"\0" + text.encode())
    return digest.hexdigest()

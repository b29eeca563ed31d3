"""The registry of models and vocoders.

Revisions and hashes are those of the hub for the named commit. Where no commit is given (`revision` is None), the first
pull locks the present commit of the main branch in the store.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from f5_pipeline.speech.engines.f5.architecture import (
    F5TTS_BASE,
    F5TTS_SMALL,
    F5TTS_V1_BASE,
    F5TTS_V1_SMALL,
    Architecture,
)

CommercialUse = Literal["yes", "no", "disputed"]


class SpecFile(BaseModel):
    """A file in a repository of the hub; a hash or size of None is taken from the hub when the model is locked."""

    model_config = ConfigDict(frozen=True)

    path: str = Field(description="path in the repository")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    size: int | None = Field(default=None, ge=0, description="bytes")


class Spec(BaseModel):
    """Common base of models and vocoders.

    Attributes:
        name: its name.
        repo: Hugging Face id, owner/name.
        revision: commit of the repository; None: locked at the first pull.
        licence: SPDX name of the weights' licence, from their card.
        commercial_use: whether its speech may be sold.
        note: advice for people who choose it.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    licence: str
    commercial_use: CommercialUse
    note: str = ""


class VocoderSpec(Spec):
    """A vocoder, from log-mel frames to sound."""

    config: SpecFile
    weights: SpecFile


class ModelSpec(Spec):
    """A voice-cloning model. `languages` are BCP 47 tags, `vocoder` a name in VOCODERS."""

    architecture: Architecture
    checkpoint: SpecFile
    vocabulary: SpecFile
    vocoder: str = "vocos-mel-24khz"
    languages: tuple[str, ...]


class RecogniserSpec(Spec):
    """A Whisper model in CTranslate2's form, which writes transcripts. All files of its kind in `repo` belong to it."""


_NC = "CC-BY-NC-4.0"
_BASE_BYTES = 1_348_435_761
"""Size of a Base checkpoint with the vocabulary of 2,545 entries, fp32, exponential moving average only."""


def _vocabulary(path: str) -> SpecFile:
    """The vocabulary of f5-tts (2,545 entries) as on the hub, with CRLF line ends."""
    sha256 = "2a05f992e00af9b0bd3800a8d23e78d520dbd705284ed2eedb5f4bd29398fa3c"
    return SpecFile(path=path, sha256=sha256, size=13_800)


_MODELS = (
    ModelSpec(
        name="F5TTS_v1_Base",
        repo="SWivid/F5-TTS",
        revision="84e5a410d9cead4de2f847e7c9369a6440bdfaca",
        architecture=F5TTS_V1_BASE,
        checkpoint=SpecFile(
            path="F5TTS_v1_Base/model_1250000.safetensors",
            sha256="670900fd14e6c458b95da6e9ed317cdb20dbaf7a1c02ac06a05475a9d32b6a38",
            size=_BASE_BYTES,
        ),
        vocabulary=_vocabulary("F5TTS_v1_Base/vocab.txt"),
        languages=("en", "zh"),
        licence=_NC,
        commercial_use="no",
        note="The authors' newest model.",
    ),
    ModelSpec(
        name="F5TTS_Base",
        repo="SWivid/F5-TTS",
        revision="84e5a410d9cead4de2f847e7c9369a6440bdfaca",
        architecture=F5TTS_BASE,
        checkpoint=SpecFile(
            path="F5TTS_Base/model_1200000.safetensors",
            sha256="4180310f91d592cee4bc14998cd37c781f779cf105e8ca8744d9bd48ca7046ae",
        ),
        vocabulary=SpecFile(path="F5TTS_Base/vocab.txt"),
        languages=("en", "zh"),
        licence=_NC,
        commercial_use="no",
        note="The authors' first model (v0); most models of other languages are tuned from it.",
    ),
    ModelSpec(
        name="OpenF5-TTS-Base",
        repo="mrfakename/OpenF5-TTS-Base",
        architecture=F5TTS_V1_BASE,
        checkpoint=SpecFile(path="model.pt"),
        vocabulary=SpecFile(path="vocab.txt"),
        languages=("en",),
        licence="Apache-2.0",
        commercial_use="yes",
        note="Trained anew on data with free licences. Read its card before you sell what it speaks.",
    ),
    ModelSpec(
        name="F5-Hindi-24KHz",
        repo="SPRINGLab/F5-Hindi-24KHz",
        architecture=F5TTS_SMALL,
        checkpoint=SpecFile(path="model_2500000.safetensors"),
        vocabulary=SpecFile(path="vocab.txt"),
        languages=("hi",),
        licence="CC-BY-4.0",
        commercial_use="yes",
        note="Small. Its licence asks for the authors (SPRING Lab, IIT Madras) to be named.",
    ),
    ModelSpec(
        name="silma-tts",
        repo="silma-ai/silma-tts",
        revision="d2515317033803648ecb8844765db9e583afecf9",
        architecture=F5TTS_V1_SMALL,
        checkpoint=SpecFile(
            path="model.pt",
            sha256="f43256d0b78b8803c638aed0875da5a4b372b4a784690a0156e5baff14f7336c",
            size=2_603_209_272,
        ),
        vocabulary=SpecFile(
            path="vocab.txt",
            sha256="5c2ffc48802a52bbdf715dacf1d6519d3fee96e391aef690261963a692b8e661",
            size=36_357,
        ),
        languages=("ar", "en"),
        licence="Apache-2.0",
        commercial_use="yes",
        note="Small; that it loads with this architecture is not proven.",
    ),
    ModelSpec(
        name="F5-TTS-Latvian",
        repo="RaivisDejus/F5-TTS-Latvian",
        architecture=F5TTS_BASE,
        checkpoint=SpecFile(path="model.safetensors"),
        vocabulary=SpecFile(path="vocab.txt"),
        languages=("lv",),
        licence="CC0-1.0",
        commercial_use="disputed",
        note="Tagged CC0, but probably tuned from a model that may not be sold.",
    ),
    ModelSpec(
        name="F5-Spanish",
        repo="jpgallegoar/F5-Spanish",
        revision="4765c14ffd01075479c2fde8615831acc0adca9a",
        architecture=F5TTS_BASE,
        checkpoint=SpecFile(
            path="model_1250000.safetensors",
            sha256="9cd5757a92c0b979e9769558fea922243c4916090ad93dd2c595b73e6f05a3b2",
            size=_BASE_BYTES,
        ),
        vocabulary=_vocabulary("vocab.txt"),
        languages=("es",),
        licence="CC0-1.0",
        commercial_use="disputed",
        note="Tagged CC0, but probably tuned from a model that may not be sold.",
    ),
    ModelSpec(
        name="F5-TTS_Finnish_Model",
        repo="AsmoKoskinen/F5-TTS_Finnish_Model",
        revision="cba9413e3c8ebe3e8f89513ad43510f97decac29",
        architecture=F5TTS_BASE,
        checkpoint=SpecFile(
            path="model_commonvoice_fi_librivox_fi_vox_populi_fi_20250323/model_last_20250323.safetensors",
            sha256="b3a7c67a9aac0f73f64299654fa658632a569b85e489fe31421ff71ea2e9b89e",
            size=1_348_439_857,
        ),
        vocabulary=SpecFile(
            path="model_commonvoice_fi_librivox_fi_vox_populi_fi_20250323/vocab.txt",
            sha256="4436601e07d6e601bc37182b94237bd48d7330fdb62f44192c63619ae91014fa",
            size=11_261,
        ),
        languages=("fi",),
        licence=_NC,
        commercial_use="no",
    ),
    ModelSpec(
        name="F5-French-MixedSpeakers-reduced",
        repo="RASPIAUDIO/F5-French-MixedSpeakers-reduced",
        architecture=F5TTS_BASE,
        checkpoint=SpecFile(path="model_last_reduced.pt"),
        vocabulary=SpecFile(path="vocab.txt"),
        languages=("fr",),
        licence=_NC,
        commercial_use="no",
    ),
    ModelSpec(
        name="F5-TTS-German",
        repo="hvoss-techfak/F5-TTS-German",
        architecture=F5TTS_BASE,
        checkpoint=SpecFile(path="model_f5tts_german.pt"),
        vocabulary=SpecFile(path="vocab.txt"),
        languages=("de",),
        licence=_NC,
        commercial_use="no",
    ),
    ModelSpec(
        name="F5-TTS-italian",
        repo="alien79/F5-TTS-italian",
        revision="6582a16ac03894f0ddae21e3e9b013ef5e33577e",
        architecture=F5TTS_BASE,
        checkpoint=SpecFile(
            path="model_159600.safetensors",
            sha256="c92b19a07843bda8bf55c8b525e67051ef4f95d3bd28cec2d330a45a48a1ac91",
            size=_BASE_BYTES,
        ),
        vocabulary=SpecFile(path="vocab.txt"),
        languages=("it",),
        licence=_NC,
        commercial_use="no",
    ),
    ModelSpec(
        name="F5TTS-Japanese",
        repo="Jmica/F5TTS",
        architecture=F5TTS_BASE,
        checkpoint=SpecFile(path="JA_21999120/model_21999120.pt"),
        vocabulary=SpecFile(path="JA_21999120/vocab_japanese.txt"),
        languages=("ja",),
        licence=_NC,
        commercial_use="no",
    ),
    ModelSpec(
        name="F5-TTS-Russian",
        repo="hotstone228/F5-TTS-Russian",
        architecture=F5TTS_BASE,
        checkpoint=SpecFile(path="model_last.safetensors"),
        vocabulary=SpecFile(path="vocab.txt"),
        languages=("ru",),
        licence=_NC,
        commercial_use="no",
    ),
)

_VOCODERS = (
    VocoderSpec(
        name="vocos-mel-24khz",
        repo="charactr/vocos-mel-24khz",
        revision="0feb3fdd929bcd6649e0e7c5a688cf7dd012ef21",
        config=SpecFile(
            path="config.yaml",
            sha256="da9033922f969a47f0c160010226919e59f27761fd5066f3828d46de6650b0fc",
            size=461,
        ),
        weights=SpecFile(
            path="pytorch_model.bin",
            sha256="97ec976ad1fd67a33ab2682d29c0ac7df85234fae875aefcc5fb215681a91b2a",
            size=54_365_991,
        ),
        licence="MIT",
        commercial_use="yes",
    ),
)

_RECOGNISERS = (
    RecogniserSpec(
        name="whisper-tiny.en",
        repo="Systran/faster-whisper-tiny.en",
        licence="MIT",
        commercial_use="yes",
        note="English only; mishears more than the others.",
    ),
    RecogniserSpec(
        name="whisper-small",
        repo="Systran/faster-whisper-small",
        licence="MIT",
        commercial_use="yes",
        note="The choice on a processor: 99 languages.",
    ),
    RecogniserSpec(
        name="whisper-large-v3-turbo",
        repo="mobiuslabsgmbh/faster-whisper-large-v3-turbo",
        licence="MIT",
        commercial_use="yes",
        note="The choice on a GPU: 99 languages.",
    ),
    RecogniserSpec(
        name="whisper-large-v3",
        repo="Systran/faster-whisper-large-v3",
        licence="MIT",
        commercial_use="yes",
        note="The most exact, and the slowest.",
    ),
)

MODELS = MappingProxyType({spec.name: spec for spec in _MODELS})
"""Every known model, by name, in the order in which they are listed."""

VOCODERS = MappingProxyType({spec.name: spec for spec in _VOCODERS})
"""Every known vocoder, by name."""

RECOGNISERS = MappingProxyType({spec.name: spec for spec in _RECOGNISERS})
"""Every known Whisper model, by name."""

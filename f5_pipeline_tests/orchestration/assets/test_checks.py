"""What the checks of assets say, in words."""

from __future__ import annotations

import dagster as dg
import pytest

from f5_pipeline.orchestration.assets.narration_audio import audio_checks
from f5_pipeline.speech.audio.assembly import AssemblySettings
from f5_pipeline.studio.records import Audio, Takes


@pytest.mark.parametrize(
    ("loudness", "peak", "limited", "passed", "description"),
    [
        (-19.1, -4.0, False, True, "reached -19.1 LUFS of -19 asked for"),
        (-19.4, -1.0, True, True, "reached -19.4 LUFS of -19 asked for: the peak limit of -1 dBTP holds it back"),
        (-20.5, -1.0, True, False, "reached -20.5 LUFS of -19 asked for: the peak limit of -1 dBTP holds it back"),
        (-17.0, -4.0, False, False, "reached -17.0 LUFS of -19 asked for"),
        (-19.0, 0.5, False, False, "reached -19.0 LUFS of -19 asked for"),
        (None, None, False, False, "it is too short or too quiet to be measured"),
    ],
)
def test_mastered_says_what_was_reached_of_what_was_asked_for(loudness, peak, limited, passed, description):
    audio = Audio.model_construct(
        assembly=AssemblySettings(), loudness_lufs=loudness, true_peak_dbtp=peak, limited_by_peak=limited
    )
    takes = Takes.model_construct(doubtful=0, measured=0, retaken=0, chunks=1, doubts=[])
    mastered = next(check for check in audio_checks(audio, takes) if check.check_name == "mastered")
    assert (mastered.passed, mastered.description) == (passed, description)
    assert mastered.severity is dg.AssetCheckSeverity.WARN


def test_bounds_of_a_reference_are_told_in_words(studio): ...

"""What the checks of assets say, in words."""

from __future__ import annotations

import re

import dagster as dg
import pytest

from f5_pipeline.orchestration.assets.narration_audio import _checks as audio_checks
from f5_pipeline.orchestration.assets.reference_audio import CHECKS, product
from f5_pipeline.speech.audio.assembly import AssemblySettings
from f5_pipeline.store.local import LocalStore
from f5_pipeline.studio.records import Audio, Delivery, Plan, Takes
from f5_pipeline.studio.voices import add_voice, make_reference
from f5_pipeline_tests.support.installation import EXAMPLES

HELD = "the peak limit of -1 dBTP holds it back; a master (F5_MASTER=podcast) limits"


@pytest.mark.parametrize(
    ("loudness", "peak", "limited", "passed", "description"),
    [
        (-19.1, -4.0, False, True, "reached -19.1 LUFS of -19 asked for"),
        (-19.4, -1.0, True, True, f"reached -19.4 LUFS of -19 asked for: {HELD}"),
        (-20.5, -1.0, True, False, f"reached -20.5 LUFS of -19 asked for: {HELD}"),
        (-17.0, -4.0, False, False, "reached -17.0 LUFS of -19 asked for"),
        (-19.0, 0.5, False, False, "reached -19.0 LUFS of -19 asked for"),
        (None, None, False, False, "it is too short or too quiet to be measured"),
    ],
)
def test_mastered_says_what_was_reached_of_what_was_asked_for(loudness, peak, limited, passed, description):
    plan = Plan.model_construct(delivery=Delivery())
    audio = Audio.model_construct(
        plan=plan,
        measures=[],
        assembly=AssemblySettings(),
        loudness_lufs=loudness,
        true_peak_dbtp=peak,
        limited_by_peak=limited,
    )
    takes = Takes.model_construct(doubtful=0, measured=0, retaken=0, chunks=1, doubts=[])
    mastered = next(check for check in audio_checks(audio, takes) if check.check_name == "mastered")
    assert (mastered.passed, mastered.description) == (passed, description)
    assert mastered.severity is dg.AssetCheckSeverity.WARN


def test_bounds_of_a_reference_are_told_in_words(tmp_path):
    store = LocalStore(tmp_path / "studio")
    add_voice(store, "ada", EXAMPLES / "voices" / "ada.flac")
    checks = {check.check_name: check for check in product(*make_reference(store, "ada")).checks}
    assert set(checks) == set(CHECKS)
    bounds = {name: str(check.metadata["bounds"].value) for name, check in checks.items()}
    assert bounds["clipping"] == "at most 0.001"
    assert all(re.fullmatch(r"at (most|least) -?[\d.]+|-?[\d.]+ to -?[\d.]+|any", text) for text in bounds.values())

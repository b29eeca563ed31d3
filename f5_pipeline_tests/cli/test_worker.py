"""The serverless worker, by the real SDK's own trial of a job."""

from __future__ import annotations

import json

import pytest

from f5_pipeline_tests.support.installation import EXAMPLES, Installation


@pytest.mark.slow
def test_a_job_is_narrated_to_its_end(tmp_path):
    pytest.importorskip("runpod")
    here = Installation(tmp_path)
    here.run("voices", "add", "ada", EXAMPLES / "voices" / "ada.flac")

    def result_of(given: dict, code: int) -> str:
        return here.run("worker", "--runpod", "--test_input", json.dumps({"input": given}), code=code).out

    text = {"text": "Good day to you.", "local_voice": "ada.wav", "timing_format": "srt"}
    out = result_of(text, 0)
    assert "'status': 'COMPLETED'" in out and "'audio_url': 'http" in out and "'timing_format': 'srt'" in out, out
    assert "there is no text" in result_of({"text": " "}, 1)

"""The example of docs/studio.md, run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from f5_pipeline_tests.support.installation import EXAMPLES, REPOSITORY, environment


@pytest.mark.slow
def test_the_example_narrates_without_settings_and_without_dagster(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/studio.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "examples").symlink_to(EXAMPLES)
    # A variable of the settings that cannot be read by anybody: nothing here may try.
    env = {**environment(tmp_path), "F5_ENGINE": "nonsense", "F5_TRANSFERS": "nonsense", "PYTHONPATH": str(REPOSITORY)}
    code += "\nimport sys\nassert not {'dagster', 'f5_pipeline.settings'} & set(sys.modules)\n"
    printed = []
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == 0, ended.stderr
        printed.append([Path(line) for line in ended.stdout.splitlines()])
    assert printed[0] == printed[1], "the same revision again"
    names = {path.name: path for path in printed[0]}
    assert {"story.flac", "story.mp3", "story.srt", "story.words.csv"} <= set(names)
    assert soundfile.info(names["story.flac"]).duration > 1.5
    assert "Nobody" in names["story.words.csv"].read_text(encoding="utf-8")


def test_the_options_are_those_of_the_settings():
    from f5_pipeline.orchestration.configured import studio_options
    from f5_pipeline.settings import Settings
    from f5_pipeline.studio.options import StudioOptions

    assert StudioOptions.model_fields.keys() - Settings.model_fields.keys() == {"seed"}, "of one script alone"
    settings = Settings.model_construct(**{name: f.default for name, f in Settings.model_fields.items()})
    assert studio_options(settings) == StudioOptions()
